// One signing key after another, with real processes, KMS and a chain: new payouts come from the new key, what the old one began is
// paid under it, its own funds follow, it is wiped. And all of that with SIGKILL at each step, of the enclave, the host, or both:
// nothing acknowledged is lost, nobody is paid twice, no payout is paid by both keys. COFFER_KMS_KILLS says how often,
// COFFER_TEST_SEED when.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { audit, transfers } from '../js/lib/audit.mjs';
import { withChain } from '../js/lib/e2e.mjs';
import { FrameProxy } from '../js/lib/frame_proxy.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { killAt, nameOf, revive, turns } from '../js/lib/kms/kills.mjs';
import { RETIREMENT, SIGNING_ROTATION } from '../js/lib/kms/kill_points.mjs';
import { fund, order, rotateUntilItSigns, stepOf, untilRetired, usesOf } from '../js/lib/kms/signing_rotation.mjs';
import { openStoredKeys } from '../js/lib/kms/stored_keys.mjs';
import { SIGNING_CONTEXT, useKmsWorld } from '../js/lib/kms/world.mjs';
import { ApiLoad, JournalLoad, neverPaidTwice, owedAfter, settleApi } from '../js/lib/load.mjs';
import { patient } from '../js/lib/patience.mjs';
import { runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const KILLS = Number(process.env.COFFER_KMS_KILLS ?? 4);
const seed = testSeed('kms_signing_rotation');
const world = await useKmsWorld(test);
const { kms } = world;
const folder = temporaryFolder('coffer-signing-rotation-');
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const ETHER = parseEther('1');
const UNLOCK_PERIOD = 2;
const HOST = { 'payouts.interval': '500ms', 'payouts.max-tickets': 8 };

/** Every transaction of a payout that the chain has is by the payout's one key; how many payouts are whose. */
async function oneKeyAPayout(stack, node, senders) {
  const counts = new Map(senders.map((sender) => [sender, 0]));
  for (const { id, sender, attempts } of await stack.api.payouts()) {
    assert.ok(counts.has(sender), `payout ${id} is signed by ${sender}`);
    for (const { tx_hash: hash } of attempts) {
      const transaction = await node.provider.getTransaction(hash);
      if (transaction !== null) assert.equal(transaction.from, sender, `payout ${id}, transaction ${hash}`);
    }
    counts.set(sender, counts.get(sender) + 1);
  }
  return counts;
}

async function restart(stack) {
  await Promise.all([stack.enclave.kill(), stack.host.kill()]);
  revive(stack);
  await stack.ready();
}

test('new payouts come from the new key, the old one is drained, swept and wiped', { timeout: patient(240_000) }, async () => {
  const key = `0x${randomBytes(32).toString('hex')}`;
  const options = world.stack({ key, ciphertext: await world.ciphertextFile(key), host: HOST });
  await withChain({ seed, count: 4, deposit: parseEther('50'), contracts: { unlockPeriod: UNLOCK_PERIOD }, ...options }, async (run) => {
    const { stack, chain, node, ids, credit } = run;
    await stack.start();
    const { audit_address: auditAddress } = await stack.api.status();
    for (const id of ids) await credit(id, 1000);
    await stack.payEverybody();
    // Under way under the old key when it begins to drain: nothing is mined meanwhile.
    await node.setAutomine(false);
    for (const id of ids) await credit(id, 500);
    await stack.payEverybody({ done: ({ totals }) => totals.available === '0' });

    const released = world.released;
    const cli = await runProgram('coffer', ['rotate', 'signing-key', '--host-url', stack.api.base], { env: { COFFER_TOKEN: stack.adminToken } });
    assert.equal(cli.code, 0, cli.stderr);
    assert.equal(world.released, released + 2, 'a signing key and a state key');
    const { from_address: first, address: second } = await rotateUntilItSigns(stack);
    assert.equal(first, stack.address);
    assert.equal((await stack.api.status()).address, second);
    assert.deepEqual(await usesOf(stack), { [first]: 'draining', [second]: 'current' });

    await fund(stack, chain, second);
    for (const id of ids) await credit(id, 300);
    await stack.payEverybody({ done: ({ totals }) => totals.available === '0' });
    await restart(stack);
    assert.deepEqual(await usesOf(stack), { [first]: 'draining', [second]: 'current' }, 'a restart in the middle goes on');
    await node.setAutomine(true);
    const before = await node.provider.getBalance(second);
    await untilRetired(stack, chain, node);

    assert.deepEqual(await usesOf(stack), { [first]: 'retired', [second]: 'current' });
    const { deposit, reserve } = await chain.senderInfo(first);
    assert.deepEqual([deposit, reserve], [0n, 0n], 'deposit and reserve are with the new key');
    assert.ok((await node.provider.getBalance(first)) < ETHER / 100n, 'the rest, too');
    assert.ok((await node.provider.getBalance(second)) > before + parseEther('140'), `${before} before`);

    await restart(stack);
    assert.equal((await stack.api.status()).address, second);
    assert.equal((await stack.api.status()).audit_address, auditAddress, 'the log has its keys for life');
    for (const id of ids) await credit(id, 200);
    await stack.payEverybody();
    await audit({ api: stack.api, chain, expected: new Map(ids.map((id) => [id, 2000n])) });
    const tickets = (await Promise.all([first, second].map((sender) => transfers(chain, sender)))).flat();
    assert.equal(tickets.reduce((sum, { amount }) => sum + amount, 0n), 8000n);
    await oneKeyAPayout(stack, node, [first, second]);

    // And a third one after it, which the second vouches for.
    const next = await rotateUntilItSigns(stack);
    assert.equal(next.from_address, second);
    await fund(stack, chain, next.address);
    await untilRetired(stack, chain, node);
    await restart(stack);
    assert.deepEqual(await usesOf(stack), { [first]: 'retired', [second]: 'retired', [next.address]: 'current' });
    const keys = openStoredKeys(kms, stack.dataDir, SIGNING_CONTEXT);
    assert.equal(keys.address, next.address);
  });
});

async function rotateAnew(stack, isDead) {
  await order(stack);
  await until('the point, or a key that drains', async () => isDead() || ['draining', 'done', 'failed'].includes(await stepOf(stack)));
}

test('kills at each step, under load', { timeout: patient(180_000 + KILLS * 30_000) }, async () => {
  const random = new Random(`${seed} kills`);
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const key = `0x${randomBytes(32).toString('hex')}`;
  const listen = path.join(folder, 'proxy.sock');
  const options = world.stack({
    key,
    ciphertext: await world.ciphertextFile(key),
    journal: writer.file,
    folder: fs.mkdtempSync(path.join(folder, 'run-')),
    enclave: { 'snapshot-interval': '64KiB' },
    host: { ...HOST, enclave: `unix://${listen}` },
  });
  await withChain({ seed, count: 12, deposit: parseEther('5000'), contracts: { unlockPeriod: UNLOCK_PERIOD }, ...options }, async ({ stack, chain, node, recipients }) => {
    const all = Object.entries(recipients);
    const [byJournal, byApi] = [all.slice(0, 8), all.slice(8)].map(Object.fromEntries);
    const proxy = await FrameProxy.start({ listen, to: stack.endpoint });
    const place = { stack, proxy, kms };
    const senders = [stack.address];
    try {
      await stack.start();
      const load = { seed, pauseMs: 80 };
      const journal = new JournalLoad(writer, { ...load, recipients: byJournal, burst: 30 });
      const client = new ApiLoad(stack, 'client', { ...load, recipients: byApi });
      const points = [turns(SIGNING_ROTATION, Infinity, random), turns(RETIREMENT, Infinity, random)];
      try {
        for (let kill = 0; kill < KILLS; kill += 2) {
          await killInRotation(place, points[0].next().value, random, senders);
          await fund(place.stack, chain, senders.at(-1));
          await killInRetirement(place, points[1].next().value, chain, node);
        }
      } finally {
        await Promise.all([journal.stop(), client.stop()]);
      }
      await stack.caughtUp();
      await settleApi(stack, client);
      await restart(stack);
      await stack.payEverybody({ timeoutMs: 120_000, onStatus: () => node.mine(1) });
      await audit({ api: stack.api, chain, expected: owedAfter(writer, [client]) });
      await neverPaidTwice(stack, chain, senders);
      const counts = await oneKeyAPayout(stack, node, senders);
      console.log(`kms_signing_rotation: ${senders.length} keys, payouts by key: ${[...counts.values()].join(', ')}; ${journal.lines} lines`);
    } finally {
      await proxy.close();
    }
  });
});

/** A rotation in which somebody is killed at this point, and which comes to its new key all the same. */
async function killInRotation({ stack, proxy, kms: at }, point, random, senders) {
  const began = Date.now();
  await stack.ready();
  const killed = await killAt(point, { stack, proxy, kms: at }, (isDead) => rotateAnew(stack, isDead));
  assert.ok(killed, `never came to: ${nameOf(point)}`);
  if (random.chance(0.3)) await sleep(random.below(300));
  revive(stack);
  const { from_address: from, address: to } = await rotateUntilItSigns(stack);
  assert.equal(from, senders.at(-1), 'one key follows another');
  senders.push(to);
  await stack.ready();
  assert.deepEqual(await usesOf(stack), Object.fromEntries(senders.map((one) => [one, one === to ? 'current' : one === from ? 'draining' : 'retired'])));
  console.log(`kms_signing_rotation: ${nameOf(point)}: ${Date.now() - began} ms`);
}

async function killInRetirement(place, point, chain, node) {
  const began = Date.now();
  const { stack } = place;
  const killed = await killAt(point, place, (isDead) => untilRetired(stack, chain, node, isDead));
  assert.ok(killed, `never came to: ${nameOf(point)}`);
  revive(stack);
  await stack.ready();
  await untilRetired(stack, chain, node);
  console.log(`kms_signing_rotation: ${nameOf(point)}: ${Date.now() - began} ms`);
}
