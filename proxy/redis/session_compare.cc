// Whether both sides have answered alike: by hashes; pairs that differ are handed over, to be
// judged by what they mean.
//
// The reply that comes first cannot know whether the other one will differ, so both are kept until
// then, in buffers that are used again and again. Only what differs is copied.
#include <string>
#include <utility>

#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

// Both legs of this request are on their way.
void RedisSession::keep_pair(Exchange& exchange, const Pending& request) {
  if (!exchange.compare || !loop().compare_door().offer) return;
  KeptPair* const pair = exchange.kept = loop().kept_pairs().get();
  if (!pair) {
    exchange.unkept = true;
    return;
  }
  pair->route = route_;
  pair->spec = request.facts.spec;
  pair->db = selected_db();
  if (request.whole) loop().kept_pairs().keep_request(*pair, request.bytes);
}

// The next bytes of one side's reply.
void RedisSession::note_reply(Exchange& exchange, Side side, std::string_view bytes,
                              bool complete) {
  exchange.hash[static_cast<std::size_t>(side)].add(bytes, complete);
  if (exchange.kept) loop().kept_pairs().keep_reply(*exchange.kept, side, bytes);
}

// One leg is over.
void RedisSession::compare(Exchange& exchange) {
  if (!exchange.replied[0] || !exchange.replied[1]) return;
  if (exchange.hashes_differ()) {
    second_counters(exchange).mismatched.add();
    if (exchange.kept) offer(*exchange.kept, exchange);
    if (exchange.unkept) offer_bare(exchange);
  }
  drop_pair(exchange);
}

void RedisSession::offer(KeptPair& pair, const Exchange& exchange) {
  Mismatch mismatch;
  mismatch.route = pair.route;
  mismatch.sort = exchange.second;
  mismatch.read = exchange.kind == Kind::Read && exchange.effect == Effect::None;
  mismatch.chance = pair.spec && pair.spec->nondeterministic;
  mismatch.request = pair.request;
  mismatch.db = pair.db;
  mismatch.old_reply = pair.replies[static_cast<std::size_t>(Side::Old)];
  mismatch.new_reply = pair.replies[static_cast<std::size_t>(Side::New)];
  mismatch.truncated = pair.truncated;
  RequestCutter cutter;
  if (!pair.request.empty()) cutter.advance(pair.request);
  if (pair.spec) {
    mismatch.command = pair.spec->name;
    for_each_key(*pair.spec, cutter, pair.request,
                 [&](std::string_view key) { mismatch.keys.emplace_back(key); });
  } else if (cutter.arg_count() > 0) {
    mismatch.command = cutter.arg(0, pair.request);
  }
  loop().compare_door().offer(std::move(mismatch));
}

// Nothing is known of it but that it differs: it is to be counted all the same.
void RedisSession::offer_bare(const Exchange& exchange) {
  Mismatch mismatch;
  mismatch.route = route_;
  mismatch.sort = exchange.second;
  mismatch.truncated = true;
  loop().compare_door().offer(std::move(mismatch));
}

void RedisSession::drop_pair(Exchange& exchange) {
  if (exchange.kept) loop().kept_pairs().put(std::exchange(exchange.kept, nullptr));
}

}  // namespace crossfade::redis
