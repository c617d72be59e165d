// node audit_peer.mjs DIR SEED: checks the log in DIR/ours, which enclave_core/audit wrote, and writes one of its own
// into DIR/theirs, which the C++ test checks. Exits with 1 and a sentence at the first difference.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import * as tlog from './tlog.mjs';

const [dir, seed] = process.argv.slice(2);
let counter = 0;
const random = (n) => {
  let out = Buffer.alloc(0);
  while (out.length < n) out = Buffer.concat([out, createHash('sha256').update(`${seed}:${counter++}`).digest()]);
  return out.subarray(0, n);
};
const below = (n) => Number(random(6).readUIntBE(0, 6) % n);
const base64 = (hashes) => hashes.map((h) => h.toString('base64'));

function filesBelow(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

function checkOurs() {
  const ours = join(dir, 'ours');
  const text = (name) => readFileSync(join(ours, name), 'utf8');
  const note = tlog.readNote(text('checkpoint'));
  const logKey = tlog.readVkey(text('log.vkey'));
  const witnessKey = tlog.readVkey(text('witness.vkey'));
  assert.equal(logKey.type, 1);
  assert.equal(witnessKey.type, 4);
  assert.ok(tlog.verifies(note, logKey), 'the log\'s signature');
  assert.ok(tlog.verifies(note, witnessKey), 'the cosignature');
  assert.ok(!tlog.verifies({ ...note, text: note.text.replace('\n', 'x\n') }, logKey));
  const head = tlog.readCheckpoint(note.text);
  assert.equal(head.origin, logKey.name);

  const entries = [];
  for (let n = 0; entries.length < head.size; ++n) {
    const left = head.size - entries.length;
    const groups = String(n).padStart(3, '0').match(/^(\d*?)(\d{3})$/);
    const base = groups[1] === '' ? groups[2] : `x${groups[1].padStart(3, '0')}/${groups[2]}`;
    entries.push(...tlog.entriesOf(readFileSync(join(ours, 'tile/entries', left >= 256 ? base : `${base}.p/${left}`))));
  }
  assert.equal(entries.length, head.size);
  entries.forEach((entry, i) => {
    const leaf = tlog.decodeLeaf(entry);
    assert.equal(leaf.sequence, i);
    assert.ok(tlog.encodeLeaf(leaf.kind, i, entry.readBigUInt64BE(12), leaf.fields).equals(entry), 'one encoding');
  });
  const history = new tlog.History(entries.map(tlog.leafHash));
  assert.ok(history.root(head.size).equals(head.root), 'the root over all entries');
  for (const [path, content] of tlog.tilesOf(history, entries, head.size)) {
    assert.ok(readFileSync(join(ours, path)).equals(content), path);
  }
  const proofs = JSON.parse(text('proofs.json'));
  assert.ok(proofs.inclusion.length > 0 && proofs.consistency.length > 0);
  for (const p of proofs.inclusion) {
    assert.deepEqual(p.proof, base64(history.inclusion(Number(p.index), Number(p.size))), `inclusion of ${p.index} in ${p.size}`);
  }
  for (const p of proofs.consistency) {
    assert.deepEqual(p.proof, base64(history.consistency(Number(p.first), Number(p.second))), `from ${p.first} to ${p.second}`);
    assert.equal(p.first_root, history.root(Number(p.first)).toString('base64'));
  }
  const receipt = tlog.readReceipt(text('receipt.tlog-proof'));
  assert.ok(receipt.leaf.equals(entries[receipt.index]));
  assert.deepEqual(base64(receipt.proof), base64(history.inclusion(receipt.index, head.size)));
  assert.equal(receipt.note, text('checkpoint'));
  assert.equal(tlog.formatReceipt(receipt), text('receipt.tlog-proof'));
  return filesBelow(join(ours, 'tile')).map((path) => relative(ours, path)).length;
}

function writeTheirs() {
  const theirs = join(dir, 'theirs');
  const put = (name, content) => {
    mkdirSync(dirname(join(theirs, name)), { recursive: true });
    writeFileSync(join(theirs, name), content);
  };
  const size = 1 + below(1500);
  const wei = (n) => Buffer.from(n.toString(16).padStart(32, '0'), 'hex');
  let available = 0n;
  const entries = Array.from({ length: size }, (_, i) => {
    if (i % 5 === 4) return tlog.encodeLeaf(14, i, 1, { digest: random(32) });
    const delta = BigInt(below(1e9));
    available += delta;
    return tlog.encodeLeaf(3, i, 1700000000000 + i, {
      event_id: Buffer.from(`ev-${i}`), account: Buffer.from(`acc-${below(9)}`), recipient: random(20),
      balances: Buffer.concat([wei(delta), wei(available), wei(0n), wei(0n)]), ...(i % 2 ? { content_hash: random(32) } : {}),
    });
  });
  const history = new tlog.History(entries.map(tlog.leafHash));
  const log = new tlog.Signer('peer.example/log', 1, random(32));
  const witness = new tlog.Signer('peer.example/w1', 4, random(32));
  const text = tlog.checkpointText(log.name, size, history.root(size));
  const note = `${text}\n${log.sign(text)}${witness.cosign(text, 1700000000 + below(1e6))}`;
  for (const [path, content] of tlog.tilesOf(history, entries, size)) put(path, content);
  put('checkpoint', note);
  put('log.vkey', log.vkey());
  put('witness.vkey', witness.vkey());
  const pairs = Array.from({ length: 20 }, () => [1 + below(size), 1 + below(size)].sort((a, b) => a - b));
  put('proofs.json', JSON.stringify({
    inclusion: pairs.map(([a, b]) => ({ index: String(a - 1), size: String(b), root: history.root(b).toString('base64'), proof: base64(history.inclusion(a - 1, b)) })),
    consistency: pairs.map(([a, b]) => ({
      first: String(a), second: String(b), first_root: history.root(a).toString('base64'), second_root: history.root(b).toString('base64'),
      proof: base64(history.consistency(a, b)),
    })),
  }));
  const index = below(size);
  put('receipt.tlog-proof', tlog.formatReceipt({ leaf: entries[index], attestation: 'sha256:aa', index, proof: history.inclusion(index, size), note }));
  const old = 1 + below(size);
  const oldText = tlog.checkpointText(log.name, old, history.root(old));
  put('add-checkpoint.1', `old 0\n\n${oldText}\n${log.sign(oldText)}`);
  put('add-checkpoint.2', `old ${old}\n${base64(history.consistency(old, size)).map((h) => `${h}\n`).join('')}\n${note}`);
}

const files = checkOurs();
writeTheirs();
console.log(`${files} tiles and bundles are as the specifications have them`);
