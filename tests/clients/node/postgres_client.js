// postgres.js: what applications use of it; it pipelines by itself. PORT
'use strict';
const postgres = require('postgres');
const {pipeline} = require('node:stream/promises');
const {Readable} = require('node:stream');
const {equal, rejects, until, main} = require('./check');

const connect = (port, more = {}) => postgres({host: '127.0.0.1', port, user: 'app', database: 'app', max: 3,
  onnotice: () => {}, ...more});

async function queries(sql) {
  equal('a query', (await sql`select 6 * 7 as x`)[0].x, 42);
  equal('parameters', {...(await sql`select ${1}::int as a, ${'ä€𝄞'}::text as b, ${null}::text as c`)[0]},
    {a: 1, b: 'ä€𝄞', c: null});
  equal('a simple query of several statements', (await sql.unsafe('select 1 as x; select 2 as x')).length, 2);
  await sql`create table t (id int primary key, v text)`;
  const inserted = await sql`insert into t ${sql([{id: 1, v: 'a'}, {id: 2, v: 'b'}])} returning id`;
  equal('rows of an insert', inserted.length, 2);
  equal('a list', (await sql`select * from t where id in ${sql([1, 2, 3])}`).count, 2);
  equal('a row of 4 MB', (await sql`select repeat('x', 4000000) as x`)[0].x.length, 4_000_000);
  const many = await Promise.all(Array.from({length: 1000}, (_, n) => sql`select ${n}::int as x`));
  equal('1000 at once in order', many.every(([row], n) => row.x === n), true);
  equal('a description', (await sql`select id, v from t where id = ${1}`.describe()).columns.length, 2);
  equal('without preparing', (await sql.unsafe('select $1::int as x', [5], {prepare: false}))[0].x, 5);
}

async function errors(sql) {
  await rejects('an error', sql`select 1/0`, /division by zero/);
  await rejects('a wrong parameter', sql.unsafe('select $1::int', ['x']), /invalid input syntax/);
  equal('a query behind errors', (await sql`select 1 as x`)[0].x, 1);
  const mixed = await Promise.allSettled([sql`select 1 as x`, sql`select 1/0`, sql`select 2 as x`]);
  equal('an error among others', mixed.map((one) => one.status), ['fulfilled', 'rejected', 'fulfilled']);
  await rejects('a unique violation', sql`insert into t values (1, 'again')`, /duplicate key/);
}

async function transactions(sql) {
  await sql.begin(async (tx) => {
    await tx`insert into t values (10, 'x')`;
    await tx.savepoint(async (inner) => {
      await inner`insert into t values (10, 'y')`;
    }).catch((error) => equal('a savepoint that fails', error.code, '23505'));
    await tx`insert into t values (11, 'z')`;
  });
  const kept = await sql`select id from t where id > 9 order by id`;
  equal('a transaction with a savepoint', kept.map((row) => row.id), [10, 11]);
  await rejects('a transaction that is rolled back', sql.begin(async (tx) => {
    await tx`insert into t values (12, 'x')`;
    throw new Error('changed my mind');
  }), /changed my mind/);
  equal('what was rolled back', (await sql`select count(*)::int as x from t where id = 12`)[0].x, 0);
  const results = await sql.begin((tx) => [
    tx`insert into t values (13, 'p')`, tx`select count(*)::int as x from t`]);
  equal('a transaction in one pipeline', results[1][0].x, 5);
}

async function portions(sql) {
  const seen = [];
  await sql`select generate_series(1, 1000) as x`.cursor(70, (rows) => {
    seen.push(...rows.map((row) => row.x));
  });
  equal('a cursor in portions', seen.length, 1000);
  let count = 0;
  for await (const [row] of sql`select generate_series(1, 10) as x`.cursor()) {
    count += row.x;
    if (row.x === 4) break;
  }
  equal('a cursor that is left early', count, 10);
  let rows = 0;
  await sql`select generate_series(1, 5000) as x`.forEach(() => { rows += 1; });
  equal('rows one by one', rows, 5000);
}

async function copy(sql) {
  const lines = Array.from({length: 5000}, (_, n) => `${n + 100}\trow\n`);
  await pipeline(Readable.from(lines), await sql`copy t from stdin`.writable());
  equal('COPY in', (await sql`select count(*)::int as x from t where id >= 100`)[0].x, 5000);
  const parts = [];
  const source = await sql`copy (select * from t where id >= 100 order by id) to stdout`.readable();
  for await (const part of source) parts.push(part);
  equal('COPY out', Buffer.concat(parts).toString() === lines.join(''), true);
}

async function messages(sql, port) {
  const heard = [];
  const listening = await sql.listen('ch', (payload) => heard.push(payload));
  await sql.notify('ch', 'hello');
  await until('a notification', () => heard.length > 0);
  equal('a notification', heard, ['hello']);
  await listening.unlisten();
  const limited = connect(port, {connection: {statement_timeout: 50, application_name: 'limited'}});
  equal('parameters of start-up', (await limited`show application_name`)[0].application_name, 'limited');
  await rejects('a time limit of the server', limited`select pg_sleep(60)`, /statement timeout/);
  await limited.end();
}

// In connections of its own: in much used ones the driver at times cancels nothing, even directly.
async function cancels(port) {
  const sql = connect(port);
  await sql`select 1`;
  const query = sql`select pg_sleep(60)`;
  const done = query.catch((error) => error);
  await until('a query sleeps', async () => (await sql`select count(*)::int as x from pg_stat_activity
    where wait_event = 'PgSleep'`)[0].x === 1);
  query.cancel();
  equal('a query that is cancelled', (await done).code, '57014');
  equal('a query behind a cancel', (await sql`select 1 as x`)[0].x, 1);
  await sql.end();
}

main(async (port) => {
  const sql = connect(port);
  await queries(sql);
  await errors(sql);
  await transactions(sql);
  await portions(sql);
  await copy(sql);
  await messages(sql, port);
  await sql.end();
  await cancels(port);
});
