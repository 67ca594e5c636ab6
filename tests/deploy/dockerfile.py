"""A Dockerfile as data, and its steps run without Docker: each stage in a Debian root of its own.

Knows the instructions that ours uses, in the forms in which it uses them, and refuses all others: what is not
understood must not count as checked. Needs root and debootstrap to run steps; reading needs nothing.
"""

import dataclasses
import fnmatch
import json
import os
import re
import shutil
import subprocess

BASE_IMAGE = "debian:12-slim"
SUITE = "bookworm"  # what that image is
# What a container has from outside of its image. Gone with the step: in a namespace of its own.
MOUNTS = """mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/tmp"; mount --rbind /dev "$0/dev"
exec chroot "$0" "$@" """
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Stage:
    name: str
    steps: list = dataclasses.field(default_factory=list)  # [(instruction, text)]
    env: dict = dataclasses.field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    entrypoint: list = dataclasses.field(default_factory=list)
    cmd: list = dataclasses.field(default_factory=list)

    def runs(self):
        return [text for instruction, text in self.steps if instruction == "RUN"]


def instructions(text):
    """[(instruction, text)], comments left out, continued lines joined."""
    lines = [line for line in text.split("\n") if not re.match(r"\s*(#|$)", line)]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.split("\n")]


def read_stages(path):
    """[Stage], the last of which is the image."""
    stages = []
    with open(path, encoding="utf-8") as file:
        for instruction, text in instructions(file.read()):
            if instruction == "FROM":
                image, _, name = text.partition(" AS ")
                if image != BASE_IMAGE:
                    raise ValueError(f"FROM {image}: expected {BASE_IMAGE}")
                stages.append(Stage(name))
                continue
            stage = stages[-1]
            stage.steps.append((instruction, text))
            if instruction == "ENV":
                stage.env.update([text.split("=", 1)])
            elif instruction == "WORKDIR":
                stage.workdir = text
            elif instruction == "USER":
                stage.user = text
            elif instruction in ("ENTRYPOINT", "CMD"):
                setattr(stage, instruction.lower(), json.loads(text))
            elif instruction not in ("RUN", "COPY", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL"):
                raise ValueError(f"{instruction}: not known here")
    return stages


def ignored_by(patterns, path):
    """Whether .dockerignore leaves `path` (relative, a file or folder) out of the context."""
    for pattern in patterns:
        if pattern.startswith("**/"):
            if any(fnmatch.fnmatch(part, pattern[3:]) for part in path.split("/")):
                return True
        elif path == pattern or path.startswith(pattern + "/"):
            return True
    return False


def read_ignore(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def copy(source, target, ignore=None):
    """As COPY does: a folder's contents into a folder, a file to a file or into a folder."""
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignore)
    else:
        if target.endswith("/") or os.path.isdir(target):
            target = os.path.join(target, os.path.basename(source))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target)


class Builder:
    """Runs all stages; leaves nothing mounted, whatever happens."""

    def __init__(self, context, folder, log):
        self.context = context
        self.folder = folder
        self.log = log  # file for what the steps print
        self.roots = {}

    def build(self, stages):
        """Returns the root of the last stage."""
        pristine = os.path.join(self.folder, "debian")
        self._run(["debootstrap", "--variant=minbase", SUITE, pristine])
        for index, stage in enumerate(stages):
            root = os.path.join(self.folder, f"stage-{index}")
            self._run(["cp", "-a", pristine, root])
            self.roots[stage.name or str(index)] = root
            self._steps(stage, root)
        return root

    def _steps(self, stage, root):
        self._lend(root)
        env, workdir = {"PATH": PATH, "HOME": "/root"}, "/"
        for instruction, text in stage.steps:
            print(f"--- {instruction} {text}", file=self.log, flush=True)
            if instruction == "ENV":
                env.update([text.split("=", 1)])
            elif instruction == "WORKDIR":
                workdir = text
                os.makedirs(root + workdir, exist_ok=True)
            elif instruction == "COPY":
                self._copy(text, root, workdir)
            elif instruction == "RUN":
                settings = [f"{name}={value}" for name, value in env.items()]
                self._run(["unshare", "--mount", "/bin/sh", "-e", "-c", MOUNTS, root, "env", "-i", *settings,
                           "/bin/sh", "-c", f"cd {workdir} && {text}"])
        for path in self.lent:
            os.remove(path)

    def _copy(self, text, root, workdir):
        words = text.split()
        origin, ignore = self.context, self._ignore
        if words[0].startswith("--from="):
            origin, ignore = self.roots[words.pop(0)[len("--from="):]], None
        source, target = words
        ends = "/" if target.endswith((".", "/")) else ""
        copy(os.path.normpath(origin + "/" + source),
             os.path.normpath(os.path.join(root + workdir, target) if not target.startswith("/")
                              else root + target) + ends, ignore)

    def _ignore(self, folder, names):
        patterns = read_ignore(os.path.join(self.context, ".dockerignore"))
        inside = os.path.relpath(folder, self.context)
        return [name for name in names
                if ignored_by(patterns, os.path.normpath(os.path.join(inside, name)))]

    def _lend(self, root):
        """This machine's way to Debian's packages, while the steps run."""
        self.lent = []
        for path in ["/etc/resolv.conf", "/etc/hosts", *self._apt_settings()]:
            if os.path.exists(path) and not os.path.exists(root + path):
                self.lent.append(root + path)
            if os.path.exists(path):
                shutil.copyfile(path, root + path)

    @staticmethod
    def _apt_settings():
        folder = "/etc/apt/apt.conf.d"
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if "roxy" in name]

    def _run(self, command):
        subprocess.run(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, check=True)
