// Wall clocks that jump by days, of the host and of the enclave, forward and back, under load: what
// is timed goes on (timers are monotonic), and velocity limits begin no window anew when the clock
// goes back. By Debian's libfaketime, which reads the offset from a file.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { driver } from '../js/lib/e2e.mjs';
import { stepsOf, underLoad } from '../js/lib/fault_world.mjs';
import { patient } from '../js/lib/patience.mjs';
import { until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('faults_clock');
const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((file) => fs.existsSync(file));
const DAY = 86_400;
const SIGNATURES = 40; // payouts in an hour; the load makes more in ten seconds

/** The clock of a program that is not started yet: set(seconds) moves it by so much. */
class Clock {
  seconds = 0;

  constructor(program, folder) {
    this.program = program;
    this.file = path.join(folder, `${program.name}.clock`);
    this.set(0);
    Object.assign(program.env, {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    });
  }

  set(seconds) {
    this.seconds = seconds;
    fs.writeFileSync(`${this.file}.new`, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}\n`);
    fs.renameSync(`${this.file}.new`, this.file);
  }

  /** The time of the program's last line of log, seconds from now. */
  logged() {
    const times = this.program.text().match(/^\d{4}-\d\d-\d\dT[\d:.]+Z/gm);
    return (Date.parse(times.at(-1)) - Date.now()) / 1000;
  }
}

test('clocks that jump', { timeout: patient(150_000) }, async (t) => {
  if (LIBRARY === undefined) return t.skip('libfaketime is not installed (./dev setup)');
  const step = stepsOf(t);
  const clocks = {};
  await underLoad({
    name: 'faults_clock', seed,
    enclave: { 'velocity-window': '1h', 'velocity-signatures': SIGNATURES },
    prepare: (stack, world) => {
      clocks.host = new Clock(stack.host, world.folder);
      clocks.enclave = new Clock(stack.enclave, world.folder);
    },
  }, async (world) => {
    const { stack } = world;
    const { host, enclave } = clocks;
    const took = async (what, options) =>
      console.log(`faults_clock: ${what}: ${await world.goesOn(what, options)} ms`);
    const limited = () => until('the velocity limit', async () => {
      const { halts, notes } = await driver(stack);
      const said = JSON.stringify([halts, notes]);
      if (!/velocity/.test(said)) throw new Error(said);
      return said;
    }, { timeoutMs: 20_000 });
    const signed = async () => (await stack.api.status()).payouts;

    await step('the host: days forward, days back', async () => {
      for (const days of [3, -400, 0]) {
        host.set(days * DAY);
        await sleep(1_100); // until the library looks again
        await took(`the host's clock at ${days} days`, { except: ['paid'] });
        await stack.api.post('/api/payouts/run').catch(() => {}); // something to be logged
        stack.host.signal('SIGHUP');
        await until('a line of the log', () => Math.abs(host.logged() - days * DAY) < 60, { timeoutMs: 5_000 });
      }
    });

    await step('the enclave: a limit is reached, and a clock set back gives no new window', async () => {
      console.log(`faults_clock: ${await limited()}`);
      const reached = await signed();
      const refusals = await world.metric('coffer_enclave_policy_refusals_total');
      for (const days of [-1, -400]) {
        enclave.set(days * DAY);
        await sleep(1_100);
        await took(`the enclave's clock at ${days} days`, { except: ['paid'] });
        await limited();
      }
      assert.equal(await signed(), reached, 'signed beyond the limit');
      await world.counted('coffer_enclave_policy_refusals_total', refusals);
    });

    await step('the enclave killed and started with a clock that is behind: the limit holds', async () => {
      const reached = await signed();
      await stack.enclave.kill();
      stack.enclave.start();
      await stack.ready();
      await took('the enclave started in the past', { except: ['paid'] });
      await limited();
      assert.equal(await signed(), reached, 'signed beyond the limit');
    });

    // Two hours further with each step, and the limit is out of the window each time.
    let hours = 2;
    enclave.set(hours * 3600);
    const ahead = setInterval(() => enclave.set((hours += 2) * 3600), 1_500);
    t.after(() => clearInterval(ahead));
    await step('the enclave: hours forward, again and again', () => took('hours ahead'));
    await step('both far ahead', async () => {
      hours = 24 * 30;
      host.set(30 * DAY);
      await took('a month ahead');
    });
  });
});
