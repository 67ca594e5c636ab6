"""The command line client: a migration from its first endpoint to its end by `crossfade RESOURCE VERB …`,
what it prints for people and for scripts, its exit codes, and completion by real shells."""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import threading
import unittest

from certificates import Authority
from harness import ADMIN, READ, RawConn, RedisServer, Sidecar, binary, free_port, temp_folder, wait_until

DONE, REFUSED, BAD_INPUT, NOT_REACHED, ANSWER_IS_NO = range(5)


def client(server, *words, token=ADMIN, stdin="", env=None):
    environment = {"PATH": "/usr/bin:/bin", "CROSSFADE_SERVER": server, "CROSSFADE_TOKEN": token}
    return subprocess.run([binary(), *words], input=stdin, capture_output=True, text=True, timeout=60,
                          env=environment | (env or {}), check=False)


class WithSidecar(unittest.TestCase):
    def setUp(self):
        self.old = self.enterContext(RedisServer())
        self.new = self.enterContext(RedisServer(save="3600 1"))
        self.sidecar = self.enterContext(Sidecar())
        self.server = "http://{}:{}".format(*self.sidecar.control)

    def run_client(self, *words, code=DONE, **options):
        done = client(self.server, *words, **options)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done

    def data(self, *words, **options):
        return json.loads(self.run_client(*words, "--json", **options).stdout)

    def define(self):
        for name, server in (("old", self.old), ("new", self.new)):
            self.run_client("endpoints", "create", name, "kind=redis",
                            f"config.url=redis://127.0.0.1:{server.port}/0")
        return self.data("interlays", "create", "cache", "endpoint=old", "port:=0")["port"]

    def begin(self, share="0.25"):
        port = self.define()
        self.run_client("migrations", "create", "m", "description=to the new one",
                        "strategy.type=canary", f"strategy.read_percentage:={share}")
        self.run_client("migrations", "add-interlay", "m", "cache", "new")
        self.run_client("migrations", "migrate", "m")
        return port


class OneMigration(WithSidecar):
    def test_from_the_first_endpoint_to_the_end(self):
        port = self.define()
        listed = self.run_client("endpoints", "list").stdout.splitlines()
        self.assertEqual(listed[0].split(), ["ID", "KIND", "UP", "VERSION", "ADDRESS", "DESCRIPTION"])
        self.assertEqual(sorted(line.split()[:3] for line in listed[1:]),
                         [["new", "redis", "yes"], ["old", "redis", "yes"]])
        self.assertIn(f"127.0.0.1:{port}", self.run_client("interlays", "list").stdout)
        self.run_client("migrations", "create", "m", "strategy.type=canary",
                        "strategy.read_percentage:=0.5")
        self.assertEqual(self.run_client("migrations", "list", "--ids").stdout, "m\n")
        self.assertEqual(self.run_client("migrations", "add-interlay", "m", "cache", "new").stdout,
                         "added Interlay to migration\n")
        tested = self.run_client("migrations", "test", "m").stdout
        self.assertIn("valid: yes", tested)
        self.assertRegex(tested, r"(?m)^yes +new_reachable +cache +endpoint 'new'")
        self.assertEqual(self.run_client("migrations", "migrate", "m").stdout,
                         "migration commit completed\n")
        self.assertRegex(self.run_client("migrations", "get", "m").stdout,
                         r"(?m)^strategy\.read_percentage +0\.5$")
        changed = self.data("migrations", "set", "m", "strategy.type=canary",
                            "strategy.read_percentage:=1.0",
                            'strategy.write_mode:={"mode":"cutover","write_percentage":1.0}')
        self.assertEqual(changed["strategy"]["read_percentage"], 1.0)
        with RawConn(port) as one:
            one.call("SET", "key", "value")
        self.assertEqual(self.new.call("GET", "key"), b"value")
        for verb, status in (("pause", "paused"), ("resume", "running"), ("complete", "completed")):
            self.assertEqual(self.data("migrations", verb, "m")["status"], status)
        journal = self.run_client("migrations", "events", "m").stdout
        for word in ("created", "started", "paused", "resumed", "completed"):
            self.assertIn(word, journal)
        self.assertEqual(self.run_client("migrations", "events", "m", "--limit", "1",
                                         "--after", "1").stdout.count("\n"), 2)
        self.assertEqual(self.data("migrations", "divergence", "m")["entries"], [])
        self.assertIs(self.data("migrations", "status", "m")["in_force"], True)
        self.run_client("migrations", "delete", "m")
        self.run_client("interlays", "stop", "cache")
        self.assertIs(self.data("interlays", "get", "cache")["running"], False)
        self.run_client("interlays", "start", "cache")
        self.run_client("interlays", "delete", "cache")
        self.run_client("endpoints", "delete", "old")
        self.assertEqual(self.run_client("endpoints", "list", "--ids").stdout, "new\n")

    def test_bodies_from_files_and_standard_input(self):
        self.define()
        file = pathlib.Path(temp_folder("client"), "m.json")
        file.write_text(json.dumps({"id": "f", "strategy": {"type": "blue_green", "active_is_new": False}}))
        self.run_client("migrations", "create", "-f", str(file), "description=from a file")
        shown = self.data("migrations", "get", "f")
        self.assertEqual((shown["description"], shown["strategy"]["type"]), ("from a file", "blue_green"))
        self.run_client("migrations", "set", "f", "-f", "-", stdin='{"description": "from a pipe"}')
        self.assertEqual(self.data("migrations", "get", "f")["description"], "from a pipe")

    def test_changes_with_an_etag_that_is_no_longer_true_are_refused(self):
        self.define()
        refused = self.run_client("endpoints", "set", "old", "description=x", "--if-match", '"0"',
                                  code=REFUSED)
        self.assertRegex(refused.stderr, r"^crossfade: .*ETag|^crossfade: .*changed|^crossfade: .*If-Match")
        etag = self.data("endpoints", "get", "old")["etag"]
        self.run_client("endpoints", "set", "old", "description=x", "--if-match", etag)
        self.assertNotEqual(self.data("endpoints", "get", "old")["etag"], etag)

    def test_a_server_that_lets_only_clients_in_is_not_asked(self):
        words = ("endpoints", "create", "far", "kind=redis", "config.host=127.0.0.1",
                 f"config.port:={free_port()}")
        self.run_client(*words, code=NOT_REACHED)
        self.run_client(*words, "--no-check")
        self.assertEqual(self.data("endpoints", "get", "far")["id"], "far")


class ExitCodes(WithSidecar):
    def test_refusals_say_what_the_sidecar_says(self):
        done = self.run_client("migrations", "get", "nope", code=REFUSED)
        self.assertEqual((done.stdout, done.stderr), ("", "crossfade: Migration 'nope' does not exist\n"))
        self.run_client("migrations", "list", token="wrong", code=REFUSED)
        self.run_client("migrations", "get", "nope", token=READ, code=REFUSED)
        done = self.run_client("migrations", "get", "b?c d%20", code=REFUSED)
        self.assertIn("'b?c d%20' does not exist", done.stderr)

    def test_ids_are_no_paths(self):
        self.define()
        for strange in ("a/b c", "..", "a/../../endpoints", "%2e%2e", "x;y"):
            done = self.run_client("migrations", "get", strange, code=REFUSED)
            self.assertIn(f"Migration '{strange}' does not exist", done.stderr)
        uuid = self.data("endpoints", "get", "old")["uuid"]
        self.assertEqual(self.data("endpoints", "get", uuid.upper())["id"], "old")

    def test_a_name_that_is_empty_is_refused_before_anybody_is_asked(self):
        """A shell's variable that nobody has set."""
        for resource in ("endpoints", "interlays", "templates", "apis", "migrations"):
            self.assertIn("empty", self.run_client(resource, "get", "", code=BAD_INPUT).stderr)

    def test_an_answer_that_cannot_be_written_is_not_given(self):
        self.define()
        environment = {"PATH": "/usr/bin:/bin", "CROSSFADE_SERVER": self.server, "CROSSFADE_TOKEN": ADMIN}
        for words in (("endpoints", "list"), ("endpoints", "get", "old", "--json"), ("completion", "bash"),
                      ("--help",), ("--version",), ("migrations", "list", "--help")):
            with self.subTest(words), open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([binary(), *words], stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=60, env=environment, check=False)
                self.assertEqual(done.returncode, NOT_REACHED)
                self.assertEqual(done.stderr,
                                 "crossfade: the answer cannot be written to the standard output\n")

    def test_a_test_that_finds_fault(self):
        self.define()
        self.run_client("migrations", "create", "m", "data.type=scan", "data.replace=replace")
        self.run_client("migrations", "add-interlay", "m", "cache", "new")
        done = self.run_client("migrations", "test", "m", code=ANSWER_IS_NO)
        self.assertRegex(done.stdout, r"(?m)^no +data_movement")
        self.assertIn("valid: no", done.stdout)
        self.assertIs(json.loads(self.run_client("migrations", "test", "m", "--json",
                                                 code=ANSWER_IS_NO).stdout)["valid"], False)
        self.run_client("migrations", "migrate", "m", code=REFUSED)

    def test_what_is_refused_is_done_by_force(self):
        self.define()
        dual_write = ("strategy.type=canary", "strategy.read_percentage:=0",
                      'strategy.write_mode:={"mode":"dual_write","policy":"old_authoritative"}')
        self.run_client("migrations", "create", "m", *dual_write)
        self.run_client("migrations", "add-interlay", "m", "cache", "new")
        self.run_client("migrations", "migrate", "m")
        for number in range(200):
            self.new.call("SET", f"k{number}", number)
        done = self.run_client("migrations", "verify", "m", code=REFUSED)
        self.assertIn("'old' has 0 keys, endpoint 'new' 200", done.stderr)
        self.run_client("migrations", "verify", "m", "--force")
        wait_until(lambda: self.new.call("DBSIZE") == 0, 30, "new is like old")
        self.run_client("migrations", "pause", "m", "--force", code=BAD_INPUT)

    def test_bad_command_lines_send_nothing(self):
        for words in (("migrations",), ("migrations", "get"), ("migrations", "fly", "m"),
                      ("migrations", "create", "m", "word"), ("migrations", "create", "m", "a:=nonsense"),
                      ("migrations", "create", "-f", "/nonexistent"), ("completion", "csh"),
                      ("migrations", "create", "-f", "-"),
                      ("endpoints", "list", "--server", "localhost"),
                      ("endpoints", "list", "--timeout", "0")):
            done = self.run_client(*words, code=BAD_INPUT)
            self.assertNotEqual(done.stderr, "", words)
            if "fly" in words:
                self.assertEqual(done.stderr, "crossfade: 'fly' is no command here; see --help\n")
        self.assertEqual(self.data("migrations", "list"), [])

    def test_nobody_there(self):
        done = client(f"http://127.0.0.1:{free_port()}", "migrations", "list")
        self.assertEqual(done.returncode, NOT_REACHED)
        self.assertIn("is the sidecar running", done.stderr)
        # A server, but none of ours.
        done = client(f"http://127.0.0.1:{self.old.port}", "migrations", "list", "--timeout", "2")
        self.assertEqual(done.returncode, NOT_REACHED)

    def test_tokens_stand_in_files_and_no_secret_is_printed(self):
        file = pathlib.Path(temp_folder("client"), "token")
        file.write_text(ADMIN + "\n")
        self.run_client("migrations", "list", "--token-file", str(file), token="wrong")
        self.run_client("migrations", "list", env={"CROSSFADE_TOKEN": "", "CROSSFADE_READ_TOKEN": READ})
        done = self.run_client("migrations", "list", token="a-wrong-secret", code=REFUSED)
        self.assertNotIn("a-wrong-secret", done.stdout + done.stderr)
        help_text = self.run_client("migrations", "list", "--help", token="a-wrong-secret").stdout
        self.assertNotIn("a-wrong-secret", help_text)

    def test_in_the_environment_of_the_sidecar_nothing_need_be_said(self):
        control = "0.0.0.0:{}".format(self.sidecar.control[1])
        done = client("", "endpoints", "list", token="",
                      env={"CROSSFADE_CONTROL": control, "CROSSFADE_ADMIN_TOKEN": ADMIN})
        self.assertEqual(done.returncode, DONE, done.stderr)


class Tls(unittest.TestCase):
    def test_who_signed_the_control_port_must_be_named(self):
        authority = Authority()
        certificate, key = authority.issue("localhost", "127.0.0.1")
        config = {"control": {"tls": {"server_cert": certificate, "server_key": key}}}
        with Sidecar(config=config) as sidecar:
            server = "https://{}:{}".format(*sidecar.control)
            refused = client(server, "endpoints", "list")
            self.assertEqual(refused.returncode, NOT_REACHED)
            self.assertIn("--ca-cert", refused.stderr)
            done = client(server, "endpoints", "list", "--ca-cert", authority.cert)
            self.assertEqual(done.returncode, DONE, done.stderr)


class Watch(WithSidecar):
    def start(self, *words):
        child = subprocess.Popen(
            [binary(), "migrations", "watch", "m", "--interval", "0.05", *words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "CROSSFADE_SERVER": self.server, "CROSSFADE_TOKEN": ADMIN})
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        lines = []

        def read():
            for line in child.stdout:
                lines.append(line)
        reader = threading.Thread(target=read)
        reader.start()
        self.addCleanup(reader.join)
        return child, lines

    def test_a_long_journal_is_told_to_its_end(self):
        self.begin("0.5")
        changes = 1100  # more than one page of the API
        for number in range(changes):
            self.sidecar.patch("m", {"read_percentage": 0.25 + number % 2 / 4})
        self.sidecar.must("POST", "/migrations/m/rollback")
        lines = self.data("migrations", "events", "m", "--after", "0", "--limit", "2000")
        self.assertGreater(len(lines), changes)
        seqs = [line["seq"] for line in lines]
        self.assertEqual(seqs, sorted(set(seqs)))
        newest = self.run_client("migrations", "events", "m", "--json")
        self.assertEqual(json.loads(newest.stdout), lines[-100:])
        self.assertIn(f"and {len(lines) - 100} older lines", newest.stderr)
        self.assertEqual(self.data("migrations", "events", "m", "--after", str(seqs[4]),
                                   "--limit", "3"), lines[5:8])
        child, told = self.start()
        self.assertEqual(child.wait(60), ANSWER_IS_NO)
        wait_until(lambda: any(line.startswith("m") for line in told), 10, "the status")
        journal = [line for line in told if lines[-1]["reason"] in line and lines[-1]["at"] in line]
        self.assertTrue(journal, told[-5:])

    def test_it_follows_until_the_end_and_tells_shares_and_journal(self):
        port = self.begin("0.5")
        child, lines = self.start()
        with RawConn(port) as one:
            def seen():
                for number in range(50):
                    one.call("GET", f"key:{number}")
                return any("/s (" in line and "(0.0 %" not in line for line in lines)
            wait_until(seen, 20, "a share of requests to be shown")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(child.wait(20), ANSWER_IS_NO)
        text = "".join(lines)
        self.assertIn("rolled_back", text)
        self.assertIn("started", text)
        self.assertNotIn("\x1b", text)

    def test_it_outlives_a_restart_of_the_sidecar(self):
        self.begin()
        child, lines = self.start()
        wait_until(lambda: lines, 20, "the first look")
        self.sidecar.kill9()
        wait_until(lambda: any("not reached" in line for line in lines), 20, "to notice")
        self.sidecar.restart()
        server = "http://{}:{}".format(*self.sidecar.control)
        if server != self.server:  # it has come back elsewhere
            self.skipTest("the control port is another one now")
        self.sidecar.must("PATCH", "/migrations/m", {"strategy": {"type": "canary", "read_percentage": 1.0}})
        self.sidecar.must("POST", "/migrations/m/complete")
        self.assertEqual(child.wait(20), DONE)

    def test_scripts_get_one_status_in_each_line(self):
        self.begin()
        child, lines = self.start("--json")
        wait_until(lambda: len(lines) > 1, 20, "two looks")
        self.sidecar.must("POST", "/migrations/m/rollback")
        self.assertEqual(child.wait(20), ANSWER_IS_NO)
        statuses = [json.loads(line)["status"] for line in lines]
        self.assertEqual((statuses[0], statuses[-1]), ("running", "rolled_back"))

    def test_on_a_terminal_it_redraws_in_place(self):
        self.begin()
        master, slave = pty.openpty()
        child = subprocess.Popen(
            [binary(), "migrations", "watch", "m", "--interval", "0.05"], stdout=slave,
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "CROSSFADE_SERVER": self.server,
                                           "CROSSFADE_TOKEN": ADMIN})
        os.close(slave)
        text = bytearray()

        def read():
            while True:
                try:
                    got = os.read(master, 4096)
                except OSError:
                    return
                if not got:
                    return
                text.extend(got)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            wait_until(lambda: text.count(b"\x1b[2A\x1b[J") > 2, 20, "two lines to be replaced")
            self.sidecar.must("POST", "/migrations/m/rollback")
            self.assertEqual(child.wait(20), ANSWER_IS_NO)
        finally:
            child.kill()
            child.wait()
            reader.join()
            os.close(master)

    def test_a_migration_that_is_not_there(self):
        self.run_client("migrations", "watch", "nope", code=REFUSED)


class Completion(WithSidecar):
    def complete(self, line, last=("",), whole=None):
        """What bash offers behind a line, or to end the words that it has made of the last one."""
        folder = pathlib.Path(binary()).parent
        ended = " ".join(f"'{word}'" for word in last)
        script = f"""source <(crossfade completion bash)
COMP_LINE='{whole or line + " "}'
COMP_WORDS=({line} {ended})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_crossfade
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=True,
                              env={"PATH": f"{folder}:/usr/bin:/bin", "CROSSFADE_SERVER": self.server,
                                   "CROSSFADE_TOKEN": ADMIN})
        return done.stdout.split()

    def test_bash_offers_commands_and_names(self):
        self.begin()
        self.assertIn("migrations", self.complete("crossfade"))
        self.assertTrue({"watch", "migrate", "list"} <= set(self.complete("crossfade migrations")))
        self.assertEqual(self.complete("crossfade migrations watch"), ["m"])
        self.assertEqual(sorted(self.complete("crossfade endpoints --json get")), ["new", "old"])
        self.assertEqual(self.complete("crossfade endpoints get old"), [])
        self.assertEqual(self.complete("crossfade completion"), ["bash", "zsh", "fish"])
        adding = "crossfade migrations add-interlay"
        self.assertEqual(self.complete(f"{adding} --timeout 5"), ["m"])
        self.assertEqual(self.complete(f"{adding} --timeout"), [])
        self.assertEqual(self.complete(f"{adding} m"), ["cache"])
        self.assertEqual(sorted(self.complete(f"{adding} --server = {self.server} m cache")),
                         ["new", "old"])
        self.sidecar.must("POST", "/templates", {"id": "t", "endpoint": "old", "query": "GET {{id}}"})
        self.sidecar.must("POST", "/apis", {"id": "users", "bindings": [{"template": "t"}]})
        self.assertEqual(self.complete("crossfade migrations add-api m"), ["users"])

    def test_bash_offers_names_with_a_colon(self):
        """bash cuts words at each ':', and puts only what is behind the last one in place."""
        for name in ("m:old", "m:new", "other"):
            self.sidecar.must("POST", "/migrations", {"id": name, "strategy": {"type": "blue_green"}})
        for typed, offered in (("m:", ["new", "old"]), ("m:o", ["old"]), ("m", ["m:new", "m:old"]),
                               ("", ["m:new", "m:old", "other"]), ("o", ["other"])):
            line = f"crossfade migrations get {typed}"
            words = typed.replace(":", " : ").split() or [""]
            self.assertEqual(sorted(self.complete("crossfade migrations get", words, line)), offered, typed)

    def test_each_shell_reads_its_script(self):
        for shell, flags in (("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])):
            script = self.run_client("completion", shell).stdout
            self.assertIn("migrations", script)
            if shutil.which(shell) is None:
                continue
            subprocess.run([shell, *flags], input=script, text=True, timeout=30, check=True)


if __name__ == "__main__":
    unittest.main()
