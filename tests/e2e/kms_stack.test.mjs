// Enclave and host as they run in production, but for the KMS, which is the local one: the host provisions the
// enclave at each of its starts, by itself; whatever is killed, the state and the key come back.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { KmsWorld } from '../js/lib/kms/world.mjs';
import { runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const RECIPIENTS = makeRecipients(testSeed('kms_stack'), 2);
const [ACCOUNT] = Object.keys(RECIPIENTS);
const folder = temporaryFolder();
let world;
test.before(async () => {
  world = await KmsWorld.start(folder);
});
test.after(async () => {
  await world.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const newKey = () => `0x${randomBytes(32).toString('hex')}`;
const keysOf = (stack) => fs.readdirSync(path.join(stack.dataDir, 'keys')).sort();
const addressOf = async (stack) => (await stack.api.status()).address.toLowerCase();

let events = 0;
test.beforeEach(() => {
  events = 0;
});
const credit = (stack) => stack.api.credit([{ id: `e${++events}`, account: ACCOUNT, amount_wei: '1000' }]);
const credited = async (stack) => (await stack.api.accounts()).get(ACCOUNT).credited;

async function restart(stack, ...programs) {
  for (const name of programs) await stack[name].kill();
  for (const name of programs) stack[name].start();
  await stack.ready();
}

/** Every file below `at`, as one. */
function everything(at) {
  const entries = fs.readdirSync(at, { withFileTypes: true });
  return Buffer.concat(entries.flatMap((entry) => {
    const file = path.join(at, entry.name);
    return entry.isDirectory() ? [everything(file)] : entry.isFile() ? [fs.readFileSync(file)] : [];
  }));
}

test('the host gives the enclave its key at each start; state and key survive every kill', async () => {
  const key = newKey();
  await withStack({ key, recipients: RECIPIENTS, kms: await world.forStack(key) }, async (stack) => {
    await stack.start();
    assert.equal(await addressOf(stack), stack.address.toLowerCase());
    for (const name of ['signing.ciphertext', 'state-1.json']) assert.ok(keysOf(stack).includes(name), name);
    for (const name of keysOf(stack)) assert.equal(fs.statSync(path.join(stack.dataDir, 'keys', name)).mode & 0o777, 0o600);
    for (const victims of [['enclave'], ['host'], ['enclave', 'host'], ['host', 'enclave']]) {
      await credit(stack);
      await restart(stack, ...victims);
      assert.equal(await credited(stack), 1000n * BigInt(events), victims.join(' and '));
      assert.equal(await addressOf(stack), stack.address.toLowerCase());
    }
    assert.ok(world.kms.calls.filter((one) => one.arn === world.coffer.enclave.arn).every((one) => one.attested));
  });
});

test('rotation of the state key, while it serves; then all is killed', async () => {
  const key = newKey();
  await withStack({ key, recipients: RECIPIENTS, kms: await world.forStack(key) }, async (stack) => {
    await stack.start();
    await credit(stack);
    const args = ['rotate', 'state-key', '--host-url', stack.api.base];
    const rotated = await runProgram('coffer', args, { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
    assert.equal(rotated.code, 0, rotated.stdout + rotated.stderr);
    assert.ok(keysOf(stack).includes('state-2.json'));
    await credit(stack);
    await restart(stack, 'enclave', 'host');
    assert.equal(await credited(stack), 2000n);
  });
});

const MOMENTS = ['onRequest', 'onAnswer'].flatMap((when) => ['enclave', 'host'].map((victim) => ({ when, victim })));

/** Kills `victim` at the next call of this action, once, and starts it again; resolves when that is done. */
function killAt(stack, action, { when, victim }) {
  return new Promise((resolve, reject) => {
    world.kms[when] = async (call) => {
      if (call.action !== action) return;
      world.kms[when] = undefined;
      await stack[victim].kill();
      stack[victim].start();
      resolve();
    };
    setTimeout(() => reject(new Error(`nobody asked KMS for ${action} (${when})`)), 20_000).unref();
  });
}

for (const action of ['Decrypt', 'GenerateDataKey']) {
  test(`first provisioning, and either is killed at KMS's ${action}`, async () => {
    for (const moment of MOMENTS) {
      const key = newKey();
      // A host that ended before it heard of the state key gets another one, since nothing is sealed under it yet.
      const enclave = { 'allow-reprovision': true };
      await withStack({ key, recipients: RECIPIENTS, enclave, kms: await world.forStack(key) }, async (stack) => {
        const killed = killAt(stack, action, moment);
        stack.enclave.start();
        stack.host.start();
        await killed;
        await stack.ready();
        events = 0;
        await credit(stack);
        await restart(stack, 'enclave', 'host');
        assert.equal(await credited(stack), 1000n, JSON.stringify(moment));
        assert.equal(await addressOf(stack), stack.address.toLowerCase());
      });
    }
  });
}

test('without --allow-reprovision the host says that the enclave has to be restarted, and then goes on', async () => {
  const key = newKey();
  await withStack({ key, recipients: RECIPIENTS, kms: await world.forStack(key) }, async (stack) => {
    const killed = killAt(stack, 'GenerateDataKey', { when: 'onAnswer', victim: 'host' });
    stack.enclave.start();
    stack.host.start();
    await killed;
    await until('the reason', async () => {
      const { status, body } = await stack.api.raw('GET', '/readyz');
      return status !== 200 && JSON.stringify(body).includes('restart the enclave');
    });
    await restart(stack, 'enclave');
    await credit(stack);
    assert.equal(await credited(stack), 1000n);
  });
});

test('rotation, and either is killed while KMS makes the key; asked again, it is gone on with', async () => {
  const key = newKey();
  await withStack({ key, recipients: RECIPIENTS, kms: await world.forStack(key) }, async (stack) => {
    await stack.start();
    const args = ['rotate', 'state-key', '--host-url', stack.api.base];
    const rotate = () => runProgram('coffer', args, { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
    for (const moment of MOMENTS) {
      await credit(stack);
      const killed = killAt(stack, 'GenerateDataKey', moment);
      await Promise.all([killed, rotate()]);
      await stack.ready();
      const again = await rotate();
      assert.equal(again.code, 0, `${JSON.stringify(moment)}: ${again.stdout}${again.stderr}`);
      await restart(stack, 'enclave', 'host');
      assert.equal(await credited(stack), 1000n * BigInt(events), JSON.stringify(moment));
    }
    assert.equal(await addressOf(stack), stack.address.toLowerCase());
  });
});

test('a key that KMS makes: the same after a restart', async () => {
  await withStack({ recipients: RECIPIENTS, kms: await world.forStack() }, async (stack) => {
    await stack.start();
    const address = await addressOf(stack);
    await credit(stack);
    await restart(stack, 'enclave', 'host');
    assert.equal(await addressOf(stack), address);
    assert.equal(await credited(stack), 1000n);
  });
});

test('while KMS refuses, the host is not ready and says why; then it goes on by itself', async () => {
  const key = newKey();
  await withStack({ key, recipients: RECIPIENTS, kms: await world.forStack(key) }, async (stack) => {
    await stack.start();
    await credit(stack);
    const images = world.kms.store.get(world.coffer.alias).policy;
    world.allow(['ab'.repeat(48)]);
    await stack.enclave.kill();
    stack.enclave.start();
    await until('the reason', async () => {
      const { status, body } = await stack.api.raw('GET', '/readyz');
      return status !== 200 && JSON.stringify(body).includes('AccessDeniedException');
    });
    world.kms.putPolicy(world.coffer.alias, JSON.parse(images));
    await stack.ready(60_000);
    assert.equal(await credited(stack), 1000n);
  });
});

test('no file and no log has the key or the credentials', async () => {
  const key = newKey();
  const options = await world.forStack(key);
  await withStack({ key, recipients: RECIPIENTS, kms: options }, async (stack) => {
    await stack.start();
    await credit(stack);
    await restart(stack, 'enclave', 'host');
    await stack.stop();
    const found = everything(stack.folder);
    const raw = Buffer.from(key.slice(2), 'hex');
    const forms = [raw, key.slice(2), key.slice(2).toUpperCase(), raw.toString('base64')];
    const { AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = options.env;
    for (const each of [...forms, secret, token]) assert.ok(!found.includes(each), 'a secret lies in a file');
    assert.ok(found.includes(options.env.AWS_ACCESS_KEY_ID) || found.includes(ACCOUNT), 'the scan reads the files');
  });
});
