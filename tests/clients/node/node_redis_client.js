// node-redis 5 with RESP3: what applications use of it. PORT MODE
'use strict';
const {createClient, createClientPool, defineScript, WatchError, RESP_TYPES} = require('redis');
const {equal, rejects, until, blockedAt, main} = require('./check');

async function values(client) {
  equal('set', await client.set('key', 'value', {EX: 100}), 'OK');
  equal('get', await client.get('key'), 'value');
  equal('missing', await client.get('nothing'), null);
  equal('hash', await client.hSet('h', {a: '1', b: '2'}), 2);
  equal('hgetall', {...await client.hGetAll('h')}, {a: '1', b: '2'});
  equal('a map as a Map', await client.withTypeMapping({[RESP_TYPES.MAP]: Map}).hGetAll('h'),
    new Map([['a', '1'], ['b', '2']]));
  equal('members', (await client.sAdd('set', ['1', '2']), await client.sMembers('set')), ['1', '2']);
  equal('sorted set', await client.zAdd('z', [{score: 1, value: 'a'}, {score: 2.5, value: 'b'}]), 2);
  equal('scores are doubles', await client.zRangeWithScores('z', 0, -1),
    [{value: 'a', score: 1}, {value: 'b', score: 2.5}]);
  equal('score', await client.zScore('z', 'b'), 2.5);
  await rejects('wrong type', client.lPush('key', 'x'), /WRONGTYPE/);
  await rejects('unknown command', client.sendCommand(['NOSUCH', 'a']), /unknown command/);
  const value = Buffer.alloc(4_000_000, 'abc\r\n\0');
  const raw = client.withTypeMapping({[RESP_TYPES.BLOB_STRING]: Buffer});
  equal('set 4 MB', await client.set('big', value), 'OK');
  equal('get 4 MB', (await raw.get('big')).equals(value), true);
}

async function pipelines(client) {
  const many = await Promise.all(Array.from({length: 2000}, () => client.incr('count')));
  equal('2000 at once in order', many.every((value, at) => value === at + 1), true);
  const multi = client.multi();
  for (let n = 0; n < 500; n++) multi.set(`p${n}`, `${n}`).get(`p${n}`);
  const replies = await multi.execAsPipeline();
  equal('a pipeline', replies.every((value, at) => value === (at % 2 ? `${(at - 1) / 2}` : 'OK')), true);
}

async function transactions(client, connect) {
  equal('multi', await client.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
  const watcher = await connect();
  await watcher.watch('t');
  await client.set('t', '9');
  await rejects('a watched key changed',
    watcher.multi().set('t', '3').exec().catch((error) => {
      throw error instanceof WatchError ? new Error('WatchError') : error;
    }), /WatchError/);
  equal('the other value stays', await client.get('t'), '9');
  equal('multi after that', await watcher.multi().incr('t').exec(), [10]);
  watcher.destroy();
}

async function scripts(port) {
  const client = createClient({
    RESP: 3, socket: {port},
    scripts: {addTo: defineScript({
      NUMBER_OF_KEYS: 1, SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
      parseCommand(parser, key, by) { parser.pushKey(key); parser.push(by); },
      transformReply: undefined})},
  });
  client.on('error', () => {});
  await client.connect();
  equal('a script', await client.addTo('n', '5'), 5);
  equal('again by its SHA', await client.addTo('n', '5'), 10);
  await client.scriptFlush();
  equal('after a flush', await client.addTo('n', '5'), 15);
  equal('eval', await client.eval('return {KEYS[1], ARGV[1]}', {keys: ['k'], arguments: ['a']}), ['k', 'a']);
  const library = `lib${process.pid}`;
  await client.functionLoad(
    `#!lua name=${library}\nredis.register_function('f_${library}', function(k, a) return a[1] end)`);
  equal('a function', await client.fCall(`f_${library}`, {keys: ['k'], arguments: ['a']}), 'a');
  client.destroy();
}

async function messages(client, connect) {
  const subscriber = await connect();
  const seen = [];
  await subscriber.subscribe(['a', 'b'], (message, channel) => seen.push([channel, message]));
  await subscriber.pSubscribe('x*', (message, channel) => seen.push(['p', channel, message]));
  await subscriber.sSubscribe('s', (message, channel) => seen.push(['s', channel, message]));
  equal('publish', await client.publish('b', 'hello'), 1);
  equal('publish to a pattern', await client.publish('xyz', 'hi'), 1);
  equal('spublish', await client.sPublish('s', 'hey'), 1);
  await until('three messages', () => seen.length === 3);
  equal('messages', seen, [['b', 'hello'], ['p', 'xyz', 'hi'], ['s', 's', 'hey']]);
  equal('a command on a subscribed RESP3 connection', await subscriber.set('while', 'subscribed'), 'OK');
  await subscriber.unsubscribe(['a', 'b']);
  await subscriber.pUnsubscribe('x*');
  await subscriber.sUnsubscribe('s');
  equal('nobody listens', await client.publish('b', 'x'), 0);
  subscriber.destroy();
}

async function blocking(client, connect, servers) {
  const waiter = await connect();
  equal('blpop times out', await waiter.blPop('q', 0.05), null);
  const popped = waiter.blPop('q', 10);
  await blockedAt('blocked', servers);
  await client.rPush('q', 'job');
  equal('blpop is served', {...await popped}, {key: 'q', element: 'job'});
  const read = waiter.sendCommand(['XREAD', 'BLOCK', '10000', 'STREAMS', 'st', '$']);
  await blockedAt('blocked again', servers);
  await client.xAdd('st', '1-1', {f: 'v'});
  equal('xread is served', JSON.stringify(await read), '{"st":[["1-1",["f","v"]]]}');
  waiter.destroy();
}

async function scans(client) {
  const found = new Set();
  for await (const keys of client.scanIterator({MATCH: 'p*', COUNT: 100})) keys.forEach((k) => found.add(k));
  equal('scanIterator', found.size, 500);
}

async function connections(port, client) {
  const five = createClient({RESP: 3, socket: {port}, database: 5, name: 'five'});
  five.on('error', () => {});
  await five.connect();
  equal('another database is empty', await five.get('key'), null);
  await five.set('key', 'five');
  equal('name', await five.clientGetName(), 'five');
  // The driver rejects what it has sent when it learns that its connection is gone: not before that.
  const reconnecting = new Promise((resolve) => five.once('reconnecting', resolve));
  await client.sendCommand(['CLIENT', 'KILL', 'ID', String(await five.clientId())]);
  await reconnecting;
  await until('ready again', async () => five.isReady);
  equal('reconnects after a kill', await five.get('key'), 'five');
  equal('in the same database and name', await five.clientGetName(), 'five');
  await five.close();
  const pool = createClientPool({RESP: 3, socket: {port}}, {minimum: 2, maximum: 10});
  pool.on('error', () => {});
  await pool.connect();
  const values = await Promise.all(Array.from({length: 300}, () => pool.incr('pool')));
  equal('a pool', values.sort((a, b) => a - b).every((value, at) => value === at + 1), true);
  await pool.close();
}

async function cache(port, client) {
  const {BasicClientSideCache} = require('redis');
  const cached = createClient({RESP: 3, socket: {port},
    clientSideCache: new BasicClientSideCache({ttl: 0, maxEntries: 0, evictPolicy: 'LRU'})});
  cached.on('error', () => {});
  await cached.connect();
  await client.set('cached', '1');
  await until('the write is read', async () => {
    await cached.sendCommand(['PING']);
    return (await cached.get('cached')) === '1';
  });
  equal('from the cache', await cached.get('cached'), '1');
  await client.set('cached', '2');
  await until('invalidated', async () => (await cached.get('cached')) === '2');
  equal('an invalidation reaches the cache', await cached.get('cached'), '2');
  cached.destroy();
}

main(async (port, servers) => {
  const connect = async () => {
    const client = createClient({RESP: 3, socket: {port}});
    client.on('error', () => {});
    return client.connect();
  };
  const client = await connect();
  await values(client);
  await pipelines(client);
  await transactions(client, connect);
  await scripts(port);
  await messages(client, connect);
  await blocking(client, connect, servers);
  await scans(client);
  await connections(port, client);
  await cache(port, client);
  client.destroy();
});
