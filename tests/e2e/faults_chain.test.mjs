// The chain's nodes under load: one of two dies, both do, the chain's own process is gone and comes
// back with what it had; slow, busy, behind, silent and nonsensical nodes. Credits go on all the
// while; payouts wait, say why, and go on; nobody is paid twice.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAnvil } from '../js/lib/anvil.mjs';
import { driver } from '../js/lib/e2e.mjs';
import { stepsOf, underLoad } from '../js/lib/fault_world.mjs';
import { patient } from '../js/lib/patience.mjs';
import { temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';
import { RpcProxy } from '../js/lib/rpc_proxy.mjs';

const seed = testSeed('faults_chain');
const PAYOUTS = { except: ['paid'] }; // what works without a chain

const halts = async (stack) => (await driver(stack)).halts;

/** Payouts stand still with this code, the rest goes on, and health is as it was. */
async function halted(world, code, what) {
  const { stack } = world;
  const halt = await until(`a halt: ${code}`, async () =>
    (await halts(stack)).find((found) => code.test(found.code)), { timeoutMs: 15_000 });
  console.log(`faults_chain: ${what}: ${halt.code}: ${halt.message}`);
  assert.ok((await world.metric('coffer_payout_halts')) >= 1);
  await world.goesOn(`${what}: credits`, PAYOUTS);
  assert.equal((await stack.api.raw('GET', '/healthz')).status, 200);
}

test('nodes that fail', { timeout: patient(150_000) }, async (t) => {
  const folder = temporaryFolder('coffer-anvil-');
  const state = path.join(folder, 'state.json');
  const node = await startAnvil({ state });
  const proxies = [await RpcProxy.start(node.url), await RpcProxy.start(node.url)];
  const [first, second] = proxies;
  const all = (mode) => Promise.all(proxies.map((proxy) => proxy.set(mode)));
  const step = stepsOf(t);
  try {
    await underLoad({
      name: 'faults_chain', seed, node,
      host: { 'chain.urls': proxies.map(({ url }) => url).join(','), 'payouts.stuck-after': '3s' },
    }, async (world) => {
      const took = async (what) => console.log(`faults_chain: ${what}: ${await world.goesOn(what)} ms`);

      await step('one of two is down, then the other', async () => {
        const before = await world.metric('coffer_rpc_unavailable_total');
        await first.set('down');
        await took('the first node down');
        assert.ok((await world.metric('coffer_rpc_unavailable_total')) > before);
        await first.set('pass');
        await second.set('down');
        await took('the second node down');
        await second.set('pass');
      });

      await step('busy (429), slow, silent, nonsensical: the other one is used', async () => {
        for (const [mode, metric] of [
          ['busy', 'coffer_rpc_rate_limited_total'],
          ['slow', undefined],
          ['hang', 'coffer_rpc_timeouts_total'],
          ['nonsense', 'coffer_rpc_malformed_total'],
        ]) {
          const before = metric === undefined ? 0 : await world.metric(metric);
          await first.set(mode);
          await took(`the first node: ${mode}`);
          if (metric !== undefined) await world.counted(metric, before);
          await first.set('pass');
        }
      });

      await step('both busy: payouts wait, and nothing else does', async () => {
        await all('busy');
        await sleep(1_500);
        await world.goesOn('credits while nodes are busy', PAYOUTS);
        await all('pass');
        await took('nodes that are not busy any more');
      });

      await step('a node that is behind takes nothing back', async () => {
        await all('behind');
        await sleep(3_000);
        await world.goesOn('credits while nodes are behind', PAYOUTS);
        await all('pass');
        await took('nodes that have caught up');
        const { counters } = await driver(world.stack);
        console.log(`faults_chain: after nodes behind: ${JSON.stringify(counters)}`);
      });

      await step('both are down: said, and over by itself', async () => {
        await all('down');
        await halted(world, /chain_unreachable/, 'both down');
        await all('pass');
        await took('both back');
        assert.ok(!(await halts(world.stack)).some(({ code }) => code === 'chain_unreachable'));
      });

      await step('the chain itself ends and comes back with its state', async () => {
        const port = Number(new URL(node.url).port);
        node.child.kill('SIGTERM');
        await new Promise((resolve) => node.child.once('exit', resolve));
        await halted(world, /chain_unreachable/, 'the chain is gone');
        assert.ok(fs.existsSync(state));
        const again = await startAnvil({ port, state });
        node.child = again.child;
        again.provider.destroy();
        await node.setAutomine(false);
        await node.rpc('anvil_setIntervalMining', 1);
        await took('the chain is back');
      });
    });
  } finally {
    await node.stop();
    await all('down');
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
