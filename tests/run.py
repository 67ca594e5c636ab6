# Runs suites one after another and closes with one line over all of them: "N passed, N failed".
#
#   tests/run.py SUITE ...     tidy | unit | integration | deploy | asan | tsan | fuzz
#
# A suite is a command of its own with a closing line of its own; this file adds them up and is strict about
# what such a line could hide: an exit code that disagrees, no test at all, a sanitizer's report, and
# processes left running all count as failures. It builds what the sanitizer and fuzz suites need.
import concurrent.futures
import ctypes
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PYTHON = "/usr/bin/python3"
SUITE_LIMIT_S = 1800
IMAGE_LIMIT_S = 4000  # it is built from nothing, without a cache
FUZZERS_AT_ONCE = 2  # each takes a core
FUZZ_RUN_S = int(os.environ.get("CROSSFADE_FUZZ_SECONDS", "20"))

PLAIN_LINE = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
DOCTEST_LINE = re.compile(r"\[doctest\] test cases: +\d+ \| +(\d+) passed \| +(\d+) failed")


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def replace(self, other):
        self.passed, self.failed, self.skipped = other.passed, other.failed, other.skipped


def become_subreaper():
    """Orphans of a suite become our children, so that what it leaves running is seen."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    text = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split()]


def end_leftovers():
    """Ends what a suite left running; returns how many processes that were."""
    count = 0
    deadline = time.monotonic() + 3  # a program that is just ending is no leftover
    while children():
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            break
        if time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        for pid in children():
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            print(f"left running: {command}", flush=True)
            os.kill(pid, signal.SIGKILL)
            count += 1
        deadline = time.monotonic() + 3
    return count


def run(command, env=None, limit_s=SUITE_LIMIT_S, count_line=PLAIN_LINE):
    """Runs one command, passes its output on, and returns its Tally.

    The last plain line counts; with DOCTEST_LINE all lines are added, one program each.
    """
    tally = Tally()

    def read_on():
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            print(line, flush=True)
            match = count_line.search(line)
            if match:
                found = Tally(*(int(number or 0) for number in match.groups()))
                tally.add(found) if count_line is DOCTEST_LINE else tally.replace(found)

    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: not done within {limit_s} s", flush=True)
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    leftovers = end_leftovers()  # before the join: they may hold the pipe open
    reader.join()
    if code != 0 and tally.failed == 0:
        print(f"{command[0]}: exit code {code}, though it reports no failure", flush=True)
        tally.failed += 1
    if tally.passed + tally.failed == 0:
        print(f"{command[0]}: ran no test", flush=True)
        tally.failed += 1
    tally.failed += leftovers
    return tally


def build(preset, configured=None):
    for command in (["cmake", "--preset", configured or preset], ["cmake", "--build", "--preset", preset]):
        subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL if "--build" not in command else None)


def unit(preset="release", env=None):
    # They wait more than they compute.
    return run(["ctest", "--test-dir", str(BUILD / preset), "--verbose", "--parallel", "3"], env,
               count_line=DOCTEST_LINE)


def integration(preset="release", env=None, without=()):
    # Likewise, but for those that run alone.
    return run([PYTHON, "tests/integration/run.py", "--jobs", "5", "--without", ",".join(without)],
               {"CROSSFADE_BIN": str(BUILD / preset / "crossfade"), **(env or {})})


def deploy():
    """deploy/: manifests, the image, and the container that they describe."""
    return run([PYTHON, "tests/integration/run.py", "--folders", "deploy"],
               limit_s=IMAGE_LIMIT_S if os.environ.get("CROSSFADE_IMAGE") == "1" else SUITE_LIMIT_S)


# One client after the other, one event loop: threads have nothing to race for that other files do not
# give them. ASan runs these, too.
ONE_AT_A_TIME = ("clients/", "difference_test", "random_sessions", "interleaving", "scram", "digest",
                 "sql_catalog", "conversations", "harness_test", "readme", "repository", "commits_test",
                 "difference_tls", "pg_addresses", "pg_dual_cancel", "pg_dual_corners", "pg_dual_keys",
                 "pg_identity", "pg_login", "pg_new_only", "pg_portals", "pg_sided_reads", "server_pairs",
                 "access", "apis_test", "client_test", "durability", "logging", "metrics_page", "mission",
                 "openapi", "pg_dual_ours", "pg_redefined", "pg_statements", "write_modes",
                 "integration/big_data", "integration/sick_side", "stalled_side")
# What they add is load on many threads, which TSan runs, or one more client program, whose bytes other
# files send, too: ASan would see nothing new in minutes of CPU.
LOADS = ("timed_test", "equality_test", "pg_mix_test", "strategies_test", "clients/redis_cli",
         "clients/node_test")


def sanitized(preset, without=()):
    """Unit and integration tests with sanitizers; every report file is one failure."""
    build(preset)
    reports = BUILD / preset / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    log = f"log_path={reports}/report"
    env = {
        "ASAN_OPTIONS": f"{log}:detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": f"{log}:print_stacktrace=1:suppressions={ROOT / 'tests/ubsan.supp'}",
        "TSAN_OPTIONS": f"{log}:second_deadlock_stack=1:history_size=4",
        "CROSSFADE_TEST_SLOWNESS": "4",
    }
    tally = unit(preset, env)
    tally.add(integration(preset, env, without))
    for report in sorted(reports.iterdir()):
        print(f"--- {report.name}\n{report.read_text(errors='replace')[:6000]}", flush=True)
        tally.failed += 1
    return tally


def fuzz():
    """Every fuzz target for a short while over its seeds; a crash is one failure and stays in build/fuzz.

    The targets are built of what ASan's tests are built of."""
    build("fuzz", configured="asan")
    tally = Tally()
    names = [source.stem for source in sorted((ROOT / "tests/fuzz").glob("*_fuzz.cc"))]
    with concurrent.futures.ThreadPoolExecutor(FUZZERS_AT_ONCE) as pool:
        for name, result in zip(names, pool.map(run_fuzzer, names)):
            lines = result.stderr.splitlines()
            executed = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "0")
            good = result.returncode == 0 and int(executed) > 0
            print(f"{name}: {executed} inputs, {'no crash' if good else 'FAILED'}", flush=True)
            if not good:
                print("\n".join(lines[-40:]), flush=True)
            tally.add(Tally(int(good), int(not good)))
    return tally


def run_fuzzer(name):
    corpus = BUILD / "fuzz/corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = ROOT / "tests/fuzz/seeds" / name
    command = [str(BUILD / "asan/tests" / name), f"-max_total_time={FUZZ_RUN_S}", "-timeout=10",
               "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={BUILD}/fuzz/{name}-",
               str(corpus)] + ([str(seeds)] if seeds.is_dir() else [])
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)


def tidy():
    return run([PYTHON, "tests/tidy/tidy.py"])


SUITES = {"tidy": tidy, "unit": unit, "integration": integration, "deploy": deploy,
          "asan": lambda: sanitized("asan", LOADS),
          "tsan": lambda: sanitized("tsan", ONE_AT_A_TIME), "fuzz": fuzz}


def main(names):
    unknown = [name for name in names if name not in SUITES]
    if unknown or not names:
        print(f"usage: tests/run.py {'|'.join(SUITES)} ...", file=sys.stderr)
        return 2
    become_subreaper()
    total = Tally()
    rows = []
    for name in names:
        print(f"=== {name}", flush=True)
        start = time.monotonic()
        try:
            tally = SUITES[name]()
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{name}: {error}", flush=True)
            tally = Tally(failed=1)
        total.add(tally)
        rows.append(f"{name:12} {tally.passed:6} passed {tally.failed:4} failed {tally.skipped:4} skipped "
                    f"{time.monotonic() - start:7.0f} s")
    print("=== summary", *rows, sep="\n", flush=True)
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {total.failed} failed{skipped}", flush=True)
    return 0 if total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
