// Values are hidden by walking the reply as data, so that what cannot be read is hidden whole.
#include "movement/mismatch_samples.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "movement/reply_value.h"
#include "movement/sql_samples.h"

namespace crossfade {

namespace {

using Type = ReplyValue::Type;

// Servers say these by themselves.
bool harmless(std::string_view text) { return text == "OK" || text == "QUEUED" || text == "PONG"; }

void append_hidden(const ReplyValue& value, std::uint64_t seed, std::string& out) {
  if (out.size() > kSampleTextMax) return;  // it is cut there
  if (value.type == Type::Null) {
    out += "(null)";
  } else if (value.type == Type::Error) {
    const std::string_view word = value.text.substr(0, value.text.find(' '));
    out += "(error) " + printable(word, 32);
    if (word.size() < value.text.size())
      out += ' ' + hidden_value(value.text.substr(word.size()), seed);
  } else if (!value.aggregate()) {
    if (value.type == Type::Number) out += "(integer) ";
    out += harmless(value.text) ? std::string(value.text) : hidden_value(value.text, seed);
  } else {
    const bool map = value.type == Type::Map;
    const bool ordered = value.type == Type::List;
    out += std::to_string(value.elements.size() / (map ? 2 : 1)) + (ordered ? "[" : "{");
    for (std::size_t i = 0; i < value.elements.size() && out.size() <= kSampleTextMax; ++i) {
      if (i > 0) out += ", ";
      append_hidden(value.elements[i], seed, out);
    }
    out += ordered ? ']' : '}';
  }
}

}  // namespace

std::string hidden_value(std::string_view value, std::uint64_t seed) {
  std::array<char, 64> text;
  const auto hash = XXH3_64bits_withSeed(value.data(), value.size(), seed) >> 32;
  std::snprintf(text.data(), text.size(), "<%zu bytes, %08llx>", value.size(),
                static_cast<unsigned long long>(hash));
  return text.data();
}

std::string printable(std::string_view bytes, std::size_t max) {
  std::string text;
  for (const char c : bytes.substr(0, max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (c == '\\') {
      text += "\\\\";
    } else if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      std::array<char, 8> hex;
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(byte));
      text += hex.data();
    }
  }
  if (bytes.size() > max) text += "...";
  return text;
}

std::string redacted(std::string_view reply, std::uint64_t seed) {
  const auto value = read_reply(reply);
  if (!value) return "(cut) " + hidden_value(reply, seed);
  std::string text;
  append_hidden(*value, seed, text);
  return printable(text);
}

namespace {

std::vector<std::string> shown_keys(const Mismatch& mismatch) {
  std::vector<std::string> shown;
  const std::size_t keys = std::min(mismatch.keys.size(), kSampleKeysMax);
  for (std::size_t i = 0; i < keys; ++i) shown.push_back(printable(mismatch.keys[i]));
  return shown;
}

MismatchSample sql_sample_of(const Mismatch& mismatch, MismatchClass what,
                             std::int64_t unix_seconds, const Showing& showing) {
  ShownReplies replies = show_replies(mismatch, showing);
  return {.at = unix_seconds,
          .interlay = mismatch.route->id,
          .sort = mismatch.sort,
          .what = what,
          .command = show_statement(mismatch.command, showing),
          .db = mismatch.db,
          .keys = shown_keys(mismatch),
          .old_reply = std::move(replies.old_side),
          .new_reply = std::move(replies.new_side)};
}

}  // namespace

MismatchSample sample_of(const Mismatch& mismatch, MismatchClass what, std::int64_t unix_seconds,
                         bool redact_values, std::uint64_t seed) {
  if (mismatch.sql) return sql_sample_of(mismatch, what, unix_seconds, {redact_values, seed});
  const auto shown = [&](std::string_view reply) {
    return redact_values ? redacted(reply, seed) : printable(reply);
  };
  return {.at = unix_seconds,
          .interlay = mismatch.route->id,
          .sort = mismatch.sort,
          .what = what,
          .command = printable(mismatch.command),
          .db = mismatch.db,
          .keys = shown_keys(mismatch),
          .old_reply = shown(mismatch.old_reply),
          .new_reply = shown(mismatch.new_reply)};
}

void MismatchSamples::keep(const std::string& migration, MismatchSample sample) {
  if (samples_max_ == 0) return;
  auto& samples = kept_of(migration).samples;
  if (samples.size() >= samples_max_) {
    const auto doubtful =
        std::find_if(samples.begin(), samples.end(),
                     [](const MismatchSample& one) { return one.what != MismatchClass::Real; });
    samples.erase(doubtful == samples.end() ? samples.begin() : doubtful);
  }
  samples.push_back(std::move(sample));
}

MismatchSamples::Kept& MismatchSamples::kept_of(const std::string& migration) {
  if (kept_.size() >= kSampledMigrationsMax && !kept_.contains(migration)) {
    kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
      return a.second.touched < b.second.touched;
    }));
  }
  Kept& kept = kept_[migration];
  kept.touched = ++clock_;
  return kept;
}

std::vector<MismatchSample> MismatchSamples::of(const std::string& migration) const {
  const auto found = kept_.find(migration);
  if (found == kept_.end()) return {};
  return {found->second.samples.rbegin(), found->second.samples.rend()};
}

}  // namespace crossfade
