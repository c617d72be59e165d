// The main job in small: by tickets (one and many in a transaction) and by transfers, to the wei.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { assertConserved, audit, transfers } from '../js/lib/audit.mjs';
import { driver, withChain } from '../js/lib/e2e.mjs';
import { until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const seed = testSeed('pay');
const random = new Random(seed);
const REDEEM = '0xec8b3cb6';
const BATCH = '0xd01b808e';
const amount = () => 1n + BigInt(random.uint32()) * BigInt(random.below(1_000_000));

async function creditEverybody({ ids, credit }) {
  const expected = new Map();
  for (const id of ids) {
    const wei = amount();
    await credit(id, wei);
    expected.set(id, wei);
  }
  return expected;
}

const selectors = async (chain, payouts) => {
  const found = [];
  for (const { tx_hash: hash } of payouts.flatMap((payout) => payout.attempts))
    found.push((await chain.node.provider.getTransaction(hash)).data.slice(0, 10));
  return found;
};

test('tickets one by one', () =>
  withChain({ seed, count: 6, host: { 'payouts.max-tickets': 1 } }, async (world) => {
    const { stack, chain } = world;
    await stack.start();
    const expected = await creditEverybody(world);
    await stack.payEverybody();
    await audit({ api: stack.api, chain, expected });
    const payouts = await stack.api.payouts();
    assert.equal(payouts.length, 6);
    assert.ok(payouts.every(({ state, items }) => state === 'settled' && items.length === 1));
    assert.deepEqual(await selectors(chain, payouts), Array(6).fill(REDEEM));
    const one = await stack.api.get(`/api/payouts/${payouts[0].id}`);
    assert.deepEqual(one, payouts[0]);
  }));

test('tickets in batches, and the same people again', () =>
  withChain({ seed, count: 25, host: { 'payouts.max-tickets': 10 } }, async (world) => {
    const { stack, chain } = world;
    await stack.start();
    const expected = await creditEverybody(world);
    await stack.payEverybody();
    await audit({ api: stack.api, chain, expected });
    const first = await stack.api.payouts();
    assert.deepEqual(
      first.map(({ items }) => items.length).sort((a, b) => a - b),
      [5, 10, 10],
    );
    assert.deepEqual(await selectors(chain, first), Array(3).fill(BATCH));
    for (const [id, wei] of await creditEverybody(world)) expected.set(id, expected.get(id) + wei);
    await stack.payEverybody();
    await audit({ api: stack.api, chain, expected });
    assert.equal((await transfers(chain, stack.address)).length, 50);
    // Paid is paid: asked again, nothing more goes out.
    await stack.api.post('/api/payouts/run');
    await sleep(500);
    assert.equal((await transfers(chain, stack.address)).length, 50);
  }));

test('plain transfers', () =>
  withChain(
    {
      seed,
      count: 5,
      enclave: { 'allow-eth-transfer': true },
      host: { 'payouts.strategy': 'eth_transfer' },
    },
    async (world) => {
      const { stack, node, recipients } = world;
      await stack.start();
      const expected = await creditEverybody(world);
      await stack.payEverybody();
      const accounts = await stack.api.accounts();
      assertConserved(accounts);
      for (const [id, wei] of expected) {
        assert.equal(accounts.get(id).paid, wei);
        assert.equal(await node.provider.getBalance(recipients[id]), wei, id);
      }
    },
  ));

test('a strategy that the policy does not allow pays nobody, and says so', () =>
  withChain(
    { seed, count: 2, host: { 'payouts.strategy': 'eth_transfer' } },
    async ({ stack, node, recipients, ids, credit }) => {
      await stack.start();
      await credit(ids[0], 1000n);
      await stack.api.post('/api/payouts/run');
      await until('the reason', async () => {
        const { halts, notes } = await driver(stack);
        return /polic|allow/i.test(JSON.stringify([halts, notes]) + stack.host.text());
      });
      assert.equal(await node.provider.getBalance(recipients[ids[0]]), 0n);
      assert.equal((await stack.api.accounts()).get(ids[0]).available, 1000n);
    },
  ));

test('paused nobody is paid, resumed everybody is; small balances wait for the threshold', () =>
  withChain({ seed, host: { 'payouts.threshold-wei': '1000', 'payouts.interval': '200ms' } },
    async ({ stack, chain, ids, credit }) => {
      await stack.start();
      assert.equal((await stack.api.post('/api/payouts/pause')).paused, true);
      await credit(ids[0], 5000n);
      await credit(ids[1], 999n);
      const run = await stack.api.raw('POST', '/api/payouts/run');
      assert.equal(run.status, 409);
      await sleep(800);
      assert.equal((await stack.api.status()).payouts, 0);
      await stack.api.post('/api/payouts/resume');
      await until('the payment', async () =>
        (await stack.api.accounts()).get(ids[0]).paid === 5000n);
      await sleep(500);
      assert.equal((await stack.api.accounts()).get(ids[1]).available, 999n);
      await credit(ids[1], 1n);
      await stack.payEverybody();
      await audit({ api: stack.api, chain, expected: new Map([[ids[0], 5000n], [ids[1], 1000n]]) });
    }));

test('a dry run signs nothing and says what it would do', () =>
  withChain({ seed, host: { 'payouts.dry-run': true } }, async ({ stack, ids, credit }) => {
    await stack.start();
    await credit(ids[0], 77n);
    await stack.api.post('/api/payouts/run');
    await until('a plan', async () => /77|1 /.test((await driver(stack)).last_plan));
    const status = await stack.api.status();
    assert.equal(status.signatures, 0);
    assert.equal(status.payouts, 0);
  }));

test('the deposit is filled up within the limit of the enclave', () =>
  withChain(
    {
      seed,
      deposit: parseEther('0.5'),
      enclave: { 'max-fund-deposit-wei': parseEther('3') },
      host: { 'deposit.below-wei': parseEther('1'), 'deposit.target-wei': parseEther('5') },
    },
    async ({ stack, chain, ids, credit }) => {
      await stack.start();
      for (const id of ids) await credit(id, parseEther('0.9'));
      await stack.payEverybody();
      const expected = new Map(ids.map((id) => [id, parseEther('0.9')]));
      await audit({ api: stack.api, chain, expected });
      const fundings = (await stack.api.payouts()).filter((p) => p.strategy === 'fund_deposit');
      assert.ok(fundings.length >= 1);
      for (const { total } of fundings) assert.ok(BigInt(total) <= parseEther('3'));
    },
  ));

test('a node that is dead is passed over, and one of another chain is refused', () =>
  withChain({ seed }, async ({ stack, chain, ids, credit }) => {
    const urls = stack.host.args.indexOf('--chain.urls') + 1;
    const good = stack.host.args[urls];
    stack.host.args[urls] = `http://127.0.0.1:9,${good}`;
    await stack.start();
    await credit(ids[0], 123n);
    await stack.payEverybody();
    await audit({ api: stack.api, chain, expected: new Map([[ids[0], 123n]]) });
    await stack.host.stop();
    stack.host.args[urls] = good;
    stack.host.args[stack.host.args.indexOf('--chain.id') + 1] = '1';
    stack.host.start();
    const reasons = await until('the refusal', async () => {
      const { status, body } = await stack.api.raw('GET', '/readyz');
      return status === 503 && /31337/.test(body.reasons.join()) && body.reasons.join();
    });
    assert.match(reasons, /chain/);
    assert.equal((await stack.api.raw('POST', '/api/payouts/run')).status, 409);
  }));
