// What a PostgreSQL server says about itself, asked over one short connection. Changes nothing
// there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/base/result.h"
#include "strategies/ports.h"

namespace crossfade {

// Fills a PostgresProbe. With the endpoint's user it logs in and asks; an endpoint without one is
// only asked whether it takes connections. Blocks up to timeout_ms.
//   errors  Unavailable: not reached, no answer in time, or it is starting up or shutting down;
//           BadConfig: the server refused the login; texts name the endpoint's id and never its
//           credentials
Result<PostgresProbe> probe_postgres(const EndpointAddress& address, std::uint32_t timeout_ms);

inline constexpr std::size_t kSurveyMax = 32u << 20;  // bytes of all that is told

// Fills a PostgresSurvey, likewise.
//   errors  as above; Overloaded: it would tell more than kSurveyMax
Result<PostgresSurvey> survey_postgres(const EndpointAddress& address, std::uint32_t timeout_ms);

// What becomes of statements there: see Prober::describe. An endpoint without a user is refused
// (BadConfig).
Result<std::vector<Result<SqlShape>>> describe_postgres(const EndpointAddress& address,
                                                        const std::vector<std::string>& statements,
                                                        std::uint32_t timeout_ms);

}  // namespace crossfade
