"""The files that tidy looks at, as text, and what a finding is."""

import dataclasses
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PRODUCT = ("protocols/", "tls/", "strategies/", "proxy/", "control/", "movement/", "client/")
CPP = (".cc", ".h")


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int  # 0: the file as a whole
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


def read_tree():
    """{path: text} of everything that git tracks or would track; files that are not UTF-8 text are left
    out."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    files = {}
    for path in filter(None, listed):
        try:
            files[path] = (ROOT / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return files


def numbered(text):
    return enumerate(text.split("\n"), 1)


def of_kind(files, suffixes, folders=("",)):
    """[(path, text)] in order of path."""
    return [(path, text) for path, text in sorted(files.items())
            if path.endswith(suffixes) and path.startswith(folders)]
