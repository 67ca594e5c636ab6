"""Rules that keep documentation and code in step: what code defines is documented, and what is documented
exists. The code is read as text; each reader says which lines it relies on and fails when it finds none.
"""

import posixpath
import re

from tree import PRODUCT, Finding, numbered, of_kind

README = "README.md"
SETTINGS = "control/settings.cc"
TABLE = "strategies/table.h"
TELEMETRY = "strategies/telemetry.h"
ROUTES = "control/http/routes.cc"
API = "docs/api.md"
PROTOCOLS = "docs/protocols.md"
METRICS = "docs/metrics.md"
OPERATING = "docs/operating.md"
MONITORING = ("deploy/alerts/", "deploy/grafana/")

# Enums whose names are values of labels -> where name_of() of them is.
LABEL_VALUES = {**dict.fromkeys(("Drop", "Handshake", "LoginRefused", "SqlText", "Stay"), TELEMETRY),
                "Doubt": "strategies/ledger.h", "MismatchClass": "strategies/mismatch.h",
                "RepairOutcome": "control/ledger/entry.h"}

# Variables of the tests and tools, not of the product.
TOOL_VARIABLES = re.compile(
    r"CROSSFADE_(BIN|IMAGE|KEEP|TEST_SLOWNESS|FUZZ_SECONDS|SANITIZE|FUZZ|WERROR|VERSION)$")


def section(text, title):
    """[(line number, content)] of the README's section of that title, up to the next of its level."""
    found, level = [], None
    for line, content in numbered(text):
        heading = re.match(r"(#+) (.*)", content)
        if heading and level and len(heading[1]) <= level:
            break
        if heading and heading[2].strip() == title:
            level = len(heading[1])
        elif level:
            found.append((line, content))
    return found


def table_rows(text, title):
    """{first code word of the row: (line, whole row)} of the tables in that section."""
    rows = {}
    for line, content in section(text, title):
        match = re.match(r"\|\s*`([^`]+)`", content)
        if match:
            rows[match[1]] = (line, content)
    return rows


def settings(files):
    """[(flag, environment variable, key, default)] of the process's settings."""
    string = r'"((?:[^"\\]|\\.)*)"'
    entries = re.findall(r"Setting\{" + r",\s*".join([string] * 5), files.get(SETTINGS, ""))
    return [entry[1:] for entry in entries]


def number_of(expression):
    """The value of a default as C++ writes it: 3'000, 64u << 20, 1 << 20, true."""
    text = expression.strip().replace("'", "")
    if text in ("true", "false"):
        return text
    match = re.fullmatch(r"(\d+)u?(?:\s*<<\s*(\d+))?", text)
    return int(match[1]) << int(match[2] or 0) if match else None


def fields_of(text, struct):
    """{field: default} of a struct of plain settings."""
    body = re.search(r"struct " + struct + r" \{(.*?)\n\};", text, re.S)
    found = re.findall(r"^\s+(?:std::uint\d+_t|bool) (\w+) = ([^;]+);", body[1], re.M) if body else []
    return {name: number_of(value) for name, value in found}


def words_of(text, enum):
    """The label values of an enum, as its name_of() returns them."""
    body = re.search(r"name_of\(" + enum + r" \w+\) \{(.*?)\n\}", text, re.S)
    return set(re.findall(r'return "(\w+)"', body[1])) if body else set()


def as_number(text):
    """A number as the README writes it: 3,000 | 64 MiB | 256 KiB | true."""
    match = re.search(r"\b(\d[\d,]*)(?: (KiB|MiB))?\b|\b(true|false)\b", text)
    if not match:
        return None
    if match[3]:
        return match[3]
    return int(match[1].replace(",", "")) * {"KiB": 1 << 10, "MiB": 1 << 20}.get(match[2], 1)


def settings_are_documented(files):
    entries = settings(files)
    if not entries:
        yield Finding(SETTINGS, 0, "no Setting{…} found: this check reads them")
        return
    readme = files.get(README, "")
    rows = table_rows(readme, "Configuration")
    text = "\n".join(content for _, content in section(readme, "Configuration"))
    for flag, variable, key, default in entries:
        for word in filter(None, [flag, variable, *key.split(", ")]):
            if f"`{word}`" not in text:
                yield Finding(README, 0, f"Configuration does not name `{word}` of {SETTINGS}")
        row = rows.get(flag or variable)
        if row and default and default not in row[1]:
            yield Finding(README, row[0], f"the default of {flag or variable} is {default}")
    flags = {entry[0] for entry in entries}
    variables = {entry[1] for entry in entries}
    for word, (line, _) in rows.items():
        if (word.startswith("--") and word not in flags) or (
                word.startswith("CROSSFADE_") and word not in variables):
            yield Finding(README, line, f"`{word}` does not exist")


def variables_in_documents_exist(files):
    known = {entry[1] for entry in settings(files)}
    known |= set(re.findall(r'"(CROSSFADE_[A-Z_]+)"', files.get("client/commands.cc", "")))
    for path, text in of_kind(files, (".md",)):
        for line, content in numbered(text):
            for word in re.findall(r"\bCROSSFADE_[A-Z_]*[A-Z]\b", content):
                if word not in known and not TOOL_VARIABLES.match(word):
                    yield Finding(path, line, f"{word} does not exist")


def limits_are_documented(files):
    defined = fields_of(files.get(TABLE, ""), "InterlaySettings")
    defined |= fields_of(files.get("strategies/mismatch.h", ""), "CompareSettings")
    config = files.get("control/config.h", "")
    defined |= fields_of(config, "ControlLimits")
    defined |= {name: default for name, default in fields_of(config, "ProcessConfig").items()
                if name.endswith(("_ms", "_max"))}
    if not defined:
        yield Finding(TABLE, 0, "no InterlaySettings found: this check reads them")
        return
    rows = table_rows(files.get(README, ""), "Limits")
    for name, default in defined.items():
        if name not in rows:
            yield Finding(README, 0, f"Limits does not name `{name}`")
            continue
        line, row = rows[name]
        cells = [cell.strip() for cell in row.split("|")]
        if as_number(cells[2]) != default:
            yield Finding(README, line, f"the default of {name} is {default}, not {cells[2]}")
    for name in rows.keys() - defined.keys():
        yield Finding(README, rows[name][0], f"limit `{name}` does not exist")
    for name in words_of(files.get(TELEMETRY, ""), "Limit") - defined.keys():
        yield Finding(TELEMETRY, 0, f'the label value "{name}" is no setting\'s name')


def metrics_of(files):
    """{metric: path} of every metric name that product code spells out."""
    found = {}
    for path, text in of_kind(files, (".cc", ".h"), PRODUCT):
        for name in re.findall(r'"(crossfade_[a-z_]+)"', text):
            found.setdefault(name, path)
    return found


def metrics_are_documented(files):
    defined = metrics_of(files)
    if not defined:
        yield Finding("control/", 0, 'no "crossfade_…" metric name found: this check reads them')
        return
    rows = metric_rows(files)
    for name, path in sorted(defined.items()):
        if name not in rows:
            yield Finding(METRICS, 0, f"does not name `{name}` of {path}")
        elif rows[name][1] != type_of(files[path], name):
            yield Finding(METRICS, rows[name][0], f"{name} is a {type_of(files[path], name)}")
    for name in sorted(rows.keys() - defined.keys()):
        yield Finding(METRICS, rows[name][0], f"metric `{name}` does not exist")
    for enum, path in LABEL_VALUES.items():
        for word in sorted(words_of(files.get(path, ""), enum)):
            if f"`{word}`" not in files.get(METRICS, ""):
                yield Finding(METRICS, 0, f"does not name `{word}` of {enum}")


def type_of(text, name):
    """The type that code gives this metric; names that are handed over in a struct are those of counters."""
    found = re.search(r'families\.(\w+)\(\s*"' + name + '"', text)
    return found[1] if found else "counter"


def metric_rows(files):
    """{metric: (line, type, labels)} of the page."""
    rows = {}
    for line, content in numbered(files.get(METRICS, "")):
        cells = [cell.strip() for cell in content.split("|")]
        match = re.fullmatch(r"`(crossfade_\w+)`", cells[1]) if len(cells) > 6 else None
        if match:
            rows[match[1]] = (line, cells[2], re.findall(r"\w+", cells[3]))
    return rows


def monitoring_knows_the_metrics(files):
    """Alerts and dashboards use metrics of the page, with labels that they have."""
    rows = metric_rows(files)
    for path, text in of_kind(files, (".yaml", ".json"), MONITORING):
        if not re.search(r"\bcrossfade_\w+", text):
            yield Finding(path, 0, "no metric found: this check reads them")
        for line, content in numbered(text.replace('\\"', '"')):
            for name, _, labels in re.findall(r"\b(crossfade_\w+)({([^}]*)})?", content):
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                row = rows.get(name) or rows.get(base)
                if row is None or (row[1] == "histogram") == (name in rows):
                    yield Finding(path, line, f"{METRICS} has no {name}")
                    continue
                for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels):
                    if label not in row[2]:
                        yield Finding(path, line, f"{name} has no label {label}")


def alerts_have_runbooks(files):
    """Every alert says where the operating guide tells what to do, and the guide names the alert there."""
    guide = files.get(OPERATING, "")
    for path, text in of_kind(files, (".yaml",), ("deploy/alerts/",)):
        for block in re.split(r"(?m)^ *- (?=alert:)", text)[1:]:
            name = re.match(r"alert: (\w+)", block)[1]
            runbook = re.search(r"(?m)^ *runbook: " + re.escape(OPERATING) + r"#(\S+)$", block)
            if not runbook or runbook[1] not in anchors_of(guide):
                yield Finding(path, 0, f"{name} has no runbook in {OPERATING}")
            elif not re.search(rf"(?m)^#+ [^\n]*\n(?:(?!#)[^\n]*\n)*?[^\n]*`{name}`", guide):
                yield Finding(OPERATING, 0, f"does not name the alert `{name}`")


def routes_are_documented(files):
    routes = re.findall(r'Route\{\s*"([A-Z]+)",\s*"([^"]+)",\s*Role::(\w+)', files.get(ROUTES, ""))
    if not routes:
        yield Finding(ROUTES, 0, "no Route{…} found: this check reads them")
        return
    documented = {}
    for line, content in numbered(files.get(API, "")):
        match = re.match(r"\| `([A-Z]+) (/[^`]*)` \| (\w+) \|", content)
        if match:
            path = re.sub(r"\{\w+\}", "{}", match[2])
            documented[match[1], path] = (line, match[3])
    for method, path, role in routes:
        line, said = documented.pop((method, path), (0, None))
        if said is None:
            yield Finding(API, 0, f"does not name {method} {path}")
        elif said != role.lower():
            yield Finding(API, line, f"{method} {path} needs the role {role.lower()}")
    for (method, path), (line, _) in documented.items():
        yield Finding(API, line, f"{method} {path} does not exist")


def errors_are_documented(files):
    """What the sidecar itself says to Redis clients: the beginning of each sentence is in the page."""
    page = files.get(PROTOCOLS, "")
    for path, text in of_kind(files, (".cc",), ("proxy/",)):
        for line, content in numbered(text):
            for sentence in re.findall(r'"-ERR crossfade: ([^"\\]{10,})', content):
                if sentence[:24] not in page:
                    yield Finding(path, line, f'{PROTOCOLS} does not name the error "{sentence[:40]}"')


def anchors_of(text):
    """The anchors of a page's headings, as they are made from their words."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links_resolve(files):
    folders = {posixpath.dirname(path) for path in files}
    for path, text in of_kind(files, (".md",)):
        for line, content in numbered(text):
            for target in re.findall(r"\]\(([^)\s]+)\)", content):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                full = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
                if full not in files and full not in folders:
                    yield Finding(path, line, f"{target}: no such file")
                elif anchor and full in files and anchor not in anchors_of(files[full]):
                    yield Finding(path, line, f"{target}: no such heading")


def named_files_exist(files):
    """Documents name files and folders in `code`; a name with one of our folders in front must exist."""
    ours = tuple(PRODUCT) + ("bench/", "demo/", "tests/", "docs/", "deploy/", ".ci/")
    folders = {"/".join(path.split("/")[:depth]) + "/" for path in files
               for depth in range(1, path.count("/") + 1)}
    for path, text in of_kind(files, (".md",)):
        for line, content in numbered(text):
            for word in re.findall(r"`([\w./-]+)`", content):
                if word.startswith(ours) and word not in files and word.rstrip("/") + "/" not in folders:
                    yield Finding(path, line, f"`{word}` does not exist")


def make_targets_exist(files):
    targets = set(re.findall(r"^([a-z-]+):", files.get("Makefile", ""), re.M))
    for path, text in of_kind(files, (".md",)):
        for line, content in numbered(text):
            for word in re.findall(r"`make ([a-z-]+)", content):
                if word not in targets:
                    yield Finding(path, line, f"`make {word}`: no such target")


def the_version_is_in_the_changelog(files):
    version = re.search(r"project\(crossfade VERSION ([\d.]+)", files.get("CMakeLists.txt", ""))
    if not version or f"## {version[1]}" not in files.get("CHANGELOG.md", ""):
        yield Finding("CHANGELOG.md", 0, f"has no heading for version {version[1] if version else '?'}")


RULES = (
    settings_are_documented, variables_in_documents_exist, limits_are_documented,
    metrics_are_documented, monitoring_knows_the_metrics, alerts_have_runbooks, routes_are_documented,
    errors_are_documented,
    links_resolve, named_files_exist, make_targets_exist,
    the_version_is_in_the_changelog,
)
