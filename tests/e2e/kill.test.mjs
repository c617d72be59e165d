// SIGKILL at random moments of either process, under load: no acknowledged credit is lost, none is
// applied twice, nobody is paid twice. COFFER_KILLS says how often, COFFER_TEST_SEED when.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wallet, parseEther } from 'ethers';
import { audit, transfers } from '../js/lib/audit.mjs';
import { deployCoffer, startAnvil } from '../js/lib/chain.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { JournalWriter, creditLine } from '../js/lib/journal_writer.mjs';
import { temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const KILLS = Number(process.env.COFFER_KILLS ?? 25);
const seed = testSeed('kill');
const JOURNAL = makeRecipients(seed, 40, 'journal');
const BY_API = makeRecipients(seed, 10, 'api');
const MAX_WEI = 10n ** 14n;

/** Appends lines in pieces that end anywhere, until told to stop. */
class JournalLoad {
  lines = 0;
  #stopping = false;

  constructor(writer) {
    this.writer = writer;
    this.random = new Random(`${seed} journal`);
    this.done = this.#run();
  }

  #line() {
    const { random } = this;
    const id = random.pick(Object.keys(JOURNAL));
    const wei = 1n + (BigInt(random.uint32()) * MAX_WEI) / 2n ** 32n;
    const line = creditLine(id, wei, { n: this.lines++ });
    this.writer.expect(line, id, wei);
    return random.chance(0.02) ? line + line : line; // the same bytes are the same event
  }

  async #run() {
    let left = '';
    while (!this.#stopping) {
      let text = left;
      for (let i = this.random.below(120); i >= 0; i--) text += this.#line();
      const cut = this.random.below(text.length + 1);
      this.writer.append(text.slice(0, cut));
      left = text.slice(cut);
      await sleep(this.random.below(60));
    }
    this.writer.append(left);
  }

  stop() {
    this.#stopping = true;
    return this.done;
  }
}

/** Sends credits over HTTP and remembers which were acknowledged; some are never asked about again. */
class ApiLoad {
  events = [];
  acknowledged = new Set();
  #stopping = false;

  constructor(stack, name) {
    this.stack = stack;
    this.name = name;
    this.random = new Random(`${seed} api ${name}`);
    this.done = this.#run();
  }

  #batch() {
    return Array.from({ length: 1 + this.random.below(20) }, () => {
      const event = {
        id: `${this.name}-${this.events.length}`,
        account: this.random.pick(Object.keys(BY_API)),
        amount_wei: String(1n + (BigInt(this.random.uint32()) * MAX_WEI) / 2n ** 32n),
      };
      this.events.push(event);
      return event;
    });
  }

  async #run() {
    while (!this.#stopping) {
      const events = this.#batch();
      for (let attempt = 0; attempt < 200 && !this.#stopping; attempt++) {
        if (await this.#send(events)) break;
        if (this.random.chance(0.2)) break; // gives up: perhaps applied, perhaps not
        await sleep(20);
      }
    }
  }

  async #send(events) {
    let answer;
    try {
      answer = await this.stack.api.raw('POST', '/api/ledger/events', events);
    } catch {
      return false; // killed in the middle of it
    }
    if (answer.status === 503) return false;
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    for (const { id, status } of answer.body.results) {
      assert.ok(['applied', 'duplicate'].includes(status));
      this.acknowledged.add(id);
    }
    return true;
  }

  stop() {
    this.#stopping = true;
    return this.done;
  }
}

async function killAtRandom(stack, random) {
  const victims = random.pick([['host'], ['host'], ['enclave'], ['enclave'], ['host', 'enclave']]);
  await sleep(random.chance(0.25) ? random.below(150) : random.below(1300));
  for (const victim of victims) await stack[victim].kill();
  if (random.chance(0.4)) await sleep(random.below(400));
  for (const victim of victims) stack[victim].start();
  // Often the next kill comes while this one is recovered from.
  if (random.chance(0.6)) await stack.ready();
}

/** Every credit that was acknowledged is there; the others get their answer now. */
async function settleApi(stack, load) {
  for (let i = 0; i < load.events.length; i += 500) {
    const events = load.events.slice(i, i + 500);
    for (const { id, status } of (await stack.api.credit(events)).results) {
      if (load.acknowledged.has(id))
        assert.equal(status, 'duplicate', `the acknowledged credit ${id} was lost`);
    }
  }
}

// By whichever way, each account was owed exactly this.
function expectedOf(writer, loads) {
  const expected = new Map(writer.owed);
  for (const { account, amount_wei: wei } of loads.flatMap((load) => load.events))
    expected.set(account, (expected.get(account) ?? 0n) + BigInt(wei));
  return expected;
}

async function neverPaidTwice(stack, chain) {
  const items = (await stack.api.payouts()).flatMap((payout) => payout.items);
  assert.ok(items.length > 0, 'nobody was paid');
  assert.ok(items.every((item) => item.state === 'paid' && item.paid === item.amount));
  const paid = await transfers(chain, stack.address);
  assert.equal(paid.length, items.length);
  assert.equal(new Set(items.map((item) => item.ticket_hash)).size, items.length);
}

test(`${KILLS} kills under load`, { timeout: 60_000 + KILLS * 8_000 }, async () => {
  const folder = temporaryFolder();
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const node = await startAnvil();
  try {
    const chain = await deployCoffer(node);
    await chain.registerTranscoders([...Object.values(JOURNAL), ...Object.values(BY_API)]);
    await node.setAutomine(false);
    await node.rpc('anvil_setIntervalMining', 1);
    const options = {
      chain,
      recipients: { ...JOURNAL, ...BY_API },
      journal: writer.file,
      enclave: { 'snapshot-interval': '64KiB' },
      host: {
        'store.segment-bytes': '1MiB',
        'payouts.interval': '700ms',
        'payouts.max-tickets': 8,
      },
    };
    await withStack(options, (stack) => underLoad(stack, chain, writer));
  } finally {
    await node.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

async function underLoad(stack, chain, writer) {
  const sender = new Wallet(stack.key).address;
  await chain.node.setAutomine(true);
  await chain.fundBroker(sender, { deposit: parseEther('5000'), gas: parseEther('1000') });
  await chain.node.setAutomine(false);
  await chain.node.rpc('anvil_setIntervalMining', 1);
  const random = new Random(seed);
  await stack.start();
  const journal = new JournalLoad(writer);
  const loads = [1, 2, 3].map((n) => new ApiLoad(stack, `client-${n}`));
  for (let kill = 1; kill <= KILLS; kill++) {
    await killAtRandom(stack, random);
    if (kill % 25 === 0) console.log(`kill: ${kill} of ${KILLS}`);
  }
  await Promise.all([journal, ...loads].map((load) => load.stop()));
  await stack.ready();
  await stack.caughtUp();
  for (const load of loads) await settleApi(stack, load);
  await stack.payEverybody({ timeoutMs: 120_000 });
  await audit({ api: stack.api, chain, expected: expectedOf(writer, loads) });
  await neverPaidTwice(stack, chain);
  const sent = loads.reduce((sum, load) => sum + load.events.length, 0);
  const { payouts } = await stack.api.status();
  console.log(
    `kill: enclave started ${stack.enclave.starts} times, host ${stack.host.starts}; ` +
      `${journal.lines} lines, ${sent} events, ${payouts} payouts`,
  );
}
