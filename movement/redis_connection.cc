// The only file that includes hiredis.
#include "movement/redis_connection.h"

#include <hiredis/hiredis.h>

#include <chrono>
#include <utility>

namespace crossfade {

namespace {

timeval time_of(std::uint32_t ms) {
  return {.tv_sec = static_cast<time_t>(ms / 1000),
          .tv_usec = static_cast<suseconds_t>(ms % 1000) * 1000};
}

// Copies a reply; hiredis bounds its depth.
RedisReply copy_of(const redisReply& reply) {
  RedisReply copy;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      copy.type = RedisReply::Type::Text;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_ERROR:
      copy.type = RedisReply::Type::Error;
      copy.text.assign(reply.str, reply.len);
      break;
    case REDIS_REPLY_INTEGER:
      copy.type = RedisReply::Type::Number;
      copy.number = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      copy.type = RedisReply::Type::Array;
      copy.elements.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        copy.elements.push_back(copy_of(*reply.element[i]));
      }
      break;
    default:
      break;  // nil
  }
  return copy;
}

// What a server says of a login, without what it may repeat of it: one that does not know AUTH, or
// is no Redis, quotes the password.
std::string words_of_login(const std::string& refusal, const std::string& password) {
  for (const char* known : {"WRONGPASS ", "NOPERM ", "ERR AUTH <password> called without any "}) {
    if (refusal.starts_with(known) && refusal.find(password) == refusal.npos) return refusal;
  }
  return "the server refuses AUTH (its words are left out: they may repeat the password)";
}

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

}  // namespace

void RedisConnection::Closer::operator()(redisContext* context) const noexcept {
  redisFree(context);
}

Error RedisConnection::failure(const char* doing) const {
  const bool late =
      context_->err == REDIS_ERR_IO &&
      std::string_view(context_->errstr).find("unavailable") != std::string_view::npos;
  if (late) return too_late(doing);
  return Error{Errc::Unavailable, std::string(doing) + " endpoint '" + endpoint_ + "'",
               context_->errstr};
}

Error RedisConnection::too_late(const char* doing) const {
  return Error{Errc::Unavailable, std::string(doing) + " endpoint '" + endpoint_ + "'",
               "no answer in time"};
}

Result<RedisConnection> RedisConnection::open(const EndpointAddress& address,
                                              std::uint32_t timeout_ms) {
  redisContext* context =
      redisConnectWithTimeout(address.host.c_str(), address.port, time_of(timeout_ms));
  if (context == nullptr) {
    return Error{Errc::System, "connect to endpoint '" + address.id + "'", "out of memory"};
  }
  RedisConnection connection(context, address.id, timeout_ms);
  if (context->err != 0) return connection.failure("connect to");
  if (redisSetTimeout(context, time_of(timeout_ms)) != REDIS_OK) {
    return connection.failure("set a time limit for");
  }
  if (Status status = connection.log_in(address); !status) return status.error();
  return connection;
}

Status RedisConnection::log_in(const EndpointAddress& address) {
  const auto refused = [&](const char* doing, const std::string& words) {
    return Error{Errc::BadConfig, std::string(doing) + " endpoint '" + endpoint_ + "'", words};
  };
  if (!address.password.empty()) {
    std::vector<std::string_view> arguments{"AUTH"};
    if (!address.username.empty()) arguments.emplace_back(address.username);
    arguments.emplace_back(address.password);
    auto reply = call(arguments);
    if (!reply) return reply.error();
    if (reply->is_error())
      return refused("log in to", words_of_login(reply->text, address.password));
  }
  if (address.db != 0) {
    auto reply = call({"SELECT", std::to_string(address.db)});
    if (!reply) return reply.error();
    if (reply->is_error()) return refused("select the database of", reply->text);
  }
  return success();
}

Result<RedisReply> RedisConnection::call(const std::vector<std::string_view>& arguments) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  redisContext* context = context_.get();
  if (redisAppendCommandArgv(context, static_cast<int>(texts.size()), texts.data(), sizes.data()) !=
      REDIS_OK) {
    return failure("ask");
  }
  // Not redisCommandArgv(): its time limit begins anew with every byte that comes.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_);
  for (int written = 0; written == 0;) {
    if (redisBufferWrite(context, &written) != REDIS_OK) return failure("ask");
  }
  void* reply = nullptr;
  for (;;) {
    if (redisGetReplyFromReader(context, &reply) != REDIS_OK) return failure("ask");
    if (reply != nullptr) break;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return too_late("ask");
    if (redisSetTimeout(context, time_of(static_cast<std::uint32_t>(left.count()))) != REDIS_OK ||
        redisBufferRead(context) != REDIS_OK) {
      return failure("ask");
    }
  }
  return copy_of(*std::unique_ptr<redisReply, FreeReply>(static_cast<redisReply*>(reply)));
}

}  // namespace crossfade
