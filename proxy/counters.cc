// Summing one loop's counters into the plain numbers that control publishes.
#include "proxy/counters.h"

namespace crossfade {

void InterlayCounters::add_to(InterlayTraffic& out) const {
  for (std::size_t side = 0; side < kSides; ++side) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      out.requests[side][kind] += requests[side][kind].get();
    }
    out.errors[side] += errors[side].get();
    out.failures[side] += failures[side].get();
    out.unreached[side] += unreached[side].get();
    out.late_writes[side] += late_writes[side].get();
    leg[side].add_to(out.leg[side]);
    out.down[side] = out.down[side] || down[side].get() != 0;
  }
  proxy.add_to(out.proxy);
  for (std::size_t sort = 0; sort < 2; ++sort) {
    out.second[sort].eligible += second[sort].eligible.get();
    out.second[sort].answered += second[sort].answered.get();
    out.second[sort].errors += second[sort].errors.get();
    out.second[sort].mismatched += second[sort].mismatched.get();
    out.second[sort].uncompared += second[sort].uncompared.get();
    for (std::size_t why = 0; why < kDrops; ++why) {
      out.second[sort].dropped[why] += second[sort].dropped[why].get();
    }
  }
  out.fallbacks += fallbacks.get();
  out.fallbacks_unsent += fallbacks_unsent.get();
  out.fallbacks_unanswered += fallbacks_unanswered.get();
  out.new_only_writes += new_only_writes.get();
  out.new_only_unsure += new_only_unsure.get();
  out.order_waits += order_waits.get();
  out.suspect_reads += suspect_reads.get();
  out.suspected_writes += suspected.get();
  out.refused_split += refused_split.get();
  out.refused_foreign += refused_foreign.get();
  out.refused_moved += refused_moved.get();
  out.protocol_errors += protocol_errors.get();
  for (std::size_t i = 0; i < kLimits; ++i) out.limits[i] += limits[i].get();
  out.bytes[0] += client_in.get();
  out.bytes[1] += client_out.get();
  out.bytes[2] += server_in.get();
  out.bytes[3] += server_out.get();
  out.sessions_open += sessions_open.get();
  out.sessions_total += sessions_total.get();
  out.sessions_ended += sessions_ended.get();
  for (std::size_t i = 0; i < kLoginsRefused; ++i) {
    out.logins_refused[i] += logins_refused[i].get();
  }
  for (std::size_t i = 0; i < kSqlTexts; ++i) out.sql_texts[i] += sql_texts[i].get();
  for (std::size_t i = 0; i < kStays; ++i) out.staying[i] += staying[i].get();
  out.sessions_one_sided += one_sided.get();
  out.tls_sessions_open += tls_sessions_open.get();
  for (std::size_t peer = 0; peer < kPeers; ++peer) {
    for (std::size_t result = 0; result < kHandshakes; ++result) {
      out.handshakes[peer][result] += handshakes[peer][result].get();
    }
  }
}

}  // namespace crossfade
