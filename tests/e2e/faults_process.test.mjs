// Either process stopped for longer than every time-out, or killed, under load: SIGSTOP, SIGCONT,
// SIGKILL, of one and of both.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stepsOf, underLoad } from '../js/lib/fault_world.mjs';
import { patient } from '../js/lib/patience.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('faults_process');
const LONGER_MS = 3_000; // than --enclave-timeout, --http.timeout and --chain.timeout of the tests

test('stopped and killed', { timeout: patient(120_000) }, (t) =>
  underLoad({ name: 'faults_process', seed }, async (world) => {
    const { stack, random } = world;
    const { host, enclave } = stack;
    const step = stepsOf(t);
    const took = async (what) => console.log(`faults_process: ${what}: ${await world.goesOn(what)} ms`);

    await step('an enclave that hangs is said and counted, and goes on', async () => {
      const before = await world.metric('coffer_enclave_timeouts_total');
      enclave.signal('SIGSTOP');
      await world.standsStill(1_000);
      const reason = await world.notReady(/enclave/);
      console.log(`faults_process: a stopped enclave: ${reason}`);
      assert.equal((await stack.api.raw('GET', '/healthz')).status, 200);
      enclave.signal('SIGCONT');
      await took('an enclave that hung');
      assert.ok((await world.metric('coffer_enclave_timeouts_total')) > before);
    });

    await step('a host that hangs goes on', async () => {
      host.signal('SIGSTOP');
      await world.standsStill(LONGER_MS);
      host.signal('SIGCONT');
      await took('a host that hung');
    });

    await step('both hang, and one of them for longer', async () => {
      host.signal('SIGSTOP');
      enclave.signal('SIGSTOP');
      await sleep(LONGER_MS);
      const [first, second] = random.pick([[host, enclave], [enclave, host]]);
      first.signal('SIGCONT');
      await sleep(random.below(3_000));
      second.signal('SIGCONT');
      await took('both');
    });

    for (const round of [1, 2]) {
      const victims = random.pick([[host], [enclave], [host, enclave]]);
      await step(`SIGKILL, ${round}: ${victims.map(({ name }) => name)}`, async () => {
        await sleep(random.below(800));
        // Hung at first, and then killed: the other one has made up its mind by then.
        if (random.chance(0.3)) {
          victims[0].signal('SIGSTOP');
          await sleep(random.below(2_500));
        }
        for (const victim of victims) await victim.kill();
        await sleep(random.below(500));
        for (const victim of victims) victim.start();
        await stack.ready();
        await took(`SIGKILL of ${victims.map(({ name }) => name)}`);
      });
    }
  }));
