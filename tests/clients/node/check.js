// Assertions that print "ok name" or "not ok name: why", for programs.py to count.
'use strict';
const assert = require('node:assert');
const net = require('node:net');

let failed = 0;

exports.equal = (name, seen, wanted) => {
  try {
    assert.deepStrictEqual(seen, wanted);
    console.log(`ok ${name}`);
  } catch {
    failed += 1;
    console.log(`not ok ${name}: ${JSON.stringify(seen)} is not ${JSON.stringify(wanted)}`);
  }
};

exports.rejects = async (name, promise, pattern) => {
  try {
    const value = await promise;
    failed += 1;
    console.log(`not ok ${name}: no error but ${JSON.stringify(value)}`);
  } catch (error) {
    exports.equal(name, pattern.test(String(error.message)) || String(error.message), true);
  }
};

// Polls until the condition holds.
exports.until = async (name, condition) => {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within 10 s: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const info = (port) => new Promise((resolve, reject) => {
  let text = '';
  const socket = net.connect(port, '127.0.0.1', () => socket.write('INFO clients\r\nQUIT\r\n'));
  socket.on('data', (data) => { text += data; });
  socket.on('end', () => resolve(text));
  socket.on('error', reject);
});

// Polls until a client is blocked at one of the servers. Asked of them: by way of the sidecar, INFO may
// come from another one than what blocks.
exports.blockedAt = (name, ports) => exports.until(name, async () => {
  const texts = await Promise.all(ports.map(info));
  return texts.some((text) => /blocked_clients:[1-9]/.test(text));
});

// Runs the program, says why it broke off, and ends the process with the number of failures.
exports.main = async (program) => {
  try {
    await program(Number(process.argv[2]), process.argv.slice(3).map(Number));
  } catch (error) {
    failed += 1;
    console.log(`not ok the program: ${error.stack}`);
  }
  process.exit(failed);
};
