// Velocity limits are part of the sealed state: they hold over crashes and restarts of the enclave
// and of its host, and no restart begins a window anew.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wallet, keccak256, toBeHex } from 'ethers';
import { BROKER, CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { withStack } from '../js/lib/e2e.mjs';
import { JsonConnection, callOnce } from '../js/lib/json_client.mjs';
import { until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { auxData } from '../js/lib/ticket.mjs';

const seed = testSeed('velocity');
const random = new Random(seed);
const ALICE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const BOB = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';
const AUX_DATA = auxData(7, keccak256('0x07'));

let number = 0n;
const ticket = (faceValue, recipient = ALICE) => ({
  recipient,
  faceValue,
  senderNonce: ++number,
  recipientRandHash: keccak256(toBeHex(number, 32)),
  auxData: AUX_DATA,
});

const LIMITS = {
  profile: 'signer',
  ...POLICY,
  'velocity-window': '1h',
  'velocity-total-wei': 1000,
  'velocity-recipient-wei': 600,
  'velocity-signatures': 50,
};

const over = (rule, limit) => (error) => {
  assert.deepEqual([error.code, error.rule], ['policy', rule], error.message);
  assert.ok(error.message.includes(String(limit)), error.message);
  return true;
};

/** Ready, and not because the host has not yet heard that its enclave was killed. */
async function serving(stack) {
  await stack.ready();
  await until('the enclave to serve', () => callOnce(stack.endpoint, 'policy'));
}

/** What is used up is used up, whoever asks and how. */
async function checkUsedUp(sign, first) {
  await assert.rejects(sign(ticket(201)), over('velocity_recipient', 600));
  await assert.rejects(sign(ticket(501, BOB)), over('velocity_total', 1000));
  // The same ticket again is the same payment.
  await sign(first);
}

test('a limit holds over kill -9 of the enclave, of the host, and of both', () =>
  withStack({ enclave: LIMITS }, async (stack) => {
    await stack.start();
    const sign = (given) => callOnce(stack.endpoint, 'sign_ticket', { ticket: given });
    const first = ticket(400);
    const { signature } = await sign(first);
    await sign(ticket(100, BOB));
    await checkUsedUp(sign, first);
    for (const killed of [[stack.enclave], [stack.host], [stack.enclave, stack.host], [stack.host, stack.enclave]]) {
      await Promise.all(killed.map((program) => program.kill()));
      killed.forEach((program) => program.start());
      await serving(stack);
      await checkUsedUp(sign, first);
      assert.equal((await sign(first)).signature, signature);
    }
    await stack.stop();
    stack.enclave.start();
    stack.host.start();
    await serving(stack);
    await checkUsedUp(sign, first);
    await sign(ticket(500, BOB));
    await assert.rejects(sign(ticket(1)), over('velocity_total', 1000));
  }));

test('killed again and again in mid-flight, never more is signed than the limit', () =>
  withStack({ enclave: { ...LIMITS, 'velocity-recipient-wei': 1000 } }, async (stack) => {
    await stack.start();
    let signed = 0n;
    let refused = 0;
    for (let round = 0; round < 6 || refused === 0; round++) {
      assert.ok(round < 60, `only ${signed} wei were signed in ${round} rounds`);
      const connection = await JsonConnection.connect(stack.endpoint);
      const answers = Array.from({ length: 20 }, () => {
        const value = BigInt(1 + random.below(20));
        return connection.call('sign_ticket', { ticket: ticket(value) }).then(
          () => (signed += value),
          (error) => (refused += error.rule?.startsWith('velocity_') ? 1 : 0),
        );
      });
      await sleep(random.below(30));
      await (random.chance(0.3) ? stack.host : stack.enclave).kill();
      connection.close();
      await Promise.all(answers);
      assert.ok(signed <= 1000n, `${signed} wei were signed`);
      for (const program of [stack.host, stack.enclave]) if (!program.running) program.start();
      await serving(stack);
    }
    console.log(`velocity: ${signed} of 1000 wei were signed when the limit was reached`);
  }));

class TooSlow extends Error {}

/** Uses a window of so many seconds up, and waits until it is over. TooSlow: it was over before all was refused that had to be. */
const windowOf = (seconds) =>
  withEnclave(
    {
      storage: true,
      flags: {
        ...LIMITS,
        'velocity-window': `${seconds}s`,
        'velocity-signatures': 5,
        'allow-eth-transfer': true,
        'allow-raw-messages': true,
        'allowed-recipients': `${ALICE},${BOB}`,
      },
    },
    async (enclave) => {
      const began = Date.now();
      const mayBeOver = () => Date.now() - began >= (seconds - 1) * 1000;
      const transfer = (value, nonce, to = ALICE, gasPrice = 5) =>
        enclave.call('sign_transaction', {
          tx: { chainId: CHAIN_ID, nonce, gas: 21000, gasPrice, to, value },
        });
      const refused = (call, rule) =>
        assert.rejects(call, rule).catch((error) => {
          throw mayBeOver() ? new TooSlow(`the window of ${seconds} s was over`) : error;
        });
      await transfer(600, 1);
      await refused(transfer(1, 2), over('velocity_recipient', 600));
      await transfer(600, 1, ALICE, 6); // again with a higher fee: one payment
      await transfer(400, 2, BOB);
      await refused(transfer(1, 3, BOB), over('velocity_total', 1000));
      await enclave.restart();
      await refused(transfer(1, 3, BOB), over('velocity_total', 1000));
      await enclave.call('sign_message_defunct', { message_hash: '0x01' });
      await enclave.call('sign_message_defunct', { message_hash: '0x02' });
      await refused(
        enclave.call('sign_message_defunct', { message_hash: '0x03' }),
        over('velocity_signatures', 5),
      );
      await until('room in the window', () => transfer(600, 4), { timeoutMs: (seconds + 6) * 1000, everyMs: 200 });
      assert.ok(mayBeOver(), 'before the window had passed');
    },
  );

test('transfers and signatures count; what has left the window counts no more', async () => {
  // Short, and on a machine that is too slow for that, longer.
  for (const seconds of [4, 16]) {
    try {
      return await windowOf(seconds);
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      console.log(`velocity: ${error.message}`);
    }
  }
  await windowOf(64);
});

test('another policy by flags, or none, is refused: the limit is not talked away', () =>
  withEnclave({ storage: true, flags: LIMITS }, async (enclave) => {
    await enclave.call('sign_ticket', { ticket: ticket(600) });
    const { 'velocity-total-wei': _, ...without } = LIMITS;
    for (const other of [
      { ...LIMITS, 'velocity-recipient-wei': 1200 },
      { ...LIMITS, 'velocity-window': '1s' },
      without,
      { profile: 'signer', storage: 'host' },
    ]) {
      await assert.rejects(enclave.restart(other), (error) => {
        assert.equal(error.code, 'ERROR_STATE_REFUSED', error.message);
        return true;
      });
      await assert.rejects(enclave.call('sign_ticket', { ticket: ticket(1, BOB) }), /./);
    }
    await enclave.restart(LIMITS);
    await assert.rejects(enclave.call('sign_ticket', { ticket: ticket(1) }), over('velocity_recipient', 600));
    await enclave.call('sign_ticket', { ticket: ticket(400, BOB) });
  }));

test('a policy whose limits have to be remembered does not run without a storage', () =>
  withEnclave({ flags: LIMITS }, async (enclave) => {
    await assert.rejects(
      enclave.call('sign_ticket', { ticket: ticket(1) }),
      (error) => error.code === 'not_ready',
    );
    assert.equal(new Wallet(enclave.key).address, (await enclave.call('address')).address);
    assert.ok(BROKER);
  }));
