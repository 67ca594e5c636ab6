// The members of a request body as words of a command line.
//
//   description=text            a string
//   strategy.type=canary        a member of an object
//   strategy.read_percentage:=0.05, config.tls:=true, strategy.migrated_instances:='["a","b"]'
//                               JSON
#pragma once

#include <span>
#include <string>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

// True for a word that gives a member, and does not name a resource.
bool gives_member(const std::string& word);

// Sets what the words say in `body`, an object; later words win.
//   errors  BadInput: names the word's path, never its value, which may be a secret
Status set_members(std::span<const std::string> words, Json& body);

}  // namespace crossfade
