// Everything a chain can do to a payment. Each test ends with the same question: is
// paid + available + reserved = credited, and is what the ledger calls paid what the chain credited?
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wallet, parseEther, parseUnits } from 'ethers';
import { audit, transfers } from '../js/lib/audit.mjs';
import { devKey } from '../js/lib/chain.mjs';
import { driver, poolOf, withChain } from '../js/lib/e2e.mjs';
import { until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';
import { makeTicket } from '../js/lib/ticket.mjs';

const seed = testSeed('chain');
const ETHER = parseEther('1');
const STRANGER = devKey(7);

/** Credits everybody `wei`, paid to nobody before payouts are resumed, and gives what is owed. */
async function creditAll({ stack, ids, credit }, wei = ETHER / 2n) {
  await stack.api.post('/api/payouts/pause');
  for (const id of ids) await credit(id, wei);
  return new Map(ids.map((id) => [id, wei]));
}

async function resume({ stack }) {
  await stack.api.post('/api/payouts/resume');
  await stack.api.post('/api/payouts/run');
}

/** With no blocks made: asks for payouts and waits until `count` transactions are in the pool. */
async function signedOnly({ stack, node }, count = 1) {
  await node.setAutomine(false);
  await resume({ stack });
  return until(`${count} transactions in the pool`, async () => {
    const pool = await poolOf(node, stack.address);
    return pool.length >= count && pool;
  });
}

/** Sends as the stranger, with a tip that puts it in front of ours. */
function inFront({ node, chain }, data, gasLimit = 6_000_000) {
  const wallet = new Wallet(STRANGER, node.provider);
  const fees = {
    maxFeePerGas: parseUnits('100', 'gwei'),
    maxPriorityFeePerGas: parseUnits('50', 'gwei'),
  };
  return wallet.sendTransaction({ to: chain.addresses.broker, data, gasLimit, ...fees });
}

const check = ({ stack, chain }, expected, before) =>
  audit({ api: stack.api, chain, expected, before });

async function payAll(world, expected, options) {
  await world.node.setAutomine(true);
  await world.node.mine();
  await resume(world);
  await world.stack.payEverybody(options);
  return check(world, expected);
}

const items = async (stack) => (await stack.api.payouts()).flatMap((payout) => payout.items);

describe('the chain', { concurrency: 3 }, () => {
  test('a deposit that shrinks: what was paid is debited, the shortfall is paid later', () =>
    withChain({ seed, count: 3, deposit: ETHER, reserve: 0n }, async (world) => {
      const { stack, chain, node, ids } = world;
      await stack.start();
      const rival = new Wallet(devKey(8)).address;
      await chain.registerTranscoders([rival]);
      const expected = await creditAll(world, ETHER / 4n);
      await signedOnly(world);
      // Another ticket of the same sender takes most of the deposit first.
      const taken = (ETHER * 6n) / 10n;
      const other = await makeTicket({
        key: stack.key,
        recipient: rival,
        faceValue: taken,
        senderNonce: 10n ** 12n,
        ...(await chain.roundForTickets()),
      });
      const data = chain.broker.interface.encodeFunctionData('redeemWinningTicket', [
        other.ticket,
        other.sig,
        other.recipientRand,
      ]);
      await inFront(world, data);
      // The third ticket would be sent again at once, and be in the way of the new deposit's nonce.
      await stack.api.post('/api/payouts/pause');
      await node.mine();
      await until('the receipt', async () => (await driver(stack)).counters.sent >= 1);
      await sleep(2500); // two looks at the chain
      assert.equal((await stack.api.status()).totals.paid, '0', 'what paid in part is told once it is deep');
      await node.mine(64);
      await until('the settlement', async () =>
        BigInt((await stack.api.status()).totals.paid) === ETHER - taken);
      // One was paid in full, one in part, and the third ticket found nothing and is still good.
      const accounts = await check(world, expected);
      assert.deepEqual(
        (await items(stack)).map(({ state }) => state).sort(),
        ['open', 'paid', 'paid'],
      );
      assert.equal(ids.filter((id) => accounts.get(id).available > 0n).length, 1);
      // More deposit: the shortfall is paid by a new ticket, the third by its old one.
      await chain.fundBroker(stack.address, { deposit: ETHER });
      await payAll(world, expected);
    }));

  test('a paused broker: nothing is signed, and then everything', () =>
    withChain({ seed }, async (world) => {
      const { stack, chain } = world;
      await stack.start();
      await chain.setPaused(true);
      const expected = await creditAll(world);
      await resume(world);
      await until('the halt', async () =>
        (await driver(stack)).halts.some(({ code }) => code === 'broker_paused'));
      assert.equal((await stack.api.status()).signatures, 0);
      await check(world, expected);
      await chain.setPaused(false);
      await payAll(world, expected);
    }));

  for (const [name, tickets] of [['one ticket', 1], ['a batch', 100]]) {
    test(`paused after signing (${name}): the same tickets go out again`, () =>
      withChain({ seed, count: tickets === 1 ? 1 : 4, host: { 'payouts.max-tickets': tickets } },
        async (world) => {
          const { stack, chain, node } = world;
          await stack.start();
          const expected = await creditAll(world);
          await signedOnly(world);
          const before = (await items(stack)).map((item) => item.ticket_hash);
          const owner = chain.controller;
          await owner.pause({ maxPriorityFeePerGas: parseUnits('50', 'gwei'), maxFeePerGas: parseUnits('100', 'gwei') });
          await node.mine();
          await until('the receipt', async () => (await driver(stack)).counters.mined >= 1);
          await check(world, expected);
          await node.setAutomine(true);
          await chain.setPaused(false);
          await payAll(world, expected);
          assert.deepEqual((await items(stack)).map((item) => item.ticket_hash), before);
          const [payout] = await stack.api.payouts();
          assert.ok(payout.attempts.length >= 2);
        }));

    test(`a stranger redeems first (${name})`, () =>
      withChain({ seed, count: tickets === 1 ? 1 : 4, host: { 'payouts.max-tickets': tickets } },
        async (world) => {
          const { stack, chain, node } = world;
          await stack.start();
          const expected = await creditAll(world);
          const [ours] = await signedOnly(world);
          const theirs = await inFront(world, ours.input);
          await node.mine();
          assert.equal((await node.receipt(theirs.hash)).status, 1);
          await payAll(world, expected);
          for (const item of await items(stack)) assert.equal(item.paid_by, theirs.hash);
          assert.equal((await transfers(chain, stack.address)).length, expected.size);
        }));
  }

  test('a stranger redeems one ticket of a batch', () =>
    withChain({ seed, count: 3 }, async (world) => {
      const { stack, chain, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      const [ours] = await signedOnly(world);
      const broker = chain.broker.interface;
      const [tickets, sigs, rands] = broker.decodeFunctionData('batchRedeemWinningTickets', ours.input);
      const one = [tickets[1].toArray(), sigs[1], rands[1]];
      const theirs = await inFront(world, broker.encodeFunctionData('redeemWinningTicket', one));
      await node.mine();
      await payAll(world, expected);
      const paidBy = (await items(stack)).map((item) => item.paid_by);
      assert.equal(paidBy.filter((hash) => hash === theirs.hash).length, 1);
      assert.equal((await transfers(chain, stack.address)).length, 3);
    }));

  test('expired tickets: never paid twice; freed only when that is allowed', () =>
    withChain({ seed, count: 3, enclave: { 'insecure-void-on-host-word': true } }, async (world) => {
      const { stack, chain, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      const [ours] = await signedOnly(world);
      await stack.host.kill();
      await node.dropTransaction(ours.hash);
      for (let i = 0; i < 3; i++) await chain.advanceRound();
      await node.setAutomine(true);
      stack.host.start();
      await stack.ready();
      await until('the note', async () => /expired/.test((await driver(stack)).notes.join()));
      await sleep(1000);
      const accounts = await check(world, expected);
      for (const account of accounts.values()) {
        assert.equal(account.paid, 0n);
        assert.equal(account.reserved, expected.get(account.id));
      }
      await stack.host.stop();
      stack.host.start(['--payouts.insecure-void-expired']);
      await stack.ready();
      await payAll(world, expected);
      assert.equal((await transfers(chain, stack.address)).length, 3);
      assert.equal((await items(stack)).filter((item) => item.state === 'void').length, 3);
    }));

  test('a reorganization takes payments back; they are made again, once', () =>
    withChain({ seed, count: 4, host: { 'payouts.max-tickets': 2 } }, async (world) => {
      const { stack, chain, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      await payAll(world, expected);
      assert.equal((await transfers(chain, stack.address)).length, 4);
      await node.mine();
      await node.reorg(4);
      assert.equal((await transfers(chain, stack.address)).length, 0);
      await until('the payouts open again', async () => (await driver(stack)).counters.reorged >= 1);
      await payAll(world, expected);
      assert.equal((await transfers(chain, stack.address)).length, 4);
    }));

  test('a stuck transaction gets higher fees under the same nonce', () =>
    withChain({ seed, host: { 'payouts.stuck-after': '700ms' } }, async (world) => {
      const { stack, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      const [ours] = await signedOnly(world);
      const base = BigInt(ours.maxFeePerGas) * 3n;
      await node.setBaseFee(base);
      await node.mine();
      assert.equal(await node.provider.getTransactionReceipt(ours.hash), null);
      const bumped = await until('a replacement', async () => {
        const [now] = await poolOf(node, stack.address);
        return now !== undefined && now.hash !== ours.hash && now;
      });
      assert.equal(bumped.nonce, ours.nonce);
      assert.ok(BigInt(bumped.maxFeePerGas) * 8n >= BigInt(ours.maxFeePerGas) * 9n);
      await payAll(world, expected);
      const [payout] = await stack.api.payouts();
      assert.ok(payout.attempts.length >= 2);
      assert.equal(new Set(payout.attempts.map((attempt) => attempt.nonce)).size, 1);
    }));

  test('a dropped transaction is sent again, the same bytes', () =>
    withChain({ seed, host: { 'payouts.stuck-after': '700ms' } }, async (world) => {
      const { stack, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      const [ours] = await signedOnly(world);
      await node.dropTransaction(ours.hash);
      await until('it again', async () =>
        (await poolOf(node, stack.address)).some(({ hash }) => hash === ours.hash));
      await payAll(world, expected);
      assert.equal((await stack.api.payouts())[0].attempts[0].tx_hash, ours.hash);
    }));

  test('mined while the host was dead: found, not paid again', () =>
    withChain({ seed, host: { 'payouts.max-tickets': 2 } }, async (world) => {
      const { stack, chain, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      await signedOnly(world, 2);
      await stack.host.kill();
      await stack.enclave.kill();
      await node.mine();
      stack.enclave.start();
      stack.host.start();
      await stack.ready();
      await payAll(world, expected);
      assert.equal((await transfers(chain, stack.address)).length, 4);
    }));

  test('a nonce used elsewhere is an alarm: nothing more is signed', () =>
    withChain({ seed, count: 2 }, async (world) => {
      const { stack, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      await payAll(world, expected);
      const { signatures } = await stack.api.status();
      const elsewhere = new Wallet(stack.key, node.provider);
      await node.mined(await elsewhere.sendTransaction({ to: elsewhere.address, value: 1n }));
      for (const [id, wei] of await creditAll(world)) expected.set(id, expected.get(id) + wei);
      await resume(world);
      await until('the alarm', async () =>
        (await driver(stack)).halts.some(({ code }) => code === 'nonce_alarm'));
      await sleep(300);
      assert.equal((await stack.api.status()).signatures, signatures);
      await check(world, expected);
    }));

  test('a nonce that is lost to another transaction: the tickets still count when they pay', () =>
    withChain({ seed, count: 2 }, async (world) => {
      const { stack, chain, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      const [ours] = await signedOnly(world);
      await node.dropTransaction(ours.hash);
      const elsewhere = new Wallet(stack.key, node.provider);
      await elsewhere.sendTransaction({
        to: elsewhere.address,
        nonce: Number(ours.nonce),
        maxFeePerGas: parseUnits('100', 'gwei'),
        maxPriorityFeePerGas: parseUnits('50', 'gwei'),
      });
      await node.mine();
      await sleep(1500);
      const accounts = await check(world, expected);
      for (const account of accounts.values()) assert.equal(account.paid, 0n);
      assert.equal((await transfers(chain, stack.address)).length, 0);
      // Nobody signs new tickets for the same funds; the old ones are still good.
      await inFront(world, ours.input);
      await node.mine(2);
      await until('the payment by a stranger', async () =>
        (await items(stack)).every((item) => item.state === 'paid'), { timeoutMs: 60_000 });
      await check(world, expected);
    }));

  test('no ether for gas: said, nothing is lost, paid when there is', () =>
    withChain({ seed, count: 2 }, async (world) => {
      const { stack, node } = world;
      await stack.start();
      await node.setBalance(stack.address, 0n);
      const expected = await creditAll(world);
      await resume(world);
      await until('the reason', async () => {
        const { halts, notes } = await driver(stack);
        return /fund|balance/i.test(JSON.stringify([halts, notes]));
      });
      await check(world, expected);
      await node.setBalance(stack.address, parseEther('10'));
      await payAll(world, expected);
    }));

  test('a recipient who is not registered holds up nobody else, and is paid later', () =>
    withChain({ seed, count: 3 }, async (world) => {
      const { stack, chain, node, recipients, credit } = world;
      await stack.start();
      const late = new Wallet(devKey(9)).address;
      stack.writeRegistry({ ...recipients, late });
      await stack.api.post('/api/registry/reload');
      const expected = await creditAll(world);
      await credit('late', ETHER / 2n);
      expected.set('late', ETHER / 2n);
      await resume(world);
      await until('the others', async () => {
        const accounts = await stack.api.accounts();
        return world.ids.every((id) => accounts.get(id).paid === expected.get(id));
      });
      assert.equal((await check(world, expected)).get('late').paid, 0n);
      await chain.registerTranscoders([late]);
      await node.mine();
      await payAll(world, expected);
      assert.equal((await transfers(chain, stack.address)).length, 4);
    }));

  test('a node that goes away and comes back', () =>
    withChain({ seed, host: { 'chain.timeout': '1s' } }, async (world) => {
      const { stack, node } = world;
      await stack.start();
      const expected = await creditAll(world);
      node.child.kill('SIGSTOP');
      await resume(world);
      await sleep(3000);
      assert.equal((await stack.api.raw('GET', '/healthz')).status, 200);
      await world.credit(world.ids[0], 7n); // the ledger goes on without a chain
      expected.set(world.ids[0], expected.get(world.ids[0]) + 7n);
      node.child.kill('SIGCONT');
      await payAll(world, expected);
    }));
});
