// Work that goes on while a test breaks things: a journal that is appended to, clients that send
// credits over HTTP, and payouts. What was acknowledged is remembered, and so is what is owed.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { transfers } from './audit.mjs';
import { creditLine } from './journal_writer.mjs';
import { Random } from './random.mjs';

const MAX_WEI = 10n ** 14n;
const amount = (random) => 1n + (BigInt(random.uint32()) * MAX_WEI) / 2n ** 32n;

/** Appends lines in pieces that end anywhere, until told to stop. */
export class JournalLoad {
  lines = 0;
  #extra = '';
  #actions = [];
  #stopping = false;

  /** `recipients` {id: address}; at most `burst` lines at a time, `pauseMs` at most between. */
  constructor(writer, { seed, recipients, burst = 120, pauseMs = 60 }) {
    this.writer = writer;
    this.ids = Object.keys(recipients);
    Object.assign(this, { burst, pauseMs });
    this.random = new Random(`${seed} journal`);
    this.done = this.#run();
  }

  #line() {
    const { random } = this;
    const id = random.pick(this.ids);
    const wei = amount(random);
    const line = creditLine(id, wei, { n: this.lines++ });
    this.writer.expect(line, id, wei);
    return random.chance(0.02) ? line + line : line; // the same bytes are the same event
  }

  /** Other lines, each with its newline, that go in between. */
  add(text) {
    this.#extra += text;
  }

  /** Calls `action` when the file ends with a whole line; nothing is written meanwhile. */
  between(action) {
    return new Promise((resolve, reject) => {
      this.#actions.push(() => Promise.resolve().then(action).then(resolve, reject));
    });
  }

  async #run() {
    let left = '';
    while (!this.#stopping) {
      if (this.#actions.length > 0) {
        this.writer.append(left);
        left = '';
        for (const action of this.#actions.splice(0)) await action();
      }
      let text = left;
      for (let i = this.random.below(this.burst); i >= 0; i--) text += this.#line();
      text += this.#extra;
      this.#extra = '';
      const cut = this.random.below(text.length + 1);
      this.writer.append(text.slice(0, cut));
      left = text.slice(cut);
      await sleep(this.random.below(this.pauseMs));
    }
    this.writer.append(left + this.#extra);
  }

  stop() {
    this.#stopping = true;
    return this.done;
  }
}

/** Sends credits over HTTP and remembers which were acknowledged; some are never asked about again. */
export class ApiLoad {
  events = [];
  acknowledged = new Set();
  #stopping = false;

  constructor(stack, name, { seed, recipients, pauseMs = 0 }) {
    Object.assign(this, { stack, name, pauseMs });
    this.ids = Object.keys(recipients);
    this.random = new Random(`${seed} api ${name}`);
    this.done = this.#run();
  }

  #batch() {
    return Array.from({ length: 1 + this.random.below(20) }, () => {
      const event = {
        id: `${this.name}-${this.events.length}`,
        account: this.random.pick(this.ids),
        amount_wei: String(amount(this.random)),
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
      if (this.pauseMs > 0) await sleep(this.random.below(this.pauseMs));
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

/** Every credit that was acknowledged is there; the others get their answer now. */
export async function settleApi(stack, load) {
  for (let i = 0; i < load.events.length; i += 500) {
    const events = load.events.slice(i, i + 500);
    for (const { id, status } of (await stack.api.credit(events)).results) {
      if (load.acknowledged.has(id))
        assert.equal(status, 'duplicate', `the acknowledged credit ${id} was lost`);
    }
  }
}

/** By whichever way, each account was owed exactly this: a Map id -> wei. */
export function owedAfter(writer, loads) {
  const expected = new Map(writer.owed);
  for (const { account, amount_wei: wei } of loads.flatMap((load) => load.events))
    expected.set(account, (expected.get(account) ?? 0n) + BigInt(wei));
  return expected;
}

/** Every ticket that was made is paid, in full, by one transfer on the chain, of one of `senders`. */
export async function neverPaidTwice(stack, chain, senders = [stack.address]) {
  const items = (await stack.api.payouts()).flatMap((payout) => payout.items);
  assert.ok(items.length > 0, 'nobody was paid');
  assert.ok(items.every((item) => item.state === 'paid' && item.paid === item.amount));
  const paid = (await Promise.all(senders.map((sender) => transfers(chain, sender)))).flat();
  assert.equal(paid.length, items.length);
  assert.equal(new Set(items.map((item) => item.ticket_hash)).size, items.length);
}
