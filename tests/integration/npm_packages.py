"""Packages of npm for tests, as a lock file names them: installed once, however many tests ask at once."""

import fcntl
import os
import shutil
import subprocess

INSTALL_S = 240
STAMP = ".installed-lock"  # in node_modules: the lock file that was installed
BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")


def install(lock_folder, folder=None):
    """`npm ci` with package.json and package-lock.json of `lock_folder`, in `folder` (default: there), unless
    what is installed is what the lock file says. Returns the path of node_modules."""
    folder = folder or lock_folder
    modules = os.path.join(folder, "node_modules")
    os.makedirs(folder, exist_ok=True)
    os.makedirs(BUILD, exist_ok=True)
    # Not in node_modules: npm removes that first. It says who has failed last, and why.
    with open(os.path.join(BUILD, f"npm-{os.path.basename(folder)}.lock"), "a+",
              encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not _is_new(lock_folder, modules):
            _install_once(lock_folder, folder, guard)
            with open(os.path.join(modules, STAMP), "w", encoding="utf-8") as stamp:
                stamp.write(_lock_text(lock_folder))
    return modules


def _is_new(lock_folder, modules):
    """Programs of ours may run from there: nothing is installed again that has not changed."""
    try:
        with open(os.path.join(modules, STAMP), encoding="utf-8") as stamp:
            return stamp.read() == _lock_text(lock_folder)
    except FileNotFoundError:
        return False


def _lock_text(lock_folder):
    with open(os.path.join(lock_folder, "package-lock.json"), encoding="utf-8") as lock:
        return lock.read()


def _install_once(lock_folder, folder, guard):
    """Where it has failed for another test of this run it fails at once: npm tries for minutes."""
    guard.seek(0)
    run, _, reason = guard.read().partition("\n")
    if run == str(os.getppid()):
        raise RuntimeError(f"as before: {reason}")
    try:
        _install(lock_folder, folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace")
        guard.truncate(0)
        guard.write(f"{os.getppid()}\nnpm ci in {folder}: {error}\n{said}")
        raise RuntimeError(f"npm ci in {folder}: {error}\n{said}") from error


def _install(lock_folder, folder):
    if folder != lock_folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(lock_folder, name), os.path.join(folder, name))
    subprocess.run([shutil.which("npm") or "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                   cwd=folder, check=True, timeout=INSTALL_S, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
