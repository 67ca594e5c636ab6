// What ties a SCRAM login to the TLS connection around it: the hash of the server's certificate.
#pragma once

#include <string>
#include <string_view>

#include "protocols/base/result.h"

namespace crossfade::postgres {

// The data of channel binding "tls-server-end-point" for a certificate.
//   der      an X.509 certificate (the leaf), DER
//   returns  its hash, by the hash of its signature, or SHA-256 where that is MD5 or SHA-1
//   errors   BadInput: no certificate, or signed by a method without a hash (Ed25519): such
//            servers offer no channel binding, or a login with it fails
//   cost     parsing: tens of microseconds; keep the result
//   source   RFC 5929, section 4
Result<std::string> server_end_point(std::string_view der);

}  // namespace crossfade::postgres
