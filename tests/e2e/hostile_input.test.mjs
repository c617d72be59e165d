// A journal that is broken in every way we know: each line is applied exactly once or is in the dead
// letters, and the tail goes on.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertConserved, assertOwed } from '../js/lib/audit.mjs';
import { makeRecipients, residentBytes, withStack } from '../js/lib/e2e.mjs';
import { JournalWriter, creditLine } from '../js/lib/journal_writer.mjs';
import { temporaryFolder, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const seed = testSeed('hostile_input');
const random = new Random(seed);
const RECIPIENTS = makeRecipients(seed, 5);
const ETHER = 10n ** 18n;
const MAX_RESIDENT = 256 << 20;

const withJournal = (body) => {
  const folder = temporaryFolder();
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  return withStack({ recipients: RECIPIENTS, journal: writer.file }, (stack) =>
    body(stack, writer),
  ).finally(() => fs.rmSync(folder, { recursive: true, force: true }));
};

// Everything that was written is accounted for, once, and the same processes still serve.
async function check(stack, writer) {
  await stack.caughtUp();
  stack.host.check();
  stack.enclave.check();
  assert.equal(stack.host.starts, 1);
  assert.equal(stack.enclave.starts, 1);
  const accounts = await stack.api.accounts();
  assertConserved(accounts);
  assertOwed(accounts, writer.owed);
  const letters = new Map();
  for (const letter of stack.deadLetters()) {
    letters.set(letter.sha256, [...(letters.get(letter.sha256) ?? []), letter]);
  }
  for (const { sha256, length, reason } of writer.dead) {
    const found = letters.get(sha256)?.shift();
    assert.ok(found, `a line of ${length} bytes (${reason ?? 'bad'}) is in no dead letter`);
    assert.equal(found.length, length);
    if (reason !== undefined) assert.equal(found.reason, reason, JSON.stringify(found));
  }
  const left = [...letters.values()].flat();
  assert.deepEqual(left, [], 'dead letters that nobody expected');
}

const LINES = [
  // text, reason; the amount of a valid line in wei instead
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"-0.5"}\n', 'refused'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"1e30"}\n', 'amount_out_of_range'],
  [
    '{"event":"credit","orchestrator_id":"orch-1","amount":"0.0000000000000000001"}\n',
    'too_many_decimals',
  ],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"0.1000000000000000000"}\n', ETHER / 10n],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":NaN}\n', 'not_json'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"NaN"}\n', 'bad_amount'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"Infinity"}\n', 'bad_amount'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"0x10"}\n', 'bad_amount'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"1 "}\n', 'bad_amount'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":""}\n', 'bad_amount'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":true}\n', 'wrong_type'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":["1"]}\n', 'wrong_type'],
  ['{"event":"credit","orchestrator_id":"orch-1"}\n', 'missing_field'],
  ['{"event":"credit","amount":"1"}\n', 'missing_field'],
  ['{"event":"debit","orchestrator_id":"orch-1","amount":"1"}\n', 'unknown_event'],
  ['{"event":"credit","orchestrator_id":"nobody","amount":"1"}\n', 'unknown_orchestrator'],
  [
    `{"event":"credit","orchestrator_id":"${'x'.repeat(129)}","amount":"1"}\n`,
    'bad_orchestrator_id',
  ],
  ['{"event":"credit","orchestrator_id":"","amount":"1"}\n', 'bad_orchestrator_id'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"1"\n', 'not_json'],
  ['{"event":"credit","orchestrator_id":"orch-1","amount":"1"} trailing\n', 'not_json'],
  ['{"event":"credit","event":"credit","orchestrator_id":"orch-1","amount":"1"}\n', undefined],
  ['[1,2,3]\n', 'not_an_object'],
  ['null\n', 'not_an_object'],
  ['\n', 'blank'],
  ['   \t \n', 'blank'],
  [`${'['.repeat(5000)}\n`, undefined],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"1E-18"}\n', 1n],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":2e-18}\n', 2n],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"0.25"}\r\n', ETHER / 4n],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"1E-19"}\n', 'too_many_decimals'],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"1e999999999999"}\n', undefined],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"0E-18"}\n', 0n],
  ['{"event":"credit","orchestrator_id":"orch-2","amount":"-0"}\n', 0n],
  ['{"event":"set_balance","orchestrator_id":"orch-2","amount":"77"}\n', 0n],
];

test('each bad line goes to the dead letters with its reason, each good one is applied once', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    for (const [line, verdict] of LINES) {
      const id = /orch-\d/.exec(line)?.[0];
      if (typeof verdict !== 'bigint') writer.refused(line, verdict);
      else if (verdict === 0n) writer.skipped(line);
      else writer.applied(line, id, verdict);
      // Good lines in between, some of them twice.
      const good = writer.credit('orch-3', BigInt(1 + random.below(1e9)), { n: random.uint32() });
      if (random.chance(0.3)) writer.applied(good, 'orch-3', 0n);
    }
    writer.refused(
      Buffer.concat([
        Buffer.from('{"event":"credit","orchestrator_id":"or'),
        Buffer.from([0xff, 0xfe, 0x80]),
        Buffer.from('","amount":"1"}\n'),
      ]),
      'bad_utf8',
    );
    // A correction within what is owed is applied, the same one again is the same event.
    const correction = creditLine('orch-3', -1n);
    writer.applied(correction, 'orch-3', -1n);
    writer.applied(correction, 'orch-3', -1n);
    await check(stack, writer);
    await restartedSame(stack, writer);
  }));

// After a restart from its cursor nothing is applied or reported twice.
async function restartedSame(stack, writer) {
  const before = stack.deadLetters().length;
  await stack.host.kill();
  stack.host.start();
  await stack.ready();
  writer.credit('orch-4', 12345n);
  await stack.caughtUp();
  assertOwed(await stack.api.accounts(), writer.owed);
  assert.equal(stack.deadLetters().length, before);
}

test('binary noise between the lines', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    for (let i = 0; i < 60; i++) {
      const noise = Buffer.from(
        Array.from({ length: 1 + random.below(3000) }, () => random.below(256)).map((byte) =>
          byte === 10 ? 11 : byte,
        ),
      );
      writer.refused(Buffer.concat([noise, Buffer.from('\n')]));
      writer.credit('orch-1', BigInt(1 + random.below(1e12)), { n: i });
    }
    await check(stack, writer);
  }));

test('a line of 100 MB costs no memory and nobody else his place', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    writer.credit('orch-1', 5n);
    const piece = Buffer.alloc(1 << 20, 'x');
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256');
    let length = 0;
    const put = (bytes) => {
      writer.append(bytes);
      digest.update(bytes);
      length += bytes.length;
    };
    put(Buffer.from('{"event":"credit","orchestrator_id":"orch-1","amount":"1","x":"'));
    for (let i = 0; i < 100; i++) put(piece);
    put(Buffer.from('"}\n'));
    writer.dead.push({ sha256: digest.digest('hex'), length, reason: 'too_long' });
    writer.credit('orch-2', 6n);
    await check(stack, writer);
    // Just within the limit of 1 MiB is a line like any other.
    const frame = creditLine('orch-3', 7n, { x: '' });
    writer.credit('orch-3', 7n, { x: 'y'.repeat((1 << 20) - frame.length) });
    const above = creditLine('orch-3', 7n, { x: 'y'.repeat((1 << 20) - frame.length + 1) });
    writer.refused(above, 'too_long');
    await check(stack, writer);
    const resident = await residentBytes(stack.host.pid);
    assert.ok(resident < MAX_RESIDENT, `coffer-host has ${resident >> 20} MiB`);
  }));

test('a line that comes in pieces waits for its end', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    for (let i = 0; i < 8; i++) {
      const line = creditLine('orch-1', BigInt(1000 + i), { note: 'ü€𝄞', n: i });
      const bytes = Buffer.from(line);
      const cut = 1 + random.below(bytes.length - 1);
      writer.append(bytes.subarray(0, cut));
      await sleep(random.below(120));
      if (i === 4) {
        // Even through a restart in the middle of it.
        await stack.host.kill();
        stack.host.start();
        await stack.ready();
        stack.host.starts = 1;
      }
      writer.append(bytes.subarray(cut));
      writer.expect(line, 'orch-1', BigInt(1000 + i));
    }
    await check(stack, writer);
  }));

test('rotated in mid-line: the half line is a dead letter, the next file is read', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    const half = '{"event":"credit","orchestrator_id":"orch-1","amou';
    writer.credit('orch-1', 11n);
    writer.append(half);
    await sleep(100);
    fs.renameSync(writer.file, `${writer.file}.1`);
    writer.expectDead(half, 'no_newline');
    fs.writeFileSync(writer.file, '');
    writer.credit('orch-2', 22n);
    await until('the second file', async () => (await stack.api.accounts()).has('orch-2'));
    await check(stack, writer);
    assert.ok((await stack.api.metric('coffer_journal_rotations_total')) >= 1);
  }));

test('truncated in mid-line: said, read anew, nothing twice', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    writer.credit('orch-1', 31n);
    const kept = writer.credit('orch-1', 32n);
    await stack.caughtUp();
    writer.append('{"event":"credit","orch');
    await sleep(300);
    fs.truncateSync(writer.file, 0);
    writer.append(kept); // the same event again, in a new life of the file
    writer.credit('orch-2', 33n);
    await until('the line after', async () => (await stack.api.accounts()).has('orch-2'));
    await stack.caughtUp();
    assertOwed(await stack.api.accounts(), writer.owed);
    assert.ok((await stack.api.metric('coffer_journal_truncations_total')) >= 1);
  }));

test('a recipient is fixed by its first use; a change in the registry is said and refused', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    writer.credit('orch-1', 41n);
    await stack.caughtUp();
    const thief = makeRecipients(`${seed} thief`, 1)['orch-1'];
    stack.writeRegistry({ ...RECIPIENTS, 'orch-1': thief, 'orch-9': thief });
    const answer = await stack.api.post('/api/registry/reload');
    assert.deepEqual(
      answer.refused.map((entry) => [entry.orchestrator_id, entry.kept]),
      [['orch-1', RECIPIENTS['orch-1']]],
    );
    writer.credit('orch-1', 42n);
    writer.credit('orch-9', 43n);
    await check(stack, writer);
    // A host that starts anew reads only the changed file; the enclave knows better.
    await stack.host.stop();
    stack.host.start();
    await stack.ready();
    stack.host.starts = 1;
    const line = creditLine('orch-1', 44n);
    writer.refused(line, 'refused');
    await check(stack, writer);
    const account = (await stack.api.accounts()).get('orch-1');
    assert.equal(account.recipient, RECIPIENTS['orch-1']);
  }));

test('an unknown orchestrator waits in the dead letters until it is registered', () =>
  withJournal(async (stack, writer) => {
    await stack.start();
    const line = creditLine('late-1', 51n);
    writer.refused(line, 'unknown_orchestrator');
    await check(stack, writer);
    const recipients = makeRecipients(seed, 1, 'late');
    stack.writeRegistry({ ...RECIPIENTS, ...recipients });
    await stack.api.post('/api/registry/reload');
    const replayed = await stack.api.post('/api/journal/replay-dead-letters');
    assert.equal(replayed.left, 0, JSON.stringify(replayed));
    writer.expect(line, 'late-1', 51n);
    assertOwed(await stack.api.accounts(), writer.owed);
    // Asked again it is the same event.
    await stack.api.post('/api/journal/replay-dead-letters');
    assertOwed(await stack.api.accounts(), writer.owed);
  }));
