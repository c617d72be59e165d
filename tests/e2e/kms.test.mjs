// Keys from KMS, with real processes: the main job with a key that the operator's AWS SDK encrypted, or that KMS
// generated; each restart gives the enclave its keys again and loses nothing; the state key is changed while
// credits flow. What refuses to work is in kms_faults.test.mjs, coffer provision in kms_provision.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { Wallet, parseEther } from 'ethers';
import { audit } from '../js/lib/audit.mjs';
import { makeRecipients, withChain, withStack } from '../js/lib/e2e.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { FakeImds } from '../js/lib/kms/imds.mjs';
import { useKmsWorld } from '../js/lib/kms/world.mjs';
import { ApiLoad, JournalLoad, neverPaidTwice, owedAfter, settleApi } from '../js/lib/load.mjs';
import { patient } from '../js/lib/patience.mjs';
import { runProgram, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const PATIENCE_MS = 90_000; // on a machine that does much else
const seed = testSeed('kms');
const world = await useKmsWorld(test);
const newKey = () => `0x${randomBytes(32).toString('hex')}`;

/** The calls of KMS during `body`, as "Decrypt": all of them attested and granted. */
async function callsDuring(body) {
  const before = world.calls.length;
  await body();
  const calls = world.calls.slice(before);
  for (const call of calls) {
    assert.ok(call.attested && call.arn === world.coffer.enclave.arn && call.outcome === 'ok', JSON.stringify(call));
  }
  return calls.map(({ action }) => action);
}

async function restart(stack, names) {
  for (const name of names) await stack[name].kill();
  for (const name of names) stack[name].start();
  await stack.ready(PATIENCE_MS);
}

const keyFiles = (stack) => fs.readdirSync(path.join(stack.dataDir, 'keys')).filter((name) => name !== 'LOCK').sort();

/** Credits for everybody by the journal, of random amounts. */
function creditAll(writer, ids, random) {
  for (const id of ids) writer.credit(id, 1n + BigInt(random.uint32()) * BigInt(random.below(1_000_000)));
}

test('the main job with a key that the operator encrypted; each restart provisions again', async () => {
  const random = new Random(`${seed} main`);
  const key = newKey();
  const writer = new JournalWriter(path.join(world.folder, 'main.jsonl'));
  const options = world.stack({ ciphertext: await world.ciphertextFile(key), key, journal: writer.file });
  await withChain({ seed, count: 6, ...options }, async ({ stack, chain, ids }) => {
    creditAll(writer, ids, random);
    const first = await callsDuring(() => stack.start(PATIENCE_MS));
    assert.deepEqual(first, ['Decrypt', 'GenerateDataKey'], 'the signing key, and a first state key');
    assert.deepEqual(keyFiles(stack), ['signing.ciphertext', 'signing.json', 'state-1.json']);
    const pay = async () => {
      await stack.caughtUp();
      await stack.payEverybody();
      await audit({ api: stack.api, chain, expected: writer.owed });
    };
    await pay();
    for (const [victims, calls] of [
      [['enclave'], ['Decrypt', 'Decrypt']],
      [['host'], []],
      [['enclave', 'host'], ['Decrypt', 'Decrypt']],
      [['host', 'enclave'], ['Decrypt', 'Decrypt']],
    ]) {
      creditAll(writer, ids, random);
      if (random.chance(0.5)) await stack.caughtUp();
      assert.deepEqual(await callsDuring(() => restart(stack, victims)), calls, `after SIGKILL of ${victims}`);
      assert.equal((await stack.api.status()).address, stack.address);
      await pay();
    }
    await neverPaidTwice(stack, chain);
    assert.equal(await stack.api.metric('coffer_kms_provisioned'), 1);
    assert.deepEqual(await stack.stop(), { host: 0, enclave: 0 });
  });
});

test('a key that KMS generates pays, and is the same after a restart', async () => {
  const random = new Random(`${seed} generate`);
  const writer = new JournalWriter(path.join(world.folder, 'generated.jsonl'));
  await withChain({ seed, count: 3, ...world.stack({ journal: writer.file }) }, async ({ stack, chain, ids }) => {
    const made = await callsDuring(() => stack.start(PATIENCE_MS));
    assert.deepEqual(made, ['GenerateDataKey', 'GenerateDataKey'], 'the signing key, and a state key');
    const { address } = await stack.api.status();
    assert.notEqual(address, stack.address, 'it is nobody\'s that was known before');
    stack.address = address;
    await chain.fundBroker(address, { deposit: parseEther('100'), reserve: parseEther('1'), gas: parseEther('100') });
    for (const victims of [[], ['enclave', 'host'], ['enclave']]) {
      creditAll(writer, ids, random);
      const calls = await callsDuring(() => restart(stack, victims));
      assert.deepEqual(calls, victims.length === 0 ? [] : ['Decrypt', 'Decrypt']);
      await stack.caughtUp();
      await stack.payEverybody();
      await audit({ api: stack.api, chain, expected: writer.owed });
      assert.equal((await stack.api.status()).address, address);
    }
  });
});

test('the key as text, as a tool prints it; a state that outlives its state key only by force', async () => {
  const key = newKey();
  const recipients = makeRecipients(seed, 2);
  const options = { ...world.stack({ ciphertext: await world.ciphertextFile(key, 'text'), key, recipients }) };
  await withStack(options, async (stack) => {
    await stack.start(PATIENCE_MS);
    const [id] = Object.keys(recipients);
    await stack.api.credit([{ id: 'kept', account: id, amount_wei: '7' }]);
    await stack.stop();
    const file = path.join(stack.dataDir, 'keys/state-1.json');
    fs.renameSync(file, `${stack.folder}/state-1.json`);
    stack.enclave.start();
    stack.host.start();
    const before = world.calls.length;
    await until('the reason', async () => {
      const { body } = await stack.api.raw('GET', '/readyz');
      return body.reasons.some((reason) => /no_state_keys: records are stored and no state key is in/.test(reason));
    }, { timeoutMs: PATIENCE_MS });
    assert.equal(world.calls.length, before, 'KMS is not asked: no key is made that nothing can be read with');
    assert.equal(stack.enclave.running, true);
    await stack.host.stop();
    fs.renameSync(`${stack.folder}/state-1.json`, file);
    stack.host.start();
    await stack.ready(PATIENCE_MS);
    assert.equal((await stack.api.accounts()).get(id).available, 7n);
    assert.equal((await stack.api.status()).address, stack.address);
  });
});

test('another address than the expected one: no key, and why; with the right one it goes on', async () => {
  const [key, other] = [newKey(), newKey()];
  const wanted = new Wallet(other).address;
  const options = world.stack({ ciphertext: await world.ciphertextFile(key), host: { 'expected-address': wanted } });
  await withStack({ ...options, key }, async (stack) => {
    stack.enclave.start();
    stack.host.start();
    const why = new RegExp(`the ciphertext holds the key of ${stack.address}, and that of ${wanted} is expected`);
    await until('the reason', async () => {
      const { body } = await stack.api.raw('GET', '/readyz');
      return body.reasons.some((reason) => why.test(reason));
    }, { timeoutMs: PATIENCE_MS });
    assert.match(stack.enclave.lastRun(), why);
    assert.match(stack.host.lastRun(), why);
    assert.equal((await stack.api.metric('coffer_kms_provisioned')), 0);
    assert.deepEqual(keyFiles(stack), ['signing.ciphertext', 'signing.json'], 'no state key was made for it');
    await stack.host.stop();
    stack.host.args[stack.host.args.indexOf('--expected-address') + 1] = stack.address;
    stack.host.start();
    await stack.ready(PATIENCE_MS);
    assert.equal((await stack.api.status()).address, stack.address);
  });
});

test('the state key is changed while credits flow, and the state is there after a restart', { timeout: patient(180_000) }, async () => {
  const key = newKey();
  const writer = new JournalWriter(path.join(world.folder, 'rotated.jsonl'));
  const options = world.stack({
    ciphertext: await world.ciphertextFile(key),
    key,
    journal: writer.file,
    enclave: { 'snapshot-interval': '64KiB' },
    host: { 'payouts.interval': '500ms', 'payouts.max-tickets': 8 },
  });
  await withChain({ seed, count: 6, deposit: parseEther('1000'), ...options }, async ({ stack, chain, recipients }) => {
    await stack.start(PATIENCE_MS);
    const journal = new JournalLoad(writer, { seed, recipients });
    const clients = [1, 2].map((n) => new ApiLoad(stack, `client-${n}`, { seed, recipients, pauseMs: 40 }));
    const rotate = () =>
      runProgram('coffer', ['rotate', 'state-key', '--host-url', stack.api.base], { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
    for (const epoch of [2, 3]) {
      const acknowledged = clients.reduce((sum, client) => sum + client.acknowledged.size, 0);
      const calls = await callsDuring(async () => {
        const done = await rotate();
        assert.equal(done.code, 0, done.stderr);
        assert.match(done.stdout, new RegExp(`done: the state is sealed under epoch ${epoch}`));
      });
      assert.deepEqual(calls, ['GenerateDataKey']);
      assert.ok(keyFiles(stack).includes(`state-${epoch}.json`));
      await until('credits after the change', () => clients.reduce((sum, { acknowledged: a }) => sum + a.size, 0) > acknowledged);
    }
    assert.equal(await stack.api.metric('coffer_kms_rotations_total'), 2);
    const calls = await callsDuring(() => restart(stack, ['enclave', 'host']));
    assert.deepEqual(calls, ['Decrypt', 'Decrypt', 'Decrypt', 'Decrypt'], 'the signing key, and three state keys');
    await Promise.all([journal, ...clients].map((load) => load.stop()));
    await stack.caughtUp();
    for (const client of clients) await settleApi(stack, client);
    await restart(stack, ['enclave']);
    await stack.payEverybody({ timeoutMs: 90_000 });
    await audit({ api: stack.api, chain, expected: owedAfter(writer, clients) });
    await neverPaidTwice(stack, chain);
  });
});

test('the credentials of the instance\'s role, which end and are fetched anew', async () => {
  const { arn, policies } = world.coffer.enclave;
  const session = (ms) => Object.assign(world.kms.addPrincipal(arn, { policies, temporary: true }), { expires: new Date(Date.now() + ms).toISOString() });
  const end = (principal) => Object.assign(principal, { expires: new Date(Date.now() - 1000).toISOString() });
  const imds = await FakeImds.start({ region: world.kms.store.region, credentials: session(3600e3) });
  const key = newKey();
  const options = world.stack({
    ciphertext: await world.ciphertextFile(key),
    key,
    recipients: makeRecipients(seed, 1),
    host: { 'kms.credentials': 'instance' },
    hostEnv: imds.environment,
  });
  try {
    await withStack(options, async (stack) => {
      await stack.start(PATIENCE_MS);
      assert.match(stack.host.lastRun(), /credentials="?the instance's role coffer-enclave/);
      const reason = (pattern) => until(`not ready because of ${pattern}`, async () => {
        const { body } = await stack.api.raw('GET', '/readyz');
        return body.reasons.some((one) => pattern.test(one));
      }, { timeoutMs: PATIENCE_MS });
      // The service goes on giving out what has ended; it is not even sent.
      end(imds.credentials);
      const before = world.calls.length;
      await stack.enclave.kill();
      stack.enclave.start();
      await reason(/no_credentials: the credentials of the instance's role coffer-enclave end at .*, too soon to be used/);
      assert.equal(world.calls.length, before);
      imds.credentials = session(3600e3);
      await stack.ready(PATIENCE_MS);
      // It says that they are good, and AWS says that they are not.
      const revoked = imds.credentials;
      imds.credentials = { ...revoked };
      end(revoked);
      await stack.enclave.kill();
      stack.enclave.start();
      await reason(/the signing key: ExpiredTokenException/);
      imds.credentials = session(3600e3);
      await stack.ready(PATIENCE_MS);
      // A rotation has credentials of its own moment, too.
      end(imds.credentials);
      imds.credentials = session(3600e3);
      const rotated = await runProgram('coffer', ['rotate', 'state-key', '--host-url', stack.api.base], { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
      assert.equal(rotated.code, 0, rotated.stderr);
      assert.ok(imds.asked.filter((one) => one === 'PUT /latest/api/token').length >= 5, 'asked anew each time');
    });
  } finally {
    await imds.close();
  }
});
