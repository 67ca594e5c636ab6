// Subscriptions: counting channels and patterns from confirmations that share one count.
#include "proxy/redis/transaction.h"

#include <doctest/doctest.h>

namespace crossfade::redis {

namespace {
Push confirmation(PushKind kind, PushSpace space, std::int64_t count) {
  return {kind, space, count};
}
}  // namespace

TEST_CASE("subscriptions: channels and patterns are told apart by what changed") {
  Subscriptions have;
  have.note(confirmation(PushKind::Subscribed, PushSpace::Channels, 1));
  have.note(confirmation(PushKind::Subscribed, PushSpace::Channels, 2));
  have.note(confirmation(PushKind::Subscribed, PushSpace::Patterns, 3));
  have.note(confirmation(PushKind::Subscribed, PushSpace::Channels, 3));  // subscribed already
  CHECK(have.in(PushSpace::Channels) == 2);
  CHECK(have.in(PushSpace::Patterns) == 1);
  have.note(confirmation(PushKind::Unsubscribed, PushSpace::Channels, 2));
  CHECK(have.in(PushSpace::Channels) == 1);
  CHECK(have.in(PushSpace::Patterns) == 1);
  have.note(confirmation(PushKind::Unsubscribed, PushSpace::Patterns, 1));
  have.note(confirmation(PushKind::Unsubscribed, PushSpace::Channels, 0));
  CHECK_FALSE(have.any());
}

TEST_CASE("subscriptions: shard channels have a count of their own") {
  Subscriptions have;
  have.note(confirmation(PushKind::Subscribed, PushSpace::Shards, 1));
  have.note(confirmation(PushKind::Subscribed, PushSpace::Channels, 1));
  have.note(confirmation(PushKind::Unsubscribed, PushSpace::Channels, 0));
  CHECK(have.any());
  have.note(confirmation(PushKind::Unsubscribed, PushSpace::Shards, 0));
  CHECK_FALSE(have.any());
}

}  // namespace crossfade::redis
