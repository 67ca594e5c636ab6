// One table of what replies may differ by, and one walk over both replies.
#include "movement/reply_meaning.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "movement/reply_value.h"

namespace crossfade {

namespace {

using Type = ReplyValue::Type;
using Values = std::vector<ReplyValue>;

enum class Rule : std::uint8_t {
  Exact,
  Unordered,  // the elements in any order
  Pairs,      // key, value, key, value, …: the pairs in any order
  Near,       // whole numbers, alone or in a list, within `tolerance`; those below 0 are words
  Pending,    // lists of four of which the third is an idle time in ms, within `tolerance`
  Float,      // texts of numbers may be written differently, at any depth
  Scored,     // likewise, but only every second element of a list: member, score, member, …
  ServerId,   // an id that the server chose
  Chance      // says nothing
};

struct CommandRule {
  std::string_view command;
  Rule rule;
  std::int64_t tolerance = 0;  // in the unit of the reply's number
};

constexpr std::int64_t kExpiry_s = kExpiryTolerance_ms / 1000;

constexpr std::array kRules = {
    // Sets and hashes have no order; whatever is made of them alone has none either.
    CommandRule{"smembers", Rule::Unordered},
    CommandRule{"sinter", Rule::Unordered},
    CommandRule{"sunion", Rule::Unordered},
    CommandRule{"sdiff", Rule::Unordered},
    CommandRule{"hkeys", Rule::Unordered},
    CommandRule{"hvals", Rule::Unordered},
    CommandRule{"keys", Rule::Unordered},
    CommandRule{"hgetall", Rule::Pairs},
    CommandRule{"config|get", Rule::Pairs},
    // Seconds and milliseconds that are left, or at which it ends.
    CommandRule{"ttl", Rule::Near, kExpiry_s},
    CommandRule{"pttl", Rule::Near, kExpiryTolerance_ms},
    CommandRule{"expiretime", Rule::Near, kExpiry_s},
    CommandRule{"pexpiretime", Rule::Near, kExpiryTolerance_ms},
    CommandRule{"httl", Rule::Near, kExpiry_s},
    CommandRule{"hpttl", Rule::Near, kExpiryTolerance_ms},
    CommandRule{"hexpiretime", Rule::Near, kExpiry_s},
    CommandRule{"hpexpiretime", Rule::Near, kExpiryTolerance_ms},
    CommandRule{"object|idletime", Rule::Near, kIdleTolerance_s},
    CommandRule{"xpending", Rule::Pending, kIdleTolerance_s * 1000},
    // Numbers as texts: 17 digits say the same as 3, and RESP3 says them as numbers.
    CommandRule{"incrbyfloat", Rule::Float},
    CommandRule{"hincrbyfloat", Rule::Float},
    CommandRule{"zincrby", Rule::Float},
    CommandRule{"zadd", Rule::Float},
    CommandRule{"zscore", Rule::Float},
    CommandRule{"zmscore", Rule::Float},
    CommandRule{"zrank", Rule::Float},
    CommandRule{"zrevrank", Rule::Float},
    CommandRule{"geodist", Rule::Float},
    CommandRule{"geopos", Rule::Float},
    CommandRule{"zrange", Rule::Scored},
    CommandRule{"zrevrange", Rule::Scored},
    CommandRule{"zrangebyscore", Rule::Scored},
    CommandRule{"zrevrangebyscore", Rule::Scored},
    CommandRule{"zunion", Rule::Scored},
    CommandRule{"zinter", Rule::Scored},
    CommandRule{"zdiff", Rule::Scored},
    CommandRule{"zpopmin", Rule::Scored},
    CommandRule{"zpopmax", Rule::Scored},
    CommandRule{"zmpop", Rule::Scored},
    CommandRule{"bzmpop", Rule::Scored},
    CommandRule{"bzpopmin", Rule::Float},
    CommandRule{"bzpopmax", Rule::Float},
    CommandRule{"georadius", Rule::Float},
    CommandRule{"georadius_ro", Rule::Float},
    CommandRule{"georadiusbymember", Rule::Float},
    CommandRule{"georadiusbymember_ro", Rule::Float},
    CommandRule{"geosearch", Rule::Float},
    CommandRule{"xadd", Rule::ServerId},
    // Chance, the clock, or how this server came to hold what it holds.
    CommandRule{"randomkey", Rule::Chance},
    CommandRule{"srandmember", Rule::Chance},
    CommandRule{"hrandfield", Rule::Chance},
    CommandRule{"zrandmember", Rule::Chance},
    CommandRule{"spop", Rule::Chance},
    CommandRule{"time", Rule::Chance},
    CommandRule{"lastsave", Rule::Chance},
    CommandRule{"lolwut", Rule::Chance},
    CommandRule{"object|encoding", Rule::Chance},
    CommandRule{"object|freq", Rule::Chance},
    CommandRule{"object|refcount", Rule::Chance},
    CommandRule{"memory|usage", Rule::Chance},
    CommandRule{"dump", Rule::Chance},  // the order within it is the server's own
    CommandRule{"xautoclaim", Rule::Chance},
    CommandRule{"xclaim", Rule::Chance},
    CommandRule{"xinfo|consumers", Rule::Chance},
    CommandRule{"xinfo|stream", Rule::Chance},
};

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

const CommandRule* find_rule(std::string_view command) {
  const auto found = std::find_if(kRules.begin(), kRules.end(), [&](const CommandRule& rule) {
    return std::equal(rule.command.begin(), rule.command.end(), command.begin(), command.end(),
                      [](char ours, char theirs) { return ours == lower(theirs); });
  });
  return found == kRules.end() ? nullptr : &*found;
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

constexpr Meaning worst(Meaning a, Meaning b) { return a < b ? b : a; }
constexpr Meaning tolerable_if(bool tolerable) {
  return tolerable ? Meaning::Tolerable : Meaning::Different;
}

// Appends bytes that two values share exactly when they are the same: what the unordered are sorted
// by. Lengths come first, so that nothing runs into its neighbour.
void append_form(const ReplyValue& value, std::string& out) {
  const bool doubled = value.type == Type::Double;
  out += doubled ? static_cast<char>('a' + static_cast<int>(Type::Text))
                 : static_cast<char>('a' + static_cast<int>(value.type));
  out += std::to_string(value.aggregate() ? value.elements.size() : value.text.size());
  out += ':';
  out += value.text;
  for (const ReplyValue& element : value.elements) append_form(element, out);
}

// The order in which groups of `each` elements stand, by the first of each group.
std::vector<std::pair<std::string, std::size_t>> ordered(const Values& elements, std::size_t each) {
  std::vector<std::pair<std::string, std::size_t>> order;
  order.reserve(elements.size() / each);
  for (std::size_t i = 0; i + each <= elements.size(); i += each) {
    std::string form;
    append_form(elements[i], form);
    order.emplace_back(std::move(form), i);
  }
  std::sort(order.begin(), order.end());
  return order;
}

// RESP3 puts into pairs what RESP2 lets follow each other: [[member, score], …].
bool made_of_pairs(const ReplyValue& value) {
  return value.aggregate() && !value.elements.empty() &&
         std::all_of(value.elements.begin(), value.elements.end(), [](const ReplyValue& one) {
           return one.aggregate() && one.elements.size() == 2;
         });
}

ReplyValue flattened(const ReplyValue& value) {
  ReplyValue flat;
  flat.type = value.type;
  flat.elements.reserve(value.elements.size() * 2);
  for (const ReplyValue& pair : value.elements) {
    flat.elements.push_back(pair.elements[0]);
    flat.elements.push_back(pair.elements[1]);
  }
  return flat;
}

class Walk {
 public:
  explicit Walk(const CommandRule& rule) : rule_(rule) {}

  Meaning whole(const ReplyValue& a, const ReplyValue& b) const {
    if (a.aggregate() && b.aggregate()) {
      if (rule_.rule == Rule::Unordered) return unordered(a.elements, b.elements, 1);
      if (rule_.rule == Rule::Pairs) return unordered(a.elements, b.elements, 2);
    }
    return value(a, b);
  }

 private:
  Meaning value(const ReplyValue& a, const ReplyValue& b) const {
    if (a.aggregate() && b.aggregate()) return aggregate(a, b);
    return leaf(a, b, rule_.rule == Rule::Float);
  }

  Meaning aggregate(const ReplyValue& a, const ReplyValue& b) const {
    if (a.elements.size() != b.elements.size()) {
      const bool other_form = a.elements.size() == 2 * b.elements.size() && made_of_pairs(b);
      if (other_form) return in_order(a.elements, flattened(b).elements);
      if (b.elements.size() == 2 * a.elements.size() && made_of_pairs(a)) {
        return in_order(flattened(a).elements, b.elements);
      }
      return Meaning::Different;
    }
    // One side's saying so is enough: the other may speak RESP2.
    if (a.type == Type::Set || b.type == Type::Set) return unordered(a.elements, b.elements, 1);
    if (a.type == Type::Map || b.type == Type::Map) return unordered(a.elements, b.elements, 2);
    return in_order(a.elements, b.elements);
  }

  Meaning in_order(const Values& a, const Values& b) const {
    if (a.size() != b.size()) return Meaning::Different;
    Meaning meaning = Meaning::Same;
    for (std::size_t i = 0; i < a.size() && meaning != Meaning::Different; ++i) {
      meaning = worst(meaning, element(a, b, i));
    }
    return meaning;
  }

  Meaning element(const Values& a, const Values& b, std::size_t i) const {
    if (a[i].aggregate() || b[i].aggregate()) return value(a[i], b[i]);
    const bool idle = rule_.rule == Rule::Pending && a.size() == 4 && i == 2;
    if (idle && a[i].type == Type::Number && b[i].type == Type::Number) return near(a[i], b[i]);
    const bool score = rule_.rule == Rule::Scored && i % 2 == 1;
    return leaf(a[i], b[i], score || rule_.rule == Rule::Float);
  }

  Meaning unordered(const Values& a, const Values& b, std::size_t each) const {
    if (a.size() != b.size() || a.size() % each != 0) {
      return a.size() == b.size() ? in_order(a, b) : Meaning::Different;
    }
    const auto order_a = ordered(a, each);
    const auto order_b = ordered(b, each);
    Meaning meaning = Meaning::Same;
    for (std::size_t i = 0; i < order_a.size() && meaning != Meaning::Different; ++i) {
      if (order_a[i].first != order_b[i].first) return Meaning::Different;
      for (std::size_t k = 1; k < each; ++k) {
        meaning = worst(meaning, value(a[order_a[i].second + k], b[order_b[i].second + k]));
      }
    }
    return meaning;
  }

  Meaning leaf(const ReplyValue& a, const ReplyValue& b, bool floats) const {
    if (a.type == Type::Error && b.type == Type::Error) {
      if (a.text == b.text) return Meaning::Same;
      return tolerable_if(first_word(a.text) == first_word(b.text));
    }
    const bool texts = is_text(a) && is_text(b);
    if (a.type != b.type && !texts) return Meaning::Different;
    if (a.text == b.text) return Meaning::Same;
    if (texts && (floats || a.type == Type::Double || b.type == Type::Double)) {
      return equal_numbers(a.text, b.text);
    }
    if (rule_.rule == Rule::Near) return near(a, b);
    if (rule_.rule == Rule::ServerId) {
      return tolerable_if(texts && is_id(a.text) && is_id(b.text));
    }
    return Meaning::Different;
  }

  static bool is_text(const ReplyValue& value) {
    return value.type == Type::Text || value.type == Type::Double;
  }

  static Meaning equal_numbers(std::string_view a, std::string_view b) {
    const auto x = number_in<double>(a);
    const auto y = number_in<double>(b);
    return tolerable_if(x && y && *x == *y);
  }

  Meaning near(const ReplyValue& a, const ReplyValue& b) const {
    if (a.type != Type::Number || b.type != Type::Number) return Meaning::Different;
    if (a.text == b.text) return Meaning::Same;
    const auto x = number_in<std::int64_t>(a.text);
    const auto y = number_in<std::int64_t>(b.text);
    if (!x || !y) return Meaning::Different;
    if (*x < 0 || *y < 0) return Meaning::Different;  // "no key", "no expiry"
    return tolerable_if(std::max(*x, *y) - std::min(*x, *y) <= rule_.tolerance);
  }

  // "1699999999999-0"
  static bool is_id(std::string_view text) {
    const std::size_t dash = text.find('-');
    return dash != text.npos && number_in<std::uint64_t>(text.substr(0, dash)) &&
           number_in<std::uint64_t>(text.substr(dash + 1));
  }

  const CommandRule& rule_;
};

}  // namespace

Meaning judge(std::string_view command, std::string_view old_reply, std::string_view new_reply) {
  if (old_reply == new_reply) return Meaning::Same;
  const auto old_value = read_reply(old_reply);
  const auto new_value = read_reply(new_reply);
  if (!old_value || !new_value) return Meaning::Different;
  static constexpr CommandRule kExact{"", Rule::Exact};
  const CommandRule* const rule = find_rule(command);
  return Walk(rule != nullptr ? *rule : kExact).whole(*old_value, *new_value);
}

bool hangs_on_chance(std::string_view command, bool marked) {
  const CommandRule* const rule = find_rule(command);
  return rule != nullptr ? rule->rule == Rule::Chance : marked;
}

}  // namespace crossfade
