// Replies owed: whose each message is, in every form of conversation.
#include "protocols/postgres/owed.h"

#include <doctest/doctest.h>

#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/conversation.h"

namespace crossfade::postgres {
namespace {

// What the tokens become; and whether the server owes anything after them.
std::string settles(const std::string& tokens) {
  const Conversation conversation = talk(tokens);
  return conversation.text() + (conversation.owed.owes() ? " owes" : "");
}
bool breaks(const std::string& tokens) { return talk(tokens).text().ends_with("broken"); }

TEST_CASE("owed: a start-up owes everything up to ReadyForQuery") {
  CHECK(settles(">> <v <R >p <R >p <R <R <S <S <K <N <ZI") ==
        "v:1 R:1 R:1 R:1 R:1 S:- S:- K:1 N:- ZI:1.");
  CHECK(settles(">> <R >p <E!") == "R:1 E!:-.");
  CHECK(settles(">>~ <R <S <ZI") == "R:1~ S:-~ ZI:1~.");
  CHECK(breaks(">> <R <ZI <R"));
  CHECK(breaks(">> <ZI"));
  CHECK(breaks(">> <1"));
}

TEST_CASE("owed: a simple query has any results and ends with ReadyForQuery") {
  CHECK(settles(">Q <T <D <D <C <ZI") == "T:1 D:1 D:1 C:1 ZI:1.");
  CHECK(settles(">Q <I <ZI") == "I:1 ZI:1.");
  CHECK(settles(">Q <C <T <C <C <ZT >Q <E <ZE") == "C:1 T:1 C:1 C:1 ZT:1. E:2 ZE:2.");
  CHECK(settles(">Q <T <D <E <ZI") == "T:1 D:1 E:1 ZI:1.");
  CHECK(settles(">Q <C <E <ZI >Q <C <ZI") == "C:1 E:1 ZI:1. C:2 ZI:2.");
  CHECK(settles(">Q >Q >Q <C <ZI <E <ZI <C") == "C:1 ZI:1. E:2 ZI:2. C:3 owes");
  CHECK(breaks(">Q <ZI"));
  CHECK(breaks(">Q <E <C"));
  CHECK(breaks(">Q <1"));
  CHECK(breaks(">Q <s"));
  CHECK(breaks(">Q <d"));
}

TEST_CASE("owed: extended messages are answered in order, each in its form") {
  CHECK(settles(">P >B >DP >E >C >S <1 <2 <T <D <D <C <3 <ZI") ==
        "1:1. 2:2. T:3. D:4 D:4 C:4. 3:5. ZI:6.");
  CHECK(settles(">DS >S <t <T <ZI") == "t:1 T:1. ZI:2.");
  CHECK(settles(">DS >S <t <n <ZI") == "t:1 n:1. ZI:2.");
  CHECK(settles(">DP >E >E >E >S <n <s <D <s <I <ZT") == "n:1. s:2. D:3 s:3. I:4. ZT:5.");
  CHECK(settles(">P >H <1 >B >E >H <2 <D <s >E >H <C >S <ZI") == "1:1. 2:3. D:4 s:4. C:6. ZI:8.");
  for (const char* tokens : {">P <2", ">B <1", ">C <2", ">DP <t", ">DS <T", ">DS <t <t", ">E <T",
                             ">E <W", ">S <1", ">S <C", ">P <ZI", ">P >S <ZI", ">DP <D"}) {
    CHECK_MESSAGE(breaks(tokens), tokens);
  }
}

TEST_CASE("owed: an error of the extended protocol discards everything up to the next Sync") {
  CHECK(settles(">P >B >E >S >P >S <E <ZI <1 <ZI") == "E:1. ZI:4. 1:5. ZI:6.");
  CHECK(settles(">P >B >DS >E >S <1 <2 <t <E <ZI") == "1:1. 2:2. t:3 E:3. ZI:5.");
  CHECK(settles(">E >E >S <D <E <ZE") == "D:1 E:1. ZE:3.");
  CHECK(settles(">P >Q >F >c >S <E <ZI") == "E:1. ZI:5.");
  CHECK(settles(">P >H <E >B >E >Q >H >S >P >S <ZI <1 <ZI") == "E:1. ZI:7. 1:8. ZI:9.");
  CHECK(settles(">P <E") == "E:1.");
  CHECK(talk(">P <E").owed.awaits_sync());
  CHECK_FALSE(talk(">P >S <E").owed.awaits_sync());
  CHECK(breaks(">P >B >S <E <2"));
  CHECK(breaks(">P >B <E <ZI"));
  CHECK(settles(">HX >P >S <E <ZI") == "E:1. ZI:3.");
  CHECK(settles(">DX >P >S <E <ZI") == "E:1. ZI:3.");
}

TEST_CASE("owed: a Sync that fails is answered with both") {
  CHECK(settles(">P >B >E >S >S <1 <2 <C <E <ZI <ZI") == "1:1. 2:2. C:3. E:4 ZI:4. ZI:5.");
}

TEST_CASE("owed: a simple query in a pipeline is answered in its place") {
  CHECK(settles(">P >B >E >Q >P >S <1 <2 <C <C <ZI <1 <ZI") ==
        "1:1. 2:2. C:3. C:4 ZI:4. 1:5. ZI:6.");
  CHECK(settles(">P >Q >S <1 <E <ZI <ZI") == "1:1. E:2 ZI:2. ZI:3.");
}

TEST_CASE("owed: a function call ends with ReadyForQuery, failed or not") {
  CHECK(settles(">F >F <V <ZI <E <ZI") == "V:1 ZI:1. E:2 ZI:2.");
  CHECK(breaks(">F <ZI"));
  CHECK(breaks(">F <V <V"));
}

TEST_CASE("owed: COPY OUT is data up to its end") {
  CHECK(settles(">Q <H <d <d <c <C <ZI") == "H:1 d:1 d:1 c:1 C:1 ZI:1.");
  CHECK(settles(">E >S <H <d <c <C <ZI") == "H:1 d:1 c:1 C:1. ZI:2.");
  CHECK(settles(">Q <H <d <E <ZI") == "H:1 d:1 E:1 ZI:1.");
  CHECK(settles(">Q <H <c <C <H <c <C <T <C <ZI") == "H:1 c:1 C:1 H:1 c:1 C:1 T:1 C:1 ZI:1.");
  CHECK(breaks(">Q <H <C"));
  CHECK(breaks(">Q <H <D"));
  CHECK(breaks(">Q <H <c <d"));
}

TEST_CASE("owed: COPY IN of a query takes Syncs, and is over when the client says so") {
  CHECK(settles(">Q <G >d >d >c <C <ZI") == "G:1 C:1 ZI:1.");
  CHECK(settles(">Q >d >S >H >c <G <C <ZI") == "G:1 C:1 ZI:1.");
  CHECK(settles(">Q <G >d >S >d >f <E <ZI") == "G:1 E:1 ZI:1.");
  CHECK(settles(">Q <G >c <C <G >S >c <C <ZI >S <ZI") == "G:1 C:1 G:1 C:1 ZI:1. ZI:5.");
  CHECK(settles(">Q >c >c <G <C <G <C <ZI") == "G:1 C:1 G:1 C:1 ZI:1.");
  CHECK(breaks(">Q <G <ZI"));
  CHECK(breaks(">Q <G <D"));
  CHECK(breaks(">Q <G <d"));
}

TEST_CASE("owed: where a COPY stands is told") {
  CHECK(talk(">Q").owed.copying() == CopyMode::None);
  CHECK(talk(">Q <G >d").owed.copying() == CopyMode::In);
  CHECK(talk(">Q <G >c").owed.copying() == CopyMode::None);
  CHECK(talk(">Q >c <G").owed.copying() == CopyMode::None);
  CHECK(talk(">E <H <d").owed.copying() == CopyMode::Out);
  CHECK(talk(">E <H <c").owed.copying() == CopyMode::None);
  CHECK(talk(">Q <W").owed.copying() == CopyMode::Both);
  CHECK(talk(">Q <G <E").owed.copying() == CopyMode::None);
}

TEST_CASE("owed: data, ends and failures of COPY outside of one are dropped without a word") {
  CHECK(settles(">d >c >f >S <ZI") == "ZI:4.");
  CHECK(settles(">Q >d >c >f >Q <C <ZI <C <ZI") == "C:1 ZI:1. C:5 ZI:5.");
  CHECK(settles(">Q <G <E <ZI >d >d >c >Q <C <ZI") == "G:1 E:1 ZI:1. C:5 ZI:5.");
  CHECK(settles(">c") == "");
  CHECK(settles(">S >c <ZI") == "ZI:1.");
}

TEST_CASE("owed: COPY IN of the extended protocol, as libpq sends it") {
  CHECK(settles(">P >B >DP >E >S <1 <2 <n <G >d >c >S <C <ZI") == "1:1. 2:2. n:3. G:4 C:4. ZI:8.");
  // The data is bad: the first Sync was read before it.
  CHECK(settles(">E >S <G >d <E >d >c >S <ZI >Q <C <ZI") == "G:1 E:1. ZI:6. C:7 ZI:7.");
  CHECK(settles(">E >S >d >c >S <G <E <ZI >E >S <C <ZI") == "G:1 E:1. ZI:5. C:6. ZI:7.");
  CHECK(settles(">E >S <G >d >f >S <E <ZI >P >S <1 <ZI") == "G:1 E:1. ZI:5. 1:6. ZI:7.");
  CHECK(talk(">E >S <G >d <E >c >S <ZI >Q <C").owed.settled());
}

TEST_CASE("owed: a COPY that fails before its first Sync is read may owe one more") {
  // Both Syncs are answered: the second answer counts on nothing.
  CHECK(settles(">E >S <G <E <ZI >d >c >S <ZI >Q <C <ZI") == "G:1 E:1. ZI:2. ZI:5. C:6 ZI:6.");
  CHECK(settles(">E >S >c >S <G <E <ZI <ZI >Q <C <ZI") == "G:1 E:1. ZI:4. ZI:0. C:5 ZI:5.");
  CHECK(settles(">E >S >S >c >S >P >S <G <E <ZI <ZI <1 <ZI") == "G:1 E:1. ZI:5. ZI:0. 1:6. ZI:7.");
  CHECK(settles(">Q >S >c <G <E <ZI <ZI >Q <C <ZI") == "G:1 E:1 ZI:1. ZI:2. C:4 ZI:4.");
  CHECK(settles(">E >S >P >S <G <E <ZI <1 <ZI") == "G:1 E:1. ZI:2. 1:3. ZI:4.");
  CHECK(settles(">E >S >d >P >S <G <E <E <ZI <1 <ZI") == "G:1 E:1. E:2 ZI:2. 1:4. ZI:5.");
  CHECK(settles(">E >S >d >f >S <G <E <E <ZI <ZI") == "G:1 E:1. E:5 ZI:5. ZI:0.");
  CHECK(settles(">E >S >d >f >P >S <G <E <ZI") == "G:1 E:1. ZI:6.");
  // Data that other messages are before did not fail.
  CHECK(settles(">E >S >B >S <G >d >c <E <ZI <E <ZI") == "G:1 E:1. ZI:2. E:3. ZI:4.");
  CHECK(settles(">E >S <G >d >B >S <E <ZI") == "G:1 E:1. ZI:5.");
  const Conversation doubtful = talk(">E >S >c >S <G <E <ZI");
  CHECK_FALSE(doubtful.owed.settled());
  CHECK_FALSE(doubtful.owed.owes());
  CHECK(breaks(">E >S >c >S <G <E <ZI <ZI <ZI"));
  CHECK(breaks(">E >S >c >S <G <E <ZI >Q <T <C <ZI <ZI"));
}

TEST_CASE("owed: what does not belong into COPY IN ends the connection, or comes after it") {
  CHECK(settles(">Q >d >Q <G <E <E!") == "G:1 E:1 E!:-.");
  CHECK(settles(">E >P >S <G <E <E!") == "G:1 E:1. E!:-.");
  CHECK(settles(">Q >d >Q <G <E <ZI <C <ZI") == "G:1 E:1 ZI:1. C:3 ZI:3.");
}

TEST_CASE("owed: COPY IN that its own data ends goes on as if it had been told") {
  CHECK(settles(">Q <G >d <C <ZI >c >Q <C <ZI") == "G:1 C:1 ZI:1. C:4 ZI:4.");
  CHECK(settles(">E >S <G >d <C >c >S <ZI") == "G:1 C:1. ZI:5.");
}

TEST_CASE("owed: COPY BOTH goes both ways until it has ended") {
  CHECK(settles(">Q <W >d <d >d <d >c <c <C <C <ZI") == "W:1 d:1 d:1 c:1 C:1 C:1 ZI:1.");
  CHECK(settles(">Q <W <d <c >c <T <D <C <C <ZI") == "W:1 d:1 c:1 T:1 D:1 C:1 C:1 ZI:1.");
  CHECK(settles(">Q <W >c <c <d <C <C <ZI") ==
        "W:1 c:1 d:1 C:1 C:1 ZI:1.");  // a keepalive's answer
  CHECK(breaks(">Q <W >c <c <C <d"));
  CHECK(settles(">Q <W <d <C") == "W:1 d:1 C:1 owes");
  CHECK(settles(">Q <W <E <ZI") == "W:1 E:1 ZI:1.");
}

TEST_CASE("owed: asides come at any moment and answer nothing") {
  CHECK(settles("<A <N <S >Q <A <T <N <D <S <C <A <ZI <A") ==
        "A:- N:- S:- A:- T:1 N:- D:1 S:- C:1 A:- ZI:1. A:-");
  CHECK(settles(">E >S <G <N >d <A >c >S <C <ZI") == "G:1 N:- A:- C:1. ZI:5.");
  CHECK(settles(">P >S <E <N <ZI") == "E:1. N:- ZI:2.");
}

TEST_CASE("owed: asides have the mark of the message that is worked on, notifications none") {
  CHECK(settles(">Q~ >Q <N <A <C <S <ZI <S <C <ZI") == "N:-~ A:- C:1~ S:-~ ZI:1~. S:- C:2 ZI:2.");
  CHECK(settles(">P= >S= <N <1 <S <ZI") == "N:-= 1:1=. S:-= ZI:2=.");
}

TEST_CASE("owed: a fatal error comes at any moment and is the end") {
  CHECK(settles("<E!") == "E!:-.");
  CHECK(settles(">Q >Q <T <E!") == "T:1 E!:-.");
  CHECK(settles(">P~ >S~ <E! >Q") == "E!:-.");
  CHECK(settles(">P >S <E <E!") == "E:1. E!:-.");
  CHECK(breaks(">Q <E! <ZI"));
}

TEST_CASE("owed: what is not owed breaks") {
  for (const char* tokens : {"<ZI", "<E", "<C", "<1", "<D", "<d", "<R", "<K", "<v", "<G", ">H <1",
                             ">X <ZI", ">S <ZI <ZI", ">Q <C <ZI <E", ">Q <?"}) {
    CHECK_MESSAGE(breaks(tokens), tokens);
  }
}

TEST_CASE("owed: replies have the mark of what they answer, and discards leave none behind") {
  CHECK(settles(">P~ >S~ >P >B >E >S <1 <ZI <1 <2 <C <ZI") == "1:1~. ZI:2~. 1:3. 2:4. C:5. ZI:6.");
  CHECK(settles(">P~ >B= >E= >S >Q~ >Q <E <ZI <E <ZI <C <ZI") ==
        "E:1~. ZI:4. E:5~ ZI:5~. C:6 ZI:6.");
}

TEST_CASE("owed: what is synthesised comes in its turn") {
  CHECK(settles(">P+ >B >E >S <2 <C <ZI") == "+P:1 2:2. C:3. ZI:4.");
  CHECK(settles(">P >P+ >C+ >B >S <1 <2 <ZI") == "1:1. +P:2 +C:3 2:4. ZI:5.");
  CHECK(settles(">Q >P+ >B >S <C <ZI <2 <ZI") == "C:1 ZI:1. +P:2 2:3. ZI:4.");
  CHECK(settles(">P+ >S+") == "+P:1 +S:2");
}

TEST_CASE("owed: an error discards what would have been synthesised up to the Sync") {
  CHECK(settles(">P >P+ >S >P+ <E <ZI") == "E:1. ZI:3. +P:4");
  CHECK(settles(">P <E >P+ >B >S <ZI") == "E:1. ZI:4.");
}

TEST_CASE("owed: the status of the transaction is that of the last ReadyForQuery") {
  CHECK(talk(">Q <C <ZT").owed.transaction() == Transaction::Open);
  CHECK(talk(">Q <C <ZT >Q <E <ZE").owed.transaction() == Transaction::Failed);
  CHECK(talk(">Q <C <ZT >Q <C <ZI").owed.transaction() == Transaction::Idle);
}

TEST_CASE("owed: what it is told of a message is in the first piece of it") {
  const auto piece_of = [](const std::string& bytes) {
    return Piece{bytes[0], bytes.size() + 100, 0, bytes};
  };
  const std::string describe = message('D', raw("Sname\0"));
  CHECK(client_message_of(piece_of(describe)).subject == kStatement);
  CHECK(client_message_of(piece_of(describe)).size == describe.size() + 100);
  CHECK(server_message_of(piece_of(message('Z', "T")))->status == Transaction::Open);
  CHECK_FALSE(server_message_of(piece_of(message('Z', "?"))));
  const std::string fatal = message('E', raw("SFATAL\0VFATAL\0Mlo"));
  CHECK(server_message_of(piece_of(fatal))->severity == Severity::Fatal);
  const std::string error = message('E', raw("SERROR\0VERROR\0Mlo"));
  CHECK(server_message_of(piece_of(error))->severity == Severity::Ordinary);
}

TEST_CASE("owed: what is ours is owed until its last message is answered") {
  OwedReplies owed;
  CHECK_FALSE(owed.owes_ours());
  owed.sent({from_client::kQuery}, Mark::Forward);
  CHECK_FALSE(owed.owes_ours());
  owed.sent({from_client::kParse}, Mark::Skip);
  owed.sent({from_client::kSync}, Mark::Skip);
  owed.sent({from_client::kQuery}, Mark::Forward);
  for (const char type : {from_server::kEmptyQueryResponse, from_server::kReadyForQuery,
                          from_server::kErrorResponse}) {
    owed.arrived({type});
    CHECK(owed.owes_ours());
  }
  owed.arrived({from_server::kReadyForQuery});
  CHECK_FALSE(owed.owes_ours());
  CHECK(owed.owes());
  owed.sent({from_client::kSync}, Mark::Skip);
  owed.arrived({.type = from_server::kErrorResponse, .severity = Severity::Fatal});
  CHECK_FALSE(owed.owes_ours());
}

TEST_CASE("owed: there is room up to the limit, and again when answers have come") {
  OwedReplies owed;
  std::size_t sent = 0;
  for (; owed.room(); ++sent) owed.sent({from_client::kSync}, Mark::Forward);
  CHECK(sent == kOwedMax);
  std::size_t answered = 0;
  while (owed.owes()) {
    const Arrival arrival = owed.arrived({from_server::kReadyForQuery});
    if (std::get<Answer>(arrival).id != ++answered) break;
  }
  CHECK(answered == kOwedMax);
  CHECK(owed.room());
}

}  // namespace
}  // namespace crossfade::postgres
