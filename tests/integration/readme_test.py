"""The README is true: its first migration works as printed, and its configuration file is valid."""

import json
import os
import re
import subprocess
import unittest

from harness import ADMIN, TREE, RawConn, RedisServer, Sidecar, binary, free_port, temp_folder
from postgres import PostgresServer

with open(os.path.join(TREE, "README.md"), encoding="utf-8") as file:
    README = file.read()


def blocks(title, language=""):
    """The fenced blocks of that language in the section of that title."""
    section = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def printed_commands(title):
    return [command for block in blocks(title) for command in block.split("\n\n")
            if command.startswith(("curl", "psql"))]


class Readme(unittest.TestCase):
    def test_the_first_migration_works_as_printed(self):
        commands = printed_commands("The first migration")
        self.assertGreaterEqual(len(commands), 8)
        with RedisServer() as old, RedisServer() as new, Sidecar() as sidecar:
            port = free_port()
            places = {"127.0.0.1:8000": "%s:%d" % sidecar.control, ":6379": f":{old.port}",
                      ":6380": f":{new.port}", '"port": 6400': f'"port": {port}'}
            for command in commands:
                for printed, real in places.items():
                    command = command.replace(printed, real)
                for single in re.split(r"\n(?=curl)", command.rstrip()):
                    self.run_one(single)
                if "/interlays" in command:
                    with RawConn(port) as client:
                        self.assertEqual(client.call("SET", "key", "value"), "OK")
            self.assertEqual(old.call("GET", "key"), b"value")

    def test_the_first_migration_of_postgresql_works_as_printed(self):
        commands = printed_commands("The first migration of PostgreSQL")
        self.assertGreaterEqual(len(commands), 15)
        table = "create table accounts (id int primary key, name text)"
        with PostgresServer() as old, PostgresServer() as new, Sidecar() as sidecar:
            for server in (old, new):
                server.sql(table, database="postgres")
            port = free_port()
            places = {"127.0.0.1:8000": "%s:%d" % sidecar.control, "5433": f"{old.port}",
                      "5434": f"{new.port}", "6432": f"{port}"}
            for command in commands:
                for printed, real in places.items():
                    command = command.replace(printed, real)
                for single in re.split(r"\n(?=curl|psql)", command.rstrip()):
                    self.run_one(single)
            rows = "select * from accounts"
            for server in (old, new):
                self.assertEqual(server.sql(rows, database="postgres"), [["1", "on both"]])
            psql = f"psql -h 127.0.0.1 -p {port} -U postgres -c \"INSERT INTO accounts VALUES (2)\""
            self.run_one(psql)  # the cutover is in force
            self.assertEqual(len(new.sql(rows, database="postgres")), 2)
            self.assertEqual(len(old.sql(rows, database="postgres")), 1)

    def test_the_token_is_made_by_what_every_machine_has(self):
        (line,) = re.findall(r"^export TOKEN=.*$", README, re.M)
        done = subprocess.run(["env", "-i", "bash", "-c", line + '; printf %s "$TOKEN"'],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertRegex(done.stdout, r"\A[0-9a-f]{32}\Z")

    def run_one(self, command):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True,
                              env={**os.environ, "TOKEN": ADMIN}, stdin=subprocess.DEVNULL,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        if command.startswith("psql"):
            return
        if "/metrics" in command:
            self.assertIn("crossfade_requests_total{", done.stdout)
        else:
            self.assertEqual(json.loads(done.stdout)["status"], "success", f"{command}\n{done.stdout}")

    def test_the_configuration_file_is_valid(self):
        (printed,) = blocks("Configuration", "json")
        text = printed.replace("<64 hexadecimal digits>", "0123456789abcdef" * 4)
        path = os.path.join(temp_folder("readme"), "crossfade.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
