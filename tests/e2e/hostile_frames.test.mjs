// Frames that no client sends, and clients that no server wants: a clear error or a closed
// connection, bounded memory, and everybody else served meanwhile. The latency of a well-behaved
// client is printed, quiet and under each attack. COFFER_DRIP_SECONDS and
// COFFER_SILENT_CONNECTIONS say how much of two of them.
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { frame, socketOptions } from '../js/lib/boundary.mjs';
import { startBystander } from '../js/lib/bystander.mjs';
import { withEnclave } from '../js/lib/enclave.mjs';
import { residentBytes } from '../js/lib/e2e.mjs';
import { encodeCall } from '../js/lib/json_client.mjs';
import { patient } from '../js/lib/patience.mjs';
import { until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const DRIP_SECONDS = Number(process.env.COFFER_DRIP_SECONDS ?? 10);
const SILENT = Number(process.env.COFFER_SILENT_CONNECTIONS ?? 10_000);
const QUIET_SECONDS = 2;
const seed = testSeed('hostile_frames');
const random = new Random(seed);

// What the enclave may hold at most for whatever one attack sends, beyond what it had before.
const MAX_GROWTH = 320 << 20; // 256 MiB of frames that are not whole, 64 MiB of requests in flight
const SIGNER = { tcp: true, flags: { profile: 'signer' } };
const ADDRESS = encodeCall('address');

/** A raw connection: what it has received so far, and whether it is closed. */
function open(endpoint) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...socketOptions(endpoint), noDelay: true });
    const raw = { socket, received: Buffer.alloc(0), closed: false };
    socket.on('data', (data) => (raw.received = Buffer.concat([raw.received, data])));
    socket.on('close', () => (raw.closed = true));
    socket.on('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(raw);
    });
  });
}

/** The payload of the first frame, or undefined when the connection is closed without one. */
async function firstAnswer(raw, timeoutMs = 20_000) {
  for (const end = Date.now() + patient(timeoutMs); ; await sleep(2)) {
    const { received } = raw;
    if (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) {
      return received.subarray(4, 4 + received.readUInt32BE(0));
    }
    if (raw.closed) return undefined;
    if (Date.now() > end) throw new Error('neither an answer nor a closed connection');
  }
}

const show = ({ count, p50, p99 }) => `p50 ${p50.toFixed(0)} us, p99 ${p99.toFixed(0)} us of ${count}`;

/** Runs `attack(enclave)` beside a well-behaved client; both its latencies are printed. */
async function underAttack(name, attack, options = SIGNER) {
  await withEnclave(options, async (enclave) => {
    let bystander = await startBystander(enclave.endpoint);
    await sleep(1000 * QUIET_SECONDS);
    const quiet = await bystander.stop();
    const before = await residentBytes(enclave.program.pid);
    let most = before;
    const watch = setInterval(async () => {
      most = Math.max(most, await residentBytes(enclave.program.pid).catch(() => 0));
    }, 20);
    bystander = await startBystander(enclave.endpoint);
    try {
      await attack(enclave);
    } catch (error) {
      await bystander.stop().catch(() => {}); // or its end would be told instead
      throw error;
    } finally {
      clearInterval(watch);
    }
    const attacked = await bystander.stop();
    most = Math.max(most, await residentBytes(enclave.program.pid));
    console.log(
      `hostile_frames: ${name}: quiet ${show(quiet)}; under attack ${show(attacked)} ` +
        `(p99 x ${(attacked.p99 / quiet.p99).toFixed(2)}); memory ${before >> 20} -> at most ${most >> 20} MiB`,
    );
    assert.ok(most - before < MAX_GROWTH, `memory grew by ${(most - before) >> 20} MiB`);
    enclave.program.check();
    assert.deepEqual(await enclave.call('address'), { address: enclave.address });
  });
}

const brackets = (n) => Buffer.from(`{"method":"address","params":{"x":${'['.repeat(n)}`);
const closedBrackets = (n) =>
  Buffer.from(`{"method":"address","params":{"x":${'['.repeat(n)}${']'.repeat(n)}}}`);
const objects = (n) => Buffer.from(`{"method":"address","params":${'{"a":'.repeat(n)}1${'}'.repeat(n)}}`);

// payload, what the error says
const PAYLOADS = [
  ['invalid UTF-8', Buffer.concat([Buffer.from('{"method":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), /UTF-8/],
  ['an overlong UTF-8 form', Buffer.concat([Buffer.from('{"method":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')]), /UTF-8/],
  ['half a surrogate pair', Buffer.from('{"method":"\\ud800"}'), /JSON|UTF-8/],
  ['100,000 open brackets', brackets(100_000), /JSON|deep/],
  ['100,000 brackets', closedBrackets(100_000), /JSON|deep/],
  ['100,000 nested objects', objects(100_000), /JSON|deep/],
  ['8,000,000 brackets', closedBrackets(8_000_000), /at most 1048576/],
  ['a duplicate key', Buffer.from('{"method":"address","params":{"a":1,"a":1}}'), /twice/],
  ['a duplicate key by an escape', Buffer.from('{"method":"address","params":{"a":1,"\\u0061":1}}'), /twice/],
  ['NaN', Buffer.from('{"method":"address","params":{"a":NaN}}'), /JSON/],
  ['Infinity', Buffer.from('{"method":"address","params":{"a":-Infinity}}'), /JSON/],
  ['1e400 as an amount', encodeCallText('credit', '"amount_wei":1e400'), /integer|profile|missing/],
  ['an integer of a million digits', encodeCallText('sign_transaction', `"tx":{"nonce":${'9'.repeat(1e6)}}`), /nonce|missing/],
  ['a string of 16 MiB', Buffer.from(`{"method":"${'a'.repeat((16 << 20) - 13)}"}`), /at most 1048576/],
  ['a key of 1 MiB, twice', Buffer.from(`{"method":"address","${'k'.repeat(1 << 20)}":1,"${'k'.repeat(1 << 20)}":1}`), /at most 1048576/],
  ['a million members', manyMembers(1e6), /members|values|at most/],
  ['a million values', Buffer.from(`{"method":"address","params":{"x":[${'1,'.repeat(1e6)}1]}}`), /values|at most/],
  ['a NUL in the text', Buffer.from('{"method":"address"}\0'), /JSON/],
  ['only an opening brace', Buffer.from('{'), /JSON/],
  ['single quotes', Buffer.from("{'method':'address'}"), /JSON/],
  ['a comment', Buffer.from('{"method":"address"/* */}'), /JSON/],
];

function encodeCallText(method, params) {
  return Buffer.from(`{"method":"${method}","params":{${params}}}`);
}

function manyMembers(count) {
  const members = Array.from({ length: count }, (_, i) => `"${i}":0`);
  return Buffer.from(`{"method":"address","params":{${members}}}`);
}

test('payloads that are no requests: a clear error, and the connection serves on', () =>
  withEnclave(SIGNER, async (enclave) => {
    const before = await residentBytes(enclave.program.pid);
    const connection = await enclave.connect();
    for (const [what, payload, sentence] of PAYLOADS) {
      const { error } = JSON.parse(await connection.send(payload));
      assert.match(error?.message ?? '(no error)', sentence, what);
      assert.ok(error.message.length < 1000, `${what}: an error of ${error.message.length} characters`);
    }
    // 1e400 that nobody reads is a number like any other.
    const ignored = encodeCallText('address', '"x":1e400');
    for (const payload of [ignored, ADDRESS]) {
      assert.equal(JSON.parse(await connection.send(payload)).result?.address, enclave.address);
    }
    await connection.close();
    const grown = (await residentBytes(enclave.program.pid)) - before;
    assert.ok(grown < MAX_GROWTH, `memory grew by ${grown >> 20} MiB`);
  }));

test('lengths that are none: the connection is closed, and nothing is allocated', () =>
  withEnclave(SIGNER, async (enclave) => {
    const before = await residentBytes(enclave.program.pid);
    const length = (n) => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(n);
      return header;
    };
    for (const n of [0, 2 ** 32 - 1, 2 ** 31, (16 << 20) + 1]) {
      const raw = await open(enclave.endpoint);
      raw.socket.write(Buffer.concat([length(n), ADDRESS]));
      assert.equal(await firstAnswer(raw), undefined, `a length of ${n}`);
    }
    // After a good one, whose answer still comes.
    const raw = await open(enclave.endpoint);
    raw.socket.write(Buffer.concat([frame(ADDRESS), length(0)]));
    const answer = await firstAnswer(raw);
    if (answer !== undefined) assert.ok(answer.includes(enclave.address));
    // Cut off in the length, in the payload, and right after the length.
    for (const bytes of [frame(ADDRESS).subarray(0, 2), frame(ADDRESS).subarray(0, 4), frame(ADDRESS).subarray(0, -1)]) {
      const cut = await open(enclave.endpoint);
      cut.socket.end(bytes);
      assert.equal(await firstAnswer(cut), undefined);
    }
    assert.deepEqual(await enclave.call('address'), { address: enclave.address });
    const grown = (await residentBytes(enclave.program.pid)) - before;
    assert.ok(grown < 16 << 20, `memory grew by ${grown >> 20} MiB`);
  }));

test(`one byte a second for ${DRIP_SECONDS} s, from 200 clients`, () =>
  underAttack('one byte a second from 200', async (enclave) => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => open(enclave.endpoint)));
    const bytes = frame(encodeCall('address', { pad: 'x'.repeat(DRIP_SECONDS) }));
    let sent = 0;
    for (let second = 0; second < DRIP_SECONDS && sent < bytes.length - 1; second++) {
      for (const { socket } of slow) socket.write(bytes.subarray(sent, sent + 1));
      sent++;
      await sleep(1000);
    }
    // Slow, and served all the same once the request is whole.
    for (const raw of slow) {
      if (!raw.closed) raw.socket.write(bytes.subarray(sent));
    }
    for (const raw of slow) {
      const answer = await firstAnswer(raw);
      assert.ok(answer === undefined || answer.includes(enclave.address));
      raw.socket.destroy();
    }
  }));

test(`${SILENT} connections that send nothing`, () =>
  underAttack(`${SILENT} silent connections`, async (enclave) => {
    const silent = []; // opened 200 at a time
    while (silent.length < SILENT) {
      const many = Array.from({ length: Math.min(200, SILENT - silent.length) }, () => open(enclave.endpoint));
      silent.push(...(await Promise.all(many)));
    }
    // A newcomer is served while all of them are there.
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(await enclave.call('address'), { address: enclave.address });
      await sleep(100);
    }
    const closed = silent.filter((raw) => raw.closed).length;
    console.log(`hostile_frames: of ${SILENT} silent connections ${closed} were closed to make room`);
    for (const { socket } of silent) socket.destroy();
  }));

test('a flood of malformed frames on 50 connections that never read', () =>
  underAttack('malformed frames from 50 that never read', async (enclave) => {
    const flood = await Promise.all(Array.from({ length: 50 }, () => open(enclave.endpoint)));
    const batch = Buffer.concat(
      Array.from({ length: 200 }, () => frame(random.pick(PAYLOADS.filter(([, p]) => p.length < 1000))[1])),
    );
    for (const { socket } of flood) socket.pause();
    for (const end = Date.now() + 4000; Date.now() < end; await sleep(5)) {
      for (const { socket } of flood) {
        if (socket.writableLength < 1 << 20) socket.write(batch);
      }
    }
    for (const { socket } of flood) socket.destroy();
  }));

test('large hostile payloads from 8 clients', () =>
  underAttack('brackets and giant strings from 8', async (enclave) => {
    const large = PAYLOADS.filter(([, payload]) => payload.length > 50_000);
    const end = Date.now() + 4000;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const connection = await enclave.connect();
        while (Date.now() < end) {
          const [what, payload, sentence] = random.pick(large);
          assert.match(JSON.parse(await connection.send(payload)).error?.message ?? '', sentence, what);
        }
        await connection.close();
      }),
    );
  }));

test('most of a frame of 16 MiB from each of 60 clients', () =>
  underAttack(
    '15 of 16 MiB from each of 60',
    async (enclave) => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(16 << 20);
      const piece = Buffer.alloc(1 << 20, 0x7b);
      const clients = await Promise.all(Array.from({ length: 60 }, () => open(enclave.endpoint)));
      for (const { socket } of clients) socket.write(header);
      for (let i = 0; i < 15; i++) {
        for (const { socket } of clients) if (!socket.destroyed) socket.write(piece);
        await sleep(200);
      }
      // Those that are left are what there is room for: all have come as far as they will.
      await until('all sent or refused', () => clients.every((raw) => raw.closed || raw.socket.writableLength === 0), { everyMs: 100 });
      const closed = clients.filter((raw) => raw.closed).length;
      assert.ok(closed >= 60 - 17, `${closed} of 60 were closed`);
      for (const { socket } of clients) socket.destroy();
    },
  ));

test('10,000 requests on a connection that reads nothing, and one that leaves', () =>
  underAttack('requests from 20 that do not read', async (enclave) => {
    const request = frame(encodeCall('sign_message_defunct', { message_hash: `0x${'11'.repeat(32)}` }));
    const many = Buffer.concat(Array.from({ length: 500 }, () => request));
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(enclave.endpoint)));
    for (const { socket } of clients) socket.pause();
    for (let i = 0; i < 20; i++) {
      for (const { socket } of clients) if (socket.writableLength < 4 << 20) socket.write(many);
      await sleep(100);
    }
    for (const { socket } of clients) socket.destroy();
  }));
