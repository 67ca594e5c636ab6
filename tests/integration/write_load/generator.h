// Turns forms into requests, at random, from a seed.
//
// Each connection has a generator of its own. Two with the same seed and number make the same
// requests, but for the ids of stream entries that a server chose, and for the ids and times that
// all connections of the process draw from.
//
// Depends on: forms.h. Knows nothing of sockets; is told of ids by note_entry().
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/write_load/forms.h"

namespace crossfade::write_load {

// A form in pieces.
struct Word {
  enum class Kind : std::uint8_t { Text, Key, Value } kind = Kind::Text;
  char type = 0;            // Key: its letter
  bool sure = false;        // Key: never of another type
  std::string text;         // Text: all of it; Value: its name
  std::string front, back;  // Value: what stands around it
};
using Command = std::vector<Word>;

struct CompiledForm {
  std::vector<Command> commands;
};

// A table ready to be drawn from.
class Table {
 public:
  //   texts   the bytes of the words that begin with '%'
  Table(std::span<const Form> forms, const std::map<std::string, std::string>& texts);
  const CompiledForm& at(std::size_t draw) const { return forms_[by_weight_[draw]]; }
  std::size_t size() const { return by_weight_.size(); }

 private:
  std::vector<CompiledForm> forms_;
  std::vector<std::uint16_t> by_weight_;  // a form's index, as often as its weight
};

// The name that COMMAND has for a form's command: "set", "xgroup|create".
std::vector<std::string> command_names(const Form& form);

// One command made from a form.
struct Made {
  std::string_view name;   // as the form has it
  std::string_view added;  // XADD: the key; valid until the next command is made
};

class Generator {
 public:
  //   keys   of all types together
  //   db     where this connection works
  Generator(std::uint64_t seed, unsigned number, unsigned keys, unsigned db);

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  bool one_in(unsigned many) { return below(many) == 0; }

  // Appends the form's requests and says of each what it is.
  void make(const CompiledForm& form, std::string& out, const std::function<void(Made)>& made);
  // A key of any type.
  std::string some_key();
  // An entry that this connection has added, for #own.
  void note_entry(std::string key, std::string id);

 private:
  struct Entry {
    std::string key, id;
  };

  void append_word(const Word& word, std::string& out);
  void append_key(const Word& word);
  void append_value(std::string_view name);
  void append_number(char type);
  std::string id_text(std::uint64_t at) const;

  std::mt19937_64 random_;
  unsigned per_type_;
  unsigned db_;
  std::array<Entry, 16> entries_;
  std::size_t entry_count_ = 0;
  // Of the form in the making.
  std::string first_key_;
  char first_type_ = 0;
  const Entry* own_ = nullptr;
  std::string word_;
  std::string added_;
};

// *<count>\r\n$<size>\r\n… of words that are given.
void append_request(std::span<const std::string_view> words, std::string& out);

}  // namespace crossfade::write_load
