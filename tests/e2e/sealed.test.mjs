// The enclave alone, against a storage that cheats: what was sealed comes back whole, or is refused
// with a sentence that names the record.
import assert from 'node:assert/strict';
import test from 'node:test';
import { BoundaryClient, BoundaryError, MemoryStorage, fromWei, wei } from '../js/lib/boundary.mjs';
import { Stack } from '../js/lib/coffer.mjs';
import { until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const seed = testSeed('sealed');
const random = new Random(seed);

async function withEnclave(options, body) {
  const stack = await Stack.make({ enclave: options });
  try {
    await body(stack);
  } catch (error) {
    error.message += `\n-- enclave\n${stack.enclave.tail()}`;
    throw error;
  } finally {
    await stack.close();
  }
}

/** A fresh process of the enclave and a connection to it. */
async function freshEnclave(stack) {
  await stack.enclave.kill();
  stack.enclave.start();
  return until('the enclave', () => BoundaryClient.connect(stack.endpoint));
}

let nextId = 0;
const credit = (account, amount) => ({
  id: `sealed-${++nextId}`,
  kind: 'KIND_CREDIT',
  account,
  recipient: Buffer.alloc(20, account.length),
  amount: wei(amount),
});

// Some records: one a request, for each is awaited.
async function fill(client, count, account = 'a') {
  for (let i = 0; i < count; i++) {
    const answer = await client.call('apply_events', { events: [credit(account, 1n + BigInt(i))] });
    assert.equal(answer.applied, 1);
  }
}

const copy = (storage, change = () => {}) => {
  const other = new MemoryStorage();
  other.records = new Map(storage.records);
  other.last = storage.last;
  other.snapshot = storage.snapshot && { ...storage.snapshot, chunks: [...storage.snapshot.chunks] };
  change(other);
  return other;
};

const flip = (bytes, at = random.below(bytes.length), bit = random.below(8)) => {
  const changed = Buffer.from(bytes);
  changed[at] ^= 1 << bit;
  return changed;
};

async function refused(stack, storage, sentence) {
  const client = await freshEnclave(stack);
  await assert.rejects(client.load(storage), (error) => {
    assert.ok(error instanceof BoundaryError, error.stack);
    assert.ok(['ERROR_STATE_REFUSED', 'ERROR_MALFORMED', 'ERROR_NOT_READY'].includes(error.code));
    return true;
  });
  assert.notEqual((await client.call('status')).phase, 'PHASE_READY');
  await client.close();
  if (sentence) assert.match(await reason(stack, storage), sentence);
}

// The first refusal of a load, whole.
async function reason(stack, storage) {
  const client = await freshEnclave(stack);
  try {
    await client.call('load_begin');
    for (const sealed of storage.items()) await client.call('load_record', { sealed });
    await client.call('load_end');
  } catch (error) {
    return error.message;
  } finally {
    await client.close();
  }
  return '';
}

const total = async (client) => fromWei((await client.call('status')).totals.credited);

test('records come back, are chained, and a cheating storage is found out', () =>
  withEnclave({}, async (stack) => {
    const storage = new MemoryStorage();
    let client = await freshEnclave(stack);
    await client.load(storage);
    await fill(client, 12);
    const expected = await total(client);
    const last = Number(storage.last);
    assert.ok(last >= 12);

    client = await freshEnclave(stack);
    await client.load(copy(storage));
    assert.equal(await total(client), expected);

    const set = (sequence, sealed) => (other) => other.records.set(BigInt(sequence), sealed);
    const at = (sequence) => storage.records.get(BigInt(sequence));
    const cases = [
      ['missing', (other) => other.records.delete(5n), /record 5 is missing/],
      ['altered', set(5, flip(at(5), at(5).length - 20)), /record 5.*altered/],
      ['twice', set(5, at(4)), /record/],
      ['truncated', set(5, at(5).subarray(0, 40)), /sealed record of 40 bytes/],
      ['empty', set(5, Buffer.alloc(0)), undefined],
      ['reordered', (other) => (set(5, at(6))(other), set(6, at(5))(other)), /record/],
      ['the first is missing', (other) => other.records.delete(1n), /record 1 is missing/],
    ];
    for (const [name, change, sentence] of cases) {
      await refused(stack, copy(storage, change), sentence).catch((error) => {
        error.message = `${name}: ${error.message}`;
        throw error;
      });
    }
    for (let i = 0; i < 10; i++) {
      const sequence = 1 + random.below(last);
      await refused(stack, copy(storage, set(sequence, flip(at(sequence)))));
    }
  }));

test('records of another run of the same key do not mix with these', () =>
  withEnclave({}, async (stack) => {
    const storages = [];
    for (let run = 0; run < 2; run++) {
      const storage = new MemoryStorage();
      const client = await freshEnclave(stack);
      await client.load(storage);
      await fill(client, 6);
      storages.push(storage);
    }
    const [one, two] = storages;
    const mixed = copy(one, (other) => other.records.set(6n, two.records.get(6n)));
    await refused(stack, mixed, /record 6/);
  }));

test('nothing is acknowledged before the storage says so', () =>
  withEnclave({}, async (stack) => {
    const client = await freshEnclave(stack);
    const silent = new MemoryStorage();
    await client.load(silent);
    const keep = silent.keep.bind(silent);
    const held = [];
    silent.keep = (store) => void held.push(keep(store));
    let answered = false;
    const answer = client
      .call('apply_events', { events: [credit('a', 7n)] })
      .then(() => (answered = true));
    await until('a record', () => held.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(answered, false, 'acknowledged before it was stored');
    // Another connection takes the storage over with what is there, and lets it go.
    silent.keep = keep;
    const second = await BoundaryClient.connect(stack.endpoint);
    await second.attach(silent);
    await answer;
    assert.equal(await total(client), 7n);
  }));

test('snapshots carry the state, and their chunks cannot be mixed, cut or dropped', () =>
  withEnclave({ 'snapshot-interval': '64KiB' }, async (stack) => {
    const storage = new MemoryStorage();
    let client = await freshEnclave(stack);
    await client.load(storage);
    for (let i = 0; storage.snapshot === undefined; i++) {
      assert.ok(i < 200, 'no snapshot came');
      const events = Array.from({ length: 500 }, (_, k) => credit(`account-${i}-${k}`, 3n));
      await client.call('apply_events', { events });
    }
    // Records after the newest snapshot, whenever it comes.
    while (storage.last < storage.snapshot.sequence + 3n) await fill(client, 1);
    const expected = await total(client);
    // What stands in the snapshot is needed no more.
    const trimmed = copy(storage, (other) => {
      for (const sequence of other.records.keys())
        if (sequence < other.snapshot.sequence) other.records.delete(sequence);
    });
    client = await freshEnclave(stack);
    await client.load(copy(trimmed)); // what it seals from now on is of no interest
    assert.equal(await total(client), expected);

    const { chunks } = trimmed.snapshot;
    const replace = (index, sealed) => (other) => (other.snapshot.chunks[index] = sealed);
    await refused(stack, copy(trimmed, replace(0, flip(chunks[0], chunks[0].length - 30))), /altered/);
    await refused(stack, copy(trimmed, (other) => other.snapshot.chunks.pop()));
    if (chunks.length > 1)
      await refused(stack, copy(trimmed, (other) => other.snapshot.chunks.reverse()));
    await refused(
      stack,
      copy(trimmed, (other) => other.records.delete(other.snapshot.sequence + 1n)),
      /is missing/,
    );
  }));
