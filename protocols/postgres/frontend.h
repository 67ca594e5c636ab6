// What a session must know of a client's messages, as views into them; and builders of the messages
// that a sidecar sends of its own.
//
// Views are made of a message's body. Nothing (nullopt) means that the server would refuse it, too:
// it is to be handed on as it is. Those that say "head" need no more of a long message than the
// names at its beginning; what has not arrived is nothing as well.
//
// Source: PostgreSQL documentation, "Message Formats"; exec_*_message() of postgres.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::postgres {

// Text of a Query. Views of texts have no NUL byte.
std::optional<std::string_view> view_query(std::string_view body);

struct Parse {
  std::string_view name;  // empty: the unnamed statement
  std::string_view text;
  std::string_view types;  // 4 bytes each, big-endian
  std::size_t type_count() const { return types.size() / 4; }
  std::uint32_t type(std::size_t index) const;  // an OID, 0 when unspecified
};
std::optional<Parse> view_parse(std::string_view body);
// Head: the name of a statement whose text may be long.
std::optional<std::string_view> view_parse_name(std::string_view body);

struct Bind {  // head
  std::string_view portal;
  std::string_view statement;
};
std::optional<Bind> view_bind(std::string_view body);
// Head: how many parameters it passes.
std::optional<std::uint16_t> view_bind_count(std::string_view body);

struct BoundParameter {
  bool binary;
  std::optional<std::string_view> value;  // nothing: NULL
};
// Of a whole one: the parameters that it passes.
std::optional<std::vector<BoundParameter>> view_bind_parameters(std::string_view body);
// Likewise one of them, counted from 0; nothing: it passes fewer.
std::optional<BoundParameter> view_bind_parameter(std::string_view body, std::size_t index);
// Likewise those that it passes as text, but for NULLs.
std::optional<std::vector<std::string_view>> view_bind_texts(std::string_view body);

struct Subject {  // of Describe and Close
  char kind;      // kStatement, kPortal, or what the server will refuse
  std::string_view name;
};
std::optional<Subject> view_subject(std::string_view body);

struct Execute {
  std::string_view portal;
  std::uint32_t rows_max;  // 0 (and what is negative for the server): all
};
std::optional<Execute> view_execute(std::string_view body);

std::optional<std::uint32_t> view_function_call(std::string_view body);  // head: the function's OID
std::optional<std::string_view> view_copy_fail(std::string_view body);   // the client's reason

// A password, or an MD5 hash of it: text. It is a secret: not to be kept or logged.
std::optional<std::string_view> view_password(std::string_view body);
struct SaslInitial {
  std::string_view mechanism;
  std::optional<std::string_view> response;  // none: length -1
};
std::optional<SaslInitial> view_sasl_initial(std::string_view body);
// A SASLResponse's body is its data.

void append_query(std::string& out, std::string_view text);
void append_parse(std::string& out, std::string_view name, std::string_view text,
                  std::span<const std::uint32_t> types = {});
void append_describe(std::string& out, char kind, std::string_view name);
void append_close(std::string& out, char kind, std::string_view name);
void append_sync(std::string& out);
void append_flush(std::string& out);
void append_terminate(std::string& out);
void append_copy_fail(std::string& out, std::string_view reason);
void append_password(std::string& out, std::string_view password);
void append_sasl_initial(std::string& out, std::string_view mechanism, std::string_view response);
void append_sasl_response(std::string& out, std::string_view data);

}  // namespace crossfade::postgres
