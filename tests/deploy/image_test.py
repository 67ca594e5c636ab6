"""The Dockerfile: what it promises. With CROSSFADE_IMAGE=1 (`make deploy-check IMAGE=1`, minutes) its steps
are run in clean Debian roots, and the sidecar is started from the root that they leave."""

import os
import re
import subprocess
import unittest

import dockerfile
import manifests
import pod
from harness import TREE, binary, temp_folder

TIME_LIMIT_S = 3600
PATH = os.path.join(TREE, "deploy", "Dockerfile")
RUN_STEPS = os.environ.get("CROSSFADE_IMAGE") == "1"


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL).stdout


def owner_of(path):
    """The Debian package of a library, which may know it by its path of before /lib was /usr/lib."""
    path = os.path.realpath(path)
    found = subprocess.run(["dpkg", "-S", path, path.removeprefix("/usr")], capture_output=True, text=True,
                           check=False, stdin=subprocess.DEVNULL).stdout
    return found.split(":")[0]


class Promises(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stages = dockerfile.read_stages(PATH)
        cls.image = cls.stages[-1]

    def test_it_is_built_by_the_readme_s_own_command(self):
        with open(os.path.join(TREE, "README.md"), encoding="utf-8") as file:
            self.assertRegex(file.read(), r"(?m)^make deps build$")
        self.assertEqual(self.stages[0].runs()[-1], "make build")

    def test_the_image_has_no_compiler_and_no_cache_of_packages(self):
        install, = [text for text in self.image.runs() if "apt-get install" in text]
        for word in ("--no-install-recommends", "rm -rf /var/lib/apt/lists/*", "/var/cache/apt/*"):
            self.assertIn(word, install)
        self.assertNotRegex(install, r"\b(make|g\+\+|cmake|\S+-dev)\b")

    def test_its_packages_are_those_whose_libraries_the_program_names(self):
        needed = re.findall(r"NEEDED +(\S+)", output_of("objdump", "-p", binary()))
        paths = dict(re.findall(r"^\s*(\S+) => (\S+)", output_of("ldd", binary()), re.M))
        owners = {owner_of(paths[library]) for library in needed if library in paths}  # all but the loader
        install, = [text for text in self.image.runs() if "apt-get install" in text]
        packages = set(install.partition("--no-install-recommends")[2].partition("&&")[0].split())
        # ca-certificates: of servers that it enters over TLS. libc and libgcc are in the base image.
        self.assertEqual(packages - {"ca-certificates"}, owners - {"libc6", "libgcc-s1"})

    def test_it_runs_as_a_number_that_is_not_root_and_is_the_manifests(self):
        self.assertRegex(self.image.user, r"^[1-9]\d+:[1-9]\d+$")
        if manifests.kubectl() is None:
            self.skipTest("kubectl is not installed")
        context = manifests.SidecarSpec(manifests.kustomize("redis")).pod["securityContext"]
        self.assertEqual(self.image.user, f"{context['runAsUser']}:{context['runAsGroup']}")

    def test_what_is_built_or_secret_on_this_machine_stays_out(self):
        patterns = dockerfile.read_ignore(os.path.join(TREE, ".dockerignore"))
        for path in ("build", "build/release/crossfade", ".git", "tests/clients/node/node_modules",
                     "crossfade.db", "crossfade.db-ledger", "tests/tidy/__pycache__"):
            self.assertTrue(dockerfile.ignored_by(patterns, path), path)
        for path in ("Makefile", ".ci/deps", "proxy/main.cc", "deploy/wait-for-clients.sh",
                     "tests/CMakeLists.txt"):
            self.assertFalse(dockerfile.ignored_by(patterns, path), path)

    def test_an_instruction_that_is_not_understood_is_an_error(self):
        path = os.path.join(temp_folder("dockerfile"), "Dockerfile")
        for line in ("ADD https://example.org/x /x", "FROM scratch"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"FROM {dockerfile.BASE_IMAGE}\n{line}\n")
            with self.assertRaises(ValueError):
                dockerfile.read_stages(path)


@unittest.skipUnless(RUN_STEPS, "the image's steps take minutes: make deploy-check IMAGE=1")
class Steps(unittest.TestCase):
    def test_they_leave_a_root_in_which_the_sidecar_becomes_ready_and_ends(self):
        self.assertIsNone(pod.why_not())
        stages = dockerfile.read_stages(PATH)
        folder = temp_folder("image")
        log_path = os.path.join(TREE, "build", "image.log")
        print(f"steps: {log_path}", flush=True)
        with open(log_path, "w", encoding="utf-8") as log:
            root = dockerfile.Builder(TREE, folder, log).build(stages)
        for cache in ("var/lib/apt/lists", "var/cache/apt"):
            self.assertEqual(os.listdir(os.path.join(root, cache)), [])
        size = int(output_of("du", "-sxm", root).split()[0])
        print(f"the image's root: {size} MB", flush=True)
        pod.enter_namespaces()  # in which ports 8000 and 6400 are free
        container = pod.Container(manifests.SidecarSpec(manifests.kustomize("redis")), stages[-1], root)
        self.addCleanup(container.end)
        container.started()
        self.assertTrue(container.probe("readinessProbe"))
        code, _ = container.stop()
        self.assertEqual(code, 0, container.log())


if __name__ == "__main__":
    unittest.main()
