/* A C program over hiredis that uses what applications use. One line for each assertion:
 * "ok <name>" or "not ok <name>: <what was seen>"; the exit code is the number of the latter.
 *
 *   hiredis_client PORT
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;
static int port;
static char** servers; /* their ports, up to NULL */

static void check(const char* name, int good, const char* seen) {
  if (good) {
    printf("ok %s\n", name);
  } else {
    printf("not ok %s: %s\n", name, seen ? seen : "nothing");
    ++failures;
  }
}

static redisContext* connected(void) {
  struct timeval limit = {10, 0};
  redisContext* context = redisConnectWithTimeout("127.0.0.1", port, limit);
  if (context == NULL || context->err) {
    printf("not ok connect: %s\n", context ? context->errstr : "no memory");
    exit(100);
  }
  redisSetTimeout(context, limit);
  return context;
}

/* Text of a reply, for comparisons; errors of the context too. Valid until the next call. */
static const char* text_of(redisContext* context, const redisReply* reply) {
  static char text[512];
  if (reply == NULL) return context->errstr;
  switch (reply->type) {
    case REDIS_REPLY_INTEGER: snprintf(text, sizeof text, "%lld", reply->integer); return text;
    case REDIS_REPLY_NIL: return "(nil)";
    case REDIS_REPLY_ARRAY: snprintf(text, sizeof text, "array %zu", reply->elements); return text;
    default: return reply->str;
  }
}

static void expect(redisContext* context, const char* name, const char* wanted, const char* format,
                   ...) {
  va_list arguments;
  va_start(arguments, format);
  redisReply* reply = redisvCommand(context, format, arguments);
  va_end(arguments);
  const char* seen = text_of(context, reply);
  check(name, strncmp(seen, wanted, strlen(wanted)) == 0, seen);
  if (reply) freeReplyObject(reply);
}

static void strings(redisContext* c) {
  expect(c, "ping", "PONG", "PING");
  expect(c, "set", "OK", "SET %s %s", "key", "value");
  expect(c, "get", "value", "GET key");
  expect(c, "missing is nil", "(nil)", "GET nothing");
  expect(c, "incr", "1", "INCR counter");
  expect(c, "wrong type", "WRONGTYPE", "LPUSH key x");
  expect(c, "unknown command", "ERR unknown command", "NOSUCHCOMMAND a b");
  const char binary[] = "a\0b\r\nc";
  expect(c, "set binary", "OK", "SET bin %b", binary, sizeof binary);
  redisReply* reply = redisCommand(c, "GET bin");
  check("get binary", reply && reply->len == sizeof binary && !memcmp(reply->str, binary, reply->len),
        text_of(c, reply));
  freeReplyObject(reply);
}

static void big_value(redisContext* c) {
  const size_t size = 5 * 1000 * 1000;
  char* value = malloc(size);
  for (size_t at = 0; at < size; ++at) value[at] = (char)(at * 31 % 251);
  expect(c, "set 5 MB", "OK", "SET big %b", value, size);
  redisReply* reply = redisCommand(c, "GET big");
  check("get 5 MB", reply && reply->len == size && !memcmp(reply->str, value, size), "other bytes");
  freeReplyObject(reply);
  free(value);
}

static void pipelining(redisContext* c) {
  enum { kCount = 2000 };
  for (int n = 0; n < kCount; ++n) {
    redisAppendCommand(c, "SET p:%d %d", n, n);
    redisAppendCommand(c, "GET p:%d", n);
  }
  int good = 0;
  for (int n = 0; n < 2 * kCount; ++n) {
    redisReply* reply = NULL;
    if (redisGetReply(c, (void**)&reply) != REDIS_OK) break;
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%d", n / 2);
    good += strcmp(text_of(c, reply), n % 2 ? wanted : "OK") == 0;
    freeReplyObject(reply);
  }
  check("pipeline of 4000", good == 2 * kCount, c->errstr);
}

static void transactions(redisContext* c) {
  expect(c, "multi", "OK", "MULTI");
  expect(c, "queued", "QUEUED", "SET t 1");
  expect(c, "queued again", "QUEUED", "INCR t");
  redisReply* reply = redisCommand(c, "EXEC");
  check("exec", reply && reply->elements == 2 && reply->element[1]->integer == 2, text_of(c, reply));
  freeReplyObject(reply);
  redisContext* other = connected();
  expect(c, "watch", "OK", "WATCH t");
  expect(other, "change by another", "OK", "SET t 9");
  expect(c, "multi after watch", "OK", "MULTI");
  expect(c, "queued after watch", "QUEUED", "SET t 10");
  expect(c, "exec missed", "(nil)", "EXEC");
  expect(c, "the other's value stays", "9", "GET t");
  redisFree(other);
}

static void scripts(redisContext* c) {
  expect(c, "eval", "value", "EVAL %s 1 key", "return redis.call('GET', KEYS[1])");
  redisReply* reply = redisCommand(c, "SCRIPT LOAD %s", "return ARGV[1]");
  char sha[64] = "";
  if (reply && reply->str) snprintf(sha, sizeof sha, "%s", reply->str);
  freeReplyObject(reply);
  expect(c, "evalsha", "argument", "EVALSHA %s 0 argument", sha);
  expect(c, "noscript", "NOSCRIPT", "EVALSHA %s 0", "ffffffffffffffffffffffffffffffffffffffff");
}

/* Asked of the server itself: INFO by way of the sidecar may come from another one. */
static long long blocked_at(int server_port) {
  redisContext* server = redisConnect("127.0.0.1", server_port);
  redisReply* reply = redisCommand(server, "INFO clients");
  const char* line = reply && reply->str ? strstr(reply->str, "blocked_clients:") : NULL;
  const long long blocked = line ? atoll(line + strlen("blocked_clients:")) : -1;
  if (reply) freeReplyObject(reply);
  redisFree(server);
  return blocked;
}

static void* push_later(void* unused) {
  (void)unused;
  long long blocked = 0;
  while (blocked == 0) { /* until the other one waits, wherever it does */
    for (char** server = servers; *server && blocked == 0; ++server) blocked = blocked_at(atoi(*server));
  }
  redisContext* context = connected();
  redisReply* reply = redisCommand(context, "RPUSH queue item");
  if (reply) freeReplyObject(reply);
  redisFree(context);
  return NULL;
}

static void blocking(redisContext* c) {
  expect(c, "blpop times out", "(nil)", "BLPOP queue 0.05");
  pthread_t thread;
  pthread_create(&thread, NULL, push_later, NULL);
  redisReply* reply = redisCommand(c, "BLPOP queue 10");
  check("blpop is served", reply && reply->elements == 2 && !strcmp(reply->element[1]->str, "item"),
        text_of(c, reply));
  freeReplyObject(reply);
  pthread_join(thread, NULL);
}

static void pubsub(redisContext* c) {
  redisContext* subscriber = connected();
  expect(subscriber, "subscribe", "array 3", "SUBSCRIBE channel");
  expect(subscriber, "psubscribe", "array 3", "PSUBSCRIBE chan*x");
  expect(c, "publish", "1", "PUBLISH channel hello");
  redisReply* reply = NULL;
  redisGetReply(subscriber, (void**)&reply);
  check("message", reply && reply->elements == 3 && !strcmp(reply->element[2]->str, "hello"),
        text_of(subscriber, reply));
  if (reply) freeReplyObject(reply);
  expect(c, "publish to a pattern", "1", "PUBLISH chan-x hi");
  reply = NULL;
  redisGetReply(subscriber, (void**)&reply);
  check("pmessage", reply && reply->elements == 4 && !strcmp(reply->element[3]->str, "hi"),
        text_of(subscriber, reply));
  if (reply) freeReplyObject(reply);
  redisFree(subscriber);
}

static void connection_state(redisContext* c) {
  expect(c, "setname", "OK", "CLIENT SETNAME hiredis-test");
  expect(c, "getname", "hiredis-test", "CLIENT GETNAME");
  expect(c, "select", "OK", "SELECT 5");
  expect(c, "empty database", "(nil)", "GET key");
  expect(c, "set in database 5", "OK", "SET key five");
  expect(c, "select back", "OK", "SELECT 0");
  expect(c, "value of database 0", "value", "GET key");
}

static void scanning(redisContext* c) {
  char cursor[32] = "0";
  int found = 0;
  do {
    redisReply* reply = redisCommand(c, "SCAN %s MATCH p:* COUNT 100", cursor);
    if (!reply || reply->elements != 2) break;
    snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
    found += (int)reply->element[1]->elements;
    freeReplyObject(reply);
  } while (strcmp(cursor, "0") != 0);
  char seen[16];
  snprintf(seen, sizeof seen, "%d", found);
  check("scan finds all", found >= 2000, seen);
}

static void leaving(void) {
  redisContext* context = connected();
  expect(context, "quit", "OK", "QUIT");
  redisReply* reply = redisCommand(context, "PING");
  check("nothing after quit", reply == NULL && context->err != 0, text_of(context, reply));
  if (reply) freeReplyObject(reply);
  check("reconnect", redisReconnect(context) == REDIS_OK, context->errstr);
  expect(context, "ping after reconnect", "PONG", "PING");
  redisFree(context);
}

int main(int argc, char** argv) {
  if (argc < 3) return 101;
  port = atoi(argv[1]);
  servers = argv + 2;
  redisContext* context = connected();
  strings(context);
  big_value(context);
  pipelining(context);
  transactions(context);
  scripts(context);
  blocking(context);
  pubsub(context);
  connection_state(context);
  scanning(context);
  leaving();
  redisFree(context);
  return failures;
}
