// Logins: no messages of a client log in without the password, none of a server pass for its proof,
// and verifiers and times that are read are what is written again.
//
// An input is a kind (its first byte), then messages that end in 0x1e. Messages to our client begin
// with the code of the Authentication message.
#include "protocols/postgres/auth_query.h"
#include "protocols/postgres/login_client.h"
#include "protocols/postgres/scram_server.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

constexpr char kEnd = '\x1e';

const ScramKeys& keys() {
  static const ScramKeys kKeys = keys_of_password("pencil", "a salt of tests.", 1);
  return kKeys;
}

std::vector<std::vector<char>> messages_of(std::string_view bytes) {
  std::vector<std::vector<char>> messages;
  while (!bytes.empty()) {
    const std::string_view message = bytes.substr(0, bytes.find(kEnd));
    messages.emplace_back(message.begin(), message.end());
    bytes.remove_prefix(std::min(message.size() + 1, bytes.size()));
  }
  return messages;
}

void check_server(std::string_view bytes, std::string hash) {
  ScramServer server({"ann", verifier_of(keys()), Chance::Real, "server", std::move(hash)});
  for (const std::vector<char>& message : messages_of(bytes)) {
    const ScramServer::Step step = server.advance({message.data(), message.size()});
    require(!std::holds_alternative<ScramServer::Accepted>(step), "nobody gets in by chance");
    if (const auto* const refusal = std::get_if<LoginRefusal>(&step)) {
      require(!refusal->message.empty(), "a refusal says why");
      return;
    }
  }
}

// A client whose messages were changed on their way, or that was told something else.
void check_between(std::string_view bytes) {
  const auto messages = messages_of(bytes);
  if (messages.size() < 2) return;
  const auto text = [&](std::size_t at) {
    return std::string(messages[at].begin(), messages[at].end());
  };
  ScramServer server({"ann", verifier_of(keys()), Chance::Real, "server", ""});
  ScramClient client(keys(), ChannelBinding::None, "client", "");
  const ScramServer::Step first = server.advance(text(0).empty() ? client.first() : text(0));
  const auto* const challenge = std::get_if<ScramServer::Challenge>(&first);
  if (challenge == nullptr) return;
  const std::string told = text(1).empty() ? challenge->data : text(1);
  const Result<std::string> last = client.on_challenge(told);
  if (!last) return;
  const ScramServer::Step step = server.advance(last.value());
  const bool in = std::holds_alternative<ScramServer::Accepted>(step);
  if (in) {
    require(told == challenge->data, "a challenge that was changed lets nobody in");
    require(client.on_final(std::get<ScramServer::Accepted>(step).data).ok(), "both prove");
  }
  if (messages.size() > 2 && (!in || text(2) != std::get<ScramServer::Accepted>(step).data)) {
    const bool proved = client.on_final(text(2)).ok();
    require(!proved || in, "a proof does not come by chance");
  }
}

// Iterations are work, which our limit allows; here it would only be slow.
bool asks_for_work(const std::vector<char>& message) {
  const std::string_view text(message.data(), message.size());
  const std::size_t at = text.find(",i=");
  return at != std::string_view::npos && text.find_first_not_of("0123456789", at + 3) - at > 6;
}

void check_client(std::string_view bytes, Credentials credentials, std::string hash) {
  LoginClient client(
      {"ann", std::move(credentials), Cleartext::Allowed, "client", std::move(hash)});
  bool scram = false;
  bool over = false;
  for (const std::vector<char>& message : messages_of(bytes)) {
    if (message.empty() || asks_for_work(message)) continue;
    const auto code = static_cast<std::uint32_t>(static_cast<unsigned char>(message[0]));
    const LoginStep step = client.advance(code, {message.data() + 1, message.size() - 1});
    const bool error = std::holds_alternative<Error>(step);
    require(!over || error, "what is over stays over");
    require(!scram || !std::holds_alternative<LoginDone>(step), "a server must prove itself");
    scram |= code == 10 && !error;
    over |= error || std::holds_alternative<LoginDone>(step);
  }
}

void check_texts(std::string_view text) {
  const Result<Verifier> verifier = parse_verifier(text);
  if (verifier.ok()) {
    const auto* const scram = std::get_if<ScramVerifier>(&verifier.value());
    require(
        (scram != nullptr ? format(*scram) : std::get<Md5Verifier>(verifier.value()).text) == text,
        "what is read is what is written");
  }
  const Result<Timestamp> time = parse_timestamp(text);
  const Result<AuthAnswer> answer = judge({"ann", text, text}, "ann", Timestamp{});
  require(!answer.ok() || text.empty() ||
              (time.ok() && std::holds_alternative<Expired>(answer.value())),
          "no text is both a verifier and a time");
}

void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string_view rest = bytes.substr(1);
  switch (bytes[0]) {
    case 's':
      return check_server(rest, "");
    case 'S':
      return check_server(rest, std::string(32, 'h'));
    case 'b':
      return check_between(rest);
    case 'c':
      return check_client(rest, Password{"pencil", keys()}, "");
    case 'C':
      return check_client(rest, keys(), std::string(32, 'h'));
    default:
      return check_texts(rest);
  }
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::postgres::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
