// Whose a unit is: what it says in a literal, or passes for a parameter, of the field.
#include "strategies/sql_user_fields.h"

#include <doctest/doctest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/row_names.h"
#include "protocols/postgres/types.h"

namespace crossfade {
namespace {

using postgres::MessageBuilder;
namespace type_oid = postgres::type_oid;

constexpr std::uint32_t kNumeric = 1700;
constexpr const char* kByUser = "SELECT a FROM t WHERE user_id = {{user_id}}";

// What a Bind passes.
struct Passed {
  std::optional<std::string> value;
  bool binary = false;
};
Passed text(std::string value) { return {std::move(value)}; }
Passed binary(std::string value) { return {std::move(value), true}; }
std::string big_endian(std::int64_t value, unsigned size) {
  std::string bytes;
  for (unsigned i = size; i-- > 0;) bytes += static_cast<char>(value >> 8 * i);
  return bytes;
}

std::string query(std::string_view sql) {
  std::string bytes;
  postgres::append_query(bytes, sql);
  return bytes;
}
std::string parse(std::string_view name, std::string_view sql,
                  std::vector<std::uint32_t> types = {}) {
  std::string bytes;
  postgres::append_parse(bytes, name, sql, types);
  return bytes;
}
std::string passes(std::string_view name, const std::vector<Passed>& values) {
  std::string bytes;
  MessageBuilder made(bytes, postgres::from_client::kBind);
  made.text("").text(name).u16(static_cast<std::uint16_t>(values.size()));
  for (const Passed& one : values) made.u16(one.binary ? 1 : 0);
  made.u16(static_cast<std::uint16_t>(values.size()));
  for (const Passed& one : values) {
    made.u32(one.value ? static_cast<std::uint32_t>(one.value->size()) : 0xffffffff);
    made.bytes(one.value.value_or(""));
  }
  made.u16(0);
  return bytes;
}

// A session of which units are read, on a loop.
class Scene {
 public:
  explicit Scene(std::vector<std::string> queries = {kByUser}, std::string name = "user_id")
      : fields_(std::move(name), std::move(queries)) {}

  // The user of a unit of these messages; "none".
  std::string unit(const std::vector<std::string>& messages) {
    read(messages);
    const auto found = fields_.user_of(said_, told, 1, scratch_);
    return found ? std::string(*found) : "none";
  }
  std::string user(std::string_view sql) { return unit({query(sql)}); }
  // As a unit, which its server answers.
  void prepare(std::string_view name, std::string_view sql, std::vector<std::uint32_t> types = {}) {
    const std::string message = parse(name, sql, std::move(types));
    read({message});
    state_.sent(++id_, {message[0], message.size(), 0, message}, reader_.facts_of_parse(0));
    state_.answered(id_, postgres::from_server::kParseComplete, {});
  }
  // A Describe of the statement of the unit that was read last.
  std::optional<postgres::ParameterAt> undeclared(std::uint64_t database = 1) {
    return fields_.undeclared(said_.texts.back(), database, scratch_);
  }

  postgres::ToldTypes told;

 private:
  void read(const std::vector<std::string>& messages) {
    messages_ = {messages.begin(), messages.end()};
    reader_.begin(classifier_, postgres::SqlReading::Standard, postgres::Users::Same, nullptr,
                  &said_);
    for (const std::string& one : messages_) reader_.on_message({one[0], one.size(), 0, one});
  }

  SqlUserFields fields_;
  SqlUserFields::Scratch scratch_;
  postgres::SessionState state_;
  postgres::UnitReader reader_{state_};
  postgres::SqlClassifier classifier_{postgres::SqlCatalog::built_in(), {}, postgres::Forms::Read};
  postgres::Said said_;
  std::deque<std::string> messages_;
  std::uint64_t id_ = 0;
};

TEST_CASE("sql user fields: a literal says the user, however it is written") {
  Scene scene;
  for (const char* sql :
       {"select a from t where user_id = 42", "select a from t where user_id = '42'",
        "SELECT a /* x */ FROM T WHERE user_id = +42;", "select a from t where user_id = E'42'",
        "select a from t where user_id = $$42$$", "select a from t where user_id = $q$42$q$"}) {
    CAPTURE(sql);
    CHECK(scene.user(sql) == "42");
  }
  CHECK(scene.user("select a from t where user_id = -7") == "-7");
  CHECK(scene.user("select a from t where user_id = - 7") == "-7");
  CHECK(scene.user("select a from t where user_id = 'it''s'") == "it's");
  CHECK(scene.user("select a from t where user_id = e'it''s'") == "it's");
  for (const char* sql :
       {"select a from t where user_id = null", "select a from t where user_id = ''",
        "select a from t where user_id = e'\\x34'", "select a from t where user_id = u&'42'",
        "select a from t where user_id = b'1'", "select a from t where user_id = 42 limit 1",
        "select a from t", "not SQL", ""}) {
    CAPTURE(sql);
    CHECK(scene.user(sql) == "none");
  }
}

TEST_CASE("sql user fields: the first template that matches decides, with the field or without") {
  Scene scene({"SELECT a FROM t WHERE b = 1 AND user_id = {{user_id}}",
               "SELECT a FROM t WHERE b = {{b}} AND user_id = {{other}}",
               "SELECT a FROM t WHERE b = {{b}} AND user_id = {{user_id}}",
               "SELECT a FROM u WHERE user_id = {{user_id}} AND b = {{b}} AND c = {{user_id}}"});
  CHECK(scene.user("select a from t where b = 1 and user_id = 42") == "42");
  CHECK(scene.user("select a from t where b = 2 and user_id = 42") == "none");
  CHECK(scene.user("select a from u where user_id = 4 and b = 2 and c = 4") == "4");
  CHECK(scene.user("select a from u where user_id = 4 and b = 2 and c = 5") == "none");
  CHECK(Scene(std::vector<std::string>()).user("select a from t where user_id = 42") == "none");
  CHECK(Scene({kByUser}, "a").user("select a from t where user_id = 42") == "none");
}

TEST_CASE("sql user fields: all that say a user have to say the same one") {
  Scene scene;
  const std::string one = "select a from t where user_id = 42";
  CHECK(scene.user(one + "; select 1; " + one + ";;") == "42");
  CHECK(scene.user("begin read only; " + one + "; commit") == "42");
  CHECK(scene.user(one + "; select a from t where user_id = '43'") == "none");
  CHECK(scene.unit({parse("", one), passes("", {}), parse("", "select 1"), passes("", {})}) ==
        "42");
  const std::string by_parameter = parse("p", "select a from t where user_id = $1");
  CHECK(scene.unit({by_parameter, passes("p", {text("7")}), passes("p", {text("7")})}) == "7");
  CHECK(scene.unit({by_parameter, passes("p", {text("7")}), passes("p", {text("8")}),
                    passes("p", {text("7")})}) == "none");
  CHECK(scene.unit({parse("", one), by_parameter, passes("p", {text("42")})}) == "42");
  CHECK(scene.unit({parse("", one), by_parameter, passes("p", {text("43")})}) == "none");
  // One that is not known may be another.
  CHECK(scene.user(one + "; select a from t where user_id = e'\\x34'") == "none");
  CHECK(scene.unit({parse("", one), by_parameter, passes("p", {binary("x")})}) == "none");
}

TEST_CASE("sql user fields: of a parameter what its Bind passes, whoever has made the statement") {
  Scene scene({"SELECT a FROM t WHERE b = {{b}} AND user_id = {{user_id}}"});
  const std::string sql = "select a from t where b = $2 and user_id = $1";
  const std::vector<Passed> passed{text("42"), text("1")};
  CHECK(scene.unit({parse("", sql), passes("", passed)}) == "42");
  CHECK(scene.unit({parse("", sql)}) == "none");
  CHECK(scene.unit({parse("", sql), passes("", {{}, text("1")})}) == "none");
  CHECK(scene.unit({parse("", sql), passes("", {})}) == "none");
  CHECK(scene.unit({parse("", sql), passes("", passed).substr(0, 20)}) == "none");
  scene.prepare("s", sql);
  scene.prepare("", sql);
  scene.prepare("other", "select a from t where b = $2 and user_id = 9");
  CHECK(scene.unit({passes("s", passed)}) == "42");
  CHECK(scene.unit({passes("", passed)}) == "42");
  CHECK(scene.unit({passes("other", passed)}) == "9");
  CHECK(scene.unit({passes("nobody knows", passed)}) == "none");
  CHECK(scene.unit({passes("s", passed), passes("s", passed),
                    passes("", {text("4"), text("1")})}) == "none");
  // Unnamed, and made anew between two that bind it.
  CHECK(scene.unit({parse("", sql), passes("", passed), parse("", "select 1"), passes("", {})}) ==
        "42");
  CHECK(Scene().unit({parse("", "select a from t where user_id = $65536"), passes("", {})}) ==
        "none");
}

TEST_CASE("sql user fields: in binary a user has the words that it has as text") {
  Scene scene;
  const std::string sql = "select a from t where user_id = $1";
  const auto user = [&](std::uint32_t type, std::string value) {
    return scene.unit({parse("", sql, {type}), passes("", {binary(std::move(value))})});
  };
  CHECK(user(type_oid::kInt2, big_endian(-42, 2)) == "-42");
  CHECK(user(type_oid::kInt4, big_endian(42, 4)) == "42");
  CHECK(user(type_oid::kInt8, big_endian(INT64_MIN, 8)) == "-9223372036854775808");
  CHECK(user(type_oid::kText, "anna") == "anna");
  CHECK(user(type_oid::kUuid, "\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x55\x44\x11\x22") ==
        "123e4567-e89b-12d3-a456-426655441122");
  CHECK(user(type_oid::kInt4, big_endian(42, 8)) == "42");
  CHECK(user(type_oid::kInt8, big_endian(-42, 2)) == "-42");
  CHECK(user(type_oid::kInt4, big_endian(42, 3)) == "none");
  CHECK(user(type_oid::kUuid, big_endian(42, 8)) == "none");
  CHECK(user(kNumeric, big_endian(42, 8)) == "none");
  CHECK(user(0, big_endian(42, 4)) == "none");
  scene.prepare("s", sql, {type_oid::kInt8});
  CHECK(scene.unit({passes("s", {binary(big_endian(42, 8))})}) == "42");
}

TEST_CASE("sql user fields: a type that nobody declares is the one that a server has told") {
  Scene scene({"SELECT a FROM t WHERE b = {{b}} AND user_id = {{user_id}}"});
  const std::string sql = "select a from t where b = $2 and user_id = $1";
  const std::vector<Passed> passed{binary(big_endian(42, 4)), text("1")};
  CHECK(scene.unit({parse("", sql), passes("", passed)}) == "none");
  const auto asked = scene.undeclared();
  REQUIRE(asked);
  CHECK(asked->number() == 1);
  scene.told.tell(*asked, std::string_view("\0\2\0\0\0\x17\0\0\0\x19", 10));
  CHECK(scene.unit({parse("", sql), passes("", passed)}) == "42");
  // By another number at the same place.
  CHECK(scene.unit({parse("", "select a from t where b = $1 and user_id = $2"),
                    passes("", {text("1"), binary(big_endian(42, 4))})}) == "42");
  CHECK(scene.unit({parse("", sql, {kNumeric, 0}), passes("", passed)}) == "none");
  CHECK_FALSE(scene.undeclared());
  // Of another database it says nothing.
  CHECK(scene.unit({parse("", sql), passes("", passed)}) == "42");
  CHECK(scene.undeclared(2)->place() != asked->place());
  CHECK(scene.unit({parse("", "select a from t where b = $1 and user_id = 42")}) == "42");
  CHECK_FALSE(scene.undeclared());
  scene.unit({parse("", "select 1")});
  CHECK_FALSE(scene.undeclared());
}

}  // namespace
}  // namespace crossfade
