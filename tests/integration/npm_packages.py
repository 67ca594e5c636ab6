"""Packages of npm for tests, as a lock file names them: installed once, however many tests ask at once."""

import fcntl
import os
import shutil
import subprocess

INSTALL_S = 240
BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")


def install(lock_folder, folder=None):
    """`npm ci` with package.json and package-lock.json of `lock_folder`, in `folder` (default: there), unless
    what is installed is as new as the lock file. Returns the path of node_modules."""
    folder = folder or lock_folder
    modules = os.path.join(folder, "node_modules")
    os.makedirs(folder, exist_ok=True)
    os.makedirs(BUILD, exist_ok=True)
    # Not in node_modules: npm removes that first.
    with open(os.path.join(BUILD, f"npm-{os.path.basename(folder)}.lock"), "w",
              encoding="ascii") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not _is_new(lock_folder, modules):
            _install(lock_folder, folder)
    return modules


def _is_new(lock_folder, modules):
    done = os.path.join(modules, ".package-lock.json")
    wanted = os.path.join(lock_folder, "package-lock.json")
    return os.path.exists(done) and os.path.getmtime(done) >= os.path.getmtime(wanted)


def _install(lock_folder, folder):
    if folder != lock_folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(lock_folder, name), os.path.join(folder, name))
    subprocess.run([shutil.which("npm") or "npm", "ci", "--no-audit", "--no-fund", "--silent"],
                   cwd=folder, check=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL)
