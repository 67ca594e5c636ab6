"""What hides behind names: the classifier of SQL with the catalogs of real servers, which judge it."""

import os
import subprocess
import unittest

from children import temp_folder
from harness import binary
from pg_conn import ServerError
from postgres import PostgresServer

CONTENT = """
CREATE TABLE t (a int PRIMARY KEY, b text, c int);
CREATE TABLE jobs (id serial PRIMARY KEY, made timestamptz DEFAULT now(), state text DEFAULT 'new',
                   owner name DEFAULT current_user);
CREATE TABLE identified (id int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (c * 2) STORED,
                         c int);
CREATE TABLE parent (a int PRIMARY KEY);
CREATE TABLE child (a int REFERENCES parent ON DELETE CASCADE);
CREATE TABLE strict_child (a int REFERENCES t);
CREATE TABLE audited (a int);
CREATE TABLE ruled (a int);
CREATE TABLE split (a int) PARTITION BY LIST (a);
CREATE TABLE split_1 PARTITION OF split FOR VALUES IN (1);
CREATE TABLE split_2 PARTITION OF split FOR VALUES IN (2);
CREATE TABLE cascading (a int PRIMARY KEY);
CREATE TABLE cascaded (a int REFERENCES cascading ON DELETE SET NULL);
CREATE TABLE guarded (a int, owner name);
CREATE TABLE guarded_badly (a int);
CREATE SEQUENCE seq;
CREATE FUNCTION next_id() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE called (id int DEFAULT next_id(), a int);
CREATE FUNCTION f_immutable(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION f_stable(int) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM t';
CREATE FUNCTION f_volatile(int) RETURNS int LANGUAGE sql
  AS 'INSERT INTO t VALUES ($1 + 1000000) ON CONFLICT DO NOTHING; SELECT 1';
CREATE FUNCTION f_overloaded(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f_overloaded(text) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION row_writes(t) RETURNS int LANGUAGE sql AS 'SELECT f_volatile(1)';
CREATE FUNCTION adds_up(int, int) RETURNS int LANGUAGE sql AS 'SELECT f_volatile(1) + $1';
CREATE AGGREGATE agg_writes (int) (SFUNC = adds_up, STYPE = int, INITCOND = '0');
CREATE OPERATOR @!@ (LEFTARG = int, RIGHTARG = int, FUNCTION = adds_up);
CREATE OPERATOR @=@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE FUNCTION is_good(int) RETURNS bool LANGUAGE sql AS 'SELECT f_volatile(1) = 1';
CREATE TABLE checked (a int CHECK (is_good(a)));
CREATE DOMAIN good AS int CHECK (is_good(VALUE));
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN better AS good;
CREATE TYPE holder AS (x good, y int);
CREATE TYPE deep AS (holders holder[]);
CREATE TYPE good_range AS RANGE (subtype = good);
CREATE TYPE harmless AS (x positive, y int);
CREATE TABLE held (x better);
CREATE TYPE pair AS (x int, y int);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql AS 'SELECT ROW(f_volatile($1), 1)::pair';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER audit BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit BEFORE INSERT ON split_2 FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit BEFORE UPDATE ON cascaded FOR EACH ROW EXECUTE FUNCTION audit();
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO t VALUES (NEW.a);
CREATE VIEW v AS SELECT a, b FROM t;
CREATE VIEW v_on_v AS SELECT a FROM v WHERE f_stable(a) > 0;
CREATE VIEW v_now AS SELECT now() AS at;
CREATE VIEW v_writes AS SELECT f_volatile(a) FROM t;
CREATE VIEW v_on_v_writes AS SELECT * FROM v_writes;
CREATE VIEW v_next AS SELECT nextval('seq');
CREATE VIEW v_later AS SELECT 1 AS a;
CREATE VIEW v_early AS SELECT * FROM v_later;
CREATE VIEW v_replaced AS SELECT 1 AS a;
CREATE OR REPLACE VIEW v_later AS SELECT a FROM t;
CREATE VIEW v_newest AS SELECT a FROM t;
CREATE OR REPLACE VIEW v_replaced AS SELECT a FROM v_newest;
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (owner = current_user);
ALTER TABLE guarded_badly ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded_badly USING (f_volatile(a) = 1);
CREATE SCHEMA app;
CREATE FUNCTION app.f_immutable(int) RETURNS int LANGUAGE sql AS 'SELECT f_volatile($1)';
CREATE TABLE app."Odd ""name" (a int);
INSERT INTO t VALUES (1, 'x', 1);
"""

# Statement -> what sql_facts says of it. Those that only read are also run in a READ ONLY transaction.
FACTS = {
    "SELECT * FROM t WHERE a = 1 AND b LIKE 'x%'": "pure_read reads",
    "SELECT lower(b), a + 1, b || 'x', a::text FROM t": "pure_read reads",
    "SELECT sum(a), array_agg(b ORDER BY b), string_agg(b, ',') FROM t": "pure_read reads",
    "SELECT b::date - interval '1 day', to_char(1, '9') FROM t WHERE false": "pure_read reads",
    "SELECT jsonb_build_object('a', a) ->> 'a', '[1]'::jsonb @> '[1]' FROM t": "pure_read reads",
    "SELECT rank() OVER (ORDER BY a), lag(a) OVER (ORDER BY a) FROM t": "pure_read reads",
    "SELECT f_stable(a) FROM t": "pure_read reads",
    "SELECT public.f_immutable(a) FROM t": "pure_read reads",
    "SELECT f_immutable(a) FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT app.f_immutable(a) FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT f_overloaded(1)": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT f_volatile(1)": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT agg_writes(a) FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT a @!@ 1 FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT a @=@ 1 FROM t": "pure_read reads",
    "SELECT a::good FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT a::positive FROM t": "pure_read reads",
    "SELECT a::better FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '{1}'::good[]": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '{1}'::_good": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT ROW(a, 2)::holder FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '(\"{\"\"(1,2)\"\"}\")'::deep": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '[1,3)'::good_range": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '{[1,3)}'::good_multirange": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT '(1)'::held": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT * FROM json_to_record('{}') AS x(a good)": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT ROW(a, 2)::harmless, * FROM t, json_to_record('{}') AS x(b positive, c text)": "pure_read reads",
    "SELECT a::pair FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT t.row_writes FROM t": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT now(), random(), gen_random_uuid(), clock_timestamp()": "volatile_read reads drawn",
    "SELECT pg_backend_pid(), pg_is_in_recovery()": "volatile_read reads drawn sided",
    "SELECT oid FROM pg_class": "volatile_read reads drawn sided",
    "SELECT * FROM information_schema.tables": "volatile_read reads drawn sided",
    "SELECT * FROM pg_stat_activity": "volatile_read reads drawn sided",
    "SELECT last_value FROM seq": "volatile_read reads drawn sided",
    "SELECT nextval('seq')": "nondeterministic_write writes drawn",
    "SELECT * FROM v": "pure_read reads",
    "SELECT * FROM v_on_v": "pure_read reads",
    "SELECT * FROM v_early": "pure_read reads",
    "SELECT * FROM v_replaced": "pure_read reads",
    "SELECT * FROM m": "pure_read reads",
    "SELECT * FROM v_now": "volatile_read reads drawn",
    "SELECT * FROM v_writes": "unknown writes drawn unlisted",
    "SELECT * FROM v_on_v_writes": "unknown writes drawn unlisted",
    "SELECT * FROM v_next": "unknown writes drawn unlisted",
    "SELECT * FROM guarded": "pure_read reads",
    "SELECT * FROM guarded_badly": "unknown writes drawn unlisted",
    'SELECT * FROM app."Odd ""name"': "pure_read reads",
    "SELECT * FROM split": "pure_read reads",
    "SELECT * FROM nowhere": "unknown writes drawn unlisted",
    "INSERT INTO t VALUES (5)": "write writes",
    "INSERT INTO jobs (state) VALUES ('x')": "nondeterministic_write writes drawn",
    "INSERT INTO jobs (id, made) VALUES (7, '2020-01-01')": "write writes",
    "INSERT INTO identified (c) VALUES (1)": "nondeterministic_write writes drawn",
    "DELETE FROM parent": "write writes unlisted",
    "DELETE FROM t": "write writes",
    "INSERT INTO audited VALUES (1)": "nondeterministic_write writes drawn unlisted",
    "INSERT INTO ruled VALUES (1)": "nondeterministic_write writes drawn unlisted",
    "INSERT INTO split VALUES (1)": "nondeterministic_write writes drawn unlisted",
    "INSERT INTO split_1 VALUES (1)": "write writes",
    "INSERT INTO checked VALUES (1)": "nondeterministic_write writes drawn unlisted",
    "INSERT INTO called VALUES (1)": "nondeterministic_write writes drawn unlisted",
    "DELETE FROM cascading": "nondeterministic_write writes drawn unlisted",
    "UPDATE v SET b = 'y'": "nondeterministic_write writes drawn unlisted",
}

# Debian's 15 comes with extensions, npm's 18 without.
OF_EXTENSIONS = {
    "SELECT uuid_generate_v4(), gen_random_bytes(4)": "volatile_read reads drawn",
    "SELECT digest('a', 'sha256'), uuid_nil()": "pure_read reads",
    "SELECT dblink_exec('x', 'DELETE FROM t')": "nondeterministic_write writes drawn pinned unlisted",
    "SELECT b % 'x', b <-> 'y' FROM t": "pure_read reads",
}

REFUSED_WRITE = "25006"  # read_only_sql_transaction


def program():
    return os.path.join(os.path.dirname(binary()), "tests", "sql_facts")


def catalog_of(server):
    """Every field and every row ends in a zero byte."""
    query = subprocess.run([program(), "--query"], check=True, capture_output=True).stdout
    rows = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-z", "-0", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
         "-p", str(server.port), "-U", "app", "-d", "app"],
        input=query, check=True, capture_output=True).stdout
    return rows if rows.endswith(b"\0") else rows + b"\0"


def facts_of(server, statements):
    path = os.path.join(temp_folder("catalog"), "catalog")
    with open(path, "wb") as file:
        file.write(catalog_of(server))
    said = subprocess.run([program(), path], input="\0".join(statements).encode(), check=True,
                          capture_output=True).stdout.decode()
    return dict(zip(statements, said.splitlines(), strict=True))


class SqlCatalogTest(unittest.TestCase):
    def check_server(self, server, facts):
        with server.connect() as client:
            client.rows(CONTENT)
            said = facts_of(server, list(facts))
            for statement, expected in facts.items():
                with self.subTest(statement=statement):
                    self.assertEqual(said[statement], expected)
            for statement in (known for known, words in said.items() if " reads" in words):
                with self.subTest(read_only=statement):
                    self.assertNotEqual(self.outcome(client, statement), REFUSED_WRITE)

    def test_an_implicit_cast_by_volatile_code_is_found(self):
        with PostgresServer(15) as server:
            server.sql("CREATE TYPE pair AS (x int, y int)",
                       "CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql AS 'SELECT ROW($1, 1)::pair'",
                       "CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT")
            self.assertEqual(facts_of(server, ["SELECT 1"]), {"SELECT 1": "pure_read reads"})
            server.sql("DROP CAST (int AS pair)",
                       "CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS IMPLICIT")
            self.assertEqual(facts_of(server, ["SELECT 1"]),
                             {"SELECT 1": "nondeterministic_write writes drawn pinned unlisted"})

    @staticmethod
    def outcome(client, statement):
        """The SQLSTATE that the server ends it with in a transaction that must not write."""
        client.rows("BEGIN READ ONLY")
        try:
            client.rows(statement)
        except ServerError as error:
            return error.code
        finally:
            client.rows("ROLLBACK")
        return "00000"

    def test_what_hides_behind_names_is_found_in_the_catalog_of_15(self):
        with PostgresServer(15) as server:
            for extension in ("uuid-ossp", "pgcrypto", "dblink", "pg_trgm"):
                server.sql(f'CREATE EXTENSION "{extension}"')
            self.check_server(server, FACTS | OF_EXTENSIONS)

    def test_what_hides_behind_names_is_found_in_the_catalog_of_18(self):
        with PostgresServer(18) as server:
            self.check_server(server, FACTS)


if __name__ == "__main__":
    unittest.main()
