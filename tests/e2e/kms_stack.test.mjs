// Either process killed at each call of KMS, in the first provisioning and in a rotation: the state and the key come back.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { useKmsWorld } from '../js/lib/kms/world.mjs';
import { runProgram } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const PATIENCE_MS = 90_000; // on a machine that does much else
const RECIPIENTS = makeRecipients(testSeed('kms_stack'), 2);
const [ACCOUNT] = Object.keys(RECIPIENTS);
const world = await useKmsWorld(test);
const newKey = () => `0x${randomBytes(32).toString('hex')}`;
const fromKms = async (key) =>
  world.stack({ key, ciphertext: await world.ciphertextFile(key), recipients: RECIPIENTS });
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
  await stack.ready(PATIENCE_MS);
}

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
      await withStack(await fromKms(key), async (stack) => {
        const killed = killAt(stack, action, moment);
        stack.enclave.start();
        stack.host.start();
        await killed;
        await stack.ready(PATIENCE_MS);
        events = 0;
        await credit(stack);
        await restart(stack, 'enclave', 'host');
        assert.equal(await credited(stack), 1000n, JSON.stringify(moment));
        assert.equal(await addressOf(stack), stack.address.toLowerCase());
      });
    }
  });
}

test('rotation, and either is killed while KMS makes the key; asked again, it is gone on with', async () => {
  const key = newKey();
  await withStack(await fromKms(key), async (stack) => {
    await stack.start(PATIENCE_MS);
    const args = ['rotate', 'state-key', '--host-url', stack.api.base];
    const rotate = () => runProgram('coffer', args, { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
    for (const moment of MOMENTS) {
      await credit(stack);
      const killed = killAt(stack, 'GenerateDataKey', moment);
      await Promise.all([killed, rotate()]);
      await stack.ready(PATIENCE_MS);
      const again = await rotate();
      assert.equal(again.code, 0, `${JSON.stringify(moment)}: ${again.stdout}${again.stderr}`);
      await restart(stack, 'enclave', 'host');
      assert.equal(await credited(stack), 1000n * BigInt(events), JSON.stringify(moment));
    }
    assert.equal(await addressOf(stack), stack.address.toLowerCase());
  });
});

