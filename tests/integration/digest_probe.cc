// What digests make of replies of real servers, and what comes of a second look: a program for
// tests.
//
//   digest_probe compare            each line of stdin: exact|multiset|shape OLD NEW, the replies
//   as
//                                   hexadecimal digits ("-": none). Prints for each: in what they
//                                   differ, and how that is described
//   digest_probe look OLD NEW USER SETTINGS SHOWN READ ...
//                                   OLD, NEW: ports of 127.0.0.1; USER: name or name:password, with
//                                   "tls+" in front of it by TLS;
//                                   SETTINGS: SQL, or empty; SHOWN: redacted|plain;
//                                   READ: exact|multiset|shape:SQL, or with =VALUE in front of it,
//                                   a statement with $1. Asks both, prints in what they differ,
//                                   waits for a line, looks again, and prints class, statement, and
//                                   what is shown of each side; or "same"
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "movement/compare_worker.h"
#include "movement/postgres_wire.h"
#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/repeated_reads.h"
#include "tests/unit/protocols/postgres/tell.h"
#include "tls/context.h"

namespace crossfade {
namespace {

using postgres::How;
using postgres::ResultDigest;

constexpr std::uint32_t kLimit_ms = 20'000;
constexpr std::size_t kBytesMax = 64 << 20;

How how_named(const std::string& name) {
  if (name == "exact") return How::Exact;
  return name == "multiset" ? How::Multiset : How::ShapeOnly;
}

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

// Also sees that it does not matter how the bytes arrive.
ResultDigest digest_of(const std::string& bytes) {
  ResultDigest whole = postgres::digest_of(bytes);
  for (const std::size_t size : {1u, 2u, 7u, 64u, 1000u, 65'536u}) {
    if (compare(whole, postgres::digest_of(bytes, size), How::Exact).same()) continue;
    std::printf("pieces of %zu bytes are told otherwise\n", size);
  }
  return whole;
}

int compare_lines() {
  std::string how, old_hex, new_hex;
  while (std::cin >> how >> old_hex >> new_hex) {
    const auto compared =
        compare(digest_of(bytes_of(old_hex)), digest_of(bytes_of(new_hex)), how_named(how));
    std::printf("%s %s\n", name_of(compared.what), compared.text().c_str());
  }
  return 0;
}

struct Read {
  How how;
  std::string sql;
  bool prepared = false;
  std::string value;
};

Read read_of(std::string text) {
  Read read{};
  if (text[0] == '=') {
    const std::size_t end = text.find(' ');
    read.prepared = true;
    read.value = text.substr(1, end - 1);
    text.erase(0, end + 1);
  }
  const std::size_t colon = text.find(':');
  read.how = how_named(text.substr(0, colon));
  read.sql = text.substr(colon + 1);
  return read;
}

postgres::SqlFacts facts_of(How how) {
  postgres::SqlFacts facts;
  facts.statements = 1;
  facts.sorted = how == How::Exact;
  facts.deterministic = how != How::ShapeOnly;
  return facts;
}

void add(postgres::RepeatedReads& reads, const Read& read) {
  if (!read.prepared) return reads.query(read.sql + '\0', facts_of(read.how));
  std::string parse, bind;
  postgres::append_parse(parse, "named", read.sql);
  postgres::MessageBuilder(bind, 'B')
      .text("portal")
      .text("named")
      .u16(0)
      .u16(1)
      .u32(static_cast<std::uint32_t>(read.value.size()))
      .bytes(read.value)
      .u16(1)
      .u16(1);  // binary
  reads.execute(std::string_view(parse).substr(postgres::kHeaderSize),
                std::string_view(bind).substr(postgres::kHeaderSize), 0, facts_of(read.how));
}

EndpointAddress address_of(const char* id, const char* port, const std::string& user) {
  EndpointAddress address;
  address.kind = EndpointKind::Postgres;
  address.id = id;
  address.host = "127.0.0.1";
  address.port = static_cast<std::uint16_t>(std::stoi(port));
  address.username = user.substr(0, user.find(':'));
  if (user.find(':') != std::string::npos) address.password = user.substr(user.find(':') + 1);
  if (address.username.starts_with("tls+")) {
    address.username.erase(0, 4);
    address.tls = make_tls(TlsClientSettings{.mode = TlsMode::Require});
    if (!address.tls.end->load()) std::puts("TLS is not loaded");
  }
  return address;
}

// What the side answers at first, to the same messages: as the client's own session would see it.
ResultDigest ask(const EndpointAddress& address, const Mismatch& mismatch) {
  ResultDigest digest;
  auto opened = PostgresWire::open(address, {.database = "app", .parameters = {}}, kLimit_ms);
  if (!opened) {
    std::printf("%s\n", opened.error().message().c_str());
    return digest;
  }
  const auto& hows = mismatch.sql->hows;
  const std::size_t turns = postgres::turns_of(mismatch.sql->settings);
  const auto nothing = [](const postgres::Piece&) {};
  Status set = opened->ask(mismatch.sql->settings, turns, kBytesMax, nothing);
  if (!hows.empty()) digest.expect(hows[0]);
  Status asked = opened->ask(mismatch.request, hows.size(), kBytesMax, [&](const auto& piece) {
    digest.on_piece(piece);
    if (digest.turns() < hows.size()) digest.expect(hows[digest.turns()]);
  });
  if (!set || !asked) std::printf("%s\n", (set ? asked : set).error().message().c_str());
  return digest;
}

int look(const std::vector<std::string>& words) {
  auto route = std::make_shared<InterlayRoute>();
  route->id = "app";
  route->migration = "m";
  // Another user looks again than asked at first where two are given, "first/again".
  const std::size_t slash = words[2].find('/');
  const std::string first_user = words[2].substr(0, slash);
  const std::string user = slash == std::string::npos ? first_user : words[2].substr(slash + 1);
  route->old_side = address_of("old", words[0].c_str(), user);
  route->new_side = address_of("new", words[1].c_str(), user);
  postgres::RepeatedReads reads(16 << 10);
  Mismatch mismatch;
  mismatch.sql.emplace();
  mismatch.sql->database = "app";
  if (!words[3].empty()) postgres::append_query(mismatch.sql->settings, words[3]);
  for (std::size_t i = 5; i < words.size(); ++i) {
    const Read read = read_of(words[i]);
    if (mismatch.command.empty()) mismatch.command = read.sql;
    add(reads, read);
  }
  mismatch.route = route;
  mismatch.read = true;
  mismatch.request = reads.messages();
  mismatch.sql->hows = reads.hows();
  const ResultDigest olds = ask(address_of("old", words[0].c_str(), first_user), mismatch);
  const ResultDigest news = ask(address_of("new", words[1].c_str(), first_user), mismatch);
  mismatch.sql->compared = compare(olds, news, How::Exact);
  mismatch.sql->failures = {olds.failures(), news.failures()};
  std::printf("%s\n", name_of(mismatch.sql->compared.what));
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
  if (mismatch.sql->compared.same()) return std::puts("same"), 0;

  CompareSettings settings;
  settings.compare_pause_ms = 1;
  settings.redact_values = words[4] == "redacted";
  CompareWorker worker(settings);
  worker.start();
  worker.offer(std::move(mismatch));
  worker.wait_settled(std::chrono::milliseconds(kLimit_ms));
  for (const MismatchSample& sample : worker.samples("m")) {
    std::printf("%s\n%s\n%s\n%s\n", name_of(sample.what), sample.command.c_str(),
                sample.old_reply.c_str(), sample.new_reply.c_str());
  }
  return 0;
}

}  // namespace
}  // namespace crossfade

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + std::min(argc, 2), argv + argc);
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "compare") return crossfade::compare_lines();
  if (mode == "look" && words.size() > 5) return crossfade::look(words);
  std::fputs("usage: digest_probe compare | look OLD NEW USER SETTINGS SHOWN READ ...\n", stderr);
  return 2;
}
