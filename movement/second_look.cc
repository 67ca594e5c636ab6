// Old, new, and old again: what moves between the first and the third question is being written,
// and then a difference from the second says nothing.
#include "movement/second_look.h"

#include <array>
#include <utility>

#include "movement/key_content.h"

namespace crossfade {

namespace {

constexpr std::size_t kSidesMax = 16;     // connections kept
constexpr std::size_t kKeysReadMax = 16;  // of one write

bool is_error(std::string_view reply) { return reply.starts_with('-'); }

}  // namespace

Status AskedSide::make_ready(std::int32_t db) {
  if (std::chrono::steady_clock::now() < not_before_) {
    return Error{Errc::Unavailable, "ask endpoint '" + address_.id + "'",
                 "it failed a moment ago and is left alone"};
  }
  if (!connection_) {
    auto opened = RedisConnection::open(address_, settings_.compare_timeout_ms, stop_);
    if (!opened) return opened.error();
    connection_.emplace(std::move(opened.value()));
    selected_ = address_.db;
  }
  const std::int64_t wanted = db == kDefaultDb ? std::int64_t{address_.db} : std::int64_t{db};
  if (wanted == selected_) return success();
  auto reply = connection_->call({"SELECT", std::to_string(wanted)});
  if (!reply) return reply.error();
  if (reply->is_error()) {
    return Error{Errc::BadConfig, "select a database of endpoint '" + address_.id + "'",
                 reply->text};
  }
  selected_ = wanted;
  return success();
}

Result<std::string> AskedSide::ask(std::int32_t db, std::string_view request) {
  const bool kept = connection_.has_value();
  Result<std::string> reply = ask_once(db, request);
  // A kept connection may have been closed by the server meanwhile: then once more on a new one.
  if (!reply && kept && reply.error().code == Errc::Unavailable) reply = ask_once(db, request);
  if (!reply && reply.error().code == Errc::Unavailable) {
    not_before_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(settings_.compare_timeout_ms);
  }
  return reply;
}

Result<std::string> AskedSide::ask_once(std::int32_t db, std::string_view request) {
  Status ready = make_ready(db);
  Result<std::string> reply = ready ? connection_->call_raw(request, settings_.compare_again_max)
                                    : Result<std::string>(ready.error());
  if (!reply) connection_.reset();
  return reply;
}

AskedSide& SecondLook::side_at(const EndpointAddress& address) {
  for (auto at = sides_.begin(); at != sides_.end(); ++at) {
    if (at->address() != address) continue;
    sides_.splice(sides_.begin(), sides_, at);
    return sides_.front();
  }
  if (sides_.size() == kSidesMax) sides_.pop_back();
  return sides_.emplace_front(address, settings_, stop_);
}

MismatchClass SecondLook::look(const Mismatch& mismatch) {
  if (!mismatch.route || !mismatch.route->new_side) return MismatchClass::Unsure;
  return mismatch.read ? ask_again(mismatch) : read_keys(mismatch);
}

MismatchClass SecondLook::ask_again(const Mismatch& mismatch) {
  if (mismatch.request.empty()) return MismatchClass::Unsure;
  AskedSide& old_side = side_at(mismatch.route->old_side);
  AskedSide& new_side = side_at(*mismatch.route->new_side);
  auto before = old_side.ask(mismatch.db, mismatch.request);
  auto beside = new_side.ask(mismatch.db, mismatch.request);
  if (!before || !beside) return MismatchClass::Unsure;
  // An error that was not there the first time is about this asking: other rights, a loading
  // server.
  if ((is_error(*before) && !is_error(mismatch.old_reply)) ||
      (is_error(*beside) && !is_error(mismatch.new_reply))) {
    return MismatchClass::Unsure;
  }
  if (judge(mismatch.command, *before, *beside) != Meaning::Different) return MismatchClass::Race;
  auto after = old_side.ask(mismatch.db, mismatch.request);
  const bool still = after && judge(mismatch.command, *before, *after) != Meaning::Different;
  return still ? MismatchClass::Real : MismatchClass::Unsure;
}

MismatchClass SecondLook::read_keys(const Mismatch& mismatch) {
  if (mismatch.keys.empty() || mismatch.keys.size() > kKeysReadMax) return MismatchClass::Unsure;
  MismatchClass found = MismatchClass::Race;
  for (const std::string& key : mismatch.keys) {
    const MismatchClass one = read_key(mismatch, key);
    if (one == MismatchClass::Real) return one;
    if (one == MismatchClass::Unsure) found = one;
  }
  return found;
}

MismatchClass SecondLook::read_key(const Mismatch& mismatch, std::string_view key) {
  AskedSide& old_side = side_at(mismatch.route->old_side);
  AskedSide& new_side = side_at(*mismatch.route->new_side);
  const auto content_at = [&](AskedSide& side) {
    return read_content([&](std::string_view request) { return side.ask(mismatch.db, request); },
                        key);
  };
  auto before = content_at(old_side);
  auto beside = content_at(new_side);
  if (!before || !beside) return MismatchClass::Unsure;
  const auto meaning = judge_contents(*before, *beside);
  if (!meaning) return MismatchClass::Unsure;
  if (*meaning != Meaning::Different) return MismatchClass::Race;
  auto after = content_at(old_side);
  const bool still = after && judge_contents(*before, *after) != Meaning::Different;
  return still ? MismatchClass::Real : MismatchClass::Unsure;
}

}  // namespace crossfade
