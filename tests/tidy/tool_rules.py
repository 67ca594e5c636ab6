"""Rules that ask a tool: clang-format for C++, bash for scripts."""

import shutil
import subprocess
import sys

from tree import CPP, ROOT, Finding, of_kind


def cpp_is_formatted(files):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None:
        yield Finding(".clang-format", 0, "clang-format is not installed: make deps")
        return
    paths = [path for path, _ in of_kind(files, CPP) if (ROOT / path).exists()]
    result = subprocess.run([tool, "--dry-run", "--ferror-limit=1", *paths], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    for line in result.stderr.splitlines():
        if "clang-format-violations" in line:
            path, number = line.split(":")[:2]
            yield Finding(path, int(number), f"not formatted: {tool} -i {path}")


def scripts_parse(files):
    for path, text in sorted(files.items()):
        if text.startswith(("#!/bin/bash", "#!/bin/sh")):
            result = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                yield Finding(path, 0, result.stderr.strip())


def the_api_reference_is_of_its_document(files):
    maker = "docs/make_api_reference.py"
    if maker not in files:
        return
    result = subprocess.run([sys.executable, str(ROOT / maker), "--check"], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        yield Finding("docs/api-reference.md", 0, result.stdout.strip() or result.stderr.strip())


RULES = (cpp_is_formatted, scripts_parse, the_api_reference_is_of_its_document)
