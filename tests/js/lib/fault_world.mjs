// The whole system under load, for a test that breaks a part of it: a chain, an enclave, a host, a
// journal that grows by some hundred lines a second, clients of the HTTP API, and payouts all the
// while. After the test everything must add up: acknowledged credits, journal, ledger, chain, log.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { audit } from './audit.mjs';
import { deployCoffer, startAnvil } from './chain.mjs';
import { makeRecipients, withStack } from './e2e.mjs';
import { JournalWriter } from './journal_writer.mjs';
import { ApiLoad, JournalLoad, neverPaidTwice, owedAfter, settleApi } from './load.mjs';
import { patient } from './patience.mjs';
import { temporaryFolder, until } from './program.mjs';
import { Random } from './random.mjs';

const BOUND_MS = 40_000; // in which work goes on after a fault is over, on a busy machine

const HOST = {
  'enclave-timeout': '2s',
  'http.timeout': '2s',
  'store.segment-bytes': '1MiB',
  'payouts.interval': '500ms',
  'payouts.max-tickets': 8,
  'chain.timeout': '2s',
};

class FaultWorld {
  constructor(fields) {
    Object.assign(this, fields);
    this.random = new Random(`${this.seed} faults`);
  }

  startLoad() {
    const { seed, stack } = this;
    this.journal = new JournalLoad(this.writer, {
      seed,
      recipients: this.byJournal,
      burst: 40,
      pauseMs: 80,
    });
    const client = { seed, recipients: this.byApi, pauseMs: 60 };
    this.clients = [1, 2].map((n) => new ApiLoad(stack, `client-${n}`, client));
  }

  acknowledged() {
    return this.clients.reduce((sum, client) => sum + client.acknowledged.size, 0);
  }

  /** How far each kind of work has come; `paid` and `offset` are the host's words. */
  async #reached() {
    const [{ totals, log }, journal] = await Promise.all([
      this.stack.api.status(),
      this.stack.api.get('/api/journal'),
    ]);
    return {
      paid: BigInt(totals.paid),
      lines: journal.lines,
      acknowledged: this.acknowledged(),
      published: log.published_size,
    };
  }

  /**
   * From now on credits are acknowledged, the journal is read, the log is published and people are
   * paid, within the bound; gives how long that took, ms.
   */
  async goesOn(what, { timeoutMs = BOUND_MS, except = [] } = {}) {
    const began = Date.now();
    let first;
    let now;
    const behind = () =>
      Object.keys(now).filter((key) => !except.includes(key) && !(now[key] > first[key]));
    const moved = async () => {
      this.#check();
      now = await this.#reached();
      first ??= now;
      return behind().length === 0;
    };
    await until(`${what}: work going on`, moved, { timeoutMs, everyMs: 50 }).catch((error) => {
      if (now !== undefined) error.message += `; standing still: ${behind()}`;
      throw error;
    });
    return Date.now() - began;
  }

  /** For `ms` nothing is acknowledged: the fault bites. What was on its way may still arrive. */
  async standsStill(ms, graceMs = 300) {
    await sleep(graceMs);
    const before = this.acknowledged();
    await sleep(ms);
    assert.equal(this.acknowledged(), before, 'credits are acknowledged while they cannot be');
  }

  /** Waits for a reason in /readyz; gives it. */
  notReady(sentence, timeoutMs = 10_000) {
    return until(`not ready because of ${sentence}`, async () => {
      const { status, body } = await this.stack.api.raw('GET', '/readyz');
      const reasons = body.reasons.join('; ');
      return status === 503 && sentence.test(reasons) && reasons;
    }, { timeoutMs });
  }

  metric(name) {
    return this.stack.api.metric(name);
  }

  /** Waits until a metric is above what it was. */
  counted(name, before, timeoutMs = 10_000) {
    return until(`${name} above ${before}`, async () => (await this.metric(name)) > before, { timeoutMs });
  }

  #check() {
    this.stack.host.check();
    this.stack.enclave.check();
  }

  /** The load ends; everything that was promised is there, and only once. */
  async settle() {
    const { stack, chain } = this;
    await Promise.all([this.journal, ...this.clients].map((load) => load.stop()));
    await this.node.rpc('anvil_setIntervalMining', 0);
    await this.node.setAutomine(true);
    await this.node.mine();
    await stack.ready();
    await stack.caughtUp();
    for (const client of this.clients) await settleApi(stack, client);
    await stack.payEverybody({ timeoutMs: 60_000 });
    await audit({ api: stack.api, chain, expected: owedAfter(this.writer, this.clients) });
    await neverPaidTwice(stack, chain);
    this.#check();
    assert.deepEqual((await stack.api.status()).log.warnings, []);
    const sent = this.clients.reduce((sum, client) => sum + client.events.length, 0);
    const { payouts } = await stack.api.status();
    console.log(`${this.name}: ${this.journal.lines} lines, ${sent} events, ${payouts} payouts, to the wei`);
  }
}

/** Subtests one after the other in one world: after one that failed there are no more. */
export const stepsOf = (t) => async (name, body) => {
  let failure;
  await t.test(name, { timeout: patient(120_000) }, async () => {
    try {
      await body();
    } catch (error) {
      failure = error;
      throw error;
    }
  });
  if (failure !== undefined) throw failure;
};

/**
 * Runs `body(world)` under load. `options`: `node` (an anvil that runs already, or one is started),
 * `prepare(stack, world)` before anything is started, `stack`, `host`, `enclave` (options and flags).
 */
export async function underLoad({ name, seed, node, prepare, host, enclave, stack: more }, body) {
  const folder = temporaryFolder();
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const ownNode = node === undefined;
  const chainNode = node ?? (await startAnvil());
  try {
    const byJournal = makeRecipients(seed, 12, 'journal');
    const byApi = makeRecipients(seed, 6, 'api');
    const recipients = { ...byJournal, ...byApi };
    const chain = await deployCoffer(chainNode);
    await chain.registerTranscoders(Object.values(recipients));
    const options = {
      ...more,
      chain,
      recipients,
      journal: writer.file,
      enclave: { 'snapshot-interval': '64KiB', ...enclave },
      host: { ...HOST, ...host },
    };
    await withStack(options, async (stack) => {
      await chain.fundBroker(stack.address, { deposit: parseEther('5000'), gas: parseEther('1000') });
      await chainNode.setAutomine(false);
      await chainNode.rpc('anvil_setIntervalMining', 1);
      const world = new FaultWorld({ name, seed, stack, chain, node: chainNode, writer, folder, byJournal, byApi });
      await prepare?.(stack, world);
      await stack.start();
      world.startLoad();
      try {
        await world.goesOn(`${name}: at first`);
        await body(world);
        await world.settle();
      } finally {
        for (const load of [world.journal, ...world.clients]) void load.stop();
      }
    });
  } finally {
    if (ownNode) await chainNode.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
