"""A container as far as a plain process can be one: the manifest's command line, environment, files and user,
in a root that it can not write to but for its volumes, with a network of its own.

What it is not: no seccomp profile, no cgroup with limits, no process namespace. Needs root. What is mounted
and listened on is in namespaces of this process, and gone with it.
"""

import atexit
import ctypes
import fcntl
import http.client
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from children import end, spawn, temp_folder, wait_until
from harness import TREE, binary

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40
HOSTS = {"127.0.0.1": "localhost", "127.0.0.2": "old-redis old-postgres",
         "127.0.0.3": "new-redis new-postgres"}


def why_not():
    """Why this machine does not let us make namespaces, or None: not root, or in a chroot, say."""
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True,
                           check=False, stdin=subprocess.DEVNULL)
    return tried.stderr.strip() if tried.returncode else None


def enter_namespaces():
    """This process, and its children, see mounts of their own from now on, and a network that is only lo."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    mount("--make-rprivate", "/")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


def mount(*words):
    subprocess.run(["mount", *words], check=True, stdin=subprocess.DEVNULL)


def thin_root(program=None):
    """A root of this machine's libraries with our programs where the image has them.

    It lies in memory, and is never removed file by file: this machine's /usr is mounted in it."""
    root = tempfile.mkdtemp(prefix="crossfade-root-")
    atexit.register(forget, root)
    mount("-t", "tmpfs", "tmpfs", root)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    for place in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/etc/alternatives"):
        if os.path.isdir(place):
            os.makedirs(root + place)
            mount("--bind", place, root + place)
            mount("-o", "remount,bind,ro", root + place)
    os.makedirs(os.path.join(root, "usr/local/bin"))
    os.makedirs(os.path.join(root, "etc/ssl/certs"))
    shutil.copy2(program or binary(), os.path.join(root, "usr/local/bin/crossfade"))
    shutil.copy2(os.path.join(TREE, "deploy/wait-for-clients.sh"),
                 os.path.join(root, "usr/local/bin/wait-for-clients"))
    return root


def forget(root):
    """Takes away what is mounted there, and the folder if that has left it empty."""
    subprocess.run(["umount", "--recursive", "--lazy", root], check=False, stdin=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    try:
        os.rmdir(root)
    except OSError:
        pass


class Container:
    """The sidecar of a SidecarSpec, started. `image` is the last Stage of the Dockerfile."""

    def __init__(self, spec, image, root, files=None):
        self.spec = spec
        self.root = root
        self.log_path = os.path.join(temp_folder("container"), "log")
        self.uid = spec.pod["securityContext"]["runAsUser"]
        self.gid = spec.pod["securityContext"]["runAsGroup"]
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOSTNAME": spec.pod_name,
                    **image.env, **spec.env()}
        self.workdir = image.workdir
        self.command = spec.container.get("command", image.entrypoint) + spec.container.get("args", image.cmd)
        self._furnish({**spec.files(), **(files or {})})
        self.child = None
        self.start()

    def _furnish(self, files):
        os.chmod(self.root, 0o755)
        hosts = "".join(f"{address} {names}\n" for address, names in HOSTS.items())
        for path, content in {"/etc/hosts": hosts.encode(), **files}.items():
            os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
            with open(self.root + path, "wb") as file:
                file.write(content)
        for name in ("dev", "proc", "tmp", self.workdir[1:]):
            os.makedirs(os.path.join(self.root, name), exist_ok=True)
        atexit.register(forget, self.root)
        mount("--rbind", self.root, self.root)
        for path in ("/dev/null", "/dev/urandom"):
            if not os.path.exists(self.root + path):
                open(self.root + path, "wb").close()
            mount("--bind", path, self.root + path)
        for place in self.spec.writable():
            volume = temp_folder("volume")
            os.chown(volume, 0, self.spec.pod["securityContext"]["fsGroup"])
            os.chmod(volume, 0o2770)
            os.makedirs(self.root + place, exist_ok=True)
            mount("--bind", volume, self.root + place)
        if self.spec.container["securityContext"]["readOnlyRootFilesystem"]:
            mount("-o", "remount,bind,ro", self.root)

    def inside(self, command):
        """`command` as it is run in the container: its root, user, rights and environment, nothing else."""
        groups = self.spec.pod["securityContext"]["fsGroup"]
        rights = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", f"--groups={groups}",
                  "--no-new-privs", "--pdeathsig=KILL"]
        if self.spec.container["securityContext"]["capabilities"]["drop"] == ["ALL"]:
            rights += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        settings = [f"{name}={value}" for name, value in self.env.items()]
        change = f'cd {self.workdir} && exec "$@"'
        return ["chroot", self.root, *rights, "env", "-i", *settings,
                "/bin/sh", "-c", change, "sh", *command]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.child = spawn(self.inside(self.command), stdout=log, stderr=log)

    def run(self, *command, limit_s=30):
        """A command beside it, as `kubectl exec` and hooks of kind exec do: (exit code, what it printed)."""
        done = subprocess.run(self.inside(command), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=limit_s)
        return done.returncode, done.stdout + done.stderr

    def begin_pre_stop(self):
        return spawn(self.inside(self.spec.container["lifecycle"]["preStop"]["exec"]["command"]))

    def probe(self, name):
        """Asks as the kubelet does: any status from 200 to 399 is good."""
        probe = self.spec.container[name]
        asked = probe["httpGet"]
        port = self.spec.port(asked["port"]) if isinstance(asked["port"], str) else asked["port"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=probe["timeoutSeconds"])
        try:
            connection.request("GET", asked["path"])
            return 200 <= connection.getresponse().status < 400
        except OSError:
            return False
        finally:
            connection.close()

    def started(self):
        """Waits for the startup probe, for as long as the kubelet would."""
        probe = self.spec.container["startupProbe"]
        limit_s = probe["periodSeconds"] * probe["failureThreshold"]

        def settled():
            if self.child.poll() is not None:
                raise AssertionError(f"ended with {self.child.returncode}: {self.log()}")
            return self.probe("startupProbe")
        wait_until(settled, limit_s, "the startup probe")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """preStop, then SIGTERM: (exit code, seconds that both took), as when the pod is deleted."""
        began = time.monotonic()
        hook = self.begin_pre_stop()
        hook.wait(self.spec.pod["terminationGracePeriodSeconds"])
        self.child.terminate()
        code = self.child.wait(self.spec.pod["terminationGracePeriodSeconds"])
        return code, time.monotonic() - began

    def end(self):
        end(self.child)


def status_line(path, name):
    """A line of /proc/PID/status."""
    with open(path, encoding="ascii") as file:
        return next(line.split(":", 1)[1].split() for line in file if line.startswith(name + ":"))
