"""Rules over source text. Each takes {path: text} and yields findings; each is named as its rule reads.

A rule that bans something names what to use instead.
"""

import ast
import posixpath
import re

from tree import CPP, PRODUCT, Finding, numbered, of_kind

LINE_MAX = 100          # columns
SCRIPTS_LINE_MAX = 110  # of Python and JavaScript, which have no formatter here
FILE_LONG = 500         # lines; a longer file probably has a second task: a warning, not a failure

# folder -> where its includes may point. Decision 0002 says why movement may see the ports.
ARROWS = {
    "protocols": ("protocols/",),
    "tls": ("tls/", "protocols/base/"),
    "strategies": ("strategies/", "protocols/", "tls/settings.h"),
    "proxy": ("proxy/", "strategies/", "protocols/", "tls/"),
    "control": ("control/", "strategies/", "protocols/", "tls/"),
    "movement": ("movement/", "strategies/ports.h", "protocols/", "tls/"),
    # Of control only what JSON and names are, nothing that serves.
    "client": ("client/", "control/json/", "control/definitions/url.h", "protocols/base/"),
}
PROGRAM = "proxy/main.cc"  # wires all parts by hand: the only one that knows them all

# Header of a library -> (folder that may include it, how many files may).
LIBRARIES = {
    "uv.h": ("proxy/", None),
    "simdjson.h": ("control/", 1),
    "httplib.h": (("control/http/server.cc", "client/"), 2),
    "sqlite3.h": ("control/", 1),
    "hiredis/hiredis.h": ("movement/", 1),
    "pg_query.h": ("protocols/postgres/", 1),
    "pg_query/pg_query_internal.h": ("protocols/postgres/", 1),
    "postgres.h": ("protocols/postgres/sql_tree", None),
    "nodes/parsenodes.h": ("protocols/postgres/sql_tree", None),
    "nodes/nodeFuncs.h": ("protocols/postgres/sql_tree", 1),
    "openssl/ssl.h": ("tls/", None),
    "CLI/CLI.hpp": ((PROGRAM, "client/"), 2),
}
PURE = ("protocols/", "strategies/")
IMPURE_HEADERS = ("spdlog/", "thread", "mutex", "atomic", "chrono", "random", "iostream", "fstream",
                  "sys/", "unistd.h", "netinet/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# pattern -> (where, what to use instead)
BANNED = {
    r"\busing\s+namespace\s+std\b": (("",), "name what you use"),
    r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets)\s*\(": (("",), "std::string, snprintf"),
    r"\b(atoi|atol|atoll|atof)\s*\(": (("",), "std::from_chars, which says when it fails"),
    r"\.detach\s*\(\s*\)": (("",), "a std::thread member that is joined"),
    r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(": (
        ("tests/", "proxy/", *PURE), "a timer; in tests, polling with a limit"),
    r"std::atomic<\s*std::shared_ptr": (("",), "a mutex inbox and a wake-up (decision 0003)"),
    r"\b(system|popen)\s*\(": (PRODUCT, "a library call: no shell"),
    r"\b(std::)?s?rand\s*\(|std::(random_device|mt19937)": (PURE, "bucket_of: shares are hashes, not dice"),
    r"\bthrow\s+\w": (PRODUCT, "Result<T>: no exception crosses a function"),
    r"std::regex\b": (PRODUCT, "a parser by hand, whose cost is bounded"),
    r"#\s*ifndef\s+\w+_H_?\b": (("",), "#pragma once"),
}
PYTHON_SLEEPERS = (  # what polls with a limit is made of
    "tests/integration/children.py", "tests/integration/run.py", "tests/run.py")
LATER_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Ss]tub(s|bed)?\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|home|root|Users)/")
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    r"|\bxox[abp]-[0-9A-Za-z-]{10,}|\bnpm_[A-Za-z0-9]{36}\b")
TEST_CASE = re.compile(r'\bTEST_CASE\("((?:[^"\\]|\\.)*)"')


def includes(text):
    for line, content in numbered(text):
        match = INCLUDE.match(content)
        if match:
            yield line, match[1] == '"', match[2]


def owner(path):
    """The folder whose arrows hold for this file; unit tests have those of what they test."""
    parts = path.split("/")
    if parts[:2] == ["tests", "unit"] and len(parts) > 3:
        return parts[2]
    return parts[0]


def dependencies_point_one_way(files):
    for path, text in of_kind(files, CPP):
        allowed = ARROWS.get(owner(path))
        if allowed is None or path == PROGRAM:
            continue
        for line, ours, header in includes(text):
            if ours and header.split("/")[0] in ARROWS and not header.startswith(allowed):
                yield Finding(path, line, f"{owner(path)} must not know {header}; it may include "
                                          f"{', '.join(allowed)}")


def libraries_stay_where_they_belong(files):
    users = {}
    for path, text in of_kind(files, CPP, PRODUCT):
        for line, _, header in includes(text):
            if header not in LIBRARIES:
                continue
            place, most = LIBRARIES[header]
            users.setdefault(header, []).append(path)
            if not path.startswith(place):
                yield Finding(path, line, f"{header} is included in {place} only")
            elif most and path.endswith(".h"):
                yield Finding(path, line, f"{header} is included in one .cc, never in a header")
            elif most and len(users[header]) > most:
                yield Finding(path, line, f"{header} is included in one .cc, and {users[header][0]} is it")


def pure_folders_do_nothing(files):
    for path, text in of_kind(files, CPP, PURE):
        for line, ours, header in includes(text):
            if not ours and header.startswith(IMPURE_HEADERS):
                yield Finding(path, line, f"{path.split('/')[0]}/ is pure: no <{header}>")


def includes_are_from_the_root(files):
    for path, text in of_kind(files, CPP, PRODUCT):
        for line, ours, header in includes(text):
            if ours and header not in files:
                yield Finding(path, line, f'"{header}": no such file, seen from the root')


def files_open_with_their_task(files):
    for path, text in sorted(files.items()):
        name = posixpath.basename(path)
        lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#!")]
        first = lines[0] if lines else ""
        if path.endswith(CPP):
            good = re.match(r"//\s*\S.{15,}", first)
        elif path.endswith(".py"):
            good = re.match(r'("""|#\s)\s*\S.{15,}', first)
        elif name in ("Makefile", "CMakeLists.txt") or path.startswith(".ci/") or path.endswith(".sh"):
            good = re.match(r"#\s*\S.{15,}", first)
        elif path.endswith((".mjs", ".js", ".cjs")):
            good = re.match(r"(//|/\*)\s*\S.{15,}", first)
        else:
            continue
        if not good:
            yield Finding(path, 1, "opens with a comment that says its task")


def nothing_is_promised_for_later(files):
    for path, text in sorted(files.items()):
        if path.startswith("tests/tidy/") or path.endswith((".json", ".txt")):
            continue
        for line, content in numbered(text):
            if LATER_WORDS.search(content):
                yield Finding(path, line, "promises later work: do it, or file an issue")


def banned_calls_are_not_used(files):
    for path, text in of_kind(files, CPP):
        for line, content in numbered(text):
            code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', content).split("//")[0]
            for pattern, (folders, instead) in BANNED.items():
                match = re.search(pattern, code)
                if match and path.startswith(tuple(folders)):
                    yield Finding(path, line, f"{match[0].strip()}: use {instead}")


def tests_never_sleep(files):
    for path, text in of_kind(files, (".py",), ("tests/",)):
        if path in PYTHON_SLEEPERS or path.startswith("tests/tidy/"):
            continue
        for line, content in numbered(text):
            if re.search(r"\btime\.sleep\((?!0\))", content.split("#")[0]):
                yield Finding(path, line, "time.sleep: use wait_until, which polls with a limit")


def lines_fit(files):
    for path, text in sorted(files.items()):
        if not path.endswith(CPP + (".py", ".sh", ".mjs", ".js")) and "CMakeLists" not in path:
            continue
        most = SCRIPTS_LINE_MAX if path.endswith((".py", ".js", ".mjs")) else LINE_MAX
        for line, content in numbered(text):
            if len(content) > most and 'R"' not in content:  # JSON in tests reads best unbroken
                yield Finding(path, line, f"{len(content)} columns; {most} is the limit")
            elif content != content.rstrip():
                yield Finding(path, line, "blanks at the end of the line")


def headers_are_included_once(files):
    for path, text in of_kind(files, (".h",)):
        if "#pragma once" not in text:
            yield Finding(path, 0, "a header has #pragma once")


def test_names_are_properties(files):
    for path, text in of_kind(files, (".cc",), ("tests/unit/",)):
        for line, content in numbered(text):
            match = TEST_CASE.search(content)
            if match and not re.match(r"[^:]+: \S", match[1]):
                yield Finding(path, line, f'"{match[1]}": say "<subject>: <what is always true>"')


def nothing_names_a_machine(files):
    for path, text in sorted(files.items()):
        if path.startswith("tests/tidy/"):
            continue
        for line, content in numbered(text):
            match = MACHINE_PATHS.search(content)
            if match:
                yield Finding(path, line, f"a path of one machine: {content[match.start():][:40]}")


def no_secret_is_in_the_tree(files):
    for path, text in sorted(files.items()):
        for line, content in numbered(text):
            if SECRETS.search(content):
                yield Finding(path, line, "looks like a secret")
            if path.endswith("package-lock.json") and '"resolved": "http' in content:
                yield Finding(path, line, "a lock file names versions and hashes, not where they came from")


def python_is_sound(files):
    """It parses, and imports nothing that it does not use."""
    for path, text in of_kind(files, (".py",)):
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            yield Finding(path, error.lineno or 0, f"does not parse: {error.msg}")
            continue
        imported = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    imported[(alias.asname or alias.name).split(".")[0]] = node.lineno
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        exported = set(re.findall(r'"(\w+)"', text.partition("__all__")[2].partition("]")[0]))
        for name, line in imported.items():
            if name not in used | exported and name != "*":
                yield Finding(path, line, f"imports {name} and does not use it")


RULES = (
    dependencies_point_one_way, libraries_stay_where_they_belong, pure_folders_do_nothing,
    includes_are_from_the_root, files_open_with_their_task, nothing_is_promised_for_later,
    banned_calls_are_not_used, tests_never_sleep, lines_fit, headers_are_included_once,
    test_names_are_properties, nothing_names_a_machine, no_secret_is_in_the_tree, python_is_sound,
)


def long_files(files):
    """Warnings: [(path, lines)] of code files that may have a second task."""
    return [(path, text.count("\n")) for path, text in of_kind(files, CPP + (".py",))
            if text.count("\n") > FILE_LONG]
