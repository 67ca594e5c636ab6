// Which verbs there are, and what each sends and prints.
#include "client/commands.h"

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "client/api_client.h"
#include "client/completion.h"
#include "client/journal.h"
#include "client/members.h"
#include "client/text_table.h"
#include "client/watch.h"
#include "control/definitions/url.h"
#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

enum ExitCode : int { kDone = 0, kRefused = 1, kBadInput = 2, kNotReached = 3, kAnswerIsNo = 4 };

constexpr std::array kEndpointColumns = {Column{"ID", "id"},
                                         Column{"KIND", "kind"},
                                         Column{"UP", "health.up"},
                                         Column{"VERSION", "health.version"},
                                         Column{"ADDRESS", "config.host,config.port"},
                                         Column{"DESCRIPTION", "description"}};
constexpr std::array kInterlayColumns = {Column{"ID", "id"},
                                         Column{"LISTENS ON", "bind,port"},
                                         Column{"RUNNING", "running"},
                                         Column{"ENDPOINT", "endpoint"},
                                         Column{"MIGRATION", "migration"},
                                         Column{"DESCRIPTION", "description"}};
constexpr std::array kTemplateColumns = {Column{"ID", "id"}, Column{"KIND", "kind"},
                                         Column{"ENDPOINT", "endpoint"}, Column{"QUERY", "query"}};
constexpr std::array kApiColumns = {Column{"ID", "id"}, Column{"MIGRATION", "migration"},
                                    Column{"DESCRIPTION", "description"}};
constexpr std::array kMigrationColumns = {
    Column{"ID", "id"}, Column{"STATUS", "status"}, Column{"STRATEGY", "strategy.type"},
    Column{"UPDATED", "updated_at"}, Column{"DESCRIPTION", "description"}};
constexpr std::array kCheckColumns = {Column{"OK", "ok"}, Column{"CHECK", "name"},
                                      Column{"INTERLAY", "interlay"}, Column{"DETAIL", "detail"}};
constexpr std::array kEventColumns = {Column{"SEQ", "seq"},     Column{"AT", "at"},
                                      Column{"ACTOR", "actor"}, Column{"FROM", "from"},
                                      Column{"TO", "to"},       Column{"REASON", "reason"}};

struct Resource {
  const char* name;  // "migrations", of the path and of the command
  const char* help;
  std::span<const Column> columns;
};

const std::array kResources = {
    Resource{"endpoints", "databases that somebody else runs", kEndpointColumns},
    Resource{"interlays", "data ports of the sidecar", kInterlayColumns},
    Resource{"templates", "parameterised operations", kTemplateColumns},
    Resource{"apis", "named classes of traffic", kApiColumns},
    Resource{"migrations", "moves of traffic from old to new", kMigrationColumns},
};

// A verb that is one POST without a body.
struct Verb {
  const char* name;
  const char* help;
  const char* in_spite = nullptr;  // of what --force goes on; null: it takes none
};
constexpr std::array kInterlayVerbs = {Verb{"start", "listen"}, Verb{"stop", "listen no more"}};
constexpr std::array kMigrationVerbs = {
    Verb{"complete", "end it; traffic stays on new",
         "although transactions are open on old, or new may lack writes"},
    Verb{"pause", "hold it where it is; routing stays"},
    Verb{"resume", "go on with a paused one"},
    Verb{"rollback", "take all its traffic back to old"},
    Verb{"cancel", "give it up; of one that has started, roll back"},
    Verb{"verify", "compare both sides whole",
         "although many keys would be deleted, or others write there, too"},
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// In a sidecar's own environment (kubectl exec) its own control port is meant.
std::string default_server() {
  if (std::string url = environment("CROSSFADE_SERVER"); !url.empty()) return url;
  std::string control = environment("CROSSFADE_CONTROL");
  if (control.empty()) return SidecarAddress{}.url;
  for (const std::string any : {"0.0.0.0:", "[::]:"}) {
    if (control.compare(0, any.size(), any) == 0) {
      control = (any[0] == '[' ? "[::1]:" : "127.0.0.1:") + control.substr(any.size());
    }
  }
  return "http://" + control;
}

std::string default_token() {
  for (const char* name : {"CROSSFADE_TOKEN", "CROSSFADE_ADMIN_TOKEN", "CROSSFADE_READ_TOKEN"}) {
    if (std::string token = environment(name); !token.empty()) return token;
  }
  return "";
}

Result<std::string> read_whole(const std::string& path) {
  if (path == "-") {
    std::ostringstream text;
    std::string line;
    while (std::getline(std::cin, line)) text << line << '\n';
    return text.str();
  }
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Errc::BadInput, path, "cannot be read"};
  return text.str();
}

int fail(const Error& error) {
  std::fprintf(stderr, "crossfade: %s\n", error.message().c_str());
  if (error.code == Errc::Unavailable) return kNotReached;
  return error.code == Errc::Conflict ? kRefused : kBadInput;
}

int fail(const ApiAnswer& answer) {
  std::fprintf(stderr, "crossfade: %s\n", answer.message().c_str());
  return answer.status >= 500 ? kNotReached : kRefused;
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string with_query(std::string path, const std::vector<std::string>& terms) {
  char separator = '?';
  for (const std::string& term : terms) {
    path += separator;
    path += term;
    separator = '&';
  }
  return path;
}

}  // namespace

struct ClientCommands::Parts {
  explicit Parts(CLI::App& program) : app(program) {}

  void add_resource(const Resource& resource);
  void add_interlay_verbs(CLI::App& of);
  void add_migration_verbs(CLI::App& of);
  void add_starting_verbs(CLI::App& of);
  void add_looking_verbs(CLI::App& of);
  void add_attaching_verbs(CLI::App& of);
  void add_completion();

  // A verb with the options that all have. `then` runs behind the parsing.
  CLI::App* add_verb(CLI::App& of, const char* name, const char* help, std::function<int()> then);
  // Likewise of one resource, whose name is its first word.
  CLI::App* add_verb_of_one(CLI::App& of, const char* name, const char* help,
                            std::function<int()> then);
  void take_body(CLI::App& verb);

  Result<ApiClient> open();
  // The body that the words from `first` on, and the file, give.
  Result<Json> body_of(std::size_t first) const;
  // Calls and hands a success to `show`, or prints why not.
  //   etag  is told that of the answer, before it is shown
  template <class Show>
  int call(const ApiCall& what, const Show& show, std::string* etag = nullptr);
  int call_and_print(const ApiCall& what);
  std::vector<std::string> asked() const;  // terms of a query, by the flags
  int get(const char* resource);
  int create(const char* resource);
  int list(const Resource& resource);
  int events();
  int divergence();
  std::string path(const char* resource, const std::string& behind = "") const {
    return "/" + std::string(resource) + "/" + percent_encode(id) + behind;
  }
  int print_data(const Json& data, const std::string& text) const {
    print(json ? to_text(data) + "\n" : text);
    return kDone;
  }

  CLI::App& app;
  std::function<int()> chosen;
  std::map<const CLI::App*, std::vector<Place>> places;  // what words may stand behind verbs

  std::string server = default_server();
  std::string token_file;
  std::string ca_file;
  std::uint32_t timeout_s = SidecarAddress{}.timeout_s;
  bool json = false;
  bool verbose = false;
  bool ids = false;
  bool force = false;
  bool unchecked = false;
  bool wait = false;
  std::string id;
  std::string other;  // a second resource: the interlay or api that is added
  std::string endpoint;
  std::string shell;
  std::string file;
  std::string if_match;
  std::vector<std::string> words;
  std::uint64_t after = 0;
  const CLI::Option* behind_seq = nullptr;
  std::uint32_t limit = 100;
  WatchOptions watching;
};

Result<ApiClient> ClientCommands::Parts::open() {
  SidecarAddress address{
      .url = server, .token = default_token(), .ca_file = ca_file, .timeout_s = timeout_s};
  if (!token_file.empty()) {
    auto text = read_whole(token_file);
    if (!text) return text.error();
    address.token = text->substr(0, text->find_first_of("\r\n"));
  }
  return ApiClient::open(address);
}

template <class Show>
int ClientCommands::Parts::call(const ApiCall& what, const Show& show, std::string* etag) {
  auto client = open();
  if (!client) return fail(client.error());
  const auto answer = client->call(what);
  if (!answer) return fail(answer.error());
  if (!answer.value().succeeded()) return fail(answer.value());
  if (etag != nullptr) *etag = answer.value().etag;
  static const Json nothing;
  const Json* data = answer.value().data();
  return show(data == nullptr ? nothing : *data);
}

int ClientCommands::Parts::call_and_print(const ApiCall& what) {
  return call(what, [this](const Json& data) {
    return print_data(data, data.members() == nullptr ? plain(&data) + "\n" : details_of(data));
  });
}

Result<Json> ClientCommands::Parts::body_of(std::size_t first) const {
  Json body = Json::object({});
  if (!file.empty()) {
    const auto text = read_whole(file);
    if (!text) return text.error();
    auto parsed = parse_json(text.value());
    if (!parsed) return Error{Errc::BadInput, file, parsed.error().message()};
    if (parsed->members() == nullptr) return Error{Errc::BadInput, file, "expected a JSON object"};
    body = std::move(*parsed);
  }
  if (const Status set = set_members(std::span(words).subspan(first), body); !set) {
    return set.error();
  }
  return body;
}

int ClientCommands::Parts::create(const char* resource) {
  const bool named = !words.empty() && !gives_member(words[0]);
  auto body = body_of(named ? 1 : 0);
  if (!body) return fail(body.error());
  if (named) body->set("id", words[0]);
  return call_and_print(
      {.method = "POST", .path = with_query("/" + std::string(resource), asked()), .body = *body});
}

std::vector<std::string> ClientCommands::Parts::asked() const {
  std::vector<std::string> query;
  if (force) query.emplace_back("force=true");
  if (unchecked) query.emplace_back("check=false");
  return query;
}

int ClientCommands::Parts::get(const char* resource) {
  std::string etag;
  const auto show = [&](const Json& data) {
    Json all = data;
    all.set("etag", etag);
    return print_data(all, details_of(all));
  };
  return call({.method = "GET", .path = path(resource)}, show, &etag);
}

int ClientCommands::Parts::list(const Resource& resource) {
  std::vector<std::string> query;
  if (verbose) query.emplace_back("verbose=true");
  const std::string at = with_query("/" + std::string(resource.name), query);
  return call({.method = "GET", .path = at}, [&](const Json& data) {
    if (!ids) return print_data(data, table_of(resource.columns, data));
    std::string text;
    for (const Json& one : data.elements() == nullptr ? Json::Array() : *data.elements()) {
      text += plain(one.find("id")) + "\n";
    }
    print(text);
    return int{kDone};
  });
}

int ClientCommands::Parts::events() {
  auto client = open();
  if (!client) return fail(client.error());
  const bool newest = behind_seq->count() == 0;
  std::deque<Json> lines;
  std::size_t older = 0;
  const auto answer = read_journal(*client, path("migrations"), after, [&](const Json& event) {
    if (!newest && lines.size() >= limit) return false;
    lines.push_back(event);
    if (lines.size() <= limit) return true;
    lines.pop_front();
    ++older;
    return true;
  });
  if (!answer) return fail(answer.error());
  if (!answer.value().succeeded()) return fail(answer.value());
  Json data = Json::array();
  for (Json& line : lines) data.push(std::move(line));
  print_data(data, table_of(kEventColumns, data));
  if (older > 0) {
    std::fprintf(stderr, "crossfade: and %zu older lines: --limit more, or --after 0\n", older);
  }
  return kDone;
}

int ClientCommands::Parts::divergence() {
  std::vector<std::string> query{"limit=" + std::to_string(limit)};
  if (after > 0) query.push_back("cursor=" + std::to_string(after));
  return call_and_print(
      {.method = "GET", .path = with_query(path("migrations", "/divergence"), query)});
}

CLI::App* ClientCommands::Parts::add_verb(CLI::App& of, const char* name, const char* help,
                                          std::function<int()> then) {
  CLI::App* verb = of.add_subcommand(name, help);
  verb->add_option("--server", server,
                   "http[s]://HOST:PORT of a sidecar's control port [CROSSFADE_SERVER; or "
                   "CROSSFADE_CONTROL, as the sidecar's own]")
      ->capture_default_str();
  verb->add_option("--token-file", token_file,
                   "file with the Bearer token; - is the standard input [or CROSSFADE_TOKEN, "
                   "CROSSFADE_ADMIN_TOKEN, CROSSFADE_READ_TOKEN]");
  verb->add_option("--ca-cert", ca_file, "file with who signed the certificate of an https server");
  verb->add_option("--timeout", timeout_s, "seconds to wait for an answer")
      ->capture_default_str()
      ->check(CLI::Range(1, 86400));
  verb->add_flag("--json", json, "print the answer's data as one line of JSON");
  verb->callback([this, then = std::move(then)] { chosen = then; });
  return verb;
}

CLI::App* ClientCommands::Parts::add_verb_of_one(CLI::App& of, const char* name, const char* help,
                                                 std::function<int()> then) {
  CLI::App* verb = add_verb(of, name, help, std::move(then));
  verb->add_option("id", id, "id or uuid")->required()->check([](const std::string& word) {
    return word.empty() ? "it is empty" : "";
  });
  places[verb] = {{.ids = of.get_name()}};
  return verb;
}

void ClientCommands::Parts::take_body(CLI::App& verb) {
  verb.add_option("-f,--file", file, "JSON file to begin with; - is the standard input");
}

void ClientCommands::Parts::add_resource(const Resource& resource) {
  CLI::App& of = *app.add_subcommand(resource.name, resource.help);
  of.require_subcommand(1);
  const char* name = resource.name;
  CLI::App* listing =
      add_verb(of, "list", "all of them, as a table", [this, &resource] { return list(resource); });
  listing->add_flag("--ids", ids, "ids only, one in each line");
  listing->add_flag("--verbose", verbose, "all that is known of each (with --json)");
  add_verb_of_one(of, "get", "one of them, with all its members, and its ETag as etag",
                  [this, name] { return get(name); });
  CLI::App* creating = add_verb(of, "create", "make one", [this, name] { return create(name); });
  creating->add_option("words", words,
                       "ID, then NAME=TEXT or NAME:=JSON; a.b=TEXT sets b within a");
  take_body(*creating);
  CLI::App* setting = add_verb_of_one(of, "set", "change members of one", [this, name] {
    const auto body = body_of(0);
    if (!body) return fail(body.error());
    return call_and_print({.method = "PATCH",
                           .path = with_query(path(name), asked()),
                           .body = body.value(),
                           .if_match = if_match});
  });
  setting->add_option("words", words, "NAME=TEXT or NAME:=JSON; a.b=TEXT sets b within a");
  setting->add_option("--if-match", if_match, "only when it is still the one with this ETag");
  setting->add_flag("--force", force, "although a check finds fault");
  if (std::string_view(name) == "endpoints" || std::string_view(name) == "interlays") {
    for (CLI::App* verb : {creating, setting}) {
      verb->add_flag("--no-check", unchecked, "the server is not asked");
    }
  }
  take_body(*setting);
  add_verb_of_one(of, "delete", "remove one", [this, name] {
    return call_and_print({.method = "DELETE", .path = path(name), .if_match = if_match});
  })->add_option("--if-match", if_match, "only when it is still the one with this ETag");
  if (std::string_view(name) == "interlays") add_interlay_verbs(of);
  if (std::string_view(name) == "migrations") add_migration_verbs(of);
}

void ClientCommands::Parts::add_interlay_verbs(CLI::App& of) {
  for (const Verb& verb : kInterlayVerbs) {
    add_verb_of_one(of, verb.name, verb.help, [this, name = verb.name] {
      return call_and_print({.method = "POST", .path = path("interlays", "/" + std::string(name))});
    });
  }
}

void ClientCommands::Parts::add_migration_verbs(CLI::App& of) {
  add_attaching_verbs(of);
  add_starting_verbs(of);
  for (const Verb& verb : kMigrationVerbs) {
    CLI::App* added = add_verb_of_one(of, verb.name, verb.help, [this, name = verb.name] {
      return call_and_print(
          {.method = "POST",
           .path = with_query(path("migrations", "/" + std::string(name)), asked())});
    });
    if (verb.in_spite != nullptr) added->add_flag("--force", force, verb.in_spite);
  }
  add_looking_verbs(of);
}

void ClientCommands::Parts::add_attaching_verbs(CLI::App& of) {
  CLI::App* interlay =
      add_verb_of_one(of, "add-interlay", "let it move an interlay to an endpoint", [this] {
        return call_and_print({.method = "POST",
                               .path = path("migrations", "/interlay/" + percent_encode(other)),
                               .body = Json::object({{"endpoint", endpoint}})});
      });
  interlay->add_option("interlay", other, "id or uuid of the interlay")->required();
  interlay->add_option("endpoint", endpoint, "id or uuid of the new side")->required();
  CLI::App* api = add_verb_of_one(of, "add-api", "let it move the requests of an api", [this] {
    auto body = body_of(0);
    if (!body) return fail(body.error());
    body->set("id", other);
    return call_and_print({.method = "POST",
                           .path = path("migrations", "/api/" + percent_encode(other)),
                           .body = *body});
  });
  places[interlay].insert(places[interlay].end(), {{.ids = "interlays"}, {.ids = "endpoints"}});
  places[api].push_back({.ids = "apis"});
  api->add_option("api", other, "id or uuid of the api")->required();
  api->add_option("words", words, "bindings:=JSON");
  take_body(*api);
  add_verb_of_one(of, "remove-apis", "take all apis out; its interlays go on as a whole", [this] {
    return call_and_print(
        {.method = "DELETE", .path = with_query(path("migrations", "/api"), asked())});
  })->add_flag("--force", force, "although new lacks what old has of what is in no api");
}

void ClientCommands::Parts::add_starting_verbs(CLI::App& of) {
  add_verb_of_one(of, "test", "look whether it may start; changes nothing", [this] {
    return call({.method = "POST", .path = path("migrations", "/test")}, [this](const Json& data) {
      const Json* checks = data.find("checks");
      print_data(data, (checks == nullptr ? "" : table_of(kCheckColumns, *checks)) +
                           "valid: " + plain(data.find("valid")) + "\n");
      const Json* valid = data.find("valid");
      return int{valid != nullptr && *valid == Json(true) ? kDone : kAnswerIsNo};
    });
  });
  CLI::App* starting = add_verb_of_one(of, "migrate", "start it", [this] {
    std::vector<std::string> query;
    if (force) query.emplace_back("force=true");
    if (wait) query.emplace_back("wait=true");
    return call_and_print(
        {.method = "POST", .path = with_query(path("migrations", "/migrate"), query)});
  });
  starting->add_flag("--force", force, "although its test finds fault");
  starting->add_flag("--wait", wait, "until its data has moved, too");
}

void ClientCommands::Parts::add_looking_verbs(CLI::App& of) {
  add_verb_of_one(of, "status", "how far it is", [this] {
    return call_and_print({.method = "GET", .path = path("migrations", "/status")});
  });
  CLI::App* journal =
      add_verb_of_one(of, "events", "its journal: the newest lines", [this] { return events(); });
  behind_seq = journal->add_option("--after", after, "the lines right behind this SEQ instead");
  journal->add_option("--limit", limit, "at most so many")->capture_default_str();
  CLI::App* differing = add_verb_of_one(of, "divergence", "where both sides may differ",
                                        [this] { return divergence(); });
  differing->add_option("--cursor", after, "only those behind this entry");
  differing->add_option("--limit", limit, "at most so many")->capture_default_str();
  CLI::App* watching_verb = add_verb_of_one(
      of, "watch", "follow it until it has ended, with what it writes in its journal", [this] {
        auto client = open();
        if (!client) return fail(client.error());
        watching.json = json;
        watching.patience_s = timeout_s;
        const auto ending = watch_migration(*client, id, watching);
        if (!ending) return fail(ending.error());
        return int{ending.value() == Ending::Good ? kDone : kAnswerIsNo};
      });
  watching_verb->add_option("--interval", watching.interval_s, "seconds between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.05, 3600.0));
}

void ClientCommands::Parts::add_completion() {
  CLI::App* verb = app.add_subcommand("completion", "print a script that completes command lines");
  const std::vector<std::string> shells{"bash", "zsh", "fish"};
  verb->add_option("shell", shell, "bash, zsh or fish")->required()->check(CLI::IsMember(shells));
  places[verb] = {{.words = shells}};
  verb->callback([this] {
    chosen = [this] {
      const auto words_of = [this](const auto& self, const CLI::App& of) -> CommandWords {
        CommandWords found{.name = of.get_name(), .help = of.get_description()};
        for (const CLI::Option* option : of.get_options()) {
          for (const std::string& name : option->get_lnames()) {
            found.flags.push_back("--" + name);
            if (option->get_items_expected_max() > 0) found.valued.push_back("--" + name);
          }
        }
        for (const CLI::App* below : of.get_subcommands({})) {
          found.commands.push_back(self(self, *below));
        }
        if (const auto at = places.find(&of); at != places.end()) found.places = at->second;
        return found;
      };
      print(completion_script(words_of(words_of, app), shell).value_or(""));
      return int{kDone};
    };
  });
}

ClientCommands::ClientCommands(CLI::App& app) : parts_(std::make_unique<Parts>(app)) {
  for (const Resource& resource : kResources) parts_->add_resource(resource);
  parts_->add_completion();
}

ClientCommands::~ClientCommands() = default;

bool ClientCommands::asked() const { return parts_->chosen != nullptr; }

int ClientCommands::run() { return written(parts_->chosen()); }

int written(int code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "crossfade: the answer cannot be written to the standard output\n");
  return code == kDone ? int{kNotReached} : code;
}

}  // namespace crossfade
