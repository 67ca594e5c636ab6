/* Clients that know what every reply must be, and how long it took.
 *
 *   checking_load SLICE_MS ROUNDS CLIENTS RATE NAME:PORT…
 *
 * Each NAME is a group of CLIENTS connections to PORT of 127.0.0.1. The groups take turns of
 * SLICE_MS, ROUNDS times, in changing order, so that noise of the machine falls on all of them
 * alike; while one works the others keep their connections and are silent. RATE is the requests per
 * second of the working group, sent when they are due however late the replies are and timed from
 * then (nobody's delay is hidden by the clients' waiting); 0: each client sends its next request as
 * soon as it has its reply.
 *
 * A client uses mixed commands on keys of its own and keeps a model of them: each request carries
 * the exact reply that is right. A connection that ends is counted and made again, with new keys.
 *
 * Prints "round N" as rounds begin, and at the end one line of JSON: for each group requests,
 * errors (error replies), wrong (other replies than the model's), lost (connections), samples of
 * what was not right, and for each of its turns [requests, p50_us, p99_us, max_us].
 *
 * Promise: never more than one request under way per client, a transaction being one. Knows RESP2
 * only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kGroupsMax = 8, kKeys = 4, kFields = 4, kBigBytes = 40 * 1024, kTextMax = kBigBytes + 4096 };
enum { kSamplesMax = 8, kSampleBytes = 160, kGiveUpMs = 30000 };

struct text {
  char bytes[kTextMax];
  size_t size;
};

struct client {
  int fd;
  int group;
  int number;
  unsigned life; /* of the connection: part of the keys' names */
  /* The model. Versions count up; 0 is "absent". */
  unsigned version;
  unsigned strings[kKeys], fields[kFields], members; /* members: a bit each */
  unsigned head, tail;                               /* of a list of numbers */
  long counter, score;
  /* The request under way. */
  int busy;
  double due_us, next_due_us;
  size_t sent;
  struct text request, expected;
  char* received;
  size_t received_size, received_capacity;
};

struct group {
  const char* name;
  int port;
  struct client* clients;
  long requests, errors, wrong, lost;
  char samples[kSamplesMax][kSampleBytes];
  int sample_count;
  char* turns; /* JSON so far */
  size_t turns_size;
};

static struct group groups[kGroupsMax];
static int group_count, client_count, epoll_fd;
static double rate;
static float* latencies;
static size_t latency_count, latency_capacity;
static uint64_t random_state = 88172645463325252ull;

static unsigned draw(unsigned below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (unsigned)((random_state >> 11) % below);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void die(const char* what) {
  fprintf(stderr, "checking_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* --- Texts */

static void add(struct text* text, const char* bytes, size_t size) {
  if (text->size + size > kTextMax) abort();
  memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
}

__attribute__((format(printf, 2, 3))) static void addf(struct text* text, const char* format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  const int size = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  add(text, line, (size_t)size);
}

static void add_bulk(struct text* text, const char* bytes, size_t size) {
  addf(text, "$%zu\r\n", size);
  add(text, bytes, size);
  add(text, "\r\n", 2);
}

/* A request of words that hold no blanks, from one printf format. */
__attribute__((format(printf, 2, 3))) static void ask(struct client* c, const char* format, ...) {
  char line[512], *rest = NULL;
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  int words = 1;
  for (const char* at = line; *at; ++at) words += *at == ' ';
  addf(&c->request, "*%d\r\n", words);
  for (char* word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    add_bulk(&c->request, word, strlen(word));
  }
}

/* --- Commands and the replies that are right */

/* Key `name` of this client: its keys share a hash tag, so that MULTI and EVAL may use several. */
static const char* key(const struct client* c, const char* name) {
  static char names[4][64];
  static int turn;
  char* out = names[turn = (turn + 1) % 4];
  snprintf(out, sizeof names[0], "%s:{%d.%d.%u}:%s", groups[c->group].name, (int)getpid(),
           c->number, c->life, name);
  return out;
}

static const char* string_key(const struct client* c, unsigned which) {
  const char name[3] = {'s', (char)('0' + which), 0};
  return key(c, name);
}

/* The value of a version: some short, some of about 1 KB, few so big that they are streamed. */
static size_t value_of(const struct client* c, unsigned version, char* out) {
  const size_t size = version % 97 == 0 ? kBigBytes : version % 11 == 0 ? 1000 : 24;
  const int head = snprintf(out, 64, "%d.%u=%u;", c->number, c->life, version);
  memset(out + head, 'a' + (int)(version % 26), size);
  return (size_t)head + size;
}

static void expect_value(struct client* c, unsigned version) {
  static char value[kTextMax];
  if (version == 0) {
    addf(&c->expected, "$-1\r\n");
  } else {
    add_bulk(&c->expected, value, value_of(c, version, value));
  }
}

static void set_string(struct client* c) {
  static char value[kTextMax];
  const unsigned which = draw(kKeys);
  c->strings[which] = ++c->version;
  addf(&c->request, "*3\r\n$3\r\nSET\r\n");
  add_bulk(&c->request, string_key(c, which), strlen(string_key(c, which)));
  add_bulk(&c->request, value, value_of(c, c->version, value));
  addf(&c->expected, "+OK\r\n");
}

static void transaction(struct client* c) {
  ask(c, "MULTI");
  ask(c, "INCR %s", key(c, "n"));
  ask(c, "RPUSH %s %u", key(c, "l"), ++c->tail);
  ask(c, "GET %s", string_key(c, 0));
  ask(c, "EXEC");
  addf(&c->expected, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:%ld\r\n:%u\r\n", ++c->counter,
       c->tail - c->head);
  expect_value(c, c->strings[0]);
}

static void some_command(struct client* c) {
  const unsigned which = draw(kKeys);
  switch (draw(20)) {
    case 0:
    case 1:
    case 2:
      return set_string(c);
    case 3:
    case 4:
    case 5:
    case 6:
      ask(c, "GET %s", string_key(c, which));
      return expect_value(c, c->strings[which]);
    case 7:
      ask(c, "INCR %s", key(c, "n"));
      addf(&c->expected, ":%ld\r\n", ++c->counter);
      return;
    case 8:
      ask(c, "DEL %s", string_key(c, which));
      addf(&c->expected, ":%d\r\n", c->strings[which] != 0);
      c->strings[which] = 0;
      return;
    case 9:
      ask(c, "MGET %s %s", string_key(c, 0), string_key(c, 1));
      addf(&c->expected, "*2\r\n");
      expect_value(c, c->strings[0]);
      return expect_value(c, c->strings[1]);
    case 10:
      ask(c, "HSET %s f%u %u", key(c, "h"), which, ++c->version);
      addf(&c->expected, ":%d\r\n", c->fields[which] == 0);
      c->fields[which] = c->version;
      return;
    case 11:
      ask(c, "HGET %s f%u", key(c, "h"), which);
      if (c->fields[which] == 0) {
        addf(&c->expected, "$-1\r\n");
      } else {
        char number[16];
        add_bulk(&c->expected, number,
                 (size_t)snprintf(number, sizeof number, "%u", c->fields[which]));
      }
      return;
    case 12:
      ask(c, "RPUSH %s %u", key(c, "l"), ++c->tail);
      addf(&c->expected, ":%u\r\n", c->tail - c->head);
      return;
    case 13:
      ask(c, "LPOP %s", key(c, "l"));
      if (c->head == c->tail) {
        addf(&c->expected, "$-1\r\n");
      } else {
        char number[16];
        add_bulk(&c->expected, number, (size_t)snprintf(number, sizeof number, "%u", ++c->head));
      }
      return;
    case 14:
      ask(c, "SADD %s m%u", key(c, "set"), which);
      addf(&c->expected, ":%d\r\n", (c->members >> which & 1) == 0);
      c->members |= 1u << which;
      return;
    case 15:
      ask(c, "SCARD %s", key(c, "set"));
      addf(&c->expected, ":%d\r\n", __builtin_popcount(c->members));
      return;
    case 16: {
      ask(c, "ZINCRBY %s 1 m", key(c, "z"));
      char number[24];
      add_bulk(&c->expected, number, (size_t)snprintf(number, sizeof number, "%ld", ++c->score));
      return;
    }
    case 17:
      ask(c, "EVAL return{redis.call('incr',KEYS[1]),ARGV[1]} 1 %s x", key(c, "n"));
      addf(&c->expected, "*2\r\n:%ld\r\n$1\r\nx\r\n", ++c->counter);
      return;
    case 18:
      ask(c, "PING");
      addf(&c->expected, "+PONG\r\n");
      return;
    default:
      return transaction(c);
  }
}

/* --- Replies */

/* Bytes of the reply that `bytes` begin with, or 0 when it is not whole. */
static size_t reply_size(const char* bytes, size_t size) {
  size_t at = 0;
  long values = 1;
  while (values > 0) {
    if (at >= size) return 0;
    const char* end = memchr(bytes + at, '\n', size - at);
    if (!end) return 0;
    const char type = bytes[at];
    const long number = strtol(bytes + at + 1, NULL, 10);
    at = (size_t)(end - bytes) + 1;
    --values;
    if (type == '$' && number >= 0) at += (size_t)number + 2;
    if (type == '*' && number > 0) values += number;
  }
  return at <= size ? at : 0;
}

static void sample(struct group* group, const char* what, const char* got, size_t got_size,
                   const char* right, size_t right_size) {
  if (group->sample_count == kSamplesMax) return;
  char line[kSampleBytes];
  snprintf(line, sizeof line, "%s %.*s, not %.*s", what, (int)(got_size < 90 ? got_size : 90), got,
           (int)(right_size < 40 ? right_size : 40), right);
  char* out = groups[group - groups].samples[group->sample_count++];
  for (size_t i = 0; (out[i] = line[i]) != 0; ++i) {
    if (out[i] < ' ' || out[i] == '"' || out[i] == '\\' || out[i] > '~') out[i] = '.';
  }
}

/* Judges what has been received; returns 1 when the request is answered. */
static int judge(struct client* c) {
  struct group* group = &groups[c->group];
  if (c->received_size < c->expected.size ||
      memcmp(c->received, c->expected.bytes, c->expected.size) != 0) {
    /* Not (yet) what is right: reply by reply, as many as the right ones are. */
    size_t got = 0, right = 0;
    int replies = 0, wrong = 0;
    while (right < c->expected.size) {
      const size_t one = reply_size(c->received + got, c->received_size - got);
      if (one == 0) return 0;
      right += reply_size(c->expected.bytes + right, c->expected.size - right);
      got += one;
    }
    for (size_t g = 0, r = 0; g < got; ++replies) {
      const size_t one = reply_size(c->received + g, got - g);
      const size_t expected = reply_size(c->expected.bytes + r, c->expected.size - r);
      if (c->received[g] == '-') {
        ++group->errors;
        sample(group, "error", c->received + g, one, c->expected.bytes + r, expected);
      } else if (one != expected || memcmp(c->received + g, c->expected.bytes + r, one) != 0) {
        ++wrong;
        sample(group, "wrong", c->received + g, one, c->expected.bytes + r, expected);
      }
      g += one;
      r += expected;
    }
    group->wrong += wrong;
    c->received_size -= got;
    memmove(c->received, c->received + got, c->received_size);
    return 1;
  }
  c->received_size -= c->expected.size;
  if (c->received_size > 0) {
    ++group->wrong;
    sample(group, "surplus", c->received + c->expected.size, c->received_size, "", 0);
    c->received_size = 0;
  }
  return 1;
}

/* --- Connections */

static void watch(struct client* c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, operation, c->fd, &event) != 0) die("epoll_ctl");
}

static void connect_client(struct client* c) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)groups[c->group].port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr*)&to, sizeof to) != 0) die("connect");
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void lose(struct client* c) {
  struct group* group = &groups[c->group];
  ++group->lost;
  sample(group, "closed after", c->received, c->received_size, c->expected.bytes, c->expected.size);
  close(c->fd);
  ++c->life;
  memset(c->strings, 0, sizeof c->strings);
  memset(c->fields, 0, sizeof c->fields);
  c->members = c->head = c->tail = 0;
  c->counter = c->score = 0;
  c->busy = 0;
  c->received_size = 0;
  connect_client(c);
}

static void push(struct client* c) {
  while (c->sent < c->request.size) {
    const ssize_t n =
        send(c->fd, c->request.bytes + c->sent, c->request.size - c->sent, MSG_NOSIGNAL);
    if (n > 0) {
      c->sent += (size_t)n;
    } else if (n < 0 && errno == EAGAIN) {
      return watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    } else {
      return lose(c);
    }
  }
}

static void begin(struct client* c, double due_us) {
  c->request.size = c->expected.size = c->sent = 0;
  some_command(c);
  c->busy = 1;
  c->due_us = due_us;
  push(c);
}

static void finish(struct client* c) {
  c->busy = 0;
  ++groups[c->group].requests;
  if (latency_count == latency_capacity) {
    latency_capacity = latency_capacity ? latency_capacity * 2 : 65536;
    latencies = realloc(latencies, latency_capacity * sizeof *latencies);
    if (!latencies) die("memory");
  }
  latencies[latency_count++] = (float)(now_us() - c->due_us);
}

static void pull(struct client* c) {
  if (c->received_capacity - c->received_size < 65536) {
    c->received_capacity += 131072;
    c->received = realloc(c->received, c->received_capacity);
    if (!c->received) die("memory");
  }
  const ssize_t n =
      recv(c->fd, c->received + c->received_size, c->received_capacity - c->received_size, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return lose(c);
  c->received_size += (size_t)n;
  if (c->busy && judge(c)) finish(c);
}

/* --- Turns */

static int by_size(const void* a, const void* b) {
  const float x = *(const float*)a, y = *(const float*)b;
  return (x > y) - (x < y);
}

static void note_turn(struct group* group) {
  double p50 = 0, p99 = 0, max = 0;
  if (latency_count > 0) {
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    p50 = (double)latencies[latency_count / 2];
    p99 = (double)latencies[latency_count * 99 / 100];
    max = (double)latencies[latency_count - 1];
  }
  group->turns = realloc(group->turns, group->turns_size + 128);
  if (!group->turns) die("memory");
  group->turns_size += (size_t)sprintf(group->turns + group->turns_size, "%s[%zu,%.0f,%.0f,%.0f]",
                                       group->turns_size ? "," : "", latency_count, p50, p99, max);
}

/* One group works until the end of its turn, and until every request begun or due has its reply. */
static void take_turn(struct group* group, double slice_us) {
  struct epoll_event events[256];
  const double began = now_us(), end = began + slice_us;
  const double pause = rate > 0 ? 1e6 * client_count / rate : 0;
  latency_count = 0;
  for (int i = 0; i < client_count; ++i) {
    group->clients[i].next_due_us = began + pause * draw(1000) / 1000;
  }
  for (;;) {
    const double now = now_us();
    double wake = end;
    int working = 0;
    for (int i = 0; i < client_count; ++i) {
      struct client* c = &group->clients[i];
      if (!c->busy && c->next_due_us < end && (rate > 0 || now < end)) {
        if (c->next_due_us <= now) {
          const double due = rate > 0 ? c->next_due_us : now;
          c->next_due_us += pause;
          begin(c, due);
        } else if (c->next_due_us < wake) {
          wake = c->next_due_us;
        }
      }
      working += c->busy;
    }
    if (working == 0 && wake >= end && (rate == 0 || now >= end)) break;
    if (now > end + kGiveUpMs * 1e3) {
      for (int i = 0; i < client_count; ++i) {
        if (group->clients[i].busy) lose(&group->clients[i]);
      }
      break;
    }
    const double left_us = wake - now_us();
    const struct timespec timeout = {
        .tv_sec = 0, .tv_nsec = left_us > 0 ? (long)(left_us < 9e5 ? left_us * 1e3 : 9e8) : 0};
    const struct timespec late = {.tv_sec = 0, .tv_nsec = 20000000};
    const int n = epoll_pwait2(epoll_fd, events, 256, now < end ? &timeout : &late, NULL);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < n; ++i) {
      struct client* c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) {
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
        push(c);
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) pull(c);
    }
  }
  note_turn(group);
}

int main(int argc, char** argv) {
  if (argc < 6 || argc > 5 + kGroupsMax) {
    fprintf(stderr, "usage: checking_load SLICE_MS ROUNDS CLIENTS RATE NAME:PORT...\n");
    return 2;
  }
  const double slice_us = atof(argv[1]) * 1e3;
  const int rounds = atoi(argv[2]);
  client_count = atoi(argv[3]);
  rate = atof(argv[4]);
  epoll_fd = epoll_create1(0);
  for (int i = 5; i < argc; ++i) {
    struct group* group = &groups[group_count];
    char* colon = strchr(argv[i], ':');
    if (!colon) return 2;
    *colon = 0;
    group->name = argv[i];
    group->port = atoi(colon + 1);
    group->clients = calloc((size_t)client_count, sizeof *group->clients);
    for (int n = 0; n < client_count; ++n) {
      group->clients[n].group = group_count;
      group->clients[n].number = n;
      connect_client(&group->clients[n]);
    }
    ++group_count;
  }
  for (int round = 0; round < rounds; ++round) {
    printf("round %d\n", round);
    fflush(stdout);
    for (int i = 0; i < group_count; ++i) {
      take_turn(&groups[round % 2 ? group_count - 1 - i : i], slice_us);
    }
  }
  printf("{");
  for (int i = 0; i < group_count; ++i) {
    const struct group* g = &groups[i];
    printf(
        "%s\"%s\":{\"requests\":%ld,\"errors\":%ld,\"wrong\":%ld,\"lost\":%ld,\"turns\":[%s],"
        "\"samples\":[",
        i ? "," : "", g->name, g->requests, g->errors, g->wrong, g->lost, g->turns);
    for (int n = 0; n < g->sample_count; ++n) printf("%s\"%s\"", n ? "," : "", g->samples[n]);
    printf("]}");
  }
  printf("}\n");
  return 0;
}
