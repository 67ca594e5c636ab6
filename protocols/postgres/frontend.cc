// Views of and builders for the messages of clients.
#include "protocols/postgres/frontend.h"

#include <cassert>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {
namespace {

constexpr std::uint32_t kNull = 0xffffffff;  // the size of what has no value

// A body that is one text and nothing else.
std::optional<std::string_view> only_text(std::string_view body) {
  Fields fields(body);
  const std::string_view text = fields.text();
  if (!fields.done()) return std::nullopt;
  return text;
}

// Calls look(parameter) for each that a Bind passes. False: it is not whole.
template <class Look>
bool each_parameter(std::string_view body, Look look) {
  Fields fields(body);
  fields.text();
  fields.text();
  const std::size_t format_count = fields.u16();
  const std::string_view formats = fields.bytes(2 * format_count);
  const std::size_t count = fields.u16();
  // None: all are text. One: of all.
  const auto is_text = [&](std::size_t i) {
    if (format_count == 0) return true;
    const std::size_t which = format_count == 1 ? 0 : i;
    return which < format_count && read_u16(formats.data() + 2 * which) == 0;
  };
  for (std::size_t i = 0; i < count && fields.ok(); ++i) {
    const std::uint32_t size = fields.u32();
    BoundParameter parameter{!is_text(i), std::nullopt};
    if (size != kNull) parameter.value = fields.bytes(size);
    if (fields.ok()) look(parameter);
  }
  return fields.ok();
}

}  // namespace

std::optional<std::string_view> view_query(std::string_view body) { return only_text(body); }

std::uint32_t Parse::type(std::size_t index) const {
  assert(index < type_count());
  return read_u32(types.data() + 4 * index);
}

std::optional<Parse> view_parse(std::string_view body) {
  Fields fields(body);
  Parse parse{fields.text(), fields.text(), {}};
  parse.types = fields.bytes(std::size_t{4} * fields.u16());
  if (!fields.done()) return std::nullopt;
  return parse;
}

std::optional<std::string_view> view_parse_name(std::string_view body) {
  Fields fields(body);
  const std::string_view name = fields.text();
  if (!fields.ok()) return std::nullopt;
  return name;
}

std::optional<Bind> view_bind(std::string_view body) {
  Fields fields(body);
  const Bind bind{fields.text(), fields.text()};
  if (!fields.ok()) return std::nullopt;
  return bind;
}

std::optional<std::uint16_t> view_bind_count(std::string_view body) {
  Fields fields(body);
  fields.text();
  fields.text();
  fields.bytes(std::size_t{2} * fields.u16());  // formats
  const std::uint16_t count = fields.u16();
  if (!fields.ok()) return std::nullopt;
  return count;
}

std::optional<std::vector<BoundParameter>> view_bind_parameters(std::string_view body) {
  std::vector<BoundParameter> parameters;
  const bool whole = each_parameter(
      body, [&](const BoundParameter& parameter) { parameters.push_back(parameter); });
  if (!whole) return std::nullopt;
  return parameters;
}

std::optional<BoundParameter> view_bind_parameter(std::string_view body, std::size_t index) {
  std::optional<BoundParameter> found;
  std::size_t at = 0;
  const bool whole = each_parameter(body, [&](const BoundParameter& parameter) {
    if (at++ == index) found = parameter;
  });
  return whole ? found : std::nullopt;
}

std::optional<std::vector<std::string_view>> view_bind_texts(std::string_view body) {
  std::vector<std::string_view> texts;
  const bool whole = each_parameter(body, [&](const BoundParameter& parameter) {
    if (!parameter.binary && parameter.value) texts.push_back(*parameter.value);
  });
  if (!whole) return std::nullopt;
  return texts;
}

std::optional<Subject> view_subject(std::string_view body) {
  Fields fields(body);
  const Subject subject{fields.byte(), fields.text()};
  if (!fields.done()) return std::nullopt;
  return subject;
}

std::optional<Execute> view_execute(std::string_view body) {
  Fields fields(body);
  const Execute execute{fields.text(), fields.u32()};
  if (!fields.done()) return std::nullopt;
  return execute;
}

std::optional<std::uint32_t> view_function_call(std::string_view body) {
  Fields fields(body);
  const std::uint32_t function = fields.u32();
  if (!fields.ok()) return std::nullopt;
  return function;
}

std::optional<std::string_view> view_copy_fail(std::string_view body) { return only_text(body); }

std::optional<std::string_view> view_password(std::string_view body) { return only_text(body); }

std::optional<SaslInitial> view_sasl_initial(std::string_view body) {
  Fields fields(body);
  SaslInitial initial{fields.text(), std::nullopt};
  const auto size = static_cast<std::int32_t>(fields.u32());
  if (size < -1) return std::nullopt;
  if (size >= 0) initial.response = fields.bytes(static_cast<std::size_t>(size));
  if (!fields.done()) return std::nullopt;
  return initial;
}

void append_query(std::string& out, std::string_view text) {
  MessageBuilder(out, from_client::kQuery).text(text);
}

void append_parse(std::string& out, std::string_view name, std::string_view text,
                  std::span<const std::uint32_t> types) {
  assert(types.size() <= UINT16_MAX);
  MessageBuilder message(out, from_client::kParse);
  message.text(name).text(text).u16(static_cast<std::uint16_t>(types.size()));
  for (const std::uint32_t type : types) message.u32(type);
}

void append_describe(std::string& out, char kind, std::string_view name) {
  MessageBuilder(out, from_client::kDescribe).byte(kind).text(name);
}

void append_close(std::string& out, char kind, std::string_view name) {
  MessageBuilder(out, from_client::kClose).byte(kind).text(name);
}

void append_sync(std::string& out) { append_empty(out, from_client::kSync); }
void append_flush(std::string& out) { append_empty(out, from_client::kFlush); }
void append_terminate(std::string& out) { append_empty(out, from_client::kTerminate); }

void append_copy_fail(std::string& out, std::string_view reason) {
  MessageBuilder(out, from_client::kCopyFail).text(reason);
}

void append_password(std::string& out, std::string_view password) {
  MessageBuilder(out, from_client::kPassword).text(password);
}

void append_sasl_initial(std::string& out, std::string_view mechanism, std::string_view response) {
  MessageBuilder(out, from_client::kPassword)
      .text(mechanism)
      .u32(static_cast<std::uint32_t>(response.size()))
      .bytes(response);
}

void append_sasl_response(std::string& out, std::string_view data) {
  MessageBuilder(out, from_client::kPassword).bytes(data);
}

}  // namespace crossfade::postgres
