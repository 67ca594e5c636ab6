// The configuration file: its shape, and what it sets.
#pragma once

#include <string>

#include "control/config.h"
#include "control/json/value.h"

namespace crossfade {

// Reads the file at `path` into `config`, over what is there. Members that are absent leave
// defaults.
//   errors  BadConfig with the JSON path, or with the reason why the file can not be read
Status read_config_file(const std::string& path, ProcessConfig& config);

// As above, from a file that has tokens and endpoints only: what is secret may lie elsewhere than
// the rest. Elements are added to those that are there.
Status read_secrets_file(const std::string& path, ProcessConfig& config);

// As the first, from a parsed document.
Status read_config_document(const Json& document, ProcessConfig& config);

}  // namespace crossfade
