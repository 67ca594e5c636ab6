// The official SDK's client against the control port: sessions, every tool, progress, refusals.
//   node mcp_client.mjs URL ADMIN_TOKEN READ_TOKEN
import { createRequire } from 'node:module';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const require = createRequire(import.meta.url);
const { equal, rejects, until, main } = require('../../clients/node/check.js');
const [url, admin, read] = process.argv.slice(2);

const connect = async (path, token) => {
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/api/v1/${path}`), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: 'crossfade-tests', version: '1' });
  await client.connect(transport);
  return { client, transport };
};

main(async () => {
  const { client, transport } = await connect('mcp/migrations', admin);
  const call = (name, args, ...more) => client.callTool({ name, arguments: args }, undefined, ...more);
  const good = async (name, args, ...more) => {
    const result = await call(name, args, ...more);
    equal(`${name} is no error`, result.isError ? result.content[0].text : false, false);
    equal(`${name} says the same as text`, JSON.parse(result.content[0].text), result.structuredContent);
    return result.structuredContent;
  };
  const bad = async (name, args, pattern) => {
    const result = await call(name, args);
    equal(`${name} fails with a sentence`, [result.isError, pattern.test(result.content[0].text)
      || result.content[0].text], [true, true]);
  };

  equal('the server', client.getServerVersion().name, 'crossfade');
  equal('a session', transport.sessionId.length, 36);
  await client.ping();
  const { tools } = await client.listTools();
  equal('tools', tools.map((tool) => tool.name), ['list_migrations', 'get_migration', 'define_migration',
    'run_migration', 'update_migration', 'pause_migration', 'resume_migration', 'rollback_migration',
    'complete_migration']);

  equal('none yet', await good('list_migrations', {}), { migrations: [], next_cursor: null });
  await bad('get_migration', { migration_id: 'm' }, /Migration 'm' does not exist/);
  const canary = (share) => ({ type: 'canary', read_percentage: share,
    write_mode: { mode: 'cutover', write_percentage: share } });
  await bad('define_migration', { id: 'm', strategy: canary(0.25),
    interlays: [{ id: 'cache', endpoint: 'new' }, { id: 'nope', endpoint: 'new' }] },
    /Interlay 'nope' does not exist; nothing was defined/);
  equal('still none', (await good('list_migrations', {})).migrations, []);
  await bad('define_migration', { id: 'm', strategy: { type: 'dice' } }, /strategy/);
  const defined = await good('define_migration', { id: 'm', description: 'by tools', strategy: canary(0.25),
    interlays: [{ id: 'cache', endpoint: 'new' }] });
  equal('defined', [defined.id, defined.status, defined.interlays[0].new_endpoint], ['m', 'ready', 'new']);
  await bad('rollback_migration', { migration_id: 'm' },
    /^Cannot set RollingBack migration in status: Ready$/);
  equal('tested', (await good('run_migration', { migration_id: 'm', mode: 'test' })).valid, true);

  const progress = [];
  const run = await good('run_migration', { migration_id: 'm', mode: 'migrate', wait: true },
    { onprogress: (step) => progress.push([step.progress, step.total]) });
  equal('run', [run.result, run.status], ['migration commit completed', 'running']);
  equal('progress', progress, [[0, 2], [1, 2], [2, 2]]);
  const updated = await good('update_migration', { migration_id: 'm', strategy: canary(1.0) });
  equal('updated', updated.strategy.read_percentage, 1);
  equal('paused', (await good('pause_migration', { migration_id: 'm' })).status, 'paused');
  equal('listed by status', (await good('list_migrations', { status: 'paused' })).migrations.length, 1);
  equal('none of that status', (await good('list_migrations', { status: 'failed' })).migrations.length, 0);
  equal('resumed', (await good('resume_migration', { migration_id: 'm' })).status, 'running');
  equal('completed', (await good('complete_migration', { migration_id: 'm' })).status, 'completed');
  equal('rolled back', (await good('rollback_migration', { migration_id: 'm' })).status, 'rolled_back');
  equal('verbose', (await good('get_migration', { migration_id: 'm', verbose: true })).interlays[0].port > 0,
    true);

  for (const id of ['n1', 'n2', 'n3']) await good('define_migration', { id });
  const seen = [];
  for (let cursor; ;) {
    const page = await good('list_migrations', cursor ? { limit: 2, cursor } : { limit: 2 });
    seen.push(...page.migrations.map((one) => one.id));
    cursor = page.next_cursor;
    if (cursor === null) break;
  }
  equal('pages hold all of them once', seen.sort(), ['m', 'n1', 'n2', 'n3']);
  equal('none since', (await good('list_migrations', { updated_since: '2999-01-01T00:00:00Z' })).migrations,
    []);

  await rejects('an unknown tool', call('drop_tables', {}), /no tool of that name/);
  await rejects('an unknown argument', call('get_migration', { migration_id: 'm', x: 1 }), /x/);
  await rejects('a missing argument', call('get_migration', {}), /migration_id/);
  await rejects('a path for a name', call('get_migration', { migration_id: 'm/status' }), /must be an id/);

  // Who may only read: lists, and is told what the role lacks.
  const reader = await connect('tools/migrations', read);
  equal('a reader lists', (await reader.client.callTool({ name: 'list_migrations', arguments: {} }))
    .structuredContent.migrations.length, 4);
  const refused = await reader.client.callTool({ name: 'pause_migration', arguments: { migration_id: 'm' } });
  equal('a reader changes nothing', [refused.isError, /role admin/.test(refused.content[0].text)],
    [true, true]);
  await rejects('a wrong token', connect('mcp/migrations', 'wrong'), /401|[Uu]nauthorized|token/);

  await reader.transport.terminateSession();
  await until('the session to have ended', async () => {
    const response = await fetch(`${url}/api/v1/tools/migrations`, { method: 'POST',
      headers: { Authorization: `Bearer ${read}`, 'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream', 'Mcp-Session-Id': reader.transport.sessionId ?? 'x' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) });
    return response.status === 404;
  });
  await reader.client.close();
  await client.close();
});
