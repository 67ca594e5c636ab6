// The program: reads the command line, wires control, data plane and movement by hand, waits for
// signals; or is the client of another one (client/commands.h).
//
// Exit codes of `serve` and `check`: 0 after a drain, or a configuration that `check` finds good; 1
// when something could not be opened; 2 for a bad command line or configuration, or a state file
// that this version can not read.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "client/commands.h"
#include "control/config.h"
#include "control/control_plane.h"
#include "control/definitions/tls.h"
#include "control/log.h"
#include "control/service/certificates.h"
#include "control/service/declared.h"
#include "control/service/mismatch_list.h"
#include "control/settings.h"
#include "control/state.h"
#include "movement/auth_worker.h"
#include "movement/compare_worker.h"
#include "movement/postgres_catalog.h"
#include "movement/postgres_probe.h"
#include "movement/redis_probe.h"
#include "movement/redis_verify.h"
#include "movement/repair_worker.h"
#include "movement/restart_watch.h"
#include "proxy/data_plane.h"

namespace {

using crossfade::ControlPlane;
using crossfade::Errc;
using crossfade::Error;
using crossfade::EventLoops;
using crossfade::FlagValues;
using crossfade::ProcessConfig;

constexpr int kBadConfig = 2;

int fail(const Error& error) {
  crossfade::flush_log();  // its lines came before
  std::fprintf(stderr, "crossfade: %s\n", error.message().c_str());
  return error.code == Errc::BadConfig || error.code == Errc::BadInput ? kBadConfig : 1;
}

// What a daemoniser has closed would be the next thing's that is opened, and the log written to it.
void fill_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) == -1) (void)open("/dev/null", O_RDWR);  // the lowest free one
  }
}

// Two descriptors a session and more while it moves: as many as the system lets us have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The data plane for control: with what the comparison made of its mismatches.
crossfade::DataPlane counting(crossfade::DataPlane plane, const crossfade::MismatchDoor& results) {
  plane.telemetry = [read = std::move(plane.telemetry), counts = results.counts] {
    crossfade::Telemetry telemetry = read();
    for (crossfade::InterlayTraffic& one : telemetry.interlays) one.mismatches = counts(one.id);
    return telemetry;
  };
  return plane;
}

crossfade::Verifier verifier(EventLoops& loops) {
  return {.redis = [&loops](const crossfade::EndpointAddress& old_side,
                            const crossfade::EndpointAddress& new_side, const auto& found,
                            const auto& progress, std::stop_token stop) {
    crossfade::VerifyJob job;
    job.old_side = old_side;
    job.new_side = new_side;
    job.expires = [&](std::int32_t db, const std::string& key, std::uint64_t at_ms) {
      return loops.see_expiry(old_side, new_side, db, key, at_ms);
    };
    return crossfade::verify_redis(job, found, progress, std::move(stop));
  }};
}

// Closes every port, gives running requests their time, and returns.
void drain(ControlPlane& control, const crossfade::DataPlane& data_plane, std::uint32_t drain_ms) {
  control.drain();
  std::vector<std::thread> closing;
  for (const auto& interlay : data_plane.telemetry().interlays) {
    closing.emplace_back(
        [&data_plane, id = interlay.id, drain_ms] { data_plane.unlisten(id, drain_ms); });
  }
  for (std::thread& one : closing) one.join();
}

int serve(const FlagValues& flags) {
  fill_standard_descriptors();
  auto config = crossfade::load_process_config(flags, crossfade::process_environment());
  if (!config) return fail(config.error());
  config->version = CROSSFADE_VERSION;
  const std::uint32_t drain_ms = config->drain_ms;
  const crossfade::WatchLimits watch_limits{.evictions_ms = config->evictions_ms};
  crossfade::begin_log(config->log_level, config->log_format);
  raise_descriptor_limit();

  // Every thread made from here on leaves these to sigwait() below.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file size is then what a full disk is: an error

  const crossfade::CompareSettings compare = config->compare;
  crossfade::CompareWorker comparison(compare);
  comparison.start();
  EventLoops loops(config->loops, {.door = comparison.door(), .limits = compare});
  if (auto started = loops.start(); !started) return fail(started.error());
  const crossfade::DataPlane data_plane = counting(loops.data_plane(), comparison.results());
  ControlPlane control(std::move(*config), data_plane,
                       {.redis = crossfade::probe_redis,
                        .redis_writes = crossfade::ask_for_writes,
                        .postgres = crossfade::probe_postgres,
                        .survey = crossfade::survey_postgres,
                        .catalog = crossfade::read_postgres_catalog,
                        .describe = crossfade::describe_postgres},
                       verifier(loops));
  control.show_mismatches([&comparison](const std::string& migration) {
    return crossfade::render(comparison.samples(migration));
  });
  loops.set_ledger(control.ledger_door());
  loops.set_catalog(control.catalog_door());
  crossfade::AuthWorker auth;
  auth.start();
  loops.set_auth_door(auth.door());
  control.set_auth_door(auth.door());
  if (auto started = control.start(); !started) return fail(started.error());
  crossfade::RepairDoors doors = control.repair_doors();
  loops.open_doors(doors);
  crossfade::RepairWorker repair(std::move(doors));
  repair.start();
  crossfade::RestartWatch watch(control.watch_doors(), watch_limits);
  watch.start();

  std::printf("crossfade ready control=%s\n", control.address().c_str());
  std::fflush(stdout);

  for (int signal = 0; sigwait(&signals, &signal) == 0;) {
    if (signal != SIGHUP) break;
    if (auto reloaded = control.reload(); !reloaded) {
      spdlog::error("configuration not reloaded, the former one stays: {}",
                    reloaded.error().message());
    }
  }
  spdlog::info("draining: running requests have {} ms", drain_ms);
  drain(control, data_plane, drain_ms);
  repair.stop();
  watch.stop();
  control.stop();
  auth.stop();
  loops.stop();
  comparison.stop();
  spdlog::info("stopped");
  return 0;
}

int check(const FlagValues& flags) {
  const auto config = crossfade::load_process_config(flags, crossfade::process_environment());
  if (!config) {
    fail(config.error());
    return kBadConfig;  // whatever the reason: nobody could serve with it
  }
  crossfade::State nothing_stored;
  if (const auto taken = crossfade::reconcile(nothing_stored, config->declared); !taken) {
    return fail(taken.error());
  }
  if (const auto loaded = crossfade::load_certificates({}, nothing_stored, config->declared);
      !loaded) {
    return fail(loaded.error());
  }
  if (const auto loaded = crossfade::load_tls(config->control_tls, "control.tls"); !loaded) {
    return fail(loaded.error());
  }
  std::printf("configuration is valid: %zu endpoints, %zu interlays, %zu tokens\n",
              config->declared.endpoints.size(), config->declared.interlays.size(),
              config->tokens.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"crossfade: moves live Redis and PostgreSQL traffic from an old server to a new one",
               "crossfade"};
  app.set_version_flag("--version", CROSSFADE_VERSION);
  app.require_subcommand(1);
  CLI::App* serve_command = app.add_subcommand("serve", "run the sidecar until SIGTERM");
  CLI::App* check_command =
      app.add_subcommand("check", "validate the configuration and exit: 0 good, 2 bad");
  std::map<std::string, std::string> given;
  for (const crossfade::Setting& setting : crossfade::settings()) {
    if (*setting.flag == '\0') continue;
    for (CLI::App* command : {serve_command, check_command}) {
      command->add_option_function<std::string>(
          setting.flag,
          [&given, name = setting.name](const std::string& value) { given[name] = value; },
          crossfade::help_of(setting));
    }
  }
  crossfade::ClientCommands client(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    // That a command is missing is said before what there is instead of one.
    const std::vector<std::string> words = app.remaining(true);
    if (words.empty()) {
      app.exit(error);
    } else {
      std::fprintf(stderr, "crossfade: '%s' is no %s here; see --help\n", words[0].c_str(),
                   words[0].starts_with('-') ? "option" : "command");
    }
    return kBadConfig;
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return kBadConfig;
    return crossfade::written(0);  // what --help and --version say
  }
  if (client.asked()) return client.run();
  return serve_command->parsed() ? serve(given) : check(given);
}
