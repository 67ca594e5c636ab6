// node-postgres (pg) with its cursors and COPY streams: what applications use of it. PORT
'use strict';
const {Client, Pool} = require('pg');
const Cursor = require('pg-cursor');
const copies = require('pg-copy-streams');
const {pipeline} = require('node:stream/promises');
const {Readable} = require('node:stream');
const {equal, rejects, until, main} = require('./check');

const settings = (port) => ({host: '127.0.0.1', port, user: 'app', database: 'app'});

async function connected(port, more = {}) {
  const client = new Client({...settings(port), ...more});
  await client.connect();
  return client;
}

const value = async (client, ...query) => Object.values((await client.query(...query)).rows[0])[0];

async function queries(client) {
  equal('a query', await value(client, 'select 6 * 7'), 42);
  equal('parameters', (await client.query('select $1::int as a, $2::text as b, $3::text as c, $4::bytea as d',
    [1, 'ä€𝄞', null, Buffer.from([0, 255])])).rows, [{a: 1, b: 'ä€𝄞', c: null, d: Buffer.from([0, 255])}]);
  const several = await client.query('select 1 as x; select 2 as x');
  equal('several statements', several.map((result) => result.rows[0].x), [1, 2]);
  equal('an empty query', (await client.query('')).rows, []);
  equal('no rows', (await client.query('select 1 where false')).rowCount, 0);
  const created = await client.query('create table t (id int primary key, v text)');
  equal('the command tag', created.command, 'CREATE');
  const named = {name: 'twice', text: 'select $1::int * 2 as x'};
  for (const n of [1, 2, 3]) {
    equal(`a named statement, ${n}`, await value(client, {...named, values: [n]}), n * 2);
  }
  equal('rows as arrays', (await client.query({text: 'select 1, 2', rowMode: 'array'})).rows, [[1, 2]]);
  equal('binary results', await value(client, {text: 'select 7::int4', binary: true}), 7);
  equal('a row of 4 MB', (await value(client, "select repeat('x', 4000000)")).length, 4_000_000);
  const many = await Promise.all(Array.from({length: 500}, (_, n) => value(client, 'select $1::int', [n])));
  equal('500 at once in order', many.every((seen, n) => seen === n), true);
}

async function errors(client) {
  await rejects('an error', client.query('select 1/0'), /division by zero/);
  await rejects('an error with parameters', client.query('select $1::int', ['x']), /invalid input syntax/);
  equal('a query behind errors', await value(client, 'select 1'), 1);
  await client.query('begin');
  await client.query("insert into t values (1, 'a')");
  await rejects('a unique violation', client.query("insert into t values (1, 'b')"), /duplicate key/);
  await rejects('a failed transaction', client.query('select 1'), /current transaction is aborted/);
  await client.query('rollback');
  equal('what was rolled back', await value(client, 'select count(*)::int from t'), 0);
  const code = await client.query('select * from nothing').catch((error) => error.code);
  equal('the code of an error', code, '42P01');
}

async function cursors(client) {
  const cursor = client.query(new Cursor('select generate_series(1, $1::int) as x', [1000]));
  const seen = [];
  for (let rows; (rows = await cursor.read(70)).length > 0;) seen.push(...rows.map((row) => row.x));
  equal('a cursor in portions', seen, Array.from({length: 1000}, (_, n) => n + 1));
  await cursor.close();
  const early = client.query(new Cursor('select generate_series(1, 1000)'));
  await early.read(10);
  await early.close();
  equal('a query behind a cursor that was closed early', await value(client, 'select 1'), 1);
}

async function copy(client) {
  const rows = Array.from({length: 5000}, (_, n) => `${n}\trow ${n}\n`);
  await pipeline(Readable.from(rows), client.query(copies.from('copy t from stdin')));
  equal('COPY in', await value(client, 'select count(*)::int from t'), 5000);
  const out = [];
  await pipeline(client.query(copies.to('copy t to stdout')), async (source) => {
    for await (const part of source) out.push(part);
  });
  equal('COPY out', Buffer.concat(out).toString() === rows.join(''), true);
  await rejects('COPY in that fails', pipeline(Readable.from(['x\ty\n']),
    client.query(copies.from('copy t from stdin'))), /invalid input syntax/);
  equal('a query behind a COPY that failed', await value(client, 'select 1'), 1);
}

async function messages(client, port) {
  const heard = [];
  const notices = [];
  client.on('notification', (told) => heard.push([told.channel, told.payload, told.processId]));
  client.on('notice', (notice) => notices.push(notice.message));
  await client.query('listen ch');
  const other = await connected(port);
  await other.query("notify ch, 'hello'");
  await until('a notification', () => heard.length > 0);
  equal('a notification', heard.map((told) => told.slice(0, 2)), [['ch', 'hello']]);
  equal('a notification tells the true pid', heard[0][2], other.processID);
  equal('the pid is that of the backend', await value(other, 'select pg_backend_pid()'), other.processID);
  await client.query('drop table if exists nothing');
  equal('a notice', notices, ['table "nothing" does not exist, skipping']);
  await other.end();
}

async function cancels(client, port) {
  const other = await connected(port);
  const sleep = client.query('select pg_sleep(60)');
  sleep.catch(() => {});
  await until('a query sleeps', async () => await value(other, "select count(*)::int from pg_stat_activity" +
    " where wait_event = 'PgSleep'") === 1);
  // A cancel as the protocol has it, which pg's own cancel() is for its native queries only.
  const connection = new Client(settings(port)).connection;
  connection.on('connect', () => connection.cancel(client.processID, client.secretKey));
  connection.connect(port, '127.0.0.1');
  await rejects('a query that is cancelled', sleep, /canceling statement due to user request/);
  equal('a query behind a cancel', await value(client, 'select 1'), 1);
  const limited = await connected(port, {statement_timeout: 50});
  await rejects('a time limit of the server', limited.query('select pg_sleep(60)'), /statement timeout/);
  await limited.end();
  await other.end();
}

async function pools(port) {
  const pool = new Pool({...settings(port), max: 5});
  const seen = await Promise.all(Array.from({length: 100}, (_, n) => value(pool, 'select $1::int', [n])));
  equal('a pool', seen.every((one, n) => one === n), true);
  await pool.end();
}

async function terminated(port) {
  const pool = new Pool({...settings(port), max: 5});
  const ended = await pool.connect();
  const error = new Promise((resolve) => { ended.on('error', resolve); });  // the end comes second
  await pool.query('select pg_terminate_backend($1)', [ended.processID]);
  equal('a backend that was terminated', (await error).code, '57P01');
  ended.release(true);
  equal('a pool behind it', await value(pool, 'select 1'), 1);
  await pool.end();
}

main(async (port) => {
  const client = await connected(port, {application_name: 'node', options: '-c work_mem=1MB'});
  equal('a parameter of start-up', await value(client, 'show application_name'), 'node');
  equal('an option of start-up', await value(client, 'show work_mem'), '1MB');
  await queries(client);
  await errors(client);
  await cursors(client);
  await copy(client);
  await messages(client, port);
  await cancels(client, port);
  await client.end();
  await pools(port);
  if (!process.env.CROSSFADE_PIDS_DIFFER) await terminated(port);  // by the pid that it was told
});
