// ioredis: what applications use of it. PORT MODE
'use strict';
const Redis = require('ioredis');
const {equal, rejects, until, blockedAt, main} = require('./check');

async function values(redis) {
  equal('set', await redis.set('key', 'value', 'EX', 100), 'OK');
  equal('get', await redis.get('key'), 'value');
  equal('missing', await redis.get('nothing'), null);
  equal('hash', await redis.hset('h', {a: 1, b: 2}), 2);
  equal('hgetall', await redis.hgetall('h'), {a: '1', b: '2'});
  equal('sorted set', await redis.zadd('z', 1, 'a', 2.5, 'b'), 2);
  equal('scores', await redis.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1', 'b', '2.5']);
  await rejects('wrong type', redis.lpush('key', 'x'), /WRONGTYPE/);
  await rejects('unknown command', redis.call('NOSUCH', 'a'), /unknown command/);
  const value = Buffer.alloc(4_000_000, 'abc\r\n\0');
  equal('set 4 MB', await redis.set('big', value), 'OK');
  equal('get 4 MB', (await redis.getBuffer('big')).equals(value), true);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let n = 0; n < 1000; n++) pipeline.set(`p${n}`, n).get(`p${n}`);
  const replies = await pipeline.exec();
  equal('pipeline', replies.every(([error, value], at) =>
    !error && value === (at % 2 ? String((at - 1) / 2) : 'OK')), true);
  const mixed = await redis.pipeline().set('s', 'v').lpush('s', 'x').get('s').exec();
  equal('an error within a pipeline', [mixed[0][1], mixed[1][0].message.split(' ')[0], mixed[2][1]],
    ['OK', 'WRONGTYPE', 'v']);
  const many = await Promise.all(Array.from({length: 2000}, () => redis.incr('count')));
  equal('2000 at once in order', many.every((value, at) => value === at + 1), true);
}

async function transactions(redis, connect) {
  equal('multi', await redis.multi().set('t', 1).incr('t').exec(), [[null, 'OK'], [null, 2]]);
  const other = connect();
  await redis.watch('t');
  await other.set('t', 9);
  equal('a watched key changed', await redis.multi().set('t', 3).exec(), null);
  equal('the other value stays', await redis.get('t'), '9');
  await rejects('exec aborts', redis.multi().set('x').exec(), /EXECABORT|wrong number/);
  await redis.multi({pipeline: false});
  equal('queued', await redis.get('t'), 'QUEUED');
  equal('exec of a multi without pipeline', await redis.exec(), [[null, '9']]);
  other.disconnect();
}

async function scripts(redis) {
  redis.defineCommand('addTo', {numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])"});
  equal('a defined command', await redis.addTo('n', 5), 5);
  equal('again by its SHA', await redis.addTo('n', 5), 10);
  await redis.script('FLUSH');
  equal('after a flush', await redis.addTo('n', 5), 15);
  equal('in a pipeline', (await redis.pipeline().addTo('n', 1).addTo('n', 1).exec()).map((r) => r[1]),
    [16, 17]);
}

async function messages(redis, connect) {
  const subscriber = connect();
  const seen = [];
  subscriber.on('message', (channel, message) => seen.push([channel, message]));
  subscriber.on('pmessage', (pattern, channel, message) => seen.push([pattern, channel, message]));
  equal('subscribe', await subscriber.subscribe('a', 'b'), 2);
  equal('psubscribe', await subscriber.psubscribe('x*'), 3);
  equal('publish', await redis.publish('b', 'hello'), 1);
  equal('publish to a pattern', await redis.publish('xyz', 'hi'), 1);
  await until('two messages', () => seen.length === 2);
  equal('messages', seen, [['b', 'hello'], ['x*', 'xyz', 'hi']]);
  equal('ping while subscribed', await subscriber.ping(), ['pong', '']);
  equal('unsubscribe', await subscriber.unsubscribe('a', 'b'), 1);
  const sharded = connect();
  sharded.on('smessage', (channel, message) => seen.push([channel, message]));
  await sharded.ssubscribe('shard');
  equal('spublish', await redis.spublish('shard', 'm'), 1);
  await until('a sharded message', () => seen.length === 3);
  subscriber.disconnect();
  sharded.disconnect();
}

async function blocking(redis, connect, servers) {
  const waiter = connect();
  equal('blpop times out', await waiter.blpop('q', 0.05), null);
  const popped = waiter.blpop('q', 10);
  await blockedAt('blocked', servers);
  await redis.rpush('q', 'job');
  equal('blpop is served', await popped, ['q', 'job']);
  const read = waiter.xread('BLOCK', 10_000, 'STREAMS', 'st', '$');
  await blockedAt('blocked again', servers);
  await redis.xadd('st', '1-1', 'f', 'v');
  equal('xread is served', await read, [['st', [['1-1', ['f', 'v']]]]]);
  waiter.disconnect();
}

async function scans(redis) {
  let found = new Set();
  for await (const keys of redis.scanStream({match: 'p*', count: 200})) keys.forEach((k) => found.add(k));
  equal('scanStream', found.size, 1000);
}

async function connections(port, redis) {
  const five = new Redis({port, db: 5, connectionName: 'five', keyPrefix: 'pre:'});
  equal('another database is empty', await five.get('key'), null);
  await five.set('key', 'five');
  equal('with a prefix', await five.get('key'), 'five');
  equal('connection name', await five.client('GETNAME'), 'five');
  const auto = new Redis({port, enableAutoPipelining: true});
  const values = await Promise.all(Array.from({length: 500}, (_, n) => auto.set(`auto${n}`, n)));
  equal('automatic pipelining', values.every((value) => value === 'OK'), true);
  const mine = await five.client('ID');
  await five.client('KILL', 'ID', mine, 'SKIPME', 'no').catch(() => {});
  equal('reconnects after a kill', await five.get('key'), 'five');
  equal('in the same database and name', await five.client('GETNAME'), 'five');
  equal('quit', await five.quit(), 'OK');
  auto.disconnect();
  const monitor = await redis.monitor();
  let seen = false;
  monitor.on('monitor', (_time, args) => { seen ||= args.includes('monitored'); });
  await redis.get('monitored');
  await until('monitor', () => seen);
  equal('monitor', seen, true);
  monitor.disconnect();
}

main(async (port, servers) => {
  const connect = () => new Redis({port});
  const redis = connect();
  await values(redis);
  await pipelines(redis);
  await transactions(redis, connect);
  await scripts(redis);
  await messages(redis, connect);
  await blocking(redis, connect, servers);
  await scans(redis);
  await connections(port, redis);
  redis.disconnect();
});
