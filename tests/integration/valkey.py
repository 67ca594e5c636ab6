"""Where Valkey's server is: installed, or unpacked by `.ci/deps test` into build/valkey."""

import os
import shutil

from harness import TREE

UNPACKED = os.path.join(TREE, "build", "valkey", "usr", "bin", "valkey-server")


def valkey_server():
    """Path of valkey-server; FileNotFoundError says how to get it."""
    found = shutil.which("valkey-server") or (UNPACKED if os.access(UNPACKED, os.X_OK) else None)
    if not found:
        raise FileNotFoundError("no valkey-server: `.ci/deps test` unpacks it from Debian's backports")
    return found
