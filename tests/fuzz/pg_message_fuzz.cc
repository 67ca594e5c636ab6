// PostgreSQL messages: however the bytes arrive, the messages are the same; views read nothing
// beyond a message, and what they find, built again, is the message.
#include "protocols/postgres/backend.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/frontend.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

void check_parse(std::string_view body, std::string_view message) {
  const auto parse = view_parse(body);
  if (!parse) return;
  std::vector<std::uint32_t> types;
  for (std::size_t i = 0; i < parse->type_count(); ++i) types.push_back(parse->type(i));
  std::string again;
  append_parse(again, parse->name, parse->text, types);
  require(again == message, "a Parse is built again as it was");
  require(view_parse_name(body) == parse->name, "the head of a Parse tells its name");
}

void check_client(char type, std::string_view body, std::string_view message) {
  std::string again;
  if (const auto text = view_query(body); text && type == 'Q') {
    append_query(again, *text);
    require(again == message, "a Query is built again as it was");
  }
  if (type == 'P') check_parse(body, message);
  if (const auto subject = view_subject(body); subject && type == 'C') {
    append_close(again, subject->kind, subject->name);
    require(again == message, "a Close is built again as it was");
  }
  view_bind(body);
  view_bind_count(body);
  view_execute(body);
  view_function_call(body);
  view_copy_fail(body);
  view_password(body);
  view_sasl_initial(body);
}

void check_server(std::string_view body) {
  if (const auto authentication = view_authentication(body)) {
    std::string_view mechanisms = authentication->data;
    while (next_mechanism(mechanisms)) {
    }
  }
  Columns columns(body);
  std::size_t count = 0;
  while (columns.next()) ++count;
  require(count <= body.size() / 19, "a column takes 19 bytes or more");
  if (const auto setting = view_setting(body)) {
    std::string again;
    append_setting(again, setting->name, setting->value);
    require(std::string_view(again).substr(kHeaderSize) == body, "a setting is built again");
  }
  view_backend_key(body);
  view_ready(body);
  view_report(body);
  ends_connection(body);
  view_command_tag(body);
  view_notification(body);
  view_copy_format(body);
  view_negotiation(body);
}

void check_run(std::string_view bytes) {
  if (bytes.empty()) return;
  const Run run = run_of(bytes[0], bytes);
  require(run.size <= bytes.size(), "a run takes no more than there is");
  require(run.size >= run.messages * kHeaderSize, "a message takes 5 bytes or more");
}

void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto choice = static_cast<unsigned char>(bytes[0]);
  const auto stream = static_cast<Stream>(choice % 4);
  const std::size_t whole_max = choice & 4 ? 16 : kWholeMaxDefault;
  const fuzz::Input input =
      fuzz::read_input(reinterpret_cast<const std::uint8_t*>(bytes.data()) + 1, bytes.size() - 1);
  if (input.bytes.empty()) return;
  const MessageCutter cutter(stream, whole_max);
  const Cutting whole = cut_all(input.bytes, cutter, {input.bytes.size()});
  require(cut_all(input.bytes, cutter, input.pieces) == whole, "the split point changes nothing");
  for (const std::string& message : whole.messages) {
    const bool whole_one = message.size() == 1 + std::size_t{read_u32(message.data() + 1)};
    if (!whole_one) continue;  // the last: the rest of it has not arrived
    const std::vector<char> own(message.begin(), message.end());
    const std::string_view view(own.data(), own.size());
    check_client(message[0], view.substr(kHeaderSize), view);
    check_server(view.substr(kHeaderSize));
  }
  check_run(input.bytes);
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::postgres::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
