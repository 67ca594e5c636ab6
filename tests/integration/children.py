"""Child processes and folders of a test run, and their certain end.

Promise: every process started by `spawn` is ended by its own pid when the test process ends, be it
by return, exception, SIGTERM, SIGINT or SIGKILL; every folder of `temp_folder` is removed (kept with
CROSSFADE_KEEP=1). Ports come from below the range that outgoing connections draw from, so that a
server can be restarted on its port.
"""

import atexit
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# Sanitizer builds are slower: limits are multiplied by this.
SLOWNESS = float(os.environ.get("CROSSFADE_TEST_SLOWNESS", "1"))

_children = []
_folders = []
_lock = threading.Lock()
_handed_out = set()
# One byte for each port: a lock on it is the port's.
_ports = open(os.path.join(tempfile.gettempdir(), f"crossfade-ports-{os.getuid()}"), "ab")


def wait_until(condition, limit_s, what):
    """Polls `condition` until it is true and returns its value; TimeoutError names `what`."""
    end = time.monotonic() + limit_s * SLOWNESS
    pause = 0.0005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit_s * SLOWNESS:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def claim(port):
    """Whether no other test process has handed it out. The kernel forgets the lock as this one ends."""
    try:
        fcntl.lockf(_ports, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def free_port():
    """A port of 127.0.0.1 that nobody listens on and that no running test process has handed out before."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with _lock:
            if port in _handed_out or not claim(port):
                continue
            _handed_out.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def temp_folder(prefix, where=None):
    folder = tempfile.mkdtemp(prefix=f"crossfade-{prefix}-", dir=where)
    _folders.append(folder)
    return folder


def spawn(argv, **popen):
    """subprocess.Popen whose process does not outlive this one.

    The kernel ends the child when the thread that started it ends, so long-lived children are
    started from the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("spawn() belongs to the main thread")
    popen.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], **popen)
    _children.append(child)
    return child


def end(child, limit_s=5.0):
    """SIGTERM, then SIGKILL; returns the exit code."""
    if child.poll() is None:
        child.send_signal(signal.SIGCONT)
        child.terminate()
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child in _children:
        _children.remove(child)
    return child.returncode


@atexit.register
def end_all():
    for child in list(_children):
        if child.poll() is None:
            child.kill()
            child.wait()
    _children.clear()
    if not os.environ.get("CROSSFADE_KEEP"):
        while _folders:
            shutil.rmtree(_folders.pop(), ignore_errors=True)


def _leave(number, _frame):
    sys.exit(128 + number)  # runs end_all


if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
