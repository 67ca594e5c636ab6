// Values and keys. What is written is small and repeats itself, so that commands meet each other's
// elements; a few values are big enough to be streamed by the sidecar.
#include "tests/integration/write_load/generator.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <stdexcept>

namespace crossfade::write_load {
namespace {

constexpr std::string_view kTypes = "snfblthzpgxy";
constexpr unsigned kHot = 6;               // keys of a type that are drawn more often than others
constexpr unsigned kOtherTypePercent = 2;  // of the words that allow it
constexpr unsigned kBigBytes = 20'000;
constexpr unsigned kSeenBack = 200;  // how far #old looks back

// Ids of our own, one row for all connections: a later one is greater.
std::atomic<std::uint64_t> next_id{1};

std::uint64_t unix_ms() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return static_cast<std::uint64_t>(
      duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

std::vector<std::string_view> split(std::string_view text, std::string_view by) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t at = text.find(by);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + by.size());
  }
}

bool lower(char c) { return c >= 'a' && c <= 'z'; }

Word compile_word(std::string_view text, const std::map<std::string, std::string>& texts) {
  if (text.size() >= 2 && text[0] == '$' && (lower(text[1]) || text[1] == '~' || text[1] == '1')) {
    return {.kind = Word::Kind::Key,
            .type = text[1],
            .sure = text.ends_with('!'),
            .text = "",
            .front = "",
            .back = ""};
  }
  if (text.size() >= 2 && text[0] == '%') {
    const auto found = texts.find(std::string(text.substr(1)));
    if (found == texts.end()) throw std::invalid_argument("no text for " + std::string(text));
    return {.text = found->second, .front = "", .back = ""};
  }
  const std::size_t mark = text.find('#');
  if (mark != std::string_view::npos && mark + 1 < text.size() && lower(text[mark + 1])) {
    std::size_t end = mark + 1;
    while (end < text.size() && lower(text[end])) ++end;
    return {.kind = Word::Kind::Value,
            .text = std::string(text.substr(mark + 1, end - mark - 1)),
            .front = std::string(text.substr(0, mark)),
            .back = std::string(text.substr(end))};
  }
  return {.text = std::string(text), .front = "", .back = ""};
}

void append_bulk(std::string_view bytes, std::string& out) {
  char head[24];
  const int size = std::snprintf(head, sizeof head, "$%zu\r\n", bytes.size());
  out.append(head, static_cast<std::size_t>(size)).append(bytes).append("\r\n");
}

void append_count(std::size_t count, std::string& out) {
  char head[24];
  const int size = std::snprintf(head, sizeof head, "*%zu\r\n", count);
  out.append(head, static_cast<std::size_t>(size));
}

}  // namespace

Table::Table(std::span<const Form> forms, const std::map<std::string, std::string>& texts) {
  for (const Form& form : forms) {
    CompiledForm compiled;
    for (const std::string_view command : split(form.text, " ; ")) {
      Command words;
      for (const std::string_view word : split(command, " ")) {
        words.push_back(compile_word(word, texts));
      }
      compiled.commands.push_back(std::move(words));
    }
    by_weight_.insert(by_weight_.end(), form.weight, static_cast<std::uint16_t>(forms_.size()));
    forms_.push_back(std::move(compiled));
  }
}

std::vector<std::string> command_names(const Form& form) {
  std::vector<std::string> names;
  for (const std::string_view command : split(form.text, " ; ")) {
    const auto words = split(command, " ");
    std::string name(words[0]);
    if (name == "XGROUP") name.append("|").append(words[1]);
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
    names.push_back(std::move(name));
  }
  return names;
}

Generator::Generator(std::uint64_t seed, unsigned number, unsigned keys, unsigned db)
    : random_(seed * 0x9E3779B97F4A7C15u + number),
      per_type_(std::max<unsigned>(2, keys / kTypes.size())),
      db_(db) {}

void Generator::make(const CompiledForm& form, std::string& out,
                     const std::function<void(Made)>& made) {
  first_type_ = 0;
  own_ = entry_count_ == 0
             ? nullptr
             : &entries_[below(static_cast<unsigned>(std::min(entry_count_, entries_.size())))];
  for (const Command& command : form.commands) {
    append_count(command.size(), out);
    const bool adds = command[0].text == "XADD";
    added_.clear();
    for (std::size_t i = 0; i < command.size(); ++i) {
      append_word(command[i], out);
      if (adds && i == 1) added_ = word_;
    }
    made({command[0].text, added_});
  }
}

std::string Generator::some_key() {
  append_key({.kind = Word::Kind::Key, .type = 'k', .text = "", .front = "", .back = ""});
  return word_;
}

void Generator::note_entry(std::string key, std::string id) {
  entries_[entry_count_++ % entries_.size()] = {std::move(key), std::move(id)};
}

void Generator::append_word(const Word& word, std::string& out) {
  switch (word.kind) {
    case Word::Kind::Text:
      return append_bulk(word.text, out);
    case Word::Kind::Key:
      append_key(word);
      break;
    case Word::Kind::Value:
      word_ = word.front;
      append_value(word.text);
      word_.append(word.back);
      break;
  }
  append_bulk(word_, out);
}

void Generator::append_key(const Word& word) {
  char type = word.type;
  if (type == '1' && first_type_ != 0) {
    word_ = first_key_;
    return;
  }
  if (type == 'o') {
    if (own_) {
      word_ = own_->key;
      return;
    }
    type = 'x';
  }
  if (type == '~') type = first_type_;
  const bool any = type == 'k' || (!word.sure && below(100) < kOtherTypePercent);
  if (any) type = kTypes[below(kTypes.size())];
  word_.clear();
  append_number(type);
  if (first_type_ == 0) {
    first_type_ = type;
    first_key_ = word_;
  }
}

void Generator::append_number(char type) {
  const unsigned number = below(10) == 0 ? below(std::min(kHot, per_type_)) : below(per_type_);
  word_.push_back(type);
  word_.push_back(':');
  word_.append(std::to_string(number));
}

std::string Generator::id_text(std::uint64_t at) const { return std::to_string(at) + "-1"; }

void Generator::append_value(std::string_view name) {
  const auto number = [this](std::int64_t value) { word_.append(std::to_string(value)); };
  const auto formatted = [this](const char* format, double value) {
    char text[40];
    const int size = std::snprintf(text, sizeof text, format, value);
    word_.append(text, static_cast<std::size_t>(size));
  };
  const auto now_ms = [] { return static_cast<std::int64_t>(unix_ms()); };
  if (name == "v") {
    const unsigned dice = below(2000);
    if (dice == 0) {
      word_.append(kBigBytes + below(9), static_cast<char>('a' + below(26)));
    } else if (dice < 40) {
      word_.append(60 + below(60), static_cast<char>('A' + below(26)));
    } else {
      word_.push_back('v');
      number(below(1000));
    }
  } else if (name == "m") {
    if (one_in(2)) word_.push_back('m');
    number(below(24));
  } else if (name == "i") {
    number(static_cast<std::int64_t>(below(19)) - 9);
  } else if (name == "u") {
    number(below(20));
  } else if (name == "c") {
    number(1 + below(4));
  } else if (name == "f") {
    formatted("%.3g", (static_cast<double>(below(2000)) - 1000) / 7);
  } else if (name == "score") {
    if (one_in(40)) {
      word_.append(one_in(2) ? "inf" : "-inf");
    } else {
      formatted(one_in(2) ? "%.0f" : "%.17g", (static_cast<double>(below(400)) - 200) / 3);
    }
  } else if (name == "bit") {
    number(below(2));
  } else if (name == "off") {
    number(below(200));
  } else if (name == "ttl") {
    number(one_in(50) ? 1 : 120 + below(600));
  } else if (name == "pttl") {
    number(one_in(16) ? 1 + below(50) : 120'000 + below(600'000));
  } else if (name == "at") {
    number(now_ms() / 1000 + (one_in(30) ? -5 : 120 + static_cast<std::int64_t>(below(600))));
  } else if (name == "pat") {
    number(now_ms() + (one_in(16) ? static_cast<std::int64_t>(below(60)) - 10
                                  : 120'000 + static_cast<std::int64_t>(below(600'000))));
  } else if (name == "recent") {
    number(now_ms() - static_cast<std::int64_t>(below(200)));
  } else if (name == "id") {
    word_.append(id_text(next_id.fetch_add(1, std::memory_order_relaxed)));
  } else if (name == "part") {
    number(static_cast<std::int64_t>(next_id.fetch_add(1, std::memory_order_relaxed)));
  } else if (name == "old") {
    const std::uint64_t top = next_id.load(std::memory_order_relaxed);
    word_.append(id_text(top - std::min<std::uint64_t>(top, below(kSeenBack))));
  } else if (name == "own") {
    word_.append(own_ ? own_->id : "1-1");
  } else if (name == "lon") {
    formatted("%.4f", static_cast<double>(below(2000)) / 100);
  } else if (name == "lat") {
    formatted("%.4f", 35 + static_cast<double>(below(2000)) / 100);
  } else if (name == "g") {
    word_.push_back('g');
    number(below(2));
  } else if (name == "consumer") {
    word_.push_back('c');
    number(below(3));
  } else if (name == "wait") {
    formatted("%.3f", 0.005 + static_cast<double>(below(60)) / 1000);
  } else if (name == "waitms") {
    number(5 + below(60));
  } else if (name == "db") {
    number(db_);
  } else {
    throw std::invalid_argument("no value #" + std::string(name));
  }
}

void append_request(std::span<const std::string_view> words, std::string& out) {
  append_count(words.size(), out);
  for (const std::string_view word : words) append_bulk(word, out);
}

}  // namespace crossfade::write_load
