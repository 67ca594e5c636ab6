// The settings of the process: one table that names each with its flag, environment variable, key
// in the configuration file, and default.
//
// The command line, the merging of sources, `--help`, and the check that docs and flags are in step
// all read this table, so that a setting can not exist in one of them only.
#pragma once

#include <span>
#include <string>

namespace crossfade {

struct Setting {
  const char* name;  // one word, unique; the key of FlagValues
  const char* flag;  // "--state"; empty when there is none (secrets do not belong on command lines)
  const char* environment;    // "CROSSFADE_STATE"; never empty
  const char* key;            // JSON path in the configuration file; empty when there is none
  const char* default_value;  // as an operator would write it; empty when there is none
  const char* help;           // one line, without the default
};

// Every setting, in the order in which help shows them.
std::span<const Setting> settings();

// The line of `--help`: what it is, its environment variable, its key, and its default.
std::string help_of(const Setting& setting);

}  // namespace crossfade
