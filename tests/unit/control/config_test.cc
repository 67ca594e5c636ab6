// The configuration: precedence of its sources, and the path of whatever is wrong.
#include "control/config.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "control/config_file.h"
#include "control/json/parse.h"
#include "temp_folder.h"

namespace crossfade {

namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(const Variables& variables) {
  return [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

ProcessConfig load(const FlagValues& flags, const Variables& variables = {}) {
  auto config = load_process_config(flags, environment(variables));
  REQUIRE_MESSAGE(config.ok(), (config.ok() ? "" : config.error().message()));
  return *config;
}

std::string refusal(const FlagValues& flags, const Variables& variables = {}) {
  const auto config = load_process_config(flags, environment(variables));
  if (config.ok()) return "accepted";
  CHECK(config.error().code == Errc::BadConfig);
  return config.error().message();
}

std::string document_refusal(std::string_view document) {
  ProcessConfig config;
  const auto json = parse_json(document);
  REQUIRE(json.ok());
  const Status status = read_config_document(json.value(), config);
  if (status.ok()) return "accepted";
  CHECK(status.error().code == Errc::BadConfig);
  return status.error().message();
}

std::string write_config(const TempFolder& folder, const std::string& text) {
  const std::string path = folder.file("crossfade.json");
  std::ofstream(path) << text;
  return path;
}

const std::string kDigest(64, 'a');

}  // namespace

TEST_CASE("config: without any source the defaults are those of the table of settings") {
  const ProcessConfig config = load({});
  CHECK(config.control_host + ":" + std::to_string(config.control_port) == "127.0.0.1:8000");
  CHECK(config.state_path == "./crossfade.db");
  CHECK(config.loops == 1);
  CHECK(config.log_level == "info");
  CHECK_FALSE(config.instance.empty());
  CHECK(config.tokens.empty());
  for (const Setting& setting : settings()) {
    const std::string name = setting.name;
    const std::string value = setting.default_value;
    if (name == "control") CHECK(value == "127.0.0.1:8000");
    if (name == "state") CHECK(value == "./crossfade.db");
    if (name == "loops") CHECK(value == "1");
    if (name == "log_level") CHECK(value == "info");
    if (name == "log_format") CHECK(value == config.log_format);
  }
}

TEST_CASE(
    "config: a flag wins over a variable, a variable over the file, the file over the default") {
  TempFolder folder;
  const std::string path = write_config(folder, R"({
      "control": {"host": "0.0.0.0", "port": 1}, "state": "file.db", "loops": 2,
      "instance": "file", "region": "file", "log": {"level": "debug", "format": "json"}})");
  const FlagValues file = {{"config", path}};
  ProcessConfig config = load(file);
  CHECK(config.control_host == "0.0.0.0");
  CHECK(config.control_port == 1);
  CHECK(config.state_path == "file.db");
  CHECK(config.loops == 2);
  CHECK(config.instance == "file");
  CHECK(config.region == "file");
  CHECK(config.log_level == "debug");
  CHECK(config.log_format == "json");

  const Variables variables = {
      {"CROSSFADE_CONTROL", "[::1]:2"}, {"CROSSFADE_STATE", "variable.db"},
      {"CROSSFADE_LOOPS", "3"},         {"CROSSFADE_INSTANCE", "variable"},
      {"CROSSFADE_REGION", "variable"}, {"CROSSFADE_LOG_LEVEL", "warn"},
  };
  config = load(file, variables);
  CHECK(config.control_host == "::1");
  CHECK(config.control_port == 2);
  CHECK(config.state_path == "variable.db");
  CHECK(config.loops == 3);
  CHECK(config.instance == "variable");
  CHECK(config.region == "variable");
  CHECK(config.log_level == "warn");

  config = load({{"config", path},
                 {"control", "localhost:0"},
                 {"state", "flag.db"},
                 {"loops", "4"},
                 {"instance", "flag"},
                 {"region", "flag"},
                 {"log_level", "error"}},
                variables);
  CHECK(config.control_host == "localhost");
  CHECK(config.control_port == 0);
  CHECK(config.state_path == "flag.db");
  CHECK(config.loops == 4);
  CHECK(config.instance == "flag");
  CHECK(config.region == "flag");
  CHECK(config.log_level == "error");
}

TEST_CASE("config: the file itself may be named by a variable, and an empty variable is none") {
  TempFolder folder;
  const std::string path = write_config(folder, R"({"loops": 7})");
  CHECK(load({}, {{"CROSSFADE_CONFIG", path}}).loops == 7);
  CHECK(load({}, {{"CROSSFADE_CONFIG", path}, {"CROSSFADE_LOOPS", ""}}).loops == 7);
}

TEST_CASE(
    "config: every setting of the table is read from its variable, and from its flag if it has "
    "one") {
  const std::map<std::string, std::string> samples = {
      {"control", "h:1"},   {"state", "s"},      {"loops", "2"},
      {"instance", "i"},    {"region", "r"},     {"log_level", "debug"},
      {"admin_token", "t"}, {"read_token", "t"}, {"log_format", "json"}};
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    CHECK(names.insert(setting.name).second);
    CHECK(help_of(setting).find(setting.environment) != std::string::npos);
    const std::string_view name = setting.name;
    if (name == "config" || name == "secrets") continue;  // they name files, which must be there
    CAPTURE(setting.name);
    REQUIRE(samples.contains(setting.name));
    const std::string& sample = samples.at(setting.name);
    CHECK(refusal({}, {{setting.environment, sample}}) == "accepted");
    if (*setting.flag != '\0') CHECK(refusal({{setting.name, sample}}) == "accepted");
  }
}

TEST_CASE("config: what is wrong is named by its flag or variable") {
  CHECK(refusal({{"loops", "0"}}) == "--loops: must be a whole number from 1 to 256");
  CHECK(refusal({{"loops", "257"}}) == "--loops: must be a whole number from 1 to 256");
  CHECK(refusal({}, {{"CROSSFADE_LOOPS", "many"}}) ==
        "CROSSFADE_LOOPS: must be a whole number from 1 to 256");
  for (const char* control : {"8000", "h:", ":8000", "h:65536", "::1:8000", "h:1x", "[]:1"}) {
    CAPTURE(control);
    CHECK(refusal({{"control", control}}) ==
          "--control: must be HOST:PORT, IPv6 hosts in brackets");
  }
  CHECK(refusal({{"log_level", "loud"}}) ==
        "--log-level: must be trace, debug, info, warn or error");
  CHECK(refusal({{"log_format", "xml"}}) == "--log-format: must be text or json");
  CHECK(refusal({{"state", ""}}) == "--state: must not be empty");
}

TEST_CASE("config: an interlay does not listen on the control port") {
  const TempFolder folder;
  const auto interlay = [&](const std::string& where) {
    return write_config(folder, R"({"endpoints":[{"id":"old","kind":"redis","config":)"
                                R"({"host":"h","port":1}}],"interlays":[)"
                                R"({"id":"i","endpoint":"old","port":9000)" +
                                    where + "}]}");
  };
  const char* taken = "interlays[0].port: is the control port, too";
  const auto with = [&](const std::string& where, const char* control) {
    return refusal({{"config", interlay(where)}, {"control", control}});
  };
  CHECK(with("", "127.0.0.1:9000").ends_with(taken));
  CHECK(with(R"(,"bind":"0.0.0.0")", "127.0.0.1:9000").ends_with(taken));
  CHECK(with("", "0.0.0.0:9000").ends_with(taken));
  CHECK(with("", "127.0.0.1:9001") == "accepted");
  CHECK(with("", "127.0.0.2:9000") == "accepted");
}

TEST_CASE("config: one text is one token") {
  const char* admin = "CROSSFADE_ADMIN_TOKEN";
  const char* read = "CROSSFADE_READ_TOKEN";
  CHECK(refusal({}, {{admin, "a"}, {read, "b"}}) == "accepted");
  CHECK(refusal({}, {{admin, "a"}, {read, "a"}}) ==
        "CROSSFADE_READ_TOKEN: is another token's text, too");
  TempFolder folder;
  // Of "a".
  const std::string digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
  const std::string path = write_config(
      folder, R"({"tokens":[{"name":"ci","role":"read","sha256":")" + digest + R"("}]})");
  CHECK(refusal({}, {{"CROSSFADE_CONFIG", path}, {admin, "a"}}) ==
        "CROSSFADE_ADMIN_TOKEN: is another token's text, too");
}

TEST_CASE("config: what is wrong in the file is named by its JSON path") {
  const std::string endpoint = R"({"id":"e","kind":"redis","config":{"host":"h"}})";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"([])", "the body: must be an object, is an array"},
      {R"({"lops":1})", "lops: is not a known field"},
      {R"({"loops":0})", "loops: must be a whole number from 1 to 256"},
      {R"({"loops":"1"})", "loops: must be a whole number from 1 to 256"},
      {R"({"state":7})", "state: must be a string, is a number"},
      {R"({"control":{"port":65536}})", "control.port: must be a whole number from 0 to 65535"},
      {R"({"control":"127.0.0.1:1"})", "control: must be an object, is a string"},
      {R"({"control":{"metrics_token":1}})",
       "control.metrics_token: must be true or false, is a number"},
      {R"({"control":{"token_failures_max":0}})",
       "control.token_failures_max: must be a whole number from 1 to 1000000"},
      {R"({"control":{"token_failures_per_minute":0.5}})",
       "control.token_failures_per_minute: must be a whole number from 1 to 1000000"},
      {R"({"control":{"failing_peers_max":0}})",
       "control.failing_peers_max: must be a whole number from 1 to 1000000"},
      {R"({"control":{"refusals_logged_per_minute":-1}})",
       "control.refusals_logged_per_minute: must be a whole number from 1 to 1000000"},
      {R"({"log":{"level":"loud"}})", "log.level: must be trace, debug, info, warn or error"},
      {R"({"log":{"format":"xml"}})", "log.format: must be text or json"},
      {R"({"log":{"file":"x"}})", "log.file: is not a known field"},
      {R"({"limits":{"pipeline_max":0}})",
       "limits.pipeline_max: must be a whole number from 1 to 10000000"},
      {R"({"limits":{"pipeline":1}})", "limits.pipeline: is not a known field"},
      {R"({"comparison":{"compare_queue_max":0}})",
       "comparison.compare_queue_max: must be a whole number from 1 to 100000"},
      {R"({"comparison":{"queue":1}})", "comparison.queue: is not a known field"},
      {R"({"limits":{"ledger_max":true}})",
       "limits.ledger_max: must be a whole number from 0 to 100000000"},
      {R"({"limits":{"drain_ms":-1}})",
       "limits.drain_ms: must be a whole number from 0 to 3600000"},
      {R"({"tokens":{}})", "tokens: must be an array, is an object"},
      {R"({"tokens":[{"name":"a","role":"admin"}]})", "tokens[0].sha256: is required"},
      {R"({"tokens":[{"name":"a","role":"root","sha256":")" + kDigest + R"("}]})",
       "tokens[0].role: must be read or admin"},
      {R"({"tokens":[{"name":"a","role":"read","sha256":"abc"}]})",
       "tokens[0].sha256: must be 64 hexadecimal digits"},
      {R"({"tokens":[{"name":"a","role":"read","sha256":")" + kDigest +
           R"("},{"name":"b","role":"read","sha256":")" + kDigest + R"("}]})",
       "tokens[1].sha256: is that of token 'a' too"},
      {R"({"endpoints":[)" + endpoint + "," + endpoint + "]}",
       "endpoints[1].id: 'e' is declared twice"},
      {R"({"endpoints":[{"id":"e","kind":"redis","config":{"host":"h","prot":1}}]})",
       "endpoints[0].config.prot: is not a known field"},
      {R"({"interlays":[{"id":"i","endpoint":"e","port":1}]})",
       "interlays[0].endpoint: 'e' is not an endpoint declared in this file"},
      {R"({"endpoints":[)" + endpoint + R"(],"interlays":[{"id":"i","endpoint":"e","port":7},
           {"id":"j","endpoint":"e","port":7}]})",
       "interlays[1].port: is the port of interlay 'i' too"},
      {R"({"endpoints":[)" + endpoint + R"(],"interlays":[{"id":"i","endpoint":"e","port":7,
           "settings":{"pipeline_max":"x"}}]})",
       "interlays[0].settings.pipeline_max: must be a whole number from 1 to 10000000"},
      {R"({"templates":[{"id":"t"}]})", "templates[0].endpoint: is required"},
      {R"({"templates":[{"id":"t","endpoint":"e","query":"GET x"}]})",
       "templates[0].endpoint: 'e' is not an endpoint declared in this file"},
      {R"({"endpoints":[)" + endpoint + R"(],"templates":[
           {"id":"t","endpoint":"e","query":"GET {{}}"}]})",
       "templates[0].query: has a field whose name is not 1 to 64 letters, digits, '_', '-' or "
       "'.', without blanks"},
      {R"({"endpoints":[)" + endpoint + R"(],"templates":[
           {"id":"t","endpoint":"e","query":"GET x"},{"id":"t","endpoint":"e","query":"GET y"}]})",
       "templates[1].id: 't' is declared twice"},
      {R"({"apis":[{"id":"a"}]})", "apis[0].bindings: is required"},
      {R"({"apis":[{"id":"a","bindings":[{"template":"t"}]}]})",
       "apis[0].bindings[0].template: 't' is not a template declared in this file"},
      {R"({"endpoints":[)" + endpoint + R"(],"templates":[
           {"id":"t","endpoint":"e","query":"GET {{k}}"}],"apis":[
           {"id":"a","fields":[{"name":"id"}],"bindings":[{"template":"t"}]}]})",
       "apis[0].bindings[0].fields: field 'k' of template 't' is none of the api's: map it to one "
       "of them"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.first);
    CHECK(document_refusal(one.first) == one.second);
  }
  CHECK(document_refusal(R"({"templates":[],"apis":[],"endpoints":[],"tokens":[]})") == "accepted");
}

TEST_CASE("config: a file that is missing or malformed is refused with its name") {
  TempFolder folder;
  const std::string missing = folder.file("none.json");
  CHECK(refusal({{"config", missing}}).find(missing) != std::string::npos);
  const std::string broken = write_config(folder, "{\n  \"loops\": ,\n}");
  CHECK(refusal({{"config", broken}}) ==
        broken + ": malformed JSON at line 2, column 12: expected a value");
  const std::string wrong = write_config(folder, R"({"interlays":[{}]})");
  CHECK(refusal({{"config", wrong}}) == wrong + ": interlays[0].id: is required");
  CHECK(refusal({{"config", folder.file("")}}) != "accepted");  // a folder
}

TEST_CASE("config: tokens come as digests from the file and as themselves from the environment") {
  TempFolder folder;
  const std::string path = write_config(
      folder, R"({"tokens":[{"name":"ops","role":"admin","sha256":")" + kDigest + R"("}]})");
  const ProcessConfig config =
      load({{"config", path}}, {{"CROSSFADE_ADMIN_TOKEN", "a"}, {"CROSSFADE_READ_TOKEN", "r"}});
  REQUIRE(config.tokens.size() == 3);
  CHECK(config.tokens[0].name == "ops");
  REQUIRE(find_token(config.tokens, "a") != nullptr);
  CHECK(find_token(config.tokens, "a")->role == Role::Admin);
  CHECK(find_token(config.tokens, "r")->role == Role::Read);
}

TEST_CASE(
    "config: a file of secrets adds tokens and endpoints, before the interlays that stand in front "
    "of them, and may have nothing else") {
  TempFolder folder;
  const std::string secrets = folder.file("secrets.json");
  std::ofstream(secrets) << R"({"tokens":[{"name":"ops","role":"admin","sha256":")" + kDigest +
                                R"("}],"endpoints":[{"id":"e","kind":"redis",
                                "config":{"host":"h","password":"p"}}]})";
  const std::string path = write_config(folder, R"({
      "tokens":[{"name":"watch","role":"read","sha256":")" +
                                                    std::string(64, 'b') + R"("}],
      "endpoints":[{"id":"f","kind":"redis","config":{"host":"h"}}],
      "interlays":[{"id":"i","endpoint":"e","port":7}]})");
  const ProcessConfig config = load({{"config", path}, {"secrets", secrets}});
  CHECK(config.secrets_path == secrets);
  CHECK(config.tokens.size() == 2);
  CHECK(config.declared.endpoints.size() == 2);
  CHECK(config.declared.interlays.size() == 1);
  CHECK(load({{"config", path}}, {{"CROSSFADE_SECRETS", secrets}}).tokens.size() == 2);
  CHECK(refusal({{"config", path}}) ==
        path + ": interlays[0].endpoint: 'e' is not an endpoint declared in this file");

  // What stands in both files, or has no place in this one, is refused with the file's name.
  CHECK(refusal({{"config", secrets}, {"secrets", secrets}}) ==
        secrets + ": tokens[0].name: 'ops' is declared twice");
  CHECK(refusal({{"secrets", path}}) == path + ": interlays: is not a known field");
  CHECK(refusal({{"secrets", folder.file("none.json")}}) != "accepted");
}

TEST_CASE("config: what becomes of calls without a right token is set in the file") {
  ProcessConfig config;
  CHECK(config.limits.token_failures_max == 20);
  CHECK(config.limits.failing_peers_max == 4096);
  REQUIRE(read_config_document(*parse_json(R"({"control":{"token_failures_max":1,
      "token_failures_per_minute":2,"failing_peers_max":3,"refusals_logged_per_minute":4}})"),
                               config)
              .ok());
  CHECK(config.limits.token_failures_max == 1);
  CHECK(config.limits.token_failures_per_minute == 2);
  CHECK(config.limits.failing_peers_max == 3);
  CHECK(config.limits.refusals_logged_per_minute == 4);
}

TEST_CASE("config: limits of the file are the defaults of every interlay") {
  ProcessConfig config;
  REQUIRE(
      read_config_document(
          *parse_json(
              R"({"limits":{"pipeline_max":5,"drain_ms":7,"ledger_max":8,"evictions_ms":900,"clients_max":9}})"),
          config)
          .ok());
  CHECK(config.interlay_defaults.pipeline_max == 5);
  CHECK(config.interlay_defaults.clients_max == 9);
  CHECK(config.interlay_defaults.reorder_max == InterlaySettings{}.reorder_max);
  CHECK(config.drain_ms == 7);
  CHECK(config.ledger_max == 8);
  CHECK(config.evictions_ms == 900);
}

TEST_CASE(
    "config: the comparison of replies is set in the file, what is left out keeps its default") {
  ProcessConfig config;
  REQUIRE(read_config_document(*parse_json(R"({"comparison":{"compare_queue_max":5,
      "compare_reply_max":64,"compare_kept_max":99,"compare_pause_ms":0,
      "compare_timeout_ms":7,"compare_again_max":2048,
      "mismatch_samples_max":0,"redact_values":false}})"),
                               config)
              .ok());
  CHECK(config.compare == CompareSettings{5, 64, 99, 0, 7, 2048, 0, false});
  ProcessConfig other;
  REQUIRE(
      read_config_document(*parse_json(R"({"comparison":{"compare_pause_ms":1}})"), other).ok());
  CompareSettings expected;
  expected.compare_pause_ms = 1;
  CHECK(other.compare == expected);
  CHECK(other.compare.redact_values);
}

}  // namespace crossfade
