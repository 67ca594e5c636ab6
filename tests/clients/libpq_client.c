/* A C program over libpq that uses what applications use, above all its pipeline mode. One line for
 * each assertion: "ok <name>" or "not ok <name>: <what was seen>"; the exit code is the number of
 * the latter.
 *
 *   libpq_client PORT
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 500, LIMIT_MS = 20000 };

static int failures;
static const char* port;
static char notices[4096];

static void check(const char* name, int good, const char* seen) {
  if (good) {
    printf("ok %s\n", name);
  } else {
    printf("not ok %s: %s\n", name, seen ? seen : "nothing");
    ++failures;
  }
}

static void on_notice(void* unused, const char* text) {
  (void)unused;
  strncat(notices, text, sizeof notices - strlen(notices) - 1);
}

static PGconn* connected(void) {
  char parameters[200];
  snprintf(parameters, sizeof parameters,
           "host=127.0.0.1 port=%s user=app dbname=app connect_timeout=10 application_name=libpq",
           port);
  PGconn* conn = PQconnectdb(parameters);
  if (PQstatus(conn) != CONNECTION_OK) {
    printf("not ok connect: %s\n", PQerrorMessage(conn));
    exit(100);
  }
  PQsetNoticeProcessor(conn, on_notice, NULL);
  return conn;
}

/* What one result says: its value, else its error, else its status; valid until the next call. */
static const char* text_of(PGresult* result) {
  static char text[400];
  const char* state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
  if (state) {
    snprintf(text, sizeof text, "%s", state);
  } else if (result && PQntuples(result) > 0 && PQnfields(result) > 0) {
    snprintf(text, sizeof text, "%s", PQgetvalue(result, 0, 0));
  } else {
    snprintf(text, sizeof text, "%s", result ? PQresStatus(PQresultStatus(result)) : "NULL");
  }
  PQclear(result);
  return text;
}

static void expect(const char* name, PGresult* result, const char* wanted) {
  const char* seen = text_of(result);
  check(name, strcmp(seen, wanted) == 0, seen);
}

static void simple_queries(PGconn* conn) {
  expect("a query", PQexec(conn, "select 6 * 7"), "42");
  expect("no rows", PQexec(conn, "create table t (id int primary key, v text)"),
         "PGRES_COMMAND_OK");
  expect("an error", PQexec(conn, "select 1/0"), "22012");
  expect("the last of several", PQexec(conn, "select 1; select 2"), "2");
  expect("an empty query", PQexec(conn, ""), "PGRES_EMPTY_QUERY");
  check("a parameter's status", strcmp(PQparameterStatus(conn, "application_name"), "libpq") == 0,
        PQparameterStatus(conn, "application_name"));
  PQclear(PQexec(conn, "drop table if exists nothing"));
  check("a notice", strstr(notices, "does not exist, skipping") != NULL, notices);
  char pid[20];
  snprintf(pid, sizeof pid, "%d", PQbackendPID(conn));
  expect("the pid is that of the backend", PQexec(conn, "select pg_backend_pid()"), pid);
}

static void parameters(PGconn* conn) {
  const char* text[] = {"41"};
  expect("a text parameter", PQexecParams(conn, "select $1::int + 1", 1, NULL, text, NULL, NULL, 0),
         "42");
  const char binary[] = {0, 0, 0, 41};
  const char* values[] = {binary};
  const int lengths[] = {4}, formats[] = {1};
  PGresult* result =
      PQexecParams(conn, "select $1::int4 + 1", 1, NULL, values, lengths, formats, 1);
  check("binary both ways", PQgetlength(result, 0, 0) == 4 && PQgetvalue(result, 0, 0)[3] == 42,
        NULL);
  PQclear(result);
  expect("a prepared statement", PQprepare(conn, "p", "select $1::int * 2", 0, NULL),
         "PGRES_COMMAND_OK");
  expect("its execution", PQexecPrepared(conn, "p", 1, text, NULL, NULL, 0), "82");
  PGresult* described = PQdescribePrepared(conn, "p");
  check("its description", PQnparams(described) == 1 && PQftype(described, 0) == 23, NULL);
  PQclear(described);
  expect("a type that is wrong", PQprepare(conn, "q", "select nothing", 0, NULL), "42703");
  expect("a statement that is none", PQexecPrepared(conn, "q", 0, NULL, NULL, NULL, 0), "26000");
}

static void pipeline(PGconn* conn) {
  check("pipeline mode", PQenterPipelineMode(conn) == 1, PQerrorMessage(conn));
  char number[12];
  const char* values[] = {number};
  for (int i = 0; i < DEPTH; ++i) {
    snprintf(number, sizeof number, "%d", i);
    PQsendQueryParams(conn, "select $1::int", 1, NULL, values, NULL, NULL, 0);
    if (i % 10 == 9) PQpipelineSync(conn);
  }
  int right = 0, syncs = 0;
  while (syncs < DEPTH / 10) {
    PGresult* result = PQgetResult(conn);
    if (result == NULL) continue;
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) ++syncs;
    if (PQresultStatus(result) == PGRES_TUPLES_OK) right += atoi(PQgetvalue(result, 0, 0)) == right;
    PQclear(result);
  }
  snprintf(number, sizeof number, "%d", right);
  check("a deep pipeline in order", right == DEPTH, number);
}

static void pipeline_errors(PGconn* conn) {
  const char* sql[] = {"insert into t values (1, 'a')", "select 1/0", "select 2"};
  const char* wanted[] = {"PGRES_COMMAND_OK",    "22012", "PGRES_PIPELINE_ABORTED",
                          "PGRES_PIPELINE_SYNC", "0",     "PGRES_PIPELINE_SYNC"};
  for (int i = 0; i < 3; ++i) PQsendQueryParams(conn, sql[i], 0, NULL, NULL, NULL, NULL, 0);
  PQpipelineSync(conn);
  PQsendQueryParams(conn, "select count(*) from t", 0, NULL, NULL, NULL, NULL, 0);
  PQpipelineSync(conn);
  for (int i = 0; i < 6;) {
    PGresult* result = PQgetResult(conn);
    if (result == NULL) continue;
    char name[60];
    snprintf(name, sizeof name, "an error in a pipeline, result %d", i);
    expect(name, result, wanted[i++]);
  }
  PQsendQueryParams(conn, "select 'flushed'", 0, NULL, NULL, NULL, NULL, 0);
  PQsendFlushRequest(conn);
  PQflush(conn);
  expect("a flush without a sync", PQgetResult(conn), "flushed");
  PQpipelineSync(conn);
  PQclear(PQgetResult(conn));
  PQclear(PQgetResult(conn));
  check("the end of pipeline mode", PQexitPipelineMode(conn) == 1, PQerrorMessage(conn));
}

static void copies(PGconn* conn) {
  expect("COPY in begins", PQexec(conn, "copy t from stdin"), "PGRES_COPY_IN");
  for (int i = 0; i < 5000; ++i) {
    char row[40];
    const int size = snprintf(row, sizeof row, "%d\trow\n", i + 100);
    PQputCopyData(conn, row, size);
  }
  PQputCopyEnd(conn, NULL);
  expect("COPY in ends", PQgetResult(conn), "PGRES_COMMAND_OK");
  PQclear(PQgetResult(conn));
  expect("COPY in that the client gives up", PQexec(conn, "copy t from stdin"), "PGRES_COPY_IN");
  PQputCopyEnd(conn, "given up");
  expect("its error", PQgetResult(conn), "57014");
  PQclear(PQgetResult(conn));
  expect("COPY out begins", PQexec(conn, "copy t to stdout"), "PGRES_COPY_OUT");
  int rows = 0;
  char* row;
  while (PQgetCopyData(conn, &row, 0) > 0) {
    ++rows;
    PQfreemem(row);
  }
  expect("COPY out ends", PQgetResult(conn), "PGRES_COMMAND_OK");
  PQclear(PQgetResult(conn));
  check("COPY out gives all rows", rows == 5000, NULL);
}

static void single_rows(PGconn* conn) {
  PQsendQuery(conn, "select repeat('x', 100) from generate_series(1, 20000)");
  check("single row mode", PQsetSingleRowMode(conn) == 1, NULL);
  int rows = 0;
  for (PGresult* result; (result = PQgetResult(conn)) != NULL; PQclear(result))
    rows += PQresultStatus(result) == PGRES_SINGLE_TUPLE;
  check("rows one by one", rows == 20000, NULL);
}

static void cancels(PGconn* conn) {
  PQsendQuery(conn, "select 'begun'; select pg_sleep(60)");
  PGcancel* cancel = PQgetCancel(conn);
  PGconn* other = connected();
  const char* asleep =
      "select pg_sleep(0.005), count(*) from pg_stat_activity"
      " where wait_event = 'PgSleep' and pid <> pg_backend_pid()";
  for (int found = 0; !found;) {
    PGresult* result = PQexec(other, asleep);
    found = strcmp(PQgetvalue(result, 0, 1), "1") == 0;
    PQclear(result);
  }
  char why[256];
  check("a cancel is sent", PQcancel(cancel, why, sizeof why) == 1, why);
  PQfreeCancel(cancel);
  expect("what came before the cancel", PQgetResult(conn), "begun");
  expect("a query that is cancelled", PQgetResult(conn), "57014");
  PQclear(PQgetResult(conn));
  expect("a query behind a cancel", PQexec(conn, "select 1"), "1");
  PQfinish(other);
}

static void notifications(PGconn* conn) {
  PGconn* other = connected();
  PQclear(PQexec(conn, "listen ch"));
  PQclear(PQexec(other, "notify ch, 'hello'"));
  struct pollfd readable = {PQsocket(conn), POLLIN, 0};
  PGnotify* notification = NULL;
  while (notification == NULL && poll(&readable, 1, LIMIT_MS) > 0) {
    PQconsumeInput(conn);
    notification = PQnotifies(conn);
  }
  check("a notification", notification && strcmp(notification->extra, "hello") == 0, NULL);
  check("a notification tells the true pid",
        notification && notification->be_pid == PQbackendPID(other), NULL);
  PQfreemem(notification);
  PQfinish(other);
}

static void transactions(PGconn* conn) {
  PQclear(PQexec(conn, "begin"));
  check("within a transaction", PQtransactionStatus(conn) == PQTRANS_INTRANS, NULL);
  PQclear(PQexec(conn, "select 1/0"));
  check("within a failed transaction", PQtransactionStatus(conn) == PQTRANS_INERROR, NULL);
  expect("a query in it", PQexec(conn, "select 1"), "25P02");
  PQclear(PQexec(conn, "rollback"));
  check("idle again", PQtransactionStatus(conn) == PQTRANS_IDLE, NULL);
  PQreset(conn);
  check("a reset connects anew", PQstatus(conn) == CONNECTION_OK, PQerrorMessage(conn));
  expect("and works", PQexec(conn, "select 1"), "1");
}

int main(int count, char** words) {
  if (count < 2) return 2;
  port = words[1];
  PGconn* conn = connected();
  simple_queries(conn);
  parameters(conn);
  pipeline(conn);
  pipeline_errors(conn);
  copies(conn);
  single_rows(conn);
  cancels(conn);
  notifications(conn);
  transactions(conn);
  PQfinish(conn);
  return failures;
}
