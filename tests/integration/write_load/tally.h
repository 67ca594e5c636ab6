// What a run counts, and the numbers of which the servers have acknowledged the writing.
//
// A register is a key that one connection alone writes, with numbers that grow. What a server holds
// may be newer than what was acknowledged last (sent, not answered), never older.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::write_load {

struct Register {
  enum class Kind : std::uint8_t { String, Hash, Stream } kind = Kind::String;
  std::string key;
  unsigned db = 0;
  std::uint64_t sent = 0;   // the last number written
  std::uint64_t acked = 0;  // the last number whose writing was acknowledged; 0: none
  std::uint64_t acks = 0;
};

class Tally {
 public:
  std::uint64_t writes = 0;        // replies to write commands, errors included
  std::uint64_t lost = 0;          // connections
  std::uint64_t disorder = 0;      // replies that cannot be the answer to what was asked
  std::uint64_t transactions = 0;  // EXECs that ran
  std::uint64_t conflicts = 0;     // EXECs that a watched key forbade

  void note_error(std::string_view text);
  // Something that must not happen; the first few are kept.
  void note_trouble(std::string what);
  void note_latency_us(std::uint32_t us) { latencies_.push_back(us); }
  bool troubled() const { return !troubles_.empty(); }
  // One line of JSON; see main.cc.
  std::string json(double seconds);

 private:
  std::map<std::string, std::uint64_t, std::less<>> errors_;  // by first word
  std::map<std::string, std::uint64_t, std::less<>> texts_;   // by text
  std::vector<std::string> troubles_;
  std::vector<std::uint32_t> latencies_;  // of pipelines
};

// A JSON array, one register a line.
std::string to_json(const std::vector<const Register*>& registers);

}  // namespace crossfade::write_load
