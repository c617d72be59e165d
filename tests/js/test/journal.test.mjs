// The journal generator, read back by a reader that shares no code with it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { getAddress } from 'ethers';
import { readAddresses } from '../lib/chain.mjs';
import { generateJournal } from '../lib/journal.mjs';
import { testSeed } from '../lib/random.mjs';

const PROGRAM = path.join(path.dirname(fileURLToPath(import.meta.url)), '../journal.mjs');

function generate(options) {
  let text = '';
  return {
    ...generateJournal(options, (piece) => {
      text += piece;
    }),
    text,
  };
}

// By moving the point in the text: no arithmetic in common with the generator.
function weiOf(token) {
  const [, sign, whole, fraction = '', exponent = '0'] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(token.replaceAll('"', ''));
  const zeros = 18 + Number(exponent) - fraction.length;
  const digits = whole + fraction;
  assert.ok(zeros >= 0 || /^0*$/.test(digits.slice(zeros)), `more than 18 decimals: ${token}`);
  const shifted = zeros >= 0 ? digits + '0'.repeat(zeros) : digits.slice(0, zeros);
  return BigInt(`${sign}${shifted === '' ? '0' : shifted}`);
}

function readBack(text) {
  const seen = new Set();
  const result = {
    owed: new Map(),
    counts: { credit: 0, correction: 0, zero: 0, set_balance: 0, duplicate: 0 },
    tokens: [],
  };
  for (const line of text.split(/(?<=\n)/)) {
    assert.ok(line.endsWith('\n'));
    const eventId = createHash('sha256').update(line).digest('hex');
    const { event, orchestrator_id: id } = JSON.parse(line);
    const [, token] = /"amount":("[^"]*"|[^,}]*)/.exec(line);
    if (seen.has(eventId)) {
      result.counts.duplicate++;
      continue;
    }
    seen.add(eventId);
    result.tokens.push(token);
    const wei = weiOf(token);
    if (event === 'set_balance') result.counts.set_balance++;
    else if (wei === 0n) result.counts.zero++;
    else {
      assert.equal(event, 'credit');
      result.counts[wei > 0n ? 'credit' : 'correction']++;
      const balance = (result.owed.get(id) ?? 0n) + wei;
      assert.ok(balance >= 0n, `${id} falls below zero`);
      result.owed.set(id, balance);
    }
  }
  return result;
}

test('what is expected is what the lines say, over random seeds', () => {
  const seed = testSeed('random journals');
  for (const [lines, accounts] of [
    [5000, 7],
    [3000, 300],
    [20, 50],
  ]) {
    const { text, expected, registry } = generate({ lines, accounts, seed });
    const read = readBack(text);
    assert.deepEqual(read.counts, expected.counts);
    assert.equal(Object.keys(expected.orchestrators).length, accounts);
    let total = 0n;
    for (const [id, { recipient, wei }] of Object.entries(expected.orchestrators)) {
      assert.equal(wei, String(read.owed.get(id) ?? 0n), id);
      assert.equal(recipient, registry.orchestrators[id]);
      assert.equal(recipient, getAddress(recipient));
      total += BigInt(wei);
    }
    assert.equal(expected.total_wei, String(total));
    assert.equal(BigInt(expected.credited_wei) + BigInt(expected.adjusted_wei), total);
  }
});

test('every kind of line and form of amount occurs', () => {
  const { text, expected } = generate({ lines: 20_000, accounts: 300, seed: 1 });
  for (const [kind, count] of Object.entries(expected.counts))
    assert.ok(count > 20, `${count} ${kind}`);
  const { tokens } = readBack(text);
  const forms = {
    'plain string': /^"0\.[0-9]+"$/,
    'E string': /^"[0-9.]+E-[0-9]+"$/,
    'e string': /^"[0-9.]+e-[0-9]+"$/,
    'plain number': /^[0-9.]+$/,
    'e number': /^[0-9.]+e-[0-9]+$/,
    negative: /^"?-/,
    '18 decimals': /^"0\.[0-9]{18}"$/,
    "one wei's exponent": /^"[0-9]E-18"$/,
    zero: /^"0E-18"$/,
  };
  for (const [name, form] of Object.entries(forms))
    assert.ok(
      tokens.some((token) => form.test(token)),
      name,
    );
});

test('the same seed gives the same bytes, another seed others, rate 0 no corrections', () => {
  const options = { lines: 500, accounts: 10, seed: 'a' };
  assert.equal(generate(options).text, generate(options).text);
  assert.notEqual(generate(options).text, generate({ ...options, seed: 'b' }).text);
  assert.equal(
    generate({ ...options, lines: 5000, correctionRate: 0 }).expected.counts.correction,
    0,
  );
});

test('20,000 lines take less than 2 s of processor time', () => {
  const start = process.cpuUsage();
  generate({ lines: 20_000, accounts: 300, seed: 2 });
  const { user, system } = process.cpuUsage(start);
  assert.ok(user + system < 2_000_000, `took ${user + system} us`);
});

test('journal.mjs writes the three files, with a registry that the chain can read', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'coffer-journal-'));
  try {
    const output = execFileSync(
      process.execPath,
      [PROGRAM, '--lines', '20000', '--accounts', '300', '--out', dir],
      { encoding: 'utf8' },
    );
    const journal = fs.readFileSync(path.join(dir, 'journal.jsonl'), 'utf8');
    const expected = JSON.parse(fs.readFileSync(path.join(dir, 'expected.json'), 'utf8'));
    assert.deepEqual(readBack(journal).counts, expected.counts);
    assert.ok(output.includes(expected.total_wei));
    assert.equal(readAddresses(path.join(dir, 'registry.json')).length, 300);
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
});
