// The disk under the host: full, shared, torn, damaged, of another key. What was acknowledged is
// there, or the program says which record is not and stops.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program, temporaryFolder, until } from '../js/lib/program.mjs';
import { Stack } from '../js/lib/coffer.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('disk');
const RECIPIENTS = makeRecipients(seed, 20);
const IDS = Object.keys(RECIPIENTS);
const OPTIONS = { recipients: RECIPIENTS, host: { 'store.segment-bytes': '1MiB' } };

// Credits of 1 wei: how many came through is what the accounts say.
let batches = 0;
function batch(count = 100) {
  const number = ++batches;
  return Array.from({ length: count }, (_, i) => ({
    id: `disk-${number}-${i}`,
    account: IDS[i % IDS.length],
    amount_wei: '1',
  }));
}
const credited = async (stack) => BigInt((await stack.api.status()).totals.credited);

async function restart(stack) {
  await stack.host.kill();
  await stack.enclave.kill();
  stack.enclave.start();
  stack.host.start();
}

const segments = (stack) =>
  fs
    .readdirSync(stack.dataDir)
    .filter((name) => /^segment-\d{20}\.log$/.test(name))
    .sort()
    .map((name) => path.join(stack.dataDir, name));

// The groups of a segment, as actors/host/segment_file.h describes them: {offset, end} in bytes.
function groups(file) {
  const bytes = fs.readFileSync(file);
  const found = [];
  for (let at = 512; at + 32 <= bytes.length; at += 512) {
    if (bytes.toString('latin1', at + 24, at + 32) !== 'CofGroup') continue;
    found.push({ offset: at, end: at + 32 + bytes.readUInt32LE(at) + 8 });
  }
  return found;
}

function overwrite(file, offset, bytes) {
  const handle = fs.openSync(file, 'r+');
  fs.writeSync(handle, bytes, 0, bytes.length, offset);
  fs.closeSync(handle);
}

async function refusesToStart(stack, sentence) {
  stack.host.start();
  const { code } = await stack.host.ended();
  assert.equal(code, 1);
  assert.match(stack.host.lastRun(), sentence);
}

test('SIGTERM ends both with 0, and everything is there afterwards', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    for (let i = 0; i < 20; i++) assert.equal((await stack.api.credit(batch())).applied, 100);
    assert.deepEqual(await stack.stop(), { host: 0, enclave: 0 });
    await stack.start();
    assert.equal(await credited(stack), 2000n);
    // What was under way at a SIGTERM is answered or at least not half done.
    const late = Array.from({ length: 20 }, () => stack.api.credit(batch()).catch(() => undefined));
    await sleep(20);
    assert.equal(await stack.host.stop(), 0);
    const acknowledged = (await Promise.all(late)).filter((answer) => answer?.applied === 100);
    stack.host.start();
    await stack.ready();
    assert.ok((await credited(stack)) >= 2000n + 100n * BigInt(acknowledged.length));
  }));

test('SIGKILL of both: all that was acknowledged comes back', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    const events = Array.from({ length: 10 }, () => batch());
    for (const some of events) await stack.api.credit(some);
    await restart(stack);
    await stack.ready();
    assert.equal(await credited(stack), 1000n);
    for (const some of events) assert.equal((await stack.api.credit(some)).duplicates, 100);
  }));

test('a second host on the same folder is refused and says why', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    const second = new Program({
      name: 'coffer-host',
      log: path.join(stack.folder, 'second.log'),
      env: stack.host.env,
      args: stack.host.args.map((arg) => arg.replace(/^tcp:.*:\d+$/, 'tcp://127.0.0.1:0')),
    });
    second.start();
    const { code } = await second.ended();
    assert.equal(code, 1);
    assert.match(second.text(), /another coffer-host|in use|locked/);
    assert.equal((await stack.api.credit(batch())).applied, 100);
  }));

test('a torn last record, never acknowledged, is dropped and said', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    await stack.api.credit(batch());
    const last = batch();
    await stack.api.credit(last);
    await stack.stop();
    const file = segments(stack).at(-1);
    const { end } = groups(file).at(-1);
    overwrite(file, end - 8, Buffer.alloc(8)); // the end mark was never written
    await stack.start();
    assert.match(stack.host.lastRun(), /a crash left a part of record \d+/);
    assert.equal(await credited(stack), 100n);
    assert.equal((await stack.api.credit(last)).applied, 100);
  }));

test('a living enclave refuses a host that has lost what it acknowledged', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    await stack.api.credit(batch());
    await stack.api.credit(batch());
    await stack.host.stop();
    const file = segments(stack).at(-1);
    const { end } = groups(file).at(-1);
    overwrite(file, end - 8, Buffer.alloc(8));
    stack.host.start();
    await until('the refusal', async () => {
      const answer = await stack.api.raw('GET', '/readyz');
      return answer.status === 503 && /lack|behind|acknowledged/.test(answer.body.reasons.join());
    });
    assert.match(stack.host.lastRun(), /error/);
  }));

test('a changed bit is refused with the record and the file', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    for (let i = 0; i < 5; i++) await stack.api.credit(batch());
    await stack.stop();
    const file = segments(stack)[0];
    const { offset } = groups(file)[2];
    const byte = fs.readFileSync(file)[offset + 100];
    overwrite(file, offset + 100, Buffer.from([byte ^ 1]));
    await refusesToStart(stack, /segment-\d{20}\.log: record \d+ at offset \d+: .*changed/);
    overwrite(file, offset + 100, Buffer.from([byte]));
    await stack.start();
    assert.equal(await credited(stack), 500n);
  }));

test('a missing segment is refused with the records that it held', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    for (let i = 0; segments(stack).length < 4; i++) {
      assert.ok(i < 200, 'segments do not come');
      await stack.api.credit(batch(1000));
    }
    await stack.stop();
    const files = segments(stack);
    for (const [index, sentence] of [
      [0, /records 1 to \d+ are missing/],
      [1, /records \d+ to \d+ are missing between/],
    ]) {
      fs.renameSync(files[index], `${files[index]}.away`);
      await refusesToStart(stack, sentence);
      fs.renameSync(`${files[index]}.away`, files[index]);
    }
    await stack.start();
  }));

test('a state of another key is refused, and nothing is changed by the attempt', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    await stack.api.credit(batch());
    await stack.stop();
    const other = await Stack.make({ ...OPTIONS, dataDir: stack.dataDir });
    try {
      other.enclave.start();
      other.host.start();
      const reason = await until('the refusal', async () => {
        const answer = await other.api.raw('GET', '/readyz');
        const text = answer.body.reasons?.join('; ') ?? '';
        return /another key/.test(text) && text;
      });
      assert.match(reason, /record 1/);
    } finally {
      await other.close();
    }
    await stack.start();
    assert.equal(await credited(stack), 100n);
  }));

test('other limits than the sealed ones are refused until they are accepted', () =>
  withStack(OPTIONS, async (stack) => {
    await stack.start();
    await stack.api.credit(batch());
    await stack.stop();
    const changed = ['--max-tickets', '7'];
    stack.enclave.start(changed);
    stack.host.start();
    await until('the refusal', async () => {
      const { body } = await stack.api.raw('GET', '/readyz');
      return /polic|limit/i.test(body.reasons?.join() ?? '');
    });
    await stack.enclave.kill();
    await stack.host.kill();
    stack.enclave.start([...changed, '--insecure-accept-policy-change']);
    stack.host.start();
    await stack.ready();
    const status = await stack.api.status();
    assert.equal(status.policy.max_tickets, 7);
    assert.equal(await credited(stack), 100n);
  }));

// ---- a full disk ----------------------------------------------------------------------------------

/** A small file system of its own, or the reason why there is none. */
function smallDisk(bytes) {
  const folder = temporaryFolder('coffer-disk-');
  if (process.getuid() !== 0) return { why: 'mounting a tmpfs needs root', folder };
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], {
      stdio: 'pipe',
    });
  } catch (error) {
    return { why: `a tmpfs cannot be mounted here: ${String(error.stderr).trim()}`, folder };
  }
  return { folder, umount: () => execFileSync('umount', ['-l', folder]) };
}

test('a full disk stops acknowledgements and says so; with space again it goes on', async (t) => {
  const disk = smallDisk(12 << 20);
  if (disk.why !== undefined) {
    fs.rmdirSync(disk.folder);
    t.skip(disk.why);
    return;
  }
  try {
    const dataDir = path.join(disk.folder, 'data');
    fs.mkdirSync(dataDir, { recursive: true });
    await withStack({ ...OPTIONS, dataDir }, (stack) => fillAndFree(stack, disk.folder));
  } finally {
    disk.umount();
    fs.rmdirSync(disk.folder);
  }
});

async function fillAndFree(stack, folder) {
  await stack.start();
  await stack.api.credit(batch(1000));
  const ballast = path.join(folder, 'ballast');
  fillUp(ballast);
  const acknowledged = [];
  let waiting;
  for (let i = 0; waiting === undefined && i < 100; i++) {
    const events = batch(1000);
    const answer = stack.api.credit(events);
    const first = await Promise.race([answer, sleep(4000)]);
    if (first === undefined) waiting = { events, answer: answer.catch((error) => error) };
    else acknowledged.push(events);
  }
  assert.ok(waiting !== undefined, 'the disk never got full');
  const { status, body } = await stack.api.raw('GET', '/readyz');
  assert.equal(status, 503);
  assert.match(body.reasons.join('; '), /disk is full|no space/i);
  assert.equal(await stack.api.metric('coffer_store_stalled'), 1);
  assert.equal((await stack.api.raw('GET', '/healthz')).status, 200);

  fs.rmSync(ballast);
  await stack.ready();
  await waiting.answer;
  // The one that waited is in, by its first sending or by this one.
  await stack.api.credit(waiting.events);
  const total = 1000n + 1000n * BigInt(acknowledged.length + 1);
  assert.equal(await credited(stack), total);
  await restart(stack);
  await stack.ready();
  assert.equal(await credited(stack), total);
}

function fillUp(file) {
  const handle = fs.openSync(file, 'w');
  try {
    for (const size of [1 << 16, 4096]) {
      try {
        for (;;) fs.writeSync(handle, Buffer.alloc(size, 1));
      } catch (error) {
        assert.equal(error.code, 'ENOSPC');
      }
    }
  } finally {
    fs.closeSync(handle);
  }
}
