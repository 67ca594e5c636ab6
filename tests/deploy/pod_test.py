"""The sidecar's container of each overlay, started with exactly what the manifest says: pod.py says how far a
plain process can be one. Beside it run the servers that the redis overlays name, on their own addresses."""

import hashlib
import http.client
import itertools
import json
import os
import re
import subprocess
import unittest

import dockerfile
import manifests
import pod
from children import end, spawn, temp_folder, wait_until
from harness import TREE, RawConn
from pg_conn import PgConn
from postgres import TRUST, PostgresServer

TIME_LIMIT_S = 120
TOKEN = "a-token-of-the-tests"


def setUpModule():
    if manifests.kubectl() is None:
        raise unittest.SkipTest("kubectl is not installed: no container is started")
    if pod.why_not():
        raise unittest.SkipTest(f"no container is started: {pod.why_not()}")
    pod.enter_namespaces()


class Pod(unittest.TestCase):
    def container(self, overlay, labels=(), files=None):
        image = dockerfile.read_stages(os.path.join(TREE, "deploy", "Dockerfile"))[-1]
        spec = manifests.SidecarSpec(manifests.kustomize(overlay), labels)
        container = pod.Container(spec, image, pod.thin_root(), files)
        self.addCleanup(container.end)
        return container

    def redis(self, address):
        server = spawn(["redis-server", "--bind", address, "--port", "6379", "--save", "", "--dir",
                        temp_folder("redis")], stdout=subprocess.DEVNULL)
        self.addCleanup(end, server)
        wait_until(lambda: self.answers(address), 20, f"redis on {address}")

    @staticmethod
    def answers(address):
        try:
            with RawConn(6379, host=address) as client:
                return client.call("PING") == "PONG"
        except OSError:
            return False

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=20)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def must(self, method, path, body=None):
        status, text = self.call(method, "/api/v1" + path, body)
        self.assertLess(status, 300, text)
        return json.loads(text)["data"]

    def token_file(self):
        """What an operator puts in place of the Secret."""
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        return json.dumps({"tokens": [{"name": "ops", "role": "admin", "sha256": digest}]}).encode()

    def test_it_becomes_ready_though_its_servers_are_away_and_ends_within_the_grace_period(self):
        for overlay in manifests.OVERLAYS:
            with self.subTest(overlay):
                container = self.container(overlay)
                container.started()
                for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                    self.assertTrue(container.probe(name), name)
                code, seconds = container.stop()
                self.assertEqual(code, 0, container.log())
                self.assertLess(seconds, container.spec.pod["terminationGracePeriodSeconds"])
                messages = [json.loads(line)["message"] for line in container.log().splitlines()
                            if not line.startswith("crossfade ready ")]
                self.assertEqual(messages[-1], "stopped")

    def test_it_has_no_rights_and_writes_to_its_volume_only(self):
        container = self.container("redis")
        container.started()
        status = f"/proc/{container.child.pid}/status"
        self.assertEqual(pod.status_line(status, "Uid"), ["65532"] * 4)
        self.assertEqual(pod.status_line(status, "Gid"), ["65532"] * 4)
        for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
            self.assertEqual(int(pod.status_line(status, name)[0], 16), 0, name)
        self.assertEqual(pod.status_line(status, "NoNewPrivs"), ["1"])
        with open(f"/proc/{container.child.pid}/mountinfo", encoding="ascii") as file:
            mounts = {words[4]: words[5].split(",") for words in map(str.split, file)}
        self.assertIn("ro", mounts["/"])
        self.assertEqual([place for place, options in mounts.items() if "rw" in options
                          and not place.startswith("/dev/")], ["/var/lib/crossfade"])
        for place in ("/x", "/etc/crossfade/config/x", "/etc/crossfade/secrets/x", "/tmp/x",
                      "/usr/local/bin/x"):
            self.assertNotEqual(container.run("touch", place)[0], 0, place)
        self.assertEqual(container.run("touch", "/var/lib/crossfade/x"), (0, ""))
        self.assertEqual(container.run("ls", "/var/lib/crossfade/crossfade.db")[0], 0)

    def test_instance_and_region_come_from_the_downward_api(self):
        for labels, region in (((), ""), ({"topology.kubernetes.io/region": "eu-1"}, "eu-1")):
            container = self.container("redis", labels)
            container.started()
            self.assertIn(f'instance="app-0",region="{region}"', self.call("GET", "/metrics")[1])
            container.end()

    def test_the_app_is_served_and_a_migration_outlives_the_container(self):
        self.redis("127.0.0.2")
        self.redis("127.0.0.3")
        secrets = {"/etc/crossfade/secrets/secrets.json": self.token_file()}
        container = self.container("example", files=secrets)
        container.started()
        with RawConn(6400) as app:
            self.assertEqual(app.call("SET", "side", "through the sidecar"), "OK")
        with RawConn(6379, host="127.0.0.2") as old:
            self.assertEqual(old.call("GET", "side"), b"through the sidecar")
        strategy = {"type": "blue_green", "active_is_new": True}
        self.must("POST", "/migrations", {"id": "move", "strategy": strategy})
        self.must("POST", "/migrations/move/interlay/redis", {"endpoint": "new_redis"})
        self.must("POST", "/migrations/move/migrate?force=true")
        with RawConn(6400) as app:
            self.assertEqual(app.call("SET", "side", "on new"), "OK")
        self.assertEqual(container.stop()[0], 0, container.log())

        container.start()
        container.started()
        with RawConn(6400) as app:
            self.assertEqual(app.call("GET", "side"), b"on new")
        with RawConn(6379, host="127.0.0.3") as new:
            self.assertEqual(new.call("GET", "side"), b"on new")
        self.assertEqual(container.stop()[0], 0, container.log())

    def test_postgresql_is_entered_by_what_the_secret_says(self):
        server = PostgresServer(hba=["host all crossfade all scram-sha-256", *TRUST])
        self.addCleanup(server.stop)
        server.sql("CREATE ROLE crossfade LOGIN PASSWORD 'of the Secret'")
        spec = manifests.SidecarSpec(manifests.kustomize("postgres"))
        path = spec.env()["CROSSFADE_SECRETS"]
        # As an operator does: the file of the overlay, with what is secret or of one cluster put in.
        secrets = json.loads(spec.files()[path])
        secrets["tokens"] = json.loads(self.token_file())["tokens"]
        for endpoint in secrets["endpoints"]:
            endpoint["config"].update(host="127.0.0.1", port=server.port, password="of the Secret")
        container = self.container("postgres", files={path: json.dumps(secrets).encode()})
        container.started()
        with PgConn(6432, "app", "app") as app:
            self.assertEqual(app.rows("SELECT inet_server_port()"), [[str(server.port)]])
        wait_until(lambda: self.must("GET", "/interlays/postgres")["catalog"]["source"] == "server", 20,
                   "the catalog, which the sidecar reads with the endpoint's password")
        self.assertNotIn("of the Secret", container.log())
        self.assertEqual(container.stop()[0], 0, container.log())

    def test_pre_stop_waits_for_clients_and_not_for_a_sidecar_that_is_gone(self):
        self.redis("127.0.0.2")
        container = self.container("redis")
        container.started()
        with RawConn(6400) as app:
            self.assertEqual(app.call("PING"), "PONG")
            before = self.answered()
            hook = container.begin_pre_stop()
            # Well into its waiting: it has asked again and again, as have we, and the app is served.
            ours = itertools.count(1)
            wait_until(lambda: self.answered() - before - next(ours) >= 3, 20, "the hook asks")
            self.assertIsNone(hook.poll())
            self.assertEqual(app.call("PING"), "PONG")
        self.assertEqual(hook.wait(10), 0)
        self.assertEqual(container.stop()[0], 0)
        self.assertEqual(container.begin_pre_stop().wait(10), 1)

    def test_pre_stop_waits_no_longer_than_it_is_told(self):
        self.redis("127.0.0.2")
        container = self.container("redis")
        container.started()
        with RawConn(6400) as app:
            self.assertEqual(app.call("PING"), "PONG")
            code, output = container.run("/usr/local/bin/wait-for-clients", "1")
            self.assertEqual((code, output), (0, "wait-for-clients: 1 sessions after 1 s\n"))

    def answered(self):
        """How many calls the control port has answered before this one."""
        text = self.call("GET", "/metrics")[1]
        return float(re.search(r'^crossfade_control_requests_total{code="200"} (\S+)', text, re.M)[1])


if __name__ == "__main__":
    unittest.main()
