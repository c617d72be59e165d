// The data directory's disk under load: full and with space again, by its own size and by a limit on
// the host's files; broken while the host runs; not writable from the start.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Stack } from '../js/lib/coffer.mjs';
import { stepsOf, underLoad } from '../js/lib/fault_world.mjs';
import { Mounts, fillUp } from '../js/lib/mounts.mjs';
import { patient } from '../js/lib/patience.mjs';
import { limit } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('faults_disk');
const said = async (world, fault, sentence, metric) => {
  const reason = await world.notReady(sentence);
  console.log(`faults_disk: ${fault}: ${reason}`);
  assert.match(world.stack.host.lastRun(), sentence, 'the log says it, too');
  assert.equal((await world.stack.api.raw('GET', '/healthz')).status, 200);
  assert.ok((await world.metric(metric)) > 0, metric);
};

/** Lines that end in the dead letters, so that these have something to write, too. */
function deadLines(world, count) {
  for (let i = 0; i < count; i++) {
    const line = `{"event":"credit","orchestrator_id":"nobody-${i}","amount":"1"}\n`;
    world.writer.expectDead(line);
    world.journal.add(line);
  }
}

/** A disk made by `make(mounts)` with the data directory on it, as options of underLoad; or {why}. */
async function onDisk(make) {
  const mounts = await Mounts.make();
  if (mounts.why) return { why: mounts.why };
  try {
    make(mounts);
  } catch (error) {
    await mounts.close();
    return { why: `no such disk can be made here: ${error.message}` };
  }
  const dataDir = path.join(mounts.folder, 'data');
  return {
    mounts,
    stack: { dataDir },
    prepare: (stack) => {
      stack.host.wrap = mounts.enter;
      stack.dataDir = mounts.seen(dataDir);
    },
  };
}

test('a full disk, and a limit on the size of files', { timeout: patient(120_000) }, async (t) => {
  const { mounts, why, ...options } = await onDisk((made) => made.memoryDisk(48));
  const step = stepsOf(t);
  const fill = () => fillUp(mounts.seen(path.join(mounts.folder, 'ballast')));
  try {
    await underLoad({ name: 'faults_disk', seed, ...options }, async (world) => {
      const { stack } = world;
      const took = async (what) => console.log(`faults_disk: ${what}: ${await world.goesOn(what)} ms`);

      // Where nothing can be mounted, this is all that can be shown.
      await step('a limit on the size of files, as a quota that is used up', async () => {
        const undo = limit(stack.host, 'fsize', 64 << 10);
        await said(world, 'no larger files', /disk is full.*File too large/, 'coffer_store_stalled');
        await world.standsStill(500);
        undo();
        await took('larger files again');
      });
      if (why) return t.test('a full disk', (inner) => inner.skip(why));

      await step('full, and with space again', async () => {
        const ballast = fill();
        deadLines(world, 20);
        await said(world, 'full', /disk is full/, 'coffer_store_stalled');
        await world.counted('coffer_journal_errors_total', 0);
        await world.standsStill(1_000);
        fs.rmSync(ballast);
        await took('space again');
        assert.equal(await world.metric('coffer_store_stalled'), 0);
        deadLettersAre(world);
      });

      await step('full, the host killed meanwhile, and grown', async () => {
        const ballast = fill();
        await said(world, 'full again', /disk is full/, 'coffer_store_stalled');
        await stack.host.kill();
        stack.host.start();
        await sleep(1_500);
        console.log(`faults_disk: started on a full disk: ${stack.host.running ? 'runs' : stack.host.tail(1)}`);
        mounts.resize(96);
        if (!stack.host.running) stack.host.start();
        await stack.ready();
        await took('a larger disk');
        fs.rmSync(ballast);
      });
    });
  } finally {
    await mounts?.close();
  }
});

test('a disk that breaks while it is used', { timeout: patient(120_000) }, async (t) => {
  const { mounts, why, ...options } = await onDisk((made) => made.blockDisk(128));
  if (why) return t.skip(why);
  const step = stepsOf(t);
  try {
    await underLoad({ name: 'faults_disk (broken)', seed, ...options }, async (world) => {
      const { stack } = world;
      await step('read-only all at once', async () => {
        mounts.breakDown();
        deadLines(world, 5);
        await said(world, 'broken', /the disk failed, nothing is acknowledged until coffer-host is restarted/, 'coffer_store_stalled');
        await world.standsStill(1_000);
      });
      await step('a host that is started on it says why it cannot, and ends', async () => {
        await stack.host.kill();
        stack.host.start();
        const { code } = await stack.host.ended();
        assert.equal(code, 1);
        assert.match(stack.host.tail(1), /LOCK.*(Read-only file system|Input\/output error)/);
        console.log(`faults_disk: started on a broken disk: ${stack.host.tail(1)}`);
      });
      await step('repaired and started again', async () => {
        mounts.repair();
        stack.host.start();
        await stack.ready();
        console.log(`faults_disk: repaired: ${await world.goesOn('a repaired disk')} ms`);
        deadLettersAre(world);
      });
    });
  } finally {
    await mounts.close();
  }
});

test('a data directory that cannot be written is refused at the start with a sentence', async (t) => {
  const mounts = await Mounts.make();
  if (mounts.why) return t.skip(mounts.why);
  try {
    mounts.memoryDisk(4);
    mounts.run('mkdir', path.join(mounts.folder, 'data'));
    mounts.readOnly();
    const stack = await Stack.make({ dataDir: path.join(mounts.folder, 'data') });
    stack.host.wrap = mounts.enter;
    stack.host.start();
    assert.equal((await stack.host.ended()).code, 1);
    assert.match(stack.host.tail(1), /LOCK.*Read-only file system/);
    await stack.close();
  } finally {
    await mounts.close();
  }
});

function deadLettersAre(world) {
  const letters = world.stack.deadLetters();
  const digests = letters.filter((letter) => !letter.resolved).map(({ sha256 }) => sha256);
  for (const { sha256 } of world.writer.dead) assert.ok(digests.includes(sha256), 'a dead letter is lost');
  assert.equal(new Set(digests).size, digests.length, 'a dead letter is there twice');
}
