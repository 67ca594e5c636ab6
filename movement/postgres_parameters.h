// What libpq is told of an endpoint, as names and values: where it is, as whom, and how TLS is
// spoken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/ports.h"

namespace crossfade {

// PEMs that were given as texts lie in memory for as long as this lives, where libpq opens them as
// files.
class PostgresParameters {
 public:
  //   database   empty: the endpoint's
  PostgresParameters(const EndpointAddress& address, const std::string& database,
                     std::uint32_t timeout_ms);
  ~PostgresParameters();
  PostgresParameters(const PostgresParameters&) = delete;
  PostgresParameters& operator=(const PostgresParameters&) = delete;

  void add(const char* name, std::string value);
  std::vector<const char*> names() const { return pointers(names_); }
  std::vector<const char*> values() const { return pointers(values_); }

 private:
  void add_tls(const EndpointAddress& address);
  void add_pem(const char* name, const std::string& source);
  static std::vector<const char*> pointers(const std::vector<std::string>& texts);

  std::vector<std::string> names_;
  std::vector<std::string> values_;
  std::vector<int> texts_;  // descriptors
};

}  // namespace crossfade
