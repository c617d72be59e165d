// The transparency log of a running host, read as a stranger reads it: over HTTP, with an
// implementation that shares no code with it (tests/conformance/tlog.mjs).
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { hexlify } from 'ethers';
import * as tlog from '../../conformance/tlog.mjs';
import { patient } from './patience.mjs';
import { until } from './program.mjs';

const WIDTH = 256;
const AUDIT = '/api/transparency/tee-core';

/** {status, body, headers} of a public route: no token is sent. */
export const publicGet = (api, where) => api.raw('GET', where, undefined, { token: '' });

export async function auditApi(api, where) {
  const { status, body } = await publicGet(api, `${AUDIT}${where}`);
  assert.equal(status, 200, `${where}: ${JSON.stringify(body)}`);
  return body;
}

// Waits when it is told to, as whoever reads a whole log has to; not for ever.
async function file(api, where, patience = 30) {
  const response = await fetch(`${api.base}/log/${where}`, { signal: AbortSignal.timeout(patient(30_000)) });
  if (response.status === 429 && patience > 0) {
    await response.arrayBuffer();
    await sleep(1000 * Number(response.headers.get('retry-after')));
    return file(api, where, patience - 1);
  }
  if (response.status !== 200) throw new Error(`/log/${where}: ${response.status} ${await response.text()}`);
  return Buffer.from(await response.arrayBuffer());
}

const indexPath = (n) => {
  const groups = [];
  for (let left = n; groups.length === 0 || left > 0; left = Math.floor(left / 1000)) groups.unshift(left % 1000);
  return groups.map((g, i) => `${i + 1 < groups.length ? 'x' : ''}${String(g).padStart(3, '0')}`).join('/');
};

const tilePath = (level, index, size) => {
  const width = Math.min(WIDTH, Math.floor(size / WIDTH ** (level === 'entries' ? 0 : level)) - index * WIDTH);
  return `tile/${level}/${indexPath(index)}${width === WIDTH ? '' : `.p/${width}`}`;
};

/** The published head: {note, text, origin, size, root}. */
export async function readHead(api) {
  const note = (await file(api, 'checkpoint')).toString();
  const { text } = tlog.readNote(note);
  return { note, text, ...tlog.readCheckpoint(text) };
}

/** Every leaf of the published log, hashed up to its signed root. `key`: a verifier key. */
export async function readLog(api, key) {
  const head = await readHead(api);
  assert.ok(tlog.verifies(tlog.readNote(head.note), tlog.readVkey(key)), 'the log key signed the head');
  const leaves = [];
  for (let n = 0; n * WIDTH < head.size; n++) {
    leaves.push(...tlog.entriesOf(await file(api, tilePath('entries', n, head.size))));
    const tile = await file(api, tilePath(0, n, head.size));
    const hashes = leaves.slice(n * WIDTH).map((leaf) => tlog.leafHash(leaf));
    assert.ok(tile.equals(Buffer.concat(hashes)), `tile 0/${n} is not what its leaves hash to`);
  }
  assert.equal(leaves.length, head.size);
  const history = new tlog.History(leaves.map(tlog.leafHash));
  assert.equal(hexlify(history.root(head.size)), hexlify(head.root), 'the leaves do not make the signed root');
  return { ...head, leaves, history };
}

const int128 = (bytes, signed) => {
  const value = BigInt(hexlify(bytes));
  return signed ? BigInt.asIntN(128, value) : value;
};

/** What the leaves add up to: Map id -> {available, reserved, paid}, and the events' ids. */
export function addUp(leaves) {
  const accounts = new Map();
  const events = new Set();
  leaves.forEach((bytes, index) => {
    const { sequence, fields } = tlog.decodeLeaf(bytes);
    assert.equal(sequence, index, 'a leaf is out of its place');
    if (fields.event_id) {
      const id = fields.event_id.toString();
      assert.ok(!events.has(id), `I7: event ${id} is in the log twice`);
      events.add(id);
    }
    if (!fields.account) return;
    const id = fields.account.toString();
    const account = accounts.get(id) ?? { recipient: hexlify(fields.recipient), available: 0n, reserved: 0n, paid: 0n };
    accounts.set(id, account);
    assert.equal(hexlify(fields.recipient), account.recipient, `I1: ${id}`);
    if (!fields.balances) return;
    const [delta, available, reserved, paid] = [0, 16, 32, 48].map((at) =>
      int128(fields.balances.subarray(at, at + 16), at === 0),
    );
    assert.equal(account.available + delta, available, `leaf ${index}: the deltas of ${id} do not add up`);
    Object.assign(account, { available, reserved, paid });
  });
  return { accounts, events };
}

/** Waits until everything that the enclave logged is published; the audit status then. */
export async function allPublished(api) {
  let status;
  await until('the log to be published', async () => {
    status = await auditApi(api, '/audit/status');
    return status.published !== null && status.published.size === status.audit_seq;
  });
  return status;
}

/** The log adds up to these accounts (Map id -> amounts), to the wei. Gives the log. */
export async function assertLogAgrees(api, accounts) {
  const status = await allPublished(api);
  const log = await readLog(api, status.log_key);
  const sums = addUp(log.leaves);
  assert.equal(sums.accounts.size, accounts.size, 'accounts in the log');
  for (const [id, account] of accounts) {
    const logged = sums.accounts.get(id);
    assert.ok(logged, `${id} is not in the log`);
    for (const name of ['available', 'reserved', 'paid']) {
      assert.equal(logged[name], account[name], `${id}: ${name} in the log, and in the ledger`);
    }
  }
  return { ...log, ...sums, status };
}
