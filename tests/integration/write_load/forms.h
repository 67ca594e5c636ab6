// The table of writes: every write command of Redis 7.0 that has keys, in the forms that it takes.
//
// A form is text. Words are separated by blanks, commands that belong together by " ; ". A word is
//
//   $s $n $f $b $l $t $h $z $p $g $x $y   a key that holds: a string, an integer, a float, bits, a
//          list, a set, a hash, a sorted set, a hyperloglog, places, a stream with ids of the
//          server's, a stream with ids of ours; now and then, on purpose, one that holds something
//          else, but for "$s!", which never does: what overwrites keeps the types
//   $k     a key of any kind; $~ another one of the first key's kind; $1 the first key again
//   $o     the stream of an entry that this client has added, #own the entry's id
//   #name  a value: see generator.cc
//   %name  a script's text, "%sha:name" its digest, "%dump:name" what DUMP says of a value
//   other  itself
//
// Depends on: nothing. Knows nothing of connections.
#pragma once

#include <span>
#include <string_view>

namespace crossfade::write_load {

struct Form {
  unsigned weight;  // how often, beside the others of its table
  std::string_view text;
};

std::span<const Form> plain_forms();      // answered at once; what MULTI is filled with, too
std::span<const Form> blocking_forms();   // for connections that do nothing else
std::span<const Form> other_db_forms();   // alone: they change the database, or many keys
std::span<const Form> exclusive_forms();  // seldom: of keys that cannot be told

struct Script {
  std::string_view name;
  std::string_view text;
};
std::span<const Script> scripts();
std::string_view library();  // what FUNCTION LOAD is given; has the functions of FCALL's forms

// Values whose DUMP is restored: how each is made.
struct Seed {
  std::string_view name;
  std::string_view form;  // with the key as $1
};
std::span<const Seed> seeds();

}  // namespace crossfade::write_load
