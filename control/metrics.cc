// Every metric's name, type, help and labels, in one place.
#include "control/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <utility>
#include <vector>

namespace crossfade {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

class Families {
 public:
  void counter(const char* name, const char* help, Labels labels, std::uint64_t value) {
    add(name, help, MetricType::Counter, std::move(labels)).counter.value =
        static_cast<double>(value);
  }

  void gauge(const char* name, const char* help, Labels labels, double value) {
    add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
  }

  void histogram(const char* name, const char* help, Labels labels, const Histogram& histogram) {
    ClientMetric& metric = add(name, help, MetricType::Histogram, std::move(labels));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      below += histogram.counts[i];
      const bool last = i + 1 == Histogram::kBuckets;
      const double bound = last ? std::numeric_limits<double>::infinity()
                                : static_cast<double>(Histogram::bound_ns(i)) / 1e9;
      metric.histogram.bucket.push_back({below, bound});
    }
    // From the buckets, not from `total`: a scrape in the middle of an update must still add up.
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = static_cast<double>(histogram.sum_ns) / 1e9;
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& add(const char* name, const char* help, MetricType type, Labels labels) {
    MetricFamily& family = family_of(name, help, type);
    ClientMetric& metric = family.metric.emplace_back();
    for (auto& [label, value] : labels) metric.label.push_back({label, std::move(value)});
    return metric;
  }

  MetricFamily& family_of(const char* name, const char* help, MetricType type) {
    for (MetricFamily& family : families_) {
      if (family.name == name) return family;
    }
    return families_.emplace_back(MetricFamily{name, help, type, {}});
  }

  std::vector<MetricFamily> families_;
};

constexpr Side kBothSides[] = {Side::Old, Side::New};

void add_side(Families& families, const InterlayTraffic& traffic, Side side) {
  const auto index = static_cast<std::size_t>(side);
  const Labels labels{{"interlay", traffic.id}, {"side", name_of(side)}};
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    Labels with_kind = labels;
    with_kind.emplace_back("kind", name_of(static_cast<Kind>(kind)));
    families.counter("crossfade_requests_total", "Requests, by the side that answered",
                     std::move(with_kind), traffic.requests[index][kind]);
  }
  families.counter("crossfade_errors_total", "Error replies of the answering side", labels,
                   traffic.errors[index]);
  families.counter("crossfade_failures_total",
                   "Connections to a side that were refused, lost, timed out or garbled", labels,
                   traffic.failures[index]);
  families.counter("crossfade_late_writes_total",
                   "Writes that a side may have run after it had lost them to the other side",
                   labels, traffic.late_writes[index]);
  families.gauge("crossfade_side_down", "1 while at least one loop does not try the side", labels,
                 traffic.down[index] ? 1 : 0);
  families.histogram("crossfade_leg_seconds", "From sending a request to a side to its whole reply",
                     labels, traffic.leg[index]);
}

// The names of one sort of second legs.
struct SecondNames {
  const char* eligible;
  const char* answered;
  const char* dropped;
  const char* mismatched;
  const char* uncompared;
  const char* errors;
};
constexpr SecondNames kShadow = {
    "crossfade_shadow_eligible_total",   "crossfade_shadow_copied_total",
    "crossfade_shadow_dropped_total",    "crossfade_shadow_mismatched_total",
    "crossfade_shadow_uncompared_total", "crossfade_shadow_errors_total"};
constexpr SecondNames kSecondWrites = {
    "crossfade_second_writes_eligible_total",   "crossfade_second_writes_answered_total",
    "crossfade_second_writes_dropped_total",    "crossfade_second_writes_mismatched_total",
    "crossfade_second_writes_uncompared_total", "crossfade_second_writes_errors_total"};

void add_second(Families& families, const InterlayTraffic& traffic, const SecondCounts& counts,
                const SecondNames& names) {
  const Labels labels{{"interlay", traffic.id}};
  families.counter(names.eligible, "Requests that the other side was to get as well", labels,
                   counts.eligible);
  families.counter(names.answered, "Of those: answered by the other side", labels, counts.answered);
  for (std::size_t drop = 0; drop < kDrops; ++drop) {
    Labels with_reason = labels;
    with_reason.emplace_back("reason", name_of(static_cast<Drop>(drop)));
    families.counter(names.dropped, "Of those: not sent or not answered, by reason",
                     std::move(with_reason), counts.dropped[drop]);
  }
  families.counter(names.mismatched, "Answered differently by the two sides", labels,
                   counts.mismatched);
  families.counter(names.uncompared, "Answered, but not comparable", labels, counts.uncompared);
  families.counter(names.errors, "Answered with an error by the other side", labels, counts.errors);
}

void add_mismatches(Families& families, const InterlayTraffic& traffic) {
  for (std::size_t sort = 0; sort < kMismatchSorts; ++sort) {
    for (std::size_t what = 0; what < kMismatchClasses; ++what) {
      families.counter("crossfade_mismatches_total",
                       "Replies whose bytes differed, by what came of them",
                       {{"interlay", traffic.id},
                        {"sort", sort_name(sort)},
                        {"class", name_of(static_cast<MismatchClass>(what))}},
                       traffic.mismatches.classes[sort][what]);
    }
  }
  families.counter("crossfade_compare_dropped_total",
                   "Replies whose bytes differed that found no room to be judged",
                   {{"interlay", traffic.id}}, traffic.mismatches.dropped);
}

void add_interlay(Families& families, const InterlayTraffic& traffic) {
  const Labels labels{{"interlay", traffic.id}};
  for (const Side side : kBothSides) add_side(families, traffic, side);
  families.histogram("crossfade_proxy_seconds", "The sidecar's own share of a request", labels,
                     traffic.proxy);
  for (const ApiTraffic& api : traffic.apis) {
    for (const Side side : kBothSides) {
      families.counter("crossfade_api_requests_total",
                       "Requests of an api, by the side that answered",
                       {{"interlay", traffic.id}, {"api", api.api}, {"side", name_of(side)}},
                       api.requests[static_cast<std::size_t>(side)]);
    }
  }
  families.gauge("crossfade_sessions_open", "Clients connected", labels,
                 static_cast<double>(traffic.sessions_open));
  families.counter("crossfade_sessions_total", "Clients accepted", labels, traffic.sessions_total);
  families.counter("crossfade_sessions_one_sided_total",
                   "Sessions of PostgreSQL that new did not let in, or not in time", labels,
                   traffic.sessions_one_sided);
  families.counter("crossfade_sessions_ended_total",
                   "Clients closed because they were tied to a side that is not home any more",
                   labels, traffic.sessions_ended);
  for (std::size_t stay = 0; stay < kStays; ++stay) {
    Labels with_reason = labels;
    with_reason.emplace_back("reason", name_of(static_cast<Stay>(stay)));
    families.gauge("crossfade_sessions_staying",
                   "Clients that should have gone to the other side and stay, by what holds them",
                   std::move(with_reason), static_cast<double>(traffic.staying[stay]));
  }
  static constexpr const char* kDirections[] = {"client_in", "client_out", "server_in",
                                                "server_out"};
  for (std::size_t i = 0; i < traffic.bytes.size(); ++i) {
    Labels with_direction = labels;
    with_direction.emplace_back("direction", kDirections[i]);
    families.counter("crossfade_bytes_total", "Bytes from and to clients and servers",
                     std::move(with_direction), traffic.bytes[i]);
  }
  add_second(families, traffic, traffic.second[0], kShadow);
  add_second(families, traffic, traffic.second[1], kSecondWrites);
  add_mismatches(families, traffic);
  families.counter("crossfade_read_fallbacks_total",
                   "Reads that failed on new and were answered by old", labels, traffic.fallbacks);
  families.counter("crossfade_new_only_writes_total", "Writes answered by new that old did not get",
                   labels, traffic.new_only_writes);
  families.counter("crossfade_order_waits_total",
                   "Dual writes that waited for others of the same keys", labels,
                   traffic.order_waits);
  families.counter("crossfade_suspected_writes_total",
                   "Dual writes whose keys were put in the ledger", labels,
                   traffic.suspected_writes);
  families.counter("crossfade_suspect_reads_total",
                   "Reads sent to the authoritative side because the ledger names their key",
                   labels, traffic.suspect_reads);
  families.counter("crossfade_refused_split_total",
                   "Requests refused because their keys lie on both sides of a split", labels,
                   traffic.refused_split);
  families.counter("crossfade_refused_foreign_total",
                   "Requests refused because new has their keys in another form", labels,
                   traffic.refused_foreign);
  families.counter("crossfade_refused_moved_total",
                   "Transactions not run because their keys had moved to another server", labels,
                   traffic.refused_moved);
  families.counter("crossfade_protocol_errors_total", "Malformed requests", labels,
                   traffic.protocol_errors);
  for (std::size_t limit = 0; limit < kLimits; ++limit) {
    Labels with_limit = labels;
    with_limit.emplace_back("limit", name_of(static_cast<Limit>(limit)));
    families.counter("crossfade_limit_hits_total", "Times a limit was reached, by its name",
                     std::move(with_limit), traffic.limits[limit]);
  }
}

void add_postgres(Families& families, const InterlayTraffic& traffic) {
  for (std::size_t why = 0; why < kLoginsRefused; ++why) {
    families.counter(
        "crossfade_logins_refused_total",
        "Clients of PostgreSQL that were not let in, by the reason",
        {{"interlay", traffic.id}, {"reason", name_of(static_cast<LoginRefused>(why))}},
        traffic.logins_refused[why]);
  }
  for (std::size_t what = 0; what < kSqlTexts; ++what) {
    families.counter("crossfade_sql_texts_total",
                     "Texts of queries that were to be read, by what became of that",
                     {{"interlay", traffic.id}, {"result", name_of(static_cast<SqlText>(what))}},
                     traffic.sql_texts[what]);
  }
}

void add_tls(Families& families, const InterlayTraffic& traffic) {
  families.gauge("crossfade_tls_sessions_open", "Of the client sessions that are open: over TLS",
                 {{"interlay", traffic.id}}, static_cast<double>(traffic.tls_sessions_open));
  for (std::size_t peer = 0; peer < kPeers; ++peer) {
    for (std::size_t result = 0; result < kHandshakes; ++result) {
      families.counter("crossfade_tls_handshakes_total",
                       "TLS handshakes with clients and with the servers, by how they ended",
                       {{"interlay", traffic.id},
                        {"peer", name_of(static_cast<Peer>(peer))},
                        {"result", name_of(static_cast<Handshake>(result))}},
                       traffic.handshakes[peer][result]);
    }
  }
}

void add_ledger(Families& families, const LedgerFigures& ledger) {
  for (const LedgerCounts& counts : ledger.migrations) {
    const Labels labels{{"migration", counts.migration}};
    families.gauge("crossfade_ledger_entries", "Keys known or suspected to differ", labels,
                   static_cast<double>(counts.entries));
    families.gauge("crossfade_ledger_needs_full_verification",
                   "1 while keys may differ that the ledger does not name", labels,
                   counts.needs_full_verification ? 1 : 0);
    for (std::size_t doubt = 0; doubt < kDoubts; ++doubt) {
      Labels with_reason = labels;
      with_reason.emplace_back("reason", name_of(static_cast<Doubt>(doubt)));
      families.counter("crossfade_ledger_noted_total",
                       "Times a key was noted, known or not, by reason", std::move(with_reason),
                       counts.noted[doubt]);
    }
    for (std::size_t outcome = 0; outcome < kRepairOutcomes; ++outcome) {
      Labels with_outcome = labels;
      with_outcome.emplace_back("outcome", name_of(static_cast<RepairOutcome>(outcome)));
      families.counter("crossfade_ledger_repaired_total", "Attempts at repair, by outcome",
                       std::move(with_outcome), counts.repaired[outcome]);
    }
  }
  families.histogram("crossfade_ledger_commit_seconds", "One grouped commit of the ledger file", {},
                     ledger.commits);
  families.counter("crossfade_ledger_write_failures_total",
                   "Commits of the ledger file that failed and were tried again", {},
                   ledger.write_failures);
}

void add_guard(Families& families, const GuardFigures& guard) {
  for (std::size_t action = 0; action < kGuardActions; ++action) {
    for (std::size_t cause = 0; cause < kGuardCauses; ++cause) {
      families.counter("crossfade_guardrail_actions_total",
                       "What was done by itself as new failed, by what and why",
                       {{"action", name_of(static_cast<GuardAction>(action))},
                        {"cause", name_of(static_cast<GuardCause>(cause))}},
                       guard[action][cause]);
    }
  }
}

}  // namespace

std::string render_metrics(const Telemetry& telemetry, const ControlFigures& control) {
  Families families;
  families.gauge(
      "crossfade_build_info", "1; the labels say what runs",
      {{"version", control.version}, {"instance", control.instance}, {"region", control.region}},
      1);
  families.gauge("crossfade_table_epoch", "Number of the routing table that every loop has adopted",
                 {}, static_cast<double>(telemetry.adopted_epoch));
  for (const auto& [status, count] : control.requests) {
    families.counter("crossfade_control_requests_total", "Control calls answered, by HTTP status",
                     {{"code", std::to_string(status)}}, count);
  }
  families.counter("crossfade_control_token_failures_total",
                   "Control calls with no token, or with an unknown one", {},
                   control.token_failures.failed);
  families.counter("crossfade_control_token_refusals_total",
                   "Of those: refused with 429, as their address had failed too often", {},
                   control.token_failures.refused);
  families.gauge("crossfade_state_unstored", "1 while what is in force is not stored", {},
                 control.state_unstored ? 1 : 0);
  families.gauge("crossfade_state_not_written",
                 "1 while the state file took nothing when it was last written to", {},
                 control.state_not_written ? 1 : 0);
  add_ledger(families, control.ledger);
  add_guard(families, control.guard);
  for (const InterlayTraffic& traffic : telemetry.interlays) {
    add_interlay(families, traffic);
    add_tls(families, traffic);
    add_postgres(families, traffic);
  }
  return families.text();
}

}  // namespace crossfade
