// A session that is handed through to its side as it is: a replication stream, malformed bytes, and
// replies that only the server can tell apart. It has no second legs any more; where its writes
// should have them, the migration says that any key may differ.
#include <utility>
#include <variant>

#include "proxy/loop.h"
#include "proxy/redis/session.h"

namespace crossfade::redis {

namespace {

// Whether it is anything but whole requests that write nothing, as a replica's own talk is. Bytes
// that do not begin with a request are not looked into.
bool may_write(const CommandTable& commands, std::string_view bytes) {
  RequestCutter cutter;
  while (!bytes.empty()) {
    const Cut cut = cutter.advance(bytes);
    const auto* const request = std::get_if<Request>(&cut);
    if (!request) return true;
    if (cutter.arg_count() > 0 &&
        facts_of(commands, cutter, bytes.substr(0, request->size), true)->kind == Kind::Write) {
      return true;
    }
    bytes.remove_prefix(request->size);
    cutter.reset();
  }
  return false;
}

}  // namespace

// From here on the bytes are the server's to judge.
void RedisSession::go_raw(std::string_view rest, Handed why) {
  raw_ = true;
  raw_ends_ = why == Handed::Malformed;
  hand_through(rest);
}

// SYNC and PSYNC: what follows waits until the server has said whether it refuses them. To those
// who hear no replies, or MONITOR's, it does not say.
void RedisSession::begin_sync(std::string_view request) {
  if (reply_mode_ != ReplyMode::On || monitoring_) return go_raw(request, Handed::Alive);
  syncing_ = hand_through(request);
  raw_ = !syncing_;
}

// False: its side cannot be reached, and the client was told so.
bool RedisSession::hand_through(std::string_view bytes) {
  Upstream& up = upstream(anchor());
  if (!reach(up, Interlay::Use::Needed)) {
    unreachable(up.side());
    close_when_answered_ = true;
    return false;
  }
  bring_up_to_date(up);
  Exchange* exchange = loop().exchanges().get();
  exchange->form = Exchange::Form::Raw;
  exchange->special = true;
  exchange->answer = up.side();
  exchange->sent_at_ns = now_ns_;
  queue_.push(exchange);
  up.owe(exchange);
  send_raw(bytes);
  return true;
}

void RedisSession::send_raw(std::string_view bytes) {
  upstream(anchor()).send(bytes);
  counters().server_out.add(bytes.size());
  // A server runs nothing for strangers, nor behind malformed bytes. The session's own table may be
  // an old one: it takes up no other.
  const InterlayRoute& newest = *newest_route();
  if (raw_ends_ || entered_ == Entered::No || !newest.authority() ||
      !may_write(*newest.commands, bytes)) {
    return;
  }
  mark(
      "a connection was handed through to one side, as nobody but the server could tell its "
      "replies apart any more, and went on (SYNC, CLIENT REPLY)");
}

// The first bytes of what a session is owed that is handed through. False: they are an ordinary
// reply, with which the server refuses SYNC or PSYNC.
bool RedisSession::hears_raw(Exchange& exchange, std::string_view bytes) {
  if (!std::exchange(syncing_, false)) return true;
  if (bytes.starts_with('-')) {
    exchange.form = Exchange::Form::Reply;
    return false;
  }
  raw_ = true;
  stalled_ = false;
  if (partial_) {
    send_raw(partial_->bytes);
    drop_partial();
  }
  if (client_ended_) finish_upstreams();
  return true;
}

}  // namespace crossfade::redis
