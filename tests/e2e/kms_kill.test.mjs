// SIGKILL of the enclave, the host, or both at each step of provisioning and of the rotation of the state key: both come back
// by themselves, nothing acknowledged is lost, nobody is paid twice, the folder of keys opens everything. COFFER_KMS_KILLS says
// how often (each step comes in turn, in an order by COFFER_TEST_SEED), COFFER_TEST_SEED when.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { audit } from '../js/lib/audit.mjs';
import { makeRecipients, withChain, withStack } from '../js/lib/e2e.mjs';
import { FrameProxy } from '../js/lib/frame_proxy.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { AGAIN, FIRST, ROTATION } from '../js/lib/kms/kill_points.mjs';
import { askedAgain, killAt, nameOf, revive, turns } from '../js/lib/kms/kills.mjs';
import { openStoredKeys } from '../js/lib/kms/stored_keys.mjs';
import { SIGNING_CONTEXT, useKmsWorld } from '../js/lib/kms/world.mjs';
import { ApiLoad, JournalLoad, neverPaidTwice, owedAfter, settleApi } from '../js/lib/load.mjs';
import { Mounts, fillUp } from '../js/lib/mounts.mjs';
import { patient } from '../js/lib/patience.mjs';
import { temporaryFolder, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const KILLS = Number(process.env.COFFER_KMS_KILLS ?? 8);
const seed = testSeed('kms_kill');
const world = await useKmsWorld(test);
const { kms } = world;
const folder = temporaryFolder('coffer-kms-kill-');
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Options of a stack whose host speaks to its enclave through a proxy, which `prepare` starts. */
function throughProxy(options) {
  const own = fs.mkdtempSync(path.join(folder, 'run-'));
  const listen = path.join(own, 'proxy.sock');
  const stack = world.stack({ folder: own, ...options, host: { enclave: `unix://${listen}`, ...options.host } });
  return { stack, startProxy: (running) => FrameProxy.start({ listen, to: running.endpoint }) };
}

async function checkKeys(stack) {
  const { address, state } = openStoredKeys(kms, stack.dataDir, SIGNING_CONTEXT);
  const status = await stack.api.status();
  assert.equal(status.address, address);
  assert.deepEqual([...state.keys()].sort((a, b) => a - b), [...state.keys()].map((_, i) => i + 1), 'no epoch is missing');
  return { address, state };
}

/** Both dead at once and started again: the balance is what the sealed state says. */
async function survives(stack, account, wei) {
  await Promise.all([stack.enclave.kill(), stack.host.kill()]);
  revive(stack);
  await stack.ready();
  assert.equal((await stack.api.accounts()).get(account)?.available, wei, 'an acknowledged credit is lost');
  await checkKeys(stack);
}

const ofWay = (way) => FIRST.filter(({ name }) => !name.startsWith(way === 'generated' ? 'provision ' : 'generate '));

async function firstProvisioning(way, point) {
  const key = `0x${randomBytes(32).toString('hex')}`;
  const recipients = makeRecipients(seed, 1);
  const [account] = Object.keys(recipients);
  const { stack: options, startProxy } = throughProxy({
    recipients,
    ...(way === 'brought' ? { key, ciphertext: await world.ciphertextFile(key) } : {}),
  });
  await withStack(options, async (stack) => {
    const proxy = await startProxy(stack);
    const credit = () => stack.api.credit([{ id: 'first', account, amount_wei: '7' }]);
    try {
      const killed = await killAt(point, { stack, proxy, kms }, async (isDead) => {
        stack.enclave.start();
        stack.host.start();
        const done = () => isDead() || stack.api.raw('GET', '/readyz').then(({ status }) => status === 200);
        await until('the point, or readiness', done);
        if (!isDead()) await credit().catch(() => {});
      });
      assert.ok(killed, `never came to: ${nameOf(point)}`);
      revive(stack);
      // The host may believe for a moment still that whoever is dead is there.
      await askedAgain(stack, 'the credit', credit);
      await survives(stack, account, 7n);
    } finally {
      await proxy.close();
    }
  });
}

for (const way of ['brought', 'generated']) {
  test(`the first provisioning of a key that is ${way}`, { timeout: patient(60_000 + KILLS * 8_000) }, async () => {
    const random = new Random(`${seed} ${way}`);
    for (const point of turns(ofWay(way), Math.ceil(KILLS / 2), random)) {
      const began = Date.now();
      try {
        await firstProvisioning(way, point);
      } catch (error) {
        error.message = `${nameOf(point)}: ${error.message}`;
        throw error;
      }
      console.log(`kms_kill: ${way}, ${nameOf(point)}: ${Date.now() - began} ms`);
    }
  });
}

const HOST = { 'store.segment-bytes': '1MiB', 'payouts.interval': '700ms', 'payouts.max-tickets': 8 };

const rotation = (stack) => stack.api.get('/api/tee/rotate-state-key');
const startRotation = (stack) => stack.api.raw('POST', '/api/tee/rotate-state-key').catch(() => {});

/** Rotates until it is done; a rotation that was cut off goes on, or another takes its place. */
async function rotateToTheEnd(stack) {
  await startRotation(stack);
  await until('the end of a rotation', async () => {
    const { step } = await rotation(stack);
    if (step === 'failed' || step === 'idle') await startRotation(stack);
    return step === 'done';
  });
}

/** The enclave is restarted, so that it is given its keys again. */
async function provisionAgain(stack, isDead) {
  await stack.enclave.kill();
  stack.enclave.start();
  await until('the point, or readiness', () => isDead() || stack.api.raw('GET', '/readyz').then(({ status }) => status === 200));
}

async function rotateAnew(stack, isDead) {
  await startRotation(stack);
  await until('the point, or the end of the rotation', async () => isDead() || ['done', 'failed'].includes((await rotation(stack)).step));
}

/** One kill while the enclave is given its keys again, or a new one; what is dead is started again at once. */
async function killUnderLoad(stack, proxy, point, random) {
  const work = ROTATION.includes(point) ? rotateAnew : provisionAgain;
  await stack.ready();
  // A rotation that goes on where one was cut off asks for less, and one is refused while KMS is asked for another still.
  let killed = false;
  for (let attempt = 0; attempt < 20 && !killed; attempt++) {
    if (attempt > 0) await sleep(250);
    killed = await killAt(point, { stack, proxy, kms }, (isDead) => work(stack, isDead));
  }
  assert.ok(killed, `never came to: ${nameOf(point)}`);
  if (random.chance(0.3)) await sleep(random.below(300));
  revive(stack);
}

/** Kills at any time while a rotation goes on. */
async function killAtRandom(stack, random) {
  await stack.ready();
  await startRotation(stack);
  await sleep(random.below(250));
  for (const name of random.pick([['enclave'], ['host'], ['enclave', 'host']])) await stack[name].kill();
  revive(stack);
}

test('provisioning and rotation under load', { timeout: patient(120_000 + KILLS * 12_000) }, async () => {
  const random = new Random(`${seed} load`);
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const key = `0x${randomBytes(32).toString('hex')}`;
  const { stack: options, startProxy } = throughProxy({
    key,
    ciphertext: await world.ciphertextFile(key),
    journal: writer.file,
    enclave: { 'snapshot-interval': '64KiB' },
    host: HOST,
  });
  await withChain({ seed, count: 18, deposit: parseEther('5000'), ...options }, async ({ stack, chain, node, recipients }) => {
    const all = Object.entries(recipients);
    const [byJournal, byApi] = [all.slice(0, 12), all.slice(12)].map(Object.fromEntries);
    const proxy = await startProxy(stack);
    try {
      await node.setAutomine(false);
      await node.rpc('anvil_setIntervalMining', 1);
      await stack.start();
      const load = { seed, pauseMs: 80 };
      const journal = new JournalLoad(writer, { ...load, recipients: byJournal, burst: 40 });
      const clients = [1, 2].map((n) => new ApiLoad(stack, `client-${n}`, { ...load, recipients: byApi }));
      try {
        for (const point of turns([...AGAIN, ...ROTATION], KILLS, random)) {
          const began = Date.now();
          await killUnderLoad(stack, proxy, point, random);
          if (random.chance(0.25)) await killAtRandom(stack, random);
          console.log(`kms_kill: under load, ${nameOf(point)}: ${Date.now() - began} ms`);
        }
        await stack.ready();
        await rotateToTheEnd(stack);
      } finally {
        await Promise.all([journal, ...clients].map((one) => one.stop()));
      }
      await stack.caughtUp();
      for (const client of clients) await settleApi(stack, client);
      await Promise.all([stack.enclave.kill(), stack.host.kill()]);
      revive(stack);
      await stack.ready();
      const { state } = await checkKeys(stack);
      await stack.payEverybody({ timeoutMs: 120_000 });
      await audit({ api: stack.api, chain, expected: owedAfter(writer, clients) });
      await neverPaidTwice(stack, chain);
      console.log(`kms_kill: enclave started ${stack.enclave.starts} times, host ${stack.host.starts}; ${state.size} state keys, ${journal.lines} lines`);
    } finally {
      await proxy.close();
    }
  });
});

/** A small disk of its own for the folder of keys; {why} where nothing can be mounted. */
async function keysOnSmallDisk(stack) {
  const mounts = await Mounts.make();
  if (mounts.why) return mounts;
  fs.rmSync(mounts.folder, { recursive: true });
  mounts.folder = path.join(stack.dataDir, 'keys');
  fs.mkdirSync(mounts.folder, { recursive: true });
  try {
    mounts.memoryDisk(1);
  } catch (error) {
    await mounts.close();
    return { why: `no such disk can be made here: ${error.message}` };
  }
  stack.host.wrap = mounts.enter;
  return mounts;
}

test('a full disk under the folder of keys, at first and when the state key is rotated', async (t) => {
  const recipients = makeRecipients(seed, 1);
  const [account] = Object.keys(recipients);
  await withStack(world.stack({ recipients }), async (stack) => {
    const mounts = await keysOnSmallDisk(stack);
    if (mounts.why) return t.skip(mounts.why);
    const inside = mounts.seen(mounts.folder);
    const fill = () => fillUp(path.join(inside, 'ballast'));
    try {
      let ballast = fill();
      stack.enclave.start();
      stack.host.start();
      const reason = await until('the reason', async () =>
        (await stack.api.raw('GET', '/readyz')).body.reasons.find((one) => /cannot be stored/.test(one)));
      assert.match(reason, /disk is full|No space left/);
      // Killed in the middle of it: the next host finds an enclave whose keys nobody has.
      await stack.host.kill();
      assert.deepEqual(fs.readdirSync(inside).filter((name) => /\.(json|ciphertext)$/.test(name)), [], 'half a set of keys');
      fs.rmSync(ballast);
      stack.host.start();
      await stack.ready();
      await stack.api.credit([{ id: 'first', account, amount_wei: '7' }]);

      ballast = fill();
      await startRotation(stack);
      const failed = await until('the failed rotation', async () => {
        const progress = await rotation(stack);
        return progress.step === 'failed' && progress;
      });
      assert.match(failed.why, /cannot be stored and is not used/);
      await stack.api.credit([{ id: 'second', account, amount_wei: '5' }]);
      fs.rmSync(ballast);
      await rotateToTheEnd(stack);
      await Promise.all([stack.enclave.kill(), stack.host.kill()]);
      revive(stack);
      await stack.ready();
      assert.equal((await stack.api.accounts()).get(account).available, 12n);
      const keys = openStoredKeys(kms, path.dirname(inside), SIGNING_CONTEXT);
      assert.deepEqual([...keys.state.keys()], [1, 2]);
    } finally {
      await stack.host.kill();
      await mounts.close();
    }
  });
});
