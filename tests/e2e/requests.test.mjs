// Malformed HTTP and malformed boundary frames: a clear error, and afterwards the same processes
// serve.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { assertConserved } from '../js/lib/audit.mjs';
import {
  BoundaryClient,
  BoundaryError,
  encodeRequest,
  frame,
  socketOptions,
  wei,
} from '../js/lib/boundary.mjs';
import { Stack } from '../js/lib/coffer.mjs';
import { makeRecipients } from '../js/lib/e2e.mjs';
import { patient } from '../js/lib/patience.mjs';
import { until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const seed = testSeed('requests');
const random = new Random(seed);
const RECIPIENTS = makeRecipients(seed, 3);
let stack;
let pids;

before(async () => {
  stack = await Stack.make({ recipients: RECIPIENTS, host: { 'http.timeout': '2s' } });
  await stack.start();
  pids = [stack.host.pid, stack.enclave.pid];
});
after(() => stack?.close());

// The same processes, the same money, and a credit still goes through.
let credits = 0;
async function serves() {
  stack.host.check();
  stack.enclave.check();
  assert.deepEqual([stack.host.pid, stack.enclave.pid], pids);
  const answer = await stack.api.credit([
    { id: `after-${credits + 1}`, account: 'orch-1', amount_wei: '1' },
  ]);
  assert.equal(answer.applied, 1);
  credits += 1; // one that failed is one failed test, not one in each that follows
  const accounts = await stack.api.accounts();
  assertConserved(accounts);
  assert.equal(accounts.get('orch-1').credited, BigInt(credits));
}

// ---- HTTP ---------------------------------------------------------------------------------------

/** Sends bytes to the HTTP port and gives everything that comes back until it closes, or is idle. */
function exchange(bytes, { idleMs = 400 } = {}) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port: stack.port });
    let answer = '';
    const done = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(idleMs, done);
    socket.on('data', (data) => (answer += data.toString('latin1')));
    socket.on('error', done);
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
  });
}

const statusOf = (answer) => Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
const head = (line, ...headers) => `${[line, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n`;
const ADMIN = () => `Authorization: Bearer ${stack.adminToken}`;

const BAD_REQUESTS = [
  // name, bytes, statuses that are right (0: closed without a word)
  ['no HTTP at all', () => '\x00\x01\x02\xff\r\n\r\n', [400]],
  ['no version', () => 'GET /healthz\r\n\r\n', [400, 505]],
  ['HTTP/9.9', () => head('GET /healthz HTTP/9.9'), [400, 505]],
  ['a header of 1 MB', () => head('GET /healthz HTTP/1.1', `X: ${'x'.repeat(1 << 20)}`), [431]],
  [
    '100,000 headers',
    () => head('GET /healthz HTTP/1.1', ...Array.from({ length: 1e5 }, (_, i) => `H${i}: 1`)),
    [431],
  ],
  ['a header without a colon', () => head('GET /healthz HTTP/1.1', 'nonsense'), [400]],
  [
    'a negative length',
    () => head('POST /api/ledger/events HTTP/1.1', ADMIN(), 'Content-Length: -5'),
    [400],
  ],
  [
    'a length of 10 GB',
    () => head('POST /api/ledger/events HTTP/1.1', ADMIN(), 'Content-Length: 10000000000'),
    [413],
  ],
  [
    'a length that is no number',
    () => head('POST /api/ledger/events HTTP/1.1', ADMIN(), 'Content-Length: 1e3'),
    [400],
  ],
  [
    'a bad chunk',
    () =>
      `${head('POST /api/ledger/events HTTP/1.1', ADMIN(), 'Transfer-Encoding: chunked')}zz\r\nx`,
    [400],
  ],
  ['no such path', () => head('GET /nothing HTTP/1.1', ADMIN()), [404]],
  ['a path that climbs', () => head('GET /../../etc/passwd HTTP/1.1', ADMIN()), [400, 404]],
  ['a path of 10,000 bytes', () => head(`GET /${'a'.repeat(1e4)} HTTP/1.1`), [400, 404, 414, 431]],
  ['a bad escape', () => head('GET /api/ledger/accounts/%zz HTTP/1.1', ADMIN()), [400]],
  ['a method of another service', () => head('DELETE /healthz HTTP/1.1', ADMIN()), [405]],
  ['an unknown query', () => head('GET /api/payouts?what=1 HTTP/1.1', ADMIN()), [400]],
  ['a limit of -1', () => head('GET /api/payouts?limit=-1 HTTP/1.1', ADMIN()), [400]],
  ['a limit of 2^64', () => head(`GET /api/payouts?limit=${2n ** 64n} HTTP/1.1`, ADMIN()), [400]],
  ['a payout called x', () => head('GET /api/payouts/x HTTP/1.1', ADMIN()), [400]],
  ['a payout that is not', () => head('GET /api/payouts/77 HTTP/1.1', ADMIN()), [404]],
];

for (const [name, bytes, statuses] of BAD_REQUESTS) {
  test(`HTTP: ${name}`, async () => {
    const answer = await exchange(bytes());
    assert.ok(statuses.includes(statusOf(answer)), answer.slice(0, 300) || '(no answer)');
    if (statusOf(answer) >= 400 && /application\/json/.test(answer)) {
      const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4).split('\n')[0]);
      assert.match(body.error.message, /\w+ \w+/);
    }
    await serves();
  });
}

const event = (fields) => ({ id: 'e', account: 'orch-2', amount_wei: '1', ...fields });
const BAD_EVENTS = [
  ['no JSON', '{"id":'],
  ['JSON with more after it', '{} {}'],
  ['a hundred thousand brackets', '['.repeat(1e5)],
  ['an empty list', []],
  ['1,001 events', Array.from({ length: 1001 }, (_, i) => event({ id: `m${i}` }))],
  ['a number', 7],
  ['no id', { account: 'orch-2', amount_wei: '1' }],
  ['an empty id', event({ id: '' })],
  ['an id of 129 bytes', event({ id: 'x'.repeat(129) })],
  ['both amounts', event({ amount: '1' })],
  ['no amount', { id: 'e', account: 'orch-2' }],
  ['a zero', event({ amount_wei: '0' })],
  ['a negative amount', event({ amount_wei: '-1' })],
  ['2^127 wei', event({ amount_wei: String(2n ** 127n) })],
  ['a number instead of text', event({ amount_wei: 1 })],
  ['an amount in hex', event({ amount_wei: '0x1' })],
  ['19 decimals', { id: 'e', account: 'orch-2', amount: '0.0000000000000000001' }],
  ['NaN', { id: 'e', account: 'orch-2', amount: 'NaN' }],
  ['an unknown field', event({ recipient: '0x00000000000000000000000000000000000000ff' })],
  ['an unknown kind', event({ kind: 'steal' })],
  ['an unknown account', event({ account: 'nobody' })],
  ['a correction below zero', event({ account: 'orch-3', kind: 'adjust_down' })],
];

for (const [name, body] of BAD_EVENTS) {
  test(`events: ${name}`, async () => {
    const answer = await stack.api.raw('POST', '/api/ledger/events', body);
    assert.ok(answer.status >= 400 && answer.status < 500, JSON.stringify(answer.body));
    const message = answer.body.error?.message ?? answer.body.results[0].error.message;
    assert.match(message, /\w+ \w+/);
    assert.equal((await stack.api.accounts()).has('orch-2'), false);
    await serves();
  });
}

test('one bad event among good ones stops only itself; the same id with another body conflicts', async () => {
  const good = (n) => ({ id: `good-${n}`, account: 'orch-3', amount_wei: '10' });
  const answer = await stack.api.raw('POST', '/api/ledger/events', [
    good(1),
    { ...good(1), account: 'nobody', id: 'bad' },
    good(2),
    good(1),
  ]);
  assert.deepEqual(
    answer.body.results.map((result) => result.status),
    ['applied', 'refused', 'applied', 'duplicate'],
  );
  const conflict = await stack.api.raw('POST', '/api/ledger/events', [
    { ...good(1), amount_wei: '11' },
  ]);
  assert.equal(conflict.status, 409);
  assert.equal((await stack.api.accounts()).get('orch-3').credited, 20n);
  await serves();
});

test('a token is asked for, a viewer may not write, a wrong one is refused', async () => {
  const ask = async (method, where, token) =>
    (await stack.api.raw(method, where, undefined, { token })).status;
  const viewer = stack.viewerToken;
  for (const where of ['/healthz', '/readyz', '/metrics'])
    assert.equal(await ask('GET', where, ''), 200, where);
  for (const where of ['/api/tee/status', '/api/ledger/accounts', '/api/payouts']) {
    assert.equal(await ask('GET', where, ''), 401, where);
    assert.equal(await ask('GET', where, `${viewer}x`), 401, where);
    assert.equal(await ask('GET', where, viewer.slice(0, -1)), 401, where);
    assert.equal(await ask('GET', where, viewer), 200, where);
  }
  for (const where of ['/api/payouts/run', '/api/payouts/pause', '/api/registry/reload']) {
    assert.equal(await ask('POST', where, ''), 401, where);
    assert.equal(await ask('POST', where, viewer), 403, where);
  }
  const credit = await stack.api.raw('POST', '/api/ledger/events', event({ id: 'viewer' }), {
    token: viewer,
  });
  assert.equal(credit.status, 403);
  await serves();
});

test('a page of another site may not ask, and slow clients hold up nobody', async () => {
  const cross = await exchange(
    head('GET /api/tee/status HTTP/1.1', ADMIN(), 'Origin: https://evil.example'),
  );
  assert.equal(statusOf(cross), 403);
  const slow = Array.from({ length: 50 }, () => {
    const socket = net.connect({ host: '127.0.0.1', port: stack.port });
    socket.on('error', () => {});
    socket.resume();
    socket.write('POST /api/ledger/events HTTP/1.1\r\nHost: x\r\nContent-Le');
    return socket;
  });
  await serves();
  await until('the slow clients turned away', () => slow.every((socket) => socket.destroyed), {
    timeoutMs: 10_000,
  });
  await serves();
});

test('a client learns how long its connection is kept, and loses no request on a closed one', async () => {
  // The host closes an idle connection while this process is busy, which then knows nothing of it:
  // what it sends there is lost (RFC 9112, 9.3.1), unless it was told in time, as fetch is.
  await serves();
  for (const from = Date.now(); Date.now() < from + 2300; );
  await serves();
  const { headers } = await stack.api.raw('GET', '/healthz');
  assert.equal(headers.get('keep-alive'), 'timeout=1');
});

// ---- the boundary -------------------------------------------------------------------------------

async function withClient(body) {
  const client = await BoundaryClient.connect(stack.endpoint);
  try {
    await body(client);
  } finally {
    await client.close();
  }
}

/** Sends raw bytes to the enclave; true when it closed the connection within the time. */
function closes(bytes, timeoutMs = 3000) {
  return new Promise((resolve) => {
    const socket = net.connect(socketOptions(stack.endpoint));
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(false);
    }, patient(timeoutMs));
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.write(bytes);
  });
}

const ofCode = (code) => (error) => {
  assert.ok(error instanceof BoundaryError, error.stack);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, /\w+ \w+/);
  return true;
};

test('frames that are too long or empty end their connection, and no other', async () => {
  await withClient(async (other) => {
    for (const length of [0xffffffff, (16 << 20) + 1, 0]) {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length);
      assert.ok(await closes(Buffer.concat([header, Buffer.from('x')])), `a length of ${length}`);
    }
    assert.equal((await other.call('status')).phase, 'PHASE_READY');
  });
  await serves();
});

const CREDIT = {
  id: 'b',
  kind: 'KIND_CREDIT',
  account: 'b-1',
  recipient: Buffer.alloc(20, 7),
  amount: wei(5),
};
const BAD_FRAMES = [
  ['noise', () => Buffer.from([0x0f, 0xff, 0xff, 0x01]), 'ERROR_MALFORMED', 0],
  ['no body', () => Buffer.from([0x08, 1]), undefined, 1],
  ['an unknown method', () => Buffer.from([0x08, 1, 0x9a, 0x06, 0x00]), 'ERROR_UNKNOWN_METHOD', 1],
  ['an id of 0', () => encodeRequest(0, { status: {} }), 'ERROR_MALFORMED', 0],
  ['no events', () => encodeRequest(1, { apply_events: { events: [] } }), 'ERROR_MALFORMED', 1],
  [
    '10,001 events',
    () => encodeRequest(1, { apply_events: { events: Array(10_001).fill(CREDIT) } }),
    'ERROR_MALFORMED',
    1,
  ],
  ['a load into a living state', () => encodeRequest(1, { load_begin: {} }), 'ERROR_ALREADY_LOADED', 1],
  [
    'an account nobody has',
    () => encodeRequest(1, { get_account: { id: 'nobody' } }),
    'ERROR_UNKNOWN_ACCOUNT',
    1,
  ],
  ['a payout nobody has', () => encodeRequest(1, { get_payout: { id: 9 } }), 'ERROR_UNKNOWN_PAYOUT', 1],
  [
    'a bump of a payout nobody has',
    () => encodeRequest(1, { bump_transaction: { payout_id: 9, fees: {} } }),
    undefined,
    1,
  ],
  [
    'a list of no accounts',
    () => encodeRequest(1, { list_accounts: { from_index: 0, limit: 0 } }),
    'ERROR_MALFORMED',
    1,
  ],
  [
    'a receipt of nothing',
    () => encodeRequest(1, { report_receipt: { tx_hash: Buffer.alloc(31) } }),
    'ERROR_MALFORMED',
    1,
  ],
  [
    'a receipt of a stranger without tickets',
    () =>
      encodeRequest(1, {
        report_receipt: {
          tx_hash: Buffer.alloc(32, 1),
          succeeded: true,
          block_number: 1,
          block_hash: Buffer.alloc(32, 2),
        },
      }),
    'ERROR_UNKNOWN_TRANSACTION',
    1,
  ],
  [
    'a storage that is behind',
    () => encodeRequest(1, { attach_storage: { last_sequence: 0 } }),
    'ERROR_STORAGE_BEHIND',
    1,
  ],
];

for (const [name, payload, code, id] of BAD_FRAMES) {
  test(`boundary: ${name}`, async () => {
    await serves(); // something is sealed
    await withClient(async (client) => {
      await assert.rejects(
        client.callRaw(id, payload()),
        code === undefined ? BoundaryError : ofCode(code),
      );
      assert.equal((await client.call('status')).phase, 'PHASE_READY');
    });
    await serves();
  });
}

const BAD_BOUNDARY_EVENTS = [
  ['no id', { id: '' }, 'ERROR_MALFORMED'],
  ['an id of 129 bytes', { id: 'x'.repeat(129) }, 'ERROR_MALFORMED'],
  ['an unknown kind', { kind: 9 }, 'ERROR_MALFORMED'],
  ['a recipient of 19 bytes', { recipient: Buffer.alloc(19, 7) }, 'ERROR_MALFORMED'],
  ['no amount', { amount: null }, undefined],
  ['2^127 wei', { amount: wei(2n ** 127n) }, undefined],
  ['another recipient', { account: 'orch-1' }, 'ERROR_RECIPIENT_MISMATCH'],
];

for (const [name, change, code] of BAD_BOUNDARY_EVENTS) {
  test(`boundary event: ${name}`, async () => {
    await serves();
    await withClient(async (client) => {
      const { events } = await client.call('status');
      const content = { events: [{ ...CREDIT, id: `bad ${name}`, ...change }] };
      let error;
      try {
        error = (await client.call('apply_events', content)).refusals[0]?.error;
      } catch (refusal) {
        error = refusal;
      }
      assert.ok(error, 'it was applied');
      if (code !== undefined) assert.equal(error.code, code, error.message);
      assert.equal((await client.call('status')).events, events);
    });
    await serves();
  });
}

test('boundary: the JSON protocol of older hosts gets an answer in JSON', async () => {
  await withClient(async (client) => {
    const answer = await client.callRaw(0, Buffer.from('{"id":1,"method":"nothing"}'));
    assert.match(JSON.stringify(answer), /\w+ \w+/);
    assert.equal((await client.call('status')).phase, 'PHASE_READY');
  });
  await serves();
});

test('two thousand mutations of good frames: an answer or nothing, never the end', async () => {
  const good = [
    encodeRequest(1, { apply_events: { events: [CREDIT, { ...CREDIT, id: 'c' }] } }),
    encodeRequest(2, { get_account: { id: 'orch-1' } }),
    encodeRequest(3, { list_accounts: { from_index: 0, limit: 10 } }),
    encodeRequest(4, { list_payouts: { from_id: 0, limit: 10 } }),
    encodeRequest(5, {
      prepare_payout: { strategy: 1, items: [{ account: 'orch-1' }], reading: {}, fees: {} },
    }),
  ];
  for (let round = 0; round < 40; round++) {
    const socket = net.connect(socketOptions(stack.endpoint));
    socket.on('error', () => {});
    socket.on('data', () => {});
    for (let i = 0; i < 50; i++) {
      const bytes = Buffer.from(random.pick(good));
      for (let k = random.below(4); k >= 0; k--)
        bytes[random.below(bytes.length)] = random.below(256);
      socket.write(frame(random.chance(0.2) ? bytes.subarray(0, 1 + random.below(bytes.length)) : bytes));
    }
    await new Promise((resolve) => socket.end(resolve));
    socket.destroy();
  }
  stack.enclave.check();
  stack.host.check();
  assertConserved(await stack.api.accounts());
  assert.deepEqual([stack.host.pid, stack.enclave.pid], pids);
});

test('the host stays the storage, and half frames of many clients hold up nobody', async () => {
  const half = Array.from({ length: 40 }, () => {
    const socket = net.connect(socketOptions(stack.endpoint));
    socket.on('error', () => {});
    socket.write(Buffer.from([0, 0, 4]));
    return socket;
  });
  await serves();
  half.forEach((socket) => socket.destroy());
  assert.equal((await stack.api.status()).storage_attached, true);
});
