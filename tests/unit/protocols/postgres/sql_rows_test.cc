// Facts of SQL: a table of statements and what each is, group by group.
#include <doctest/doctest.h>

#include <span>

#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {
namespace {

struct Row {
  const char* sql;
  const char* words;  // words_of() its facts
};

void check_rows(std::span<const Row> rows) {
  for (const Row& row : rows) {
    CAPTURE(row.sql);
    CHECK(words_of(facts_of(row.sql)) == row.words);
  }
}

TEST_CASE("read: changes nothing, and has one answer") {
  constexpr Row kRows[] = {
      {"SELECT 1", "pure_read"},
      {"SELECT 1;", "pure_read"},
      {"SELECT", "pure_read"},
      {"TABLE t", "pure_read r:t"},
      {"VALUES (1, 'a'), (2, 'b')", "pure_read"},
      {"SELECT * FROM t", "pure_read r:t"},
      {"SELECT * FROM public.t", "pure_read r:public.t"},
      {"SELECT a FROM t WHERE a = $1", "pure_read r:t"},
      {"SELECT a FROM t WHERE a BETWEEN 1 AND 2", "pure_read r:t"},
      {"SELECT a FROM t WHERE a IN (1, 2, 3)", "pure_read r:t"},
      {"SELECT a FROM t WHERE a = ANY ($1)", "pure_read r:t"},
      {"SELECT a FROM t NATURAL JOIN u WHERE a IN (SELECT a FROM s.u)", "pure_read r:s.u r:u r:t"},
      {"SELECT a FROM t WHERE b LIKE 'x%'", "pure_read r:t"},
      {"SELECT a FROM t ORDER BY a", "pure_read sorted r:t"},
      {"SELECT a FROM t ORDER BY a LIMIT 10", "pure_read sorted r:t"},
      {"SELECT a FROM t ORDER BY a LIMIT 10 OFFSET 5", "pure_read sorted r:t"},
      {"SELECT DISTINCT a FROM t", "pure_read r:t"},
      {"SELECT count(*), sum(a) FROM t GROUP BY b HAVING count(*) > 1", "pure_read r:t"},
      {"SELECT a FROM t UNION SELECT a FROM u", "pure_read r:u r:t"},
      {"SELECT a FROM t UNION ALL SELECT a FROM s.u ORDER BY 1", "pure_read sorted r:s.u r:t"},
      {"SELECT t.a, u.b FROM t JOIN u ON t.a = u.a LEFT JOIN s.u x USING (a)",
       "pure_read r:s.u r:u r:t"},
      {"SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)", "pure_read r:u r:t"},
      {"SELECT (SELECT max FROM u), lower(b) FROM t", "pure_read r:t r:u"},
      {"WITH x AS (SELECT * FROM t) SELECT * FROM x", "pure_read r:t"},
      {"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x",
       "pure_read"},
      {"WITH t AS (SELECT 1) SELECT * FROM t", "pure_read r:t"},
      {"SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t", "pure_read r:t"},
      {"SELECT CASE a WHEN 1 THEN 'x' ELSE 'y' END FROM t", "pure_read r:t"},
      {"SELECT COALESCE(a, 1), NULLIF(a, 2), GREATEST(a, 3) FROM t", "pure_read r:t"},
      {"SELECT a::text, CAST(a AS int) FROM t", "pure_read r:t"},
      {"SELECT ARRAY[1, 2], ROW(1, 2), (ARRAY[1, 2])[1]", "pure_read"},
      {"SELECT d ->> 'k' FROM t", "pure_read r:t"},
      {"SELECT extract(year FROM d), d AT TIME ZONE 'UTC' FROM t", "pure_read r:t"},
      {"SELECT * FROM generate_series(1, 3) AS g", "pure_read"},
      {"SELECT f_stable(1), public.f_imm(2)", "pure_read"},
      {"SELECT current_user, session_user, current_schema, current_catalog", "pure_read"},
      {"SELECT current_setting('app.tenant')", "pure_read"},
      {"SELECT age(a, b) FROM t", "pure_read r:t"},
      {"SELECT * FROM v", "pure_read r:v"},
      {"SELECT * FROM v_on_v", "pure_read r:v_on_v"},
      {"SELECT * FROM m", "pure_read r:m"},
      {"SELECT * FROM guarded", "pure_read r:guarded"},
      {"SELECT a::posint FROM t", "pure_read r:t"},
      {"SELECT a FROM t WHERE b = 'nowhere'", "pure_read r:t"},
  };
  check_rows(kRows);
}

TEST_CASE("read: may answer otherwise, but changes nothing") {
  constexpr Row kRows[] = {
      {"SELECT now()", "volatile_read drawn"},
      {"SELECT CURRENT_TIMESTAMP", "volatile_read drawn"},
      {"SELECT current_date, localtime", "volatile_read drawn"},
      {"SELECT random() FROM t", "volatile_read drawn r:t"},
      {"SELECT gen_random_uuid()", "volatile_read drawn"},
      {"SELECT uuid_generate_v4()", "volatile_read drawn"},
      {"SELECT pgp_sym_encrypt('a', 'b')", "volatile_read drawn"},
      {"SELECT pgp_pub_encrypt_bytea('a', 'b')", "volatile_read drawn"},
      {"SELECT clock_timestamp()", "volatile_read drawn"},
      {"SELECT pg_sleep(1)", "volatile_read drawn"},
      {"SELECT age(a) FROM t", "volatile_read drawn r:t"},
      {"SELECT 'now'::timestamptz", "volatile_read drawn"},
      {"SELECT a FROM t WHERE d = ' today'", "volatile_read drawn r:t"},
      {"SELECT a FROM t WHERE d = 'Today'", "volatile_read drawn r:t"},
      {"SELECT a FROM t LIMIT 1", "volatile_read drawn r:t"},
      {"SELECT a FROM t OFFSET 1", "volatile_read drawn r:t"},
      {"SELECT a FROM t WHERE a = (SELECT a FROM u LIMIT 1) ORDER BY a",
       "volatile_read drawn sorted r:u r:t"},
      {"SELECT DISTINCT ON (a) a, b FROM t", "volatile_read drawn r:t"},
      {"SELECT * FROM t TABLESAMPLE system (1)", "volatile_read drawn r:t"},
      {"SELECT * FROM v_now", "volatile_read drawn r:v_now"},
      {"SELECT version()", "volatile_read drawn sided"},
      {"SELECT pg_backend_pid()", "volatile_read drawn sided"},
      {"SELECT pg_is_in_recovery()", "volatile_read drawn sided"},
      {"SELECT txid_current()", "volatile_read drawn sided"},
      {"SELECT pg_get_viewdef('v')", "volatile_read drawn sided"},
      {"SELECT format_type(1, 2)", "volatile_read drawn sided"},
      {"SELECT pg_table_is_visible(1)", "volatile_read drawn sided"},
      {"SELECT to_regclass('t')", "volatile_read drawn sided"},
      {"SELECT to_regtypemod('t')", "volatile_read drawn sided"},
      {"SELECT current_setting('Server_Version_Num')", "volatile_read drawn sided"},
      {"SELECT current_setting('server_version', true)", "volatile_read drawn sided"},
      {"SELECT current_setting('port')", "volatile_read drawn sided"},
      {"SELECT current_setting('data_directory'::text)", "volatile_read drawn sided"},
      {"SELECT current_setting('Listen_Addresses')", "volatile_read drawn sided"},
      {"SELECT current_setting('cluster_name')", "volatile_read drawn sided"},
      {"SELECT current_setting('no_such_setting', true)", "volatile_read drawn sided"},
      {"SELECT current_setting('po' || 'rt')", "volatile_read drawn sided"},
      {"SELECT current_setting($1)", "volatile_read drawn sided"},
      {"SELECT current_setting(a) FROM t", "volatile_read drawn sided r:t"},
      {"SELECT current_setting('DateStyle'::text, true)", "pure_read"},
      {"SELECT current_setting('statement_timeout')", "pure_read"},
      {"SELECT current_setting('role'), current_setting('zero_damaged_pages')", "pure_read"},
      {"SELECT current_setting('allow_in_place_tablespaces')", "pure_read"},
      {"SELECT current_setting('work_mem')", "pure_read"},
      {"SELECT currval('seq')", "volatile_read drawn sided"},
      {"SELECT lastval()", "volatile_read drawn sided"},
      {"SELECT * FROM seq", "volatile_read drawn sided r:seq"},
      {"SELECT ctid, a FROM t", "volatile_read drawn sided r:t"},
      {"SELECT tableoid FROM t", "volatile_read drawn sided r:t"},
      {"SELECT 't'::regclass", "volatile_read drawn sided"},
      {"SELECT oid FROM pg_class WHERE relname = 't'", "volatile_read drawn sided r:pg_class"},
      {"SELECT * FROM pg_catalog.pg_settings",
       "volatile_read drawn sided r:pg_catalog.pg_settings"},
      {"SHOW search_path", "volatile_read drawn sided"},
      {"SHOW transaction_read_only", "volatile_read drawn sided"},
      {"SHOW ALL", "volatile_read drawn sided"},
      {"EXPLAIN SELECT * FROM t", "volatile_read drawn sided"},
      {"EXPLAIN INSERT INTO t VALUES (1)", "volatile_read drawn sided"},
      {"EXPLAIN (ANALYZE false) DELETE FROM t", "volatile_read drawn sided"},
      {"EXPLAIN (ANALYZE, COSTS off) SELECT * FROM t", "volatile_read drawn sided r:t"},
  };
  check_rows(kRows);
}

TEST_CASE("write: equal servers end equal") {
  constexpr Row kRows[] = {
      {"INSERT INTO t VALUES (1)", "write w:t"},
      {"INSERT INTO t (a) VALUES (1), (2)", "write w:t"},
      {"INSERT INTO t SELECT * FROM u", "write r:u w:t"},
      {"INSERT INTO t VALUES ('we know today that nobody ever came')", "write w:t"},
      {"INSERT INTO identified (id, a) OVERRIDING SYSTEM VALUE VALUES (5, 1)",
       "write w:identified"},
      {"INSERT INTO s.u (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
       "write w:s.u"},
      {"INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING RETURNING a", "write returning w:t"},
      {"INSERT INTO t DEFAULT VALUES", "write w:t"},
      {"INSERT INTO jobs (id, made_at, state) VALUES (1, '2020-01-01', 'new')", "write w:jobs"},
      {"UPDATE t SET a = a + 1 WHERE b = 2", "write w:t"},
      {"UPDATE t SET a = u.a FROM u WHERE u.b = t.b RETURNING t.a", "write returning r:u w:t"},
      {"UPDATE ONLY t SET a = DEFAULT", "write w:t"},
      {"DELETE FROM t", "write w:t"},
      {"DELETE FROM t USING u WHERE t.a = u.a RETURNING t.*", "write returning r:u w:t"},
      {"TRUNCATE t, u", "write w:t w:u"},
      {"TRUNCATE t CASCADE", "write unlisted w:t"},
      {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b WHEN NOT MATCHED "
       "THEN INSERT (a, b) VALUES (u.a, u.b)",
       "write r:u w:t"},
      {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "write r:u w:t"},
      {"WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "write returning w:t"},
      {"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "write w:t"},
      {"WITH moved AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT a FROM moved",
       "write returning w:u w:t"},
      {"DELETE FROM parent WHERE a = 1", "write unlisted w:parent"},
      {"NOTIFY channel, 'payload'", "write"},
      {"EXPLAIN ANALYZE INSERT INTO t VALUES (1)", "nondeterministic_write drawn sided w:t"},
      {"EXPLAIN (ANALYZE on) DELETE FROM t", "nondeterministic_write drawn sided w:t"},
      {"EXPLAIN (ANALYZE false, ANALYZE) DELETE FROM t", "nondeterministic_write drawn sided w:t"},
  };
  check_rows(kRows);
}

TEST_CASE("write: is nondeterministic whatever hides the chance") {
  constexpr Row kRows[] = {
      {"INSERT INTO t VALUES (now())", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t VALUES (random())", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t (a) VALUES (CURRENT_DATE)", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t VALUES ('today')", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t VALUES ('[now,]')", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t VALUES ('{2020-01-01, \"now\"}')", "nondeterministic_write drawn w:t"},
      {"INSERT INTO t VALUES ('00:00 today')", "nondeterministic_write drawn w:t"},
      {"UPDATE t SET a = a * '[now,)'", "nondeterministic_write drawn w:t"},
      {"INSERT INTO jobs (state) VALUES ('new')", "nondeterministic_write drawn w:jobs"},
      {"INSERT INTO jobs VALUES (1, '2020-01-01', 'new')", "nondeterministic_write drawn w:jobs"},
      {"INSERT INTO jobs (id, made_at, state) VALUES (1, DEFAULT, 'new')",
       "nondeterministic_write drawn w:jobs"},
      {"INSERT INTO identified (a) VALUES (1)", "nondeterministic_write drawn w:identified"},
      {"INSERT INTO identified DEFAULT VALUES", "nondeterministic_write drawn w:identified"},
      {"INSERT INTO identified (id, a) OVERRIDING USER VALUE VALUES (5, 1)",
       "nondeterministic_write drawn w:identified"},
      {"MERGE INTO identified USING u ON id = u.a WHEN NOT MATCHED THEN INSERT (id, a) OVERRIDING "
       "USER VALUE VALUES (5, 1)",
       "nondeterministic_write drawn r:u w:identified"},
      {"UPDATE jobs SET made_at = DEFAULT WHERE id = 1", "nondeterministic_write drawn w:jobs"},
      {"MERGE INTO jobs USING u ON id = u.a WHEN NOT MATCHED THEN INSERT (state) VALUES ('x')",
       "nondeterministic_write drawn r:u w:jobs"},
      {"INSERT INTO audited VALUES (1)", "nondeterministic_write drawn unlisted w:audited"},
      {"UPDATE v SET a = 1", "nondeterministic_write drawn unlisted w:v"},
      {"INSERT INTO nowhere VALUES (1)", "nondeterministic_write drawn unlisted w:nowhere"},
      {"INSERT INTO t VALUES (current_user)", "nondeterministic_write drawn w:t"},
      {"UPDATE t SET a = 1 WHERE b = session_user", "nondeterministic_write drawn w:t"},
      {"DELETE FROM t WHERE b = user OR b = current_role", "nondeterministic_write drawn w:t"},
      {"UPDATE t SET a = random()", "nondeterministic_write drawn w:t"},
      {"DELETE FROM t WHERE a IN (SELECT a FROM t LIMIT 1)",
       "nondeterministic_write drawn r:t w:t"},
      {"DELETE FROM t WHERE ctid = '(0,1)'", "nondeterministic_write drawn sided w:t"},
      {"UPDATE t SET a = 1 WHERE CURRENT OF c", "nondeterministic_write drawn sided w:t"},
      {"UPDATE t SET a = 1 WHERE a = (SELECT a FROM u ORDER BY a LIMIT 1 FOR UPDATE SKIP LOCKED)",
       "nondeterministic_write drawn lock:rows r:u w:t"},
      {"SELECT nextval('seq')", "nondeterministic_write drawn"},
      {"SELECT setval('seq', 10)", "nondeterministic_write drawn"},
      {"SELECT pg_notify('a', 'b')", "write"},  // as NOTIFY
      {"SELECT lo_open(1, 2)", "nondeterministic_write drawn sided unlisted"},
      {"SELECT f_volatile(1)", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT app.f_imm(1)", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT f_imm(1)", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT ext_volatile()", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT gen_salt('bf')", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT agg_writes(a) FROM t", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT a FROM t WHERE f_volatile(a) = 1",
       "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT * FROM f_volatile(1) AS x", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT a @!@ b FROM t", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT a OPERATOR(public.@!@) b FROM t",
       "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT a::badtype FROM t", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT a::badbox FROM t", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT t.row_writes FROM t", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"SELECT (x).row_writes FROM t x", "nondeterministic_write drawn unlisted pin:code r:t"},
      {"UPDATE pg_settings SET setting = 'x' WHERE name = 'y'",
       "nondeterministic_write drawn unlisted pin:code w:pg_settings"},
      {"CALL f_volatile(1)", "nondeterministic_write drawn unlisted pin:code"},
      {"DO $$ BEGIN NULL; END $$", "nondeterministic_write drawn unlisted pin:code"},
      {"SELECT 1; INSERT INTO t VALUES (now())", "nondeterministic_write drawn w:t"},
  };
  check_rows(kRows);
}

TEST_CASE("write: is nondeterministic where what it writes hangs on the order of rows") {
  constexpr Row kRows[] = {
      {"INSERT INTO t SELECT string_agg(b, ',') FROM u", "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT string_agg(b, ',' ORDER BY a) FROM u",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT string_agg(b, ',' ORDER BY a, b) FROM u", "write r:u w:t"},
      {"INSERT INTO t SELECT string_agg(DISTINCT b, ',') FROM u", "write r:u w:t"},
      {"UPDATE t SET b = (SELECT array_agg(a) FROM u)", "nondeterministic_write drawn r:u w:t"},
      {"MERGE INTO t USING (SELECT array_agg(a) x FROM u) v ON t.a = v.x WHEN MATCHED THEN DELETE",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT agg_own(b) FROM u", "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT row_number() OVER () FROM u", "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT lag(a) OVER (ORDER BY b) FROM u",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT rank() OVER (ORDER BY b) FROM u", "write r:u w:t"},
      {"INSERT INTO t SELECT sum(a) OVER (ORDER BY b) FROM u", "write r:u w:t"},
      {"INSERT INTO t SELECT sum(a) OVER (ORDER BY b ROWS UNBOUNDED PRECEDING) FROM u",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT sum(a) OVER w FROM u WINDOW w AS (ORDER BY b ROWS 1 PRECEDING)",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT ARRAY(SELECT a FROM u)", "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT ARRAY(SELECT a FROM u ORDER BY b)",
       "nondeterministic_write drawn r:u w:t"},
      {"INSERT INTO t SELECT ARRAY(SELECT a FROM u ORDER BY a)", "write r:u w:t"},
      {"CREATE TABLE n AS SELECT array_agg(a) FROM t", "ddl drawn unlisted r:t w:n"},
      {"SELECT array_agg(a) INTO n FROM t", "ddl drawn r:t w:n"},
      {"SELECT array_agg(a), ARRAY(SELECT a FROM u) FROM t", "pure_read r:t r:u"},
  };
  check_rows(kRows);
}

TEST_CASE("ddl: what defines or tends to storage") {
  constexpr Row kRows[] = {
      {"CREATE TABLE n (a int)", "ddl unlisted w:n"},
      {"CREATE TEMP TABLE n (a int)", "ddl unlisted pin:temp w:n"},
      {"CREATE TEMPORARY VIEW n AS SELECT 1", "ddl unlisted pin:temp w:n"},
      {"CREATE TEMP SEQUENCE n", "ddl unlisted pin:temp w:n"},
      {"CREATE UNLOGGED TABLE n (a int)", "ddl unlisted w:n"},
      {"CREATE TABLE pg_temp.n (a int)", "ddl unlisted pin:temp w:pg_temp.n"},
      {"CREATE FUNCTION pg_temp.n() RETURNS int LANGUAGE sql AS 'SELECT 1'",
       "ddl unlisted pin:temp"},
      {"CREATE TABLE n AS SELECT * FROM t", "ddl unlisted r:t w:n"},
      {"CREATE TEMP TABLE n AS SELECT * FROM t", "ddl unlisted pin:temp r:t w:n"},
      {"SELECT * INTO n FROM t", "ddl r:t w:n"},
      {"SELECT * INTO TEMP n FROM t", "ddl pin:temp r:t w:n"},
      {"CREATE MATERIALIZED VIEW n AS SELECT 1", "ddl unlisted w:n"},
      {"REFRESH MATERIALIZED VIEW m", "ddl drawn unlisted w:m"},
      {"REFRESH MATERIALIZED VIEW m WITH NO DATA", "ddl unlisted w:m"},
      {"CREATE INDEX ON t (a)", "ddl unlisted w:t"},
      {"CREATE INDEX CONCURRENTLY i ON t (a)", "ddl unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int DEFAULT random()", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int DEFAULT f_volatile(1)", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int DEFAULT nobody_knows(1)", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c date DEFAULT 'today'", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c serial", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c bigserial", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS IDENTITY", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int DEFAULT 3", "ddl unlisted w:t"},
      {"ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (a + 1) STORED", "ddl unlisted w:t"},
      {"ALTER TABLE t ALTER COLUMN a SET DEFAULT random()", "ddl unlisted w:t"},
      {"ALTER TABLE t ALTER COLUMN a TYPE int USING a + 1", "ddl unlisted w:t"},
      {"ALTER TABLE t ALTER COLUMN a TYPE float USING random()", "ddl drawn unlisted w:t"},
      {"ALTER TABLE t DROP COLUMN a", "ddl unlisted w:t"},
      {"CREATE TABLE n AS SELECT now()", "ddl drawn unlisted w:n"},
      {"CREATE MATERIALIZED VIEW n AS SELECT random()", "ddl drawn unlisted w:n"},
      {"DROP TABLE t", "ddl unlisted"},
      {"DROP FUNCTION f_volatile", "ddl unlisted"},
      {"ALTER SYSTEM SET work_mem = '1MB'", "ddl unlisted"},
      {"CREATE ROLE r", "ddl unlisted"},
      {"GRANT SELECT ON t TO r", "ddl unlisted"},
      {"COMMENT ON TABLE t IS 'now'", "ddl unlisted"},
      {"VACUUM t", "ddl unlisted"},
      {"ANALYZE", "ddl unlisted"},
      {"CLUSTER t", "ddl unlisted"},
      {"REINDEX TABLE t", "ddl unlisted"},
      {"CHECKPOINT", "ddl unlisted"},
      {"CREATE EXTENSION pgcrypto", "ddl unlisted"},
      {"CREATE PUBLICATION p FOR ALL TABLES", "ddl unlisted"},
      {"CREATE DATABASE d", "ddl unlisted"},
      {"ALTER ROLE r SET search_path = a", "ddl unlisted"},
  };
  check_rows(kRows);
}

TEST_CASE("transaction: control is a class of its own") {
  constexpr Row kRows[] = {
      {"BEGIN", "transaction"},
      {"BEGIN READ ONLY", "transaction"},
      {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "transaction"},
      {"COMMIT", "transaction"},
      {"END", "transaction"},
      {"ROLLBACK AND CHAIN", "transaction"},
      {"ABORT", "transaction"},
      {"SAVEPOINT a", "transaction"},
      {"ROLLBACK TO a", "transaction"},
      {"RELEASE a", "transaction"},
      {"SET TRANSACTION READ ONLY", "transaction"},
      {"SET transaction_read_only = on", "transaction"},
      {"SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", "transaction drawn sided"},
      {"PREPARE TRANSACTION 'x'", "nondeterministic_write drawn sided unlisted"},
      {"COMMIT PREPARED 'x'", "nondeterministic_write drawn sided unlisted"},
      {"ROLLBACK PREPARED 'x'", "nondeterministic_write drawn sided unlisted"},
      {"BEGIN; SELECT 1; COMMIT", "transaction"},
      {"BEGIN; INSERT INTO t VALUES (1); COMMIT", "write w:t"},
  };
  check_rows(kRows);
}

TEST_CASE("session: what is kept, and what pins") {
  constexpr Row kRows[] = {
      {"SET search_path = a, b", "session_state"},
      {"SET search_path = pg_temp, a", "session_state pin:temp"},
      {"SET LOCAL work_mem = '1MB'", "session_state"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session_state"},
      {"SET ROLE r", "session_state"},
      {"SET SESSION AUTHORIZATION r", "session_state"},
      {"RESET ROLE", "session_state"},
      {"RESET ALL", "session_state"},
      {"SET TIME ZONE 'UTC'", "session_state"},
      {"SET CONSTRAINTS ALL DEFERRED", "session_state"},
      {"DISCARD ALL", "session_state"},
      {"DISCARD TEMP", "session_state"},
      {"PREPARE p AS SELECT * FROM t", "session_state"},
      {"PREPARE p (int) AS INSERT INTO t VALUES ($1)", "session_state"},
      {"EXECUTE p", "unknown drawn sided unlisted pin:unread"},
      {"DEALLOCATE p", "session_state"},
      {"DEALLOCATE ALL", "session_state"},
      {"LISTEN c", "session_state pin:listen"},
      {"UNLISTEN *", "session_state"},
      {"DECLARE c CURSOR FOR SELECT * FROM t ORDER BY a", "session_state sorted r:t"},
      {"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t", "session_state pin:hold r:t"},
      {"DECLARE c CURSOR FOR SELECT f_volatile(a) FROM t",
       "nondeterministic_write drawn unlisted pin:code r:t"},
      {"FETCH 10 FROM c", "session_state"},
      {"MOVE c", "session_state"},
      {"CLOSE c", "session_state"},
      {"CLOSE ALL", "session_state"},
      {"LOAD 'auto_explain'", "session_state"},
      {"SELECT set_config('a.b', 'c', false)", "session_state pin:set"},
      {"SELECT set_config('a.b', 'c', true)", "session_state"},
      {"SELECT set_config('a.b', 'c', $1)", "session_state pin:set"},
      {"SELECT set_config('a.b'::text, 'c', false)", "session_state pin:set"},
      {"SELECT set_config($1, $2, false)", "session_state pin:untold_set"},
      {"SELECT set_config('a.' || 'b', 'c', false)", "session_state pin:untold_set"},
      {"SELECT set_config(n, v, false) FROM (VALUES ('a.b', 'c')) x(n, v)",
       "session_state pin:untold_set"},
      {"SELECT set_config($1, $2, true)", "session_state"},
      {"SELECT setseed(0.5)", "session_state pin:untold_set"},
  };
  check_rows(kRows);
}

TEST_CASE("lock: what is held, and for how long") {
  constexpr Row kRows[] = {
      {"SELECT * FROM t FOR UPDATE", "lock lock:rows r:t"},
      {"SELECT * FROM t x FOR NO KEY UPDATE OF x NOWAIT", "lock drawn lock:rows r:t"},
      {"SELECT * FROM t FOR SHARE", "lock lock:rows r:t"},
      {"SELECT * FROM t ORDER BY a LIMIT 1 FOR KEY SHARE SKIP LOCKED",
       "lock drawn sorted lock:rows r:t"},
      {"WITH x AS (SELECT * FROM t FOR UPDATE) SELECT * FROM x", "lock lock:rows r:t"},
      {"LOCK TABLE t", "lock lock:table r:t"},
      {"LOCK t, u IN SHARE MODE NOWAIT", "lock lock:table r:u r:t"},
      {"SELECT pg_advisory_lock(1)", "lock pin:lock lock:session"},
      {"SELECT pg_try_advisory_lock_shared(1, 2)", "lock pin:lock lock:session"},
      {"SELECT pg_advisory_xact_lock(1)", "lock lock:transaction"},
      {"SELECT pg_advisory_unlock_all()", "lock lock:release"},
  };
  check_rows(kRows);
}

TEST_CASE("copy: both ways, on either machine") {
  constexpr Row kRows[] = {
      {"COPY t TO STDOUT", "copy r:t"},
      {"COPY t (a, b) TO STDOUT WITH (FORMAT csv)", "copy r:t"},
      {"COPY (SELECT now()) TO STDOUT", "copy drawn"},
      {"COPY (INSERT INTO t VALUES (1) RETURNING a) TO STDOUT", "copy writes returning w:t"},
      {"COPY t FROM STDIN", "copy writes w:t"},
      {"COPY t FROM STDIN WHERE a > 1", "copy writes w:t"},
      {"COPY jobs (state) FROM STDIN", "copy writes drawn w:jobs"},
      {"COPY t FROM '/tmp/x'", "copy writes drawn sided w:t"},
      {"COPY t TO PROGRAM 'cat'", "copy writes drawn sided r:t"},
      {"COPY t TO '/tmp/x'", "copy writes drawn sided r:t"},
  };
  check_rows(kRows);
}

TEST_CASE("unknown: what is not certainly a read is a write") {
  constexpr Row kRows[] = {
      {"SELECT nobody_knows(1)", "unknown drawn unlisted pin:code"},
      {"SELECT pg_catalog.nobody_knows(1)", "unknown drawn unlisted pin:code"},
      {"SELECT * FROM nowhere", "unknown drawn unlisted r:nowhere"},
      {"SELECT * FROM app.t", "unknown drawn unlisted r:app.t"},
      {"SELECT 1 <<>> 2", "unknown drawn unlisted pin:code"},
      {"SELECT * FROM v_writes", "unknown drawn unlisted r:v_writes"},
      {"SELECT * FROM v_on_v_writes", "unknown drawn unlisted r:v_on_v_writes"},
      {"SELECT * FROM far", "unknown drawn unlisted r:far"},
      {"SELECT * FROM guarded_badly", "unknown drawn unlisted r:guarded_badly"},
      {"SELECT query_to_xml('DELETE FROM t', true, true, '')", "unknown drawn unlisted pin:code"},
      {"SELEC 1", "unknown drawn sided unlisted pin:unread"},
      {"SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a int PATH '$'))",
       "unknown drawn sided unlisted pin:unread"},
      {"SELECT 'open", "unknown drawn sided unlisted pin:unread"},
      {"SELECT 1 /* open", "unknown drawn sided unlisted pin:unread"},
      {"EXPLAIN ANALYZE EXECUTE p", "unknown drawn sided unlisted pin:unread"},
      {"CREATE TABLE n AS EXECUTE p", "unknown drawn sided unlisted pin:unread w:n"},
  };
  check_rows(kRows);
}

TEST_CASE("several: the strongest speaks for all") {
  constexpr Row kRows[] = {
      {"", "pure_read"},
      {";", "pure_read"},
      {" ; ;", "pure_read"},
      {"-- nothing", "pure_read"},
      {"SELECT 1; SELECT 2", "pure_read"},
      {"SELECT now(); SELECT 1", "volatile_read drawn"},
      {"SELECT a FROM t ORDER BY a; SELECT a FROM t ORDER BY a", "pure_read r:t"},
      {"SET search_path = a; INSERT INTO t VALUES (1); LISTEN c", "write pin:listen w:t"},
      {"INSERT INTO t VALUES (1); CREATE TABLE n ()", "ddl unlisted w:t w:n"},
      {"SELECT 1; SELEC 2", "unknown drawn sided unlisted pin:unread"},
  };
  check_rows(kRows);
}

}  // namespace
}  // namespace crossfade::postgres
