"""Who is let in: logins handed through, ended at the sidecar, and by nobody's judgement.

No password, verifier or key is in any log line or answer; unknown users are told what wrong passwords are.
"""

import asyncio
import hashlib
import importlib
import json
import os
import statistics
import subprocess
import time
import unittest

import asyncpg
from certificates import Authority
from harness import SLOWNESS, Sidecar, free_port, wait_until
from pg_conn import PgConn, ServerError
from pg_login import Login, Scram, scram_verifier
from pg_messages import VERSION_3_0, body_of, fields_of, kind_of, query, startup, text
from postgres import PostgresServer

TIME_LIMIT_S = 240
SALT = b"0123456789abcdef"
PASSWORD = "Wort & pass/42"
VERIFIER = scram_verifier(PASSWORD, SALT)
EVERYBODY = ("host all all 127.0.0.1/32 scram-sha-256",)
METHODS = ("host all trusting 127.0.0.1/32 trust", "host all clear 127.0.0.1/32 password",
           "host all hashed 127.0.0.1/32 md5", "host all app 127.0.0.1/32 scram-sha-256",
           "host all asker 127.0.0.1/32 trust")
ROLES = (f"ALTER ROLE app PASSWORD '{VERIFIER}'",
         f"CREATE ROLE clear LOGIN PASSWORD '{VERIFIER}'", "CREATE ROLE trusting LOGIN",
         "SET password_encryption = 'md5'", f"CREATE ROLE hashed LOGIN PASSWORD '{PASSWORD}'",
         "SET password_encryption = 'scram-sha-256'",
         "CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'asks'",
         f"CREATE ROLE late LOGIN PASSWORD '{VERIFIER}' VALID UNTIL '2001-01-01'",
         f"CREATE ROLE early LOGIN PASSWORD '{VERIFIER}' VALID UNTIL '2101-01-01'",
         "CREATE ROLE without LOGIN")


class Case(unittest.TestCase):
    """Servers of both versions with users of every kind; endpoints and ports are the test's."""

    hba = EVERYBODY

    @classmethod
    def setUpClass(cls):
        cls.ca = Authority("ports")
        cls.pair = cls.ca.issue("localhost", "127.0.0.1")
        cls.plain = cls.enterClassContext(PostgresServer(15, hba=cls.hba))
        cls.secure = cls.enterClassContext(PostgresServer(18, hba=cls.hba, ssl=True))
        for server in (cls.plain, cls.secure):
            server.sql(*ROLES)

    def setUp(self):
        self.sidecar = self.enterContext(Sidecar(loops=2))
        self.addCleanup(self.no_secret_is_shown)

    def no_secret_is_shown(self):
        shown = self.sidecar.log_text()
        if self.sidecar.alive():
            for path in ("/interlays", "/endpoints"):
                shown += json.dumps(self.sidecar.must("GET", path))
        stored, server = VERIFIER.split("$")[2].split(":")
        for secret in (PASSWORD, stored, server, VERIFIER, "asks\""):
            self.assertNotIn(secret, shown)

    def port(self, server, auth=None, tls=False, check=True, **config):
        self.sidecar.must("POST", "/endpoints?check=false", {
            "id": "old", "kind": "postgres", "config": {"host": "127.0.0.1", "port": server.port, **config}})
        body = {"id": "i", "endpoint": "old", "port": 0, "auth": auth}
        if tls:
            body["tls"] = {"server_cert": self.pair[0], "server_key": self.pair[1]}
        return self.sidecar.must("POST", "/interlays" if check else "/interlays?check=false", body)["port"]

    def enter(self, port, user="app", password=PASSWORD, **more):
        return self.enterContext(PgConn(port, user, "app", password=password, limit_s=10 * SLOWNESS, **more))

    def refusal(self, port, user="app", password=PASSWORD, **more):
        with self.assertRaises(ServerError) as caught:
            PgConn(port, user, "app", password=password, limit_s=10 * SLOWNESS, **more)
        return caught.exception.fields

    def counted(self):
        """Refused logins by reason, without the zeros."""
        reasons = ("password", "protocol", "plain", "binding", "look_up", "entry", "server", "unreachable",
                   "timeout", "draining")
        found = {one: self.sidecar.metric("crossfade_logins_refused_total", reason=one) for one in reasons}
        self.assertEqual(sum(found.values()), self.sidecar.metric("crossfade_logins_refused_total"))
        return {reason: count for reason, count in found.items() if count}

    def psql(self, port, sql, **environment):
        return subprocess.run(["psql", "-XAtc", sql], capture_output=True, text=True, timeout=20 * SLOWNESS,
                              env={**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "app",
                                   "PGDATABASE": "app", "PGPASSWORD": PASSWORD, **environment})


class PassThroughTest(Case):
    """The home server judges."""

    hba = METHODS

    def test_every_method_is_handed_through(self):
        for number, server in enumerate((self.plain, self.secure), 1):
            port = self.port(server)
            for user in ("trusting", "clear", "hashed", "app"):
                with self.subTest(user=user, version=server.version):
                    self.assertEqual(self.enter(port, user).value("select session_user"), user)
                    if user == "trusting":
                        continue
                    said = self.refusal(port, user, "wrong")
                    with self.assertRaises(ServerError) as direct:
                        PgConn(server.port, user, "app", password="wrong")
                    self.assertEqual(said, direct.exception.fields)
            self.assertEqual(self.counted(), {"password": 3 * number})
            self.sidecar.must("DELETE", "/interlays/i")
            self.sidecar.must("DELETE", "/endpoints/old")

    def test_plus_is_hidden_from_a_client_whose_tls_it_would_not_be(self):
        port = self.port(self.secure)
        conn = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
        conn.send(startup(user="app", database="app"))
        self.assertEqual(body_of(conn.read_raw()), b"\0\0\0\x0a" + text("SCRAM-SHA-256") + b"\0")
        self.assertEqual(self.psql(port, "select 1").stdout, "1\n")

    def test_scram_between_two_tls_is_refused_with_what_to_do(self):
        port = self.port(self.secure, tls=True)
        said = self.psql(port, "select 1", PGSSLMODE="require")
        self.assertIn("can not be handed through", said.stderr)
        self.assertIn("terminate", said.stderr)
        self.assertEqual(self.counted(), {"binding": 1})
        # A client that does not bind is none of that.
        self.assertEqual(self.psql(port, "select 1", PGSSLMODE="require",
                                   PGCHANNELBINDING="disable").stdout, "1\n")
        for user in ("trusting", "clear", "hashed"):
            conn = self.enter(port, user, tls=self.ca.context())
            self.assertEqual(conn.value("select session_user"), user)

    def test_scram_over_the_clients_tls_alone_is_handed_through(self):
        port = self.port(self.plain, tls=True)
        self.assertEqual(self.psql(port, "select 1", PGSSLMODE="require").stdout, "1\n")


class TerminateTest(Case):
    """The sidecar judges, and enters servers with what the client's proof gave."""

    users = {"mode": "terminate", "users": [{"name": "app", "verifier": VERIFIER}]}
    asker = {"username": "asker", "password": "asks"}
    query = {"mode": "terminate", "auth_query": asker}

    def test_a_right_password_enters_and_a_wrong_one_does_not(self):
        for number, server in enumerate((self.plain, self.secure), 1):
            port = self.port(server, self.users)
            conn = self.enter(port)
            self.assertEqual(conn.value("select session_user"), "app")
            self.assertEqual(conn.value("select pg_backend_pid()"), str(conn.pid))
            with PgConn(server.port, "app", "app", password=PASSWORD) as direct:
                self.assertEqual(conn.parameters, direct.parameters)
                kinds = [kind_of(raw) for raw in direct.greeting]
            self.assertEqual([kind_of(raw) for raw in conn.greeting], kinds)
            said = self.refusal(port, password="wrong")
            self.assertEqual((said["S"], said["C"], said["M"]),
                             ("FATAL", "28P01", 'password authentication failed for user "app"'))
            self.assertEqual(self.counted(), {"password": number})
            self.sidecar.must("DELETE", "/interlays/i")
            self.sidecar.must("DELETE", "/endpoints/old")

    def test_no_server_hears_of_a_client_that_has_not_proved_who_it_is(self):
        port = self.port(self.plain, self.users)
        before = self.plain.log_text().count("connection received")
        for user, password in (("app", "wrong"), ("nobody", PASSWORD), ("app", "")):
            self.refusal(port, user, password)
        conn = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
        conn.send(startup(user="app", database="app") + query("create table stolen ()"))
        conn.send(query("select 1"))
        self.assertEqual([fields_of(raw)["C"] for raw in conn.read_eof() if kind_of(raw) == "E"], ["08P01"])
        self.assertEqual(self.plain.log_text().count("connection received"), before)
        self.assertEqual(self.plain.sessions(), 0)

    def test_real_clients_bind_to_the_ports_certificate(self):
        port = self.port(self.secure, self.users, tls=True)
        said = self.psql(port, "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
                         PGSSLMODE="verify-full", PGSSLROOTCERT=self.ca.cert, PGCHANNELBINDING="require")
        self.assertEqual(said.stdout, "t\n", said.stderr)
        said = self.psql(port, "select 1", PGPASSWORD="wrong", PGSSLMODE="require")
        self.assertIn("password authentication failed", said.stderr)

    def test_unknown_users_are_told_what_wrong_passwords_are(self):
        for auth in (self.users, self.query):
            port = self.port(self.plain, auth)
            seen = {}
            for user in ("app", "nobody"):
                conn = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
                conn.send(startup(user=user, database="app"))
                login = Login(user, "wrong")
                shapes = []
                while True:
                    raw = conn.read_raw()
                    shapes.append((kind_of(raw), len(raw)))
                    if kind_of(raw) == "E":
                        break
                    conn.send(login.answer(raw))
                fields = {k: v.replace(user, "?") for k, v in fields_of(raw).items()}
                seen[user] = (fields, [kind for kind, _ in shapes], [size for _, size in shapes[:-1]])
            self.assertEqual(seen["app"], seen["nobody"])
            self.assertEqual(self.salt_of(port, "nobody"), self.salt_of(port, "nobody"))
            self.assertNotEqual(self.salt_of(port, "nobody"), self.salt_of(port, "nobody2"))
            before = self.salt_of(port, "nobody")
            self.sidecar.restart()
            self.assertEqual(self.salt_of(port, "nobody"), before, "as real ones, it survives a restart")
            self.sidecar.must("DELETE", "/interlays/i")
            self.sidecar.must("DELETE", "/endpoints/old")

    def salt_of(self, port, user):
        with PgConn(port, limit_s=10 * SLOWNESS) as conn:
            conn.send(startup(user=user, database="app"))
            conn.read_raw()
            conn.send(Scram("wrong").first())
            challenge = body_of(conn.read_raw())[4:].decode()
            return dict(part.split("=", 1) for part in challenge.split(","))["s"]

    def test_unknown_users_take_as_long_as_wrong_passwords(self):
        port = self.port(self.plain, self.users)
        took = {"app": [], "nobody": []}
        for _ in range(100):
            for user, times in took.items():
                began = time.perf_counter()
                self.refusal(port, user, "wrong")
                times.append(time.perf_counter() - began)
        # The quickest quarter: what else runs on the machine only adds.
        known, unknown = (statistics.quantiles(times, n=4)[0] for times in took.values())
        self.assertLess(max(known, unknown) / min(known, unknown), 1.5 if SLOWNESS == 1 else 3)

    def test_users_are_looked_up_at_the_server(self):
        port = self.port(self.plain, self.query)
        for user in ("app", "early"):
            self.assertEqual(self.enter(port, user).value("select session_user"), user)
        for user in ("late", "without", "nobody"):
            said = self.refusal(port, user)
            self.assertEqual((said["C"], said["M"]),
                             ("28P01", f'password authentication failed for user "{user}"'))
        self.assertEqual(self.refusal(port, "early", "wrong")["C"], "28P01")

    def test_a_changed_password_counts_as_soon_as_the_cache_lets_it(self):
        port = self.port(self.plain, {"mode": "terminate", "auth_query": {**self.asker, "cache_ms": 0}})
        self.enter(port, "early")
        self.plain.sql(f"ALTER ROLE early PASSWORD '{scram_verifier('another', SALT)}'")
        self.addCleanup(self.plain.sql, f"ALTER ROLE early PASSWORD '{VERIFIER}'")
        self.assertEqual(self.refusal(port, "early")["C"], "28P01")
        self.assertEqual(self.enter(port, "early", "another").value("select 1"), "1")

    def test_nobody_slips_a_table_in_front_of_the_servers(self):
        self.plain.sql("CREATE SCHEMA asker AUTHORIZATION asker",
                       f"CREATE TABLE asker.pg_shadow AS SELECT 'nobody'::name AS usename, '{VERIFIER}'::text"
                       " AS passwd, NULL::timestamptz AS valuntil",
                       "ALTER ROLE asker SET search_path = asker")
        self.addCleanup(self.plain.sql, "DROP SCHEMA asker CASCADE", "ALTER ROLE asker RESET search_path")
        auth = {"mode": "terminate", "auth_query": {
            **self.asker, "database": "app",
            "query": "SELECT usename, passwd, valuntil FROM pg_shadow WHERE usename = $1"}}
        port = self.port(self.plain, auth)
        self.assertEqual(self.refusal(port, "nobody")["C"], "28P01")
        self.assertEqual(self.enter(port, "app").value("select 1"), "1")

    def test_a_server_that_can_not_be_asked_is_no_wrong_password(self):
        auth = {"mode": "terminate", "auth_query": {"username": "asker", "password": "no longer"}}
        port = self.port(self.plain, auth, check=False)
        self.assertEqual(self.refusal(port)["C"], "08006")
        self.sidecar.wait_for_log("could not be looked up")
        self.assertEqual(self.counted(), {"look_up": 1})

    def test_errors_of_the_server_are_the_clients(self):
        port = self.port(self.plain, self.users)
        with self.assertRaises(ServerError) as caught:
            PgConn(port, "app", "nowhere", password=PASSWORD)
        with self.assertRaises(ServerError) as direct:
            PgConn(self.plain.port, "app", "nowhere", password=PASSWORD)
        self.assertEqual(caught.exception.fields, direct.exception.fields)
        self.assertEqual(self.counted(), {"server": 1})

    def test_rights_are_lent_only_where_that_is_said(self):
        config = {"username": "asker", "password": "asks"}
        port = self.port(self.plain, self.users, **config)
        self.assertEqual(self.enter(port).value("select session_user"), "app")
        self.sidecar.must("PATCH", "/interlays/i", {"auth": {**self.users, "enter_as": "endpoint"}})
        self.assertEqual(self.enter(port).value("select session_user"), "asker")
        self.assertEqual(self.refusal(port, password="wrong")["C"], "28P01")

    def test_another_salt_at_the_server_is_told_to_the_operator(self):
        other = {"mode": "terminate", "users": [
            {"name": "app", "verifier": scram_verifier(PASSWORD, b"another salt 16b")}]}
        port = self.port(self.plain, other)
        self.assertEqual(self.refusal(port)["C"], "28000")
        self.sidecar.wait_for_log("was not entered")
        self.assertEqual(self.counted(), {"entry": 1})

    def test_what_is_no_proof_and_whom_no_server_is_there_for_are_refused_and_counted(self):
        port = self.port(self.plain, self.users)
        conn = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
        conn.send(startup(user="app", database="app") + query("select 1"))
        self.assertEqual(fields_of(conn.read_eof()[-1])["C"], "08P01")
        self.assertEqual(self.counted(), {"protocol": 1})
        self.sidecar.must("PATCH", "/endpoints/old?check=false", {"config": {"port": free_port()}})
        self.assertEqual(self.refusal(port)["C"], "08006")
        self.assertEqual(self.counted(), {"protocol": 1, "unreachable": 1})

    def test_newer_versions_and_options_are_negotiated_before_the_proof(self):
        port = self.port(self.secure, self.users)
        conn = self.enter(port, version=VERSION_3_0 + 2, **{"_pq_.command_tag_format": "x"})
        self.assertEqual(kind_of(conn.greeting[0]), "v")
        self.assertEqual(body_of(conn.greeting[0]),
                         b"\0\3\0\0" + b"\0\0\0\1" + text("_pq_.command_tag_format"))
        self.assertEqual(conn.value("select 1"), "1")

    def test_a_cancel_reaches_the_backend(self):
        conn = self.enter(self.port(self.secure, self.users))
        conn.send(query("select pg_sleep(60)"))
        wait_until(lambda: self.secure.value("select count(*) from pg_stat_activity "
                                             "where wait_event = 'PgSleep'") == "1", 10, "it sleeps")
        conn.cancel()
        [error] = [raw for raw in conn.until("Z") if kind_of(raw) == "E"]
        self.assertEqual(fields_of(error)["C"], "57014")

    def test_long_names_are_cut_as_the_server_cuts_them(self):
        name = "n" * 63
        self.plain.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{VERIFIER}'")
        auth = {"mode": "terminate", "users": [{"name": name, "verifier": VERIFIER}]}
        port = self.port(self.plain, auth)
        self.assertEqual(self.enter(port, "n" * 80).value("select session_user"), name)

    def test_real_drivers_log_in(self):
        port = self.port(self.secure, self.users, tls=True)
        for module in ("psycopg2", "psycopg"):
            driver = importlib.import_module(module)
            with driver.connect(host="127.0.0.1", port=port, user="app", password=PASSWORD, dbname="app",
                                sslmode="verify-full", sslrootcert=self.ca.cert) as connection:
                with connection.cursor() as cursor:
                    cursor.execute("select 7")
                    self.assertEqual(cursor.fetchone(), (7,))
            with self.assertRaises(driver.OperationalError):
                driver.connect(host="127.0.0.1", port=port, user="app", password="wrong", dbname="app")


    def test_asyncpg_logs_in(self):
        port = self.port(self.secure, self.users, tls=True)

        async def enter(password):
            connection = await asyncpg.connect(
                host="localhost", port=port, user="app", password=password, database="app",
                ssl=self.ca.context(), timeout=20 * SLOWNESS)
            value = await connection.fetchval("select 7")
            await connection.close()
            return value
        self.assertEqual(asyncio.run(enter(PASSWORD)), 7)
        with self.assertRaises(asyncpg.InvalidPasswordError):
            asyncio.run(enter("wrong"))


class CredentialsTest(Case):
    """Servers are entered with the endpoint's own, whoever the client is."""

    hba = METHODS

    def test_nobody_is_let_in_for_them_alone(self):
        port = self.port(self.plain, None, username="app", password=PASSWORD)
        self.assertEqual(self.refusal(port, password="wrong")["C"], "28P01")
        self.assertEqual(self.enter(port, "trusting").value("select session_user"), "trusting")

    def test_trust_has_to_be_said(self):
        for server in (self.plain, self.secure):
            for user in ("clear", "hashed", "app"):
                port = self.port(server, {"mode": "trust"}, username=user, password=PASSWORD)
                conn = self.enter(port, "anybody", None)
                self.assertEqual(conn.value("select session_user"), user)
                self.assertEqual(conn.value("select current_database()"), "app")
                self.assertEqual(conn.value("select pg_backend_pid()"), str(conn.pid))
                self.sidecar.must("DELETE", "/interlays/i")
                self.sidecar.must("DELETE", "/endpoints/old")

    def test_who_names_no_database_gets_the_one_of_its_own_name(self):
        self.plain.sql("CREATE DATABASE anybody")
        port = self.port(self.plain, {"mode": "trust"}, username="app", password=PASSWORD)
        conn = self.enterContext(PgConn(port, limit_s=10 * SLOWNESS))
        conn.send(startup(user="anybody"))
        conn.answer_login("anybody", None)
        self.assertEqual(conn.value("select current_database()"), "anybody")

    def test_wrong_credentials_are_told(self):
        port = self.port(self.plain, {"mode": "trust"}, username="app", password="wrong")
        said = self.refusal(port, "anybody", None)
        self.assertEqual(said["C"], "28000")
        self.assertIn("password authentication failed", said["D"])


class ApiTest(Case):
    """"auth" as the control API has it."""

    def test_verifiers_are_write_only(self):
        port = self.port(self.plain, TerminateTest.users)
        shown = self.sidecar.must("GET", "/interlays/i")["auth"]
        self.assertEqual(shown, {"mode": "terminate", "users": [{"name": "app", "verifier": "***"}],
                                 "auth_query": None, "enter_as": "client"})
        self.sidecar.must("PATCH", "/interlays/i", {"auth": shown})
        self.enter(port)
        self.sidecar.restart()
        self.enter(port)
        self.sidecar.must("PATCH", "/interlays/i", {"auth": None})
        self.assertIsNone(self.sidecar.must("GET", "/interlays/i")["auth"])

    def test_what_makes_no_sense_is_refused_by_its_path(self):
        self.port(self.plain)
        user = {"name": "u", "verifier": VERIFIER}
        md5 = "md5" + hashlib.md5(b"xu").hexdigest()
        for auth, message in (
                ({"mode": "open"}, "auth.mode: must be pass_through, terminate or trust"),
                ({"mode": "terminate"}, "auth.users: or auth_query is required"),
                ({"mode": "trust", "users": [user]}, "auth.mode: must be terminate"),
                ({"mode": "terminate", "users": [user, user]}, "auth.users[1].name: is given twice"),
                ({"mode": "terminate", "users": [{**user, "verifier": md5}]}, "auth.users[0].verifier: "),
                ({"mode": "terminate", "users": [{**user, "verifier": "***"}]}, "auth.users[0].verifier: "),
                ({"mode": "terminate", "auth_query": {}}, "auth.auth_query.username: is required"),
                ({"mode": "terminate", "auth_query": {"username": "u", "query": "select 1"}},
                 "auth.auth_query.query: ")):
            status, answer = self.sidecar.api("PATCH", "/interlays/i", {"auth": auth})
            self.assertEqual(status, 400, answer)
            self.assertIn(message, answer["message"])

    def test_a_query_that_can_not_work_is_refused(self):
        asker = TerminateTest.asker
        body = {"id": "i", "endpoint": "old", "port": 0}
        self.port(self.plain)
        self.sidecar.must("DELETE", "/interlays/i")
        rows = "SELECT usename, passwd, valuntil FROM "
        for query, why in (
                ({**asker, "password": "no longer"}, "password authentication failed"),
                ({**asker, "username": "nobody"}, "password authentication failed"),
                ({**asker, "database": "nowhere"}, 'database "nowhere" does not exist'),
                ({**asker, "query": f"{rows}pg_nothing WHERE usename = $1"}, '"pg_nothing" does not exist'),
                ({**asker, "query": f"{rows}pg_shadow WHERE usename <> $1 LIMIT 1"}, "row of another user"),
                ({**asker, "query": "SELECT rolname, rolpassword, rolvaliduntil FROM pg_authid WHERE"
                                    " rolname = $1", "username": "app", "password": PASSWORD},
                 "permission denied")):
            with self.subTest(why=why):
                auth = {"mode": "terminate", "auth_query": query}
                for method, path, call in (("POST", "/interlays", {**body, "auth": auth}),
                                           ("PATCH", "/interlays/kept", {"auth": auth})):
                    if method == "PATCH":
                        self.sidecar.must("POST", "/interlays", {**body, "id": "kept"})
                    status, answer = self.sidecar.api(method, path, call)
                    self.assertEqual(status, 400, answer)
                    self.assertIn("auth.auth_query: ", answer["message"])
                    self.assertIn(why, answer["message"])
                    self.sidecar.must(method, path + "?check=false", call)
                self.sidecar.must("DELETE", "/interlays/i")
                self.sidecar.must("DELETE", "/interlays/kept")

    def test_a_query_of_a_server_that_is_away_is_refused_for_now(self):
        server = self.enterContext(PostgresServer())
        self.port(server)
        server.stop()
        status, answer = self.sidecar.api("PATCH", "/interlays/i", {"auth": TerminateTest.query})
        self.assertEqual(status, 503, answer)
        self.assertIsNone(self.sidecar.must("GET", "/interlays/i")["auth"])


del Case  # holds no test of its own


if __name__ == "__main__":
    unittest.main()
