"""Each rule catches what it is there for: one bad tree and one good tree a case."""

import docs_rules
import source_rules

HEAD = "// Says what this file is for, at some length.\n"
README = """# x
## Configuration
| flag | default |
|---|---|
| `--state`, `CROSSFADE_STATE`, `state` | ./x.db |
## Limits
| name | default | |
|---|---|---|
| `reorder_max` | 16 MiB | bytes |
| `connect_timeout_ms` | 3,000 | |
"""
METRICS = """# Metrics
| `crossfade_x_total` | counter | `side` | things | reasons `side_down` |
| `crossfade_y_seconds` | histogram | | seconds | |
"""
ALERT = """
    - alert: Down
      expr: sum(rate(crossfade_x_total{side="new"}[5m])) > crossfade_y_seconds_sum
      annotations:
        runbook: docs/operating.md#a-side-is-down
"""
GUIDE = "### A side is down\n\nNot one.\n`Down`: look.\n"
CODE = {
    "README.md": README,
    "control/settings.cc": 'Setting{"state", "--state",\n "CROSSFADE_STATE", "state", "./x.db", "file"},',
    "strategies/table.h": "struct InterlaySettings {\n"
                          "  std::uint32_t reorder_max = 16u << 20;  // bytes\n"
                          "  std::uint32_t connect_timeout_ms = 3'000;\n};\n",
    "strategies/telemetry.h": 'name_of(Limit l) {\n return "reorder_max";\n}\n'
                              'name_of(Drop d) {\n return "side_down";\n}\n',
    "control/metrics.cc": 'families.counter("crossfade_x_total");\n'
                          'families.histogram(\n"crossfade_y_seconds");',
    "docs/metrics.md": METRICS,
    "docs/operating.md": GUIDE,
    "deploy/alerts/a.yaml": ALERT,
    "control/http/routes.cc": 'Route{"GET", "/things/{}", Role::Read, false},',
    "docs/api.md": "| `GET /things/{id}` | read | one |",
}


def changed(path, old, new):
    assert old in CODE[path], (path, old)
    return {**CODE, path: CODE[path].replace(old, new)}


# rule -> ([trees it must complain of], tree it must accept)
CASES = {
    source_rules.dependencies_point_one_way: (
        [{"protocols/a.cc": '#include "strategies/plan.h"'},
         {"control/a.h": '#include "proxy/loop.h"'},
         {"movement/a.cc": '#include "strategies/plan.h"'},
         {"tests/unit/strategies/a_test.cc": '#include "proxy/loop.h"'}],
        {"proxy/main.cc": '#include "control/a.h"', "proxy/b.cc": '#include "strategies/plan.h"',
         "movement/a.cc": '#include "strategies/ports.h"'}),
    source_rules.libraries_stay_where_they_belong: (
        [{"control/a.cc": "#include <uv.h>"}, {"control/a.h": "#include <httplib.h>"},
         {"control/a.cc": "#include <sqlite3.h>", "control/b.cc": "#include <sqlite3.h>"}],
        {"proxy/a.h": "#include <uv.h>", "bench/relay.cc": "#include <uv.h>",
         "control/a.cc": "#include <sqlite3.h>"}),
    source_rules.pure_folders_do_nothing: (
        [{"strategies/a.cc": "#include <chrono>"}, {"protocols/a.h": "#include <spdlog/spdlog.h>"}],
        {"strategies/a.cc": "#include <vector>", "proxy/a.cc": "#include <mutex>"}),
    source_rules.includes_are_from_the_root: (
        [{"proxy/a.cc": '#include "b.h"', "proxy/b.h": ""}],
        {"proxy/a.cc": '#include "proxy/b.h"', "proxy/b.h": ""}),
    source_rules.files_open_with_their_task: (
        [{"proxy/a.cc": "#include <vector>\n"}, {"tests/a.py": "import os\n"}, {".ci/run": "set -e\n"}],
        {"proxy/a.cc": HEAD, "tests/a.py": '#!/usr/bin/python3\n"""Says what it is for."""\n',
         "tests/CMakeLists.txt": "# Says what it is for.\n"}),
    source_rules.nothing_is_promised_for_later: (
        [{"proxy/a.cc": "// TODO: more"}, {"docs/a.md": "a stub for now"}],
        {"proxy/a.cc": "// stubborn hackers, xxx"}),
    source_rules.banned_calls_are_not_used: (
        [{"control/a.cc": "using namespace std;"}, {"proxy/a.cc": "  sprintf(buffer, format);"},
         {"tests/unit/proxy/a_test.cc": "std::this_thread::sleep_for(1s);"},
         {"proxy/a.cc": "std::thread([] {}).detach();"}, {"strategies/a.cc": "int x = rand();"},
         {"proxy/a.h": "std::atomic<std::shared_ptr<const Table>> table;"},
         {"control/a.cc": '  throw std::runtime_error("x");'}],
        {"control/a.cc": 'snprintf(b, n, "%d");  // unlike sprintf(b)\nlog("throw me");\noperand(1);'}),
    source_rules.tests_never_sleep: (
        [{"tests/integration/a_test.py": "time.sleep(1)"}],
        {"tests/integration/children.py": "time.sleep(1)", "tests/integration/a.py": "wait_until(f, 1)"}),
    source_rules.lines_fit: (
        [{"proxy/a.cc": "x" * 101}, {"tests/a.py": "x = 1 \n"}],
        {"proxy/a.cc": "x" * 100, "README.md": "x" * 200}),
    source_rules.headers_are_included_once: (
        [{"proxy/a.h": HEAD}], {"proxy/a.h": HEAD + "#pragma once\n"}),
    source_rules.test_names_are_properties: (
        [{"tests/unit/proxy/a_test.cc": 'TEST_CASE("works") {'}],
        {"tests/unit/proxy/a_test.cc": 'TEST_CASE("canary: share 0 is nobody") {'}),
    source_rules.nothing_names_a_machine: (
        [{"README.md": "cd /ho" + "me/me/project"}], {"README.md": "docs/work/home/x, ./root/y"}),
    source_rules.no_secret_is_in_the_tree: (
        [{"a.txt": "AKIA" + "A" * 16}, {"a.pem": "-----BEGIN RSA PRIVATE" + " KEY-----"},
         {"tests/package-lock.json": '  "resolved": "https://a/b.tgz"'}],
        {"a.txt": "token sha256 digest", "tests/package-lock.json": '"integrity": "sha512-x"'}),
    source_rules.python_is_sound: (
        [{"a.py": "import os\n"}, {"a.py": "def f(:\n"}], {"a.py": "import os\nprint(os.sep)\n"}),
    docs_rules.settings_are_documented: (
        [changed("README.md", "`--state`", "state"), changed("README.md", "./x.db", "./y.db"),
         changed("README.md", "## Limits", "| `--gone` | |\n## Limits"),
         {**CODE, "control/settings.cc": ""}], CODE),
    docs_rules.variables_in_documents_exist: (
        [{**CODE, "docs/a.md": "set CROSSFADE_GONE"}], {**CODE, "docs/a.md": "set CROSSFADE_STATE"}),
    docs_rules.limits_are_documented: (
        [changed("README.md", "16 MiB", "8 MiB"), changed("README.md", "`reorder_max`", "`other_max`"),
         changed("strategies/telemetry.h", "reorder_max", "no_such_max"),
         {**CODE, "strategies/table.h": ""}], CODE),
    docs_rules.metrics_are_documented: (
        [changed("docs/metrics.md", "crossfade_x_total", "crossfade_z_total"),
         changed("docs/metrics.md", "counter", "gauge"), changed("docs/metrics.md", "`side_down`", ""),
         changed("control/metrics.cc", "crossfade_y_seconds", "crossfade_z_seconds")], CODE),
    docs_rules.monitoring_knows_the_metrics: (
        [changed("deploy/alerts/a.yaml", "crossfade_x_total", "crossfade_z_total"),
         changed("deploy/alerts/a.yaml", "side=", "sort="), changed("deploy/alerts/a.yaml", "_sum", ""),
         changed("deploy/alerts/a.yaml", "x_total", "x_total_sum"),
         {**CODE, "deploy/grafana/a.json": '{"expr": "crossfade_x_total{size=\\"1\\"}"}'},
         {**CODE, "deploy/grafana/a.json": "{}"}], CODE),
    docs_rules.alerts_have_runbooks: (
        [changed("deploy/alerts/a.yaml", "#a-side", "#no-side"),
         changed("deploy/alerts/a.yaml", "runbook", "book"),
         changed("deploy/alerts/a.yaml", "alert: Down", "alert: Up"),
         changed("docs/operating.md", "`Down`", "Down")],
        CODE),
    docs_rules.routes_are_documented: (
        [changed("docs/api.md", "GET", "POST"), changed("docs/api.md", "read", "admin"),
         {**CODE, "docs/api.md": ""}], CODE),
    docs_rules.errors_are_documented: (
        [{"proxy/a.cc": '"-ERR crossfade: the moon is in the wrong phase"'}],
        {"proxy/a.cc": '"-ERR crossfade: the moon is full\\r\\n"',
         "docs/protocols.md": "`the moon is full`"}),
    docs_rules.links_resolve: (
        [{"README.md": "[a](docs/none.md)"}, {"README.md": "# A\n[a](#b)"}],
        {"README.md": "# A b\n[a](docs/a.md) [b](#a-b) [c](https://example.org)", "docs/a.md": ""}),
    docs_rules.named_files_exist: (
        [{"README.md": "see `proxy/none.cc`"}],
        {"README.md": "see `proxy/a.cc`, `proxy/` and `build/x`", "proxy/a.cc": ""}),
    docs_rules.make_targets_exist: (
        [{"README.md": "`make money`", "Makefile": "build:\n"}],
        {"README.md": "`make build`", "Makefile": "build:\n"}),
    docs_rules.the_version_is_in_the_changelog: (
        [{"CMakeLists.txt": "project(crossfade VERSION 1.2.3", "CHANGELOG.md": "## 1.2.2"}],
        {"CMakeLists.txt": "project(crossfade VERSION 1.2.3", "CHANGELOG.md": "## 1.2.3 - x"}),
}


def run():
    """[(rule name, complaint or None)], one for each rule."""
    results = []
    for rule in source_rules.RULES + docs_rules.RULES:
        if rule not in CASES:
            results.append((rule.__name__, "has no case in selftest.py"))
            continue
        bad_trees, good_tree = CASES[rule]
        complaint = None
        for number, tree in enumerate(bad_trees):
            if not list(rule(tree)):
                complaint = f"does not catch its bad tree {number + 1}"
        false_alarm = list(rule(good_tree))
        if false_alarm:
            complaint = f"complains of its good tree: {false_alarm[0]}"
        results.append((rule.__name__, complaint))
    return results
