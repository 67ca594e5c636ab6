// Transactions that are on new alone: what of a session's units counts, and when it is certain.
#include "proxy/postgres/new_only.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "protocols/postgres/types.h"

namespace crossfade::postgres {

namespace {

struct Sum {
  int writes = 0;
  int unsure = 0;
  bool operator==(const Sum&) const = default;
};

// Units are queries; every command is answered with its tag, "!" with an error.
class Session {
 public:
  void send(bool writes, bool ends, bool hidden = false) {
    send({.writes = writes, .ends = ends, .hidden = hidden});
  }
  void send(const NewOnly::Unit& unit) {
    units_.asks(unit);
    units_.sent(++sent_);
  }
  void answer(const std::vector<std::string>& tags, char status) {
    ++answered_;
    for (const std::string& tag : tags) {
      if (tag == "!") {
        add(units_.answered(answered_, from_server::kErrorResponse, ""));
      } else {
        add(units_.answered(answered_, from_server::kCommandComplete, tag + '\0'));
      }
    }
    add(units_.answered(answered_, from_server::kReadyForQuery, std::string(1, status)));
  }
  Sum one(bool writes, bool ends, const std::vector<std::string>& tags, char status) {
    send(writes, ends);
    answer(tags, status);
    return sum;
  }
  void leave() { add(units_.unanswered()); }
  bool end_block() { return units_.end_block(); }

  Sum sum;

 private:
  void add(NewOnly::Counts counts) {
    sum.writes += counts != NewOnly::Counts::Nothing ? 1 : 0;
    sum.unsure += counts == NewOnly::Counts::Unsure ? 1 : 0;
  }

  NewOnly units_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
};

}  // namespace

TEST_CASE("new only: a statement outside of a block counts when it has committed") {
  CHECK(Session().one(true, true, {"INSERT 0 1"}, 'I') == Sum{1, 0});
  CHECK(Session().one(true, true, {"INSERT 0 1", "UPDATE 1"}, 'I') == Sum{1, 0});
  CHECK(Session().one(true, true, {"INSERT 0 1", "!"}, 'I') == Sum{});
  CHECK(Session().one(false, true, {"SELECT 1"}, 'I') == Sum{});
  CHECK(Session().one(true, true, {}, 'I') == Sum{});  // it was prepared only
}

TEST_CASE("new only: a block counts once, at its commit, if it may have written") {
  Session session;
  CHECK(session.one(false, true, {"BEGIN"}, 'T') == Sum{});
  CHECK(session.one(true, false, {"INSERT 0 1"}, 'T') == Sum{});
  CHECK(session.one(true, false, {"INSERT 0 1"}, 'T') == Sum{});
  CHECK(session.one(false, true, {"COMMIT"}, 'I') == Sum{1, 0});
  session.one(false, true, {"BEGIN"}, 'T');
  session.one(false, false, {"SELECT 1"}, 'T');
  CHECK(session.one(false, true, {"COMMIT"}, 'I') == Sum{1, 0});
  CHECK(session.one(true, true, {"BEGIN", "INSERT 0 1", "COMMIT"}, 'I') == Sum{2, 0});
  CHECK(session.one(true, true, {"INSERT 0 1", "COMMIT", "INSERT 0 1"}, 'I') == Sum{4, 0});
}

TEST_CASE("new only: what is rolled back does not count, what a savepoint keeps does") {
  Session session;
  const auto begin = [&] {
    session.one(false, true, {"BEGIN"}, 'T');
    session.one(true, false, {"INSERT 0 1"}, 'T');
  };
  begin();
  CHECK(session.one(false, true, {"ROLLBACK"}, 'I') == Sum{});
  begin();
  session.one(true, false, {"!"}, 'E');
  CHECK(session.one(false, true, {"ROLLBACK"}, 'I') == Sum{});  // as COMMIT says then
  begin();
  CHECK(session.one(false, true, {"!"}, 'I') == Sum{});  // a constraint that was deferred
  begin();
  session.one(false, true, {"SAVEPOINT"}, 'T');
  session.one(false, true, {"ROLLBACK"}, 'T');
  CHECK(session.one(false, true, {"COMMIT"}, 'I') == Sum{1, 0});
  session.one(false, true, {"BEGIN"}, 'T');
  session.one(true, true, {"INSERT 0 1", "ROLLBACK"}, 'T');
  CHECK(session.one(false, true, {"COMMIT"}, 'I') == Sum{2, 0});
}

TEST_CASE("new only: a prepared transaction counts when it is prepared") {
  Session session;
  session.one(false, true, {"BEGIN"}, 'T');
  session.one(true, false, {"INSERT 0 1"}, 'T');
  CHECK(session.one(true, true, {"PREPARE TRANSACTION"}, 'I') == Sum{1, 0});
  CHECK(session.one(true, true, {"COMMIT PREPARED"}, 'I') == Sum{1, 0});
}

TEST_CASE("new only: units that are answered together are each of their own") {
  Session session;
  for (int i = 0; i < 3; ++i) session.send(true, true);
  session.answer({"INSERT 0 1"}, 'I');
  session.answer({"!"}, 'I');
  CHECK(session.sum == Sum{1, 0});
  session.answer({"INSERT 0 1"}, 'I');
  CHECK(session.sum == Sum{2, 0});
}

TEST_CASE("new only: what nobody was told of is unsure, if it may have committed") {
  const auto lost = [](bool writes, bool ends) {
    Session session;
    session.send(writes, ends);
    session.leave();
    session.leave();
    return session.sum;
  };
  CHECK(lost(true, true) == Sum{1, 1});
  CHECK(lost(false, true) == Sum{});
  CHECK(lost(true, false) == Sum{});  // its block goes with its connection
  Session session;
  session.one(false, true, {"BEGIN"}, 'T');
  session.one(true, false, {"INSERT 0 1"}, 'T');
  session.send(false, true);  // COMMIT
  session.leave();
  CHECK(session.sum == Sum{1, 1});
}

TEST_CASE("new only: code that may have committed before it failed is unsure") {
  Session session;
  session.send(true, true, true);
  session.answer({"!"}, 'I');
  CHECK(session.sum == Sum{1, 1});
}

TEST_CASE("new only: code that may have committed and gone on is more than one, or none") {
  const auto answered = [](bool commits_unseen, const std::vector<std::string>& tags, char status) {
    Session session;
    session.send({.writes = true, .ends = true, .hidden = true, .commits_unseen = commits_unseen});
    session.answer(tags, status);
    return session.sum;
  };
  CHECK(answered(true, {"CALL"}, 'I') == Sum{1, 1});
  CHECK(answered(true, {"DO"}, 'I') == Sum{1, 1});
  CHECK(answered(false, {"DO"}, 'I') == Sum{1, 0});
  CHECK(answered(true, {"INSERT 0 1"}, 'I') == Sum{1, 0});  // what was not read calls nothing
  CHECK(answered(true, {"BEGIN", "CALL", "COMMIT"}, 'I') == Sum{1, 0});
  CHECK(answered(true, {"BEGIN", "CALL", "COMMIT", "INSERT 0 1"}, 'I') == Sum{2, 0});
}

TEST_CASE("new only: a block that ends elsewhere says whether it may have written") {
  Session session;
  session.one(true, false, {"COPY 3"}, 'T');
  CHECK(session.end_block());
  CHECK(!session.end_block());
}

}  // namespace crossfade::postgres
