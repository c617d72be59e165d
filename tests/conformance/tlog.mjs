// Transparency logs in JavaScript, written from the specifications alone (RFC 6962 2.1, RFC 8032; c2sp.org: signed-note,
// tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof, tlog-witness) and from docs/transparency.md for the leaf.
// Slow and plain on purpose: it is what enclave_core/audit is compared with.
import { createHash, createPrivateKey, createPublicKey, sign as rawSign, verify as rawVerify } from 'node:crypto';

export const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();
export const leafHash = (entry) => sha256(Buffer.from([0]), entry);
const nodeHash = (left, right) => sha256(Buffer.from([1]), left, right);

function split(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

// The recursive definitions of RFC 6962 2.1, over leaf hashes, with the hashes of complete subtrees remembered.
export class History {
  constructor(hashes) {
    this.hashes = hashes;
    this.known = new Map();
  }
  mth(begin, end) {
    const n = end - begin;
    if (n === 0) return sha256();
    if (n === 1) return this.hashes[begin];
    const name = `${begin}-${end}`;
    if (!this.known.has(name)) {
      const k = split(n);
      this.known.set(name, nodeHash(this.mth(begin, begin + k), this.mth(begin + k, end)));
    }
    return this.known.get(name);
  }
  root(size) {
    return this.mth(0, size);
  }
  path(m, begin, end) {
    if (end - begin === 1) return [];
    const k = split(end - begin);
    return m < k
      ? [...this.path(m, begin, begin + k), this.mth(begin + k, end)]
      : [...this.path(m - k, begin + k, end), this.mth(begin, begin + k)];
  }
  subproof(m, begin, end, whole) {
    if (m === end - begin) return whole ? [] : [this.mth(begin, end)];
    const k = split(end - begin);
    return m <= k
      ? [...this.subproof(m, begin, begin + k, whole), this.mth(begin + k, end)]
      : [...this.subproof(m - k, begin + k, end, false), this.mth(begin, begin + k)];
  }
  inclusion(index, size) {
    return this.path(index, 0, size);
  }
  consistency(first, second) {
    return this.subproof(first, 0, second, true);
  }
}

// tlog-tiles: the path and the content of each tile and bundle of a tree.
function indexPath(n) {
  const groups = [];
  do {
    groups.unshift(String(n % 1000).padStart(3, '0'));
    n = Math.floor(n / 1000);
  } while (n > 0);
  return groups.map((g, i) => (i + 1 < groups.length ? `x${g}` : g)).join('/');
}
export function tilesOf(history, entries, size) {
  const files = new Map();
  for (let level = 0; Math.floor(size / 256 ** level) > 0; ++level) {
    const count = Math.floor(size / 256 ** level);
    for (let n = 0; n * 256 < count; ++n) {
      const width = Math.min(256, count - n * 256);
      const suffix = width < 256 ? `.p/${width}` : '';
      const step = 256 ** level;
      const hashes = Array.from({ length: width }, (_, i) => history.mth((n * 256 + i) * step, (n * 256 + i + 1) * step));
      files.set(`tile/${level}/${indexPath(n)}${suffix}`, Buffer.concat(hashes));
      if (level > 0) continue;
      const bundle = entries.slice(n * 256, n * 256 + width).flatMap((entry) => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(entry.length);
        return [length, entry];
      });
      files.set(`tile/entries/${indexPath(n)}${suffix}`, Buffer.concat(bundle));
    }
  }
  return files;
}
export function entriesOf(bundle) {
  const out = [];
  for (let at = 0; at < bundle.length; ) {
    const length = bundle.readUInt16BE(at);
    if (at + 2 + length > bundle.length) throw new Error('a bundle is cut off');
    out.push(bundle.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return out;
}

// Ed25519 by node, which wants DER around raw keys (RFC 8410).
const PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex');
const privateKey = (seed) => createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' });
const publicOf = (seed) => createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(PUBLIC.length);

export class Signer {
  constructor(name, type, seed) {
    Object.assign(this, { name, type, seed, raw: publicOf(seed) });
    this.id = sha256(Buffer.from(`${name}\n`), Buffer.from([type]), this.raw).subarray(0, 4);
  }
  vkey() {
    return `${this.name}+${this.id.toString('hex')}+${Buffer.concat([Buffer.from([this.type]), this.raw]).toString('base64')}`;
  }
  line(bytes) {
    return `\u2014 ${this.name} ${Buffer.concat([this.id, bytes]).toString('base64')}\n`;
  }
  sign(text) {
    return this.line(rawSign(null, Buffer.from(text), privateKey(this.seed)));
  }
  cosign(text, time) {
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(BigInt(time));
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${text}`);
    return this.line(Buffer.concat([stamp, rawSign(null, message, privateKey(this.seed))]));
  }
}

export function readVkey(vkey) {
  const [, name, id, key] = /^([^+\s]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey);
  const bytes = Buffer.from(key, 'base64');
  const want = sha256(Buffer.from(`${name}\n`), bytes).subarray(0, 4);
  if (want.toString('hex') !== id) throw new Error('the ID is not the key\'s');
  return { name, id: want, type: bytes[0], raw: bytes.subarray(1) };
}
const check = (key, message, signature) =>
  rawVerify(null, Buffer.from(message), createPublicKey({ key: Buffer.concat([PUBLIC, key.raw]), format: 'der', type: 'spki' }), signature);

export function readNote(note) {
  const gap = note.lastIndexOf('\n\n');
  const lines = note.slice(gap + 2).split('\n');
  if (gap < 0 || lines.pop() !== '') throw new Error('not a note');
  const signatures = lines.map((line) => {
    const [, name, base64] = /^\u2014 (\S+) (\S+)$/.exec(line);
    const bytes = Buffer.from(base64, 'base64');
    return { name, id: bytes.subarray(0, 4), bytes: bytes.subarray(4) };
  });
  return { text: note.slice(0, gap + 1), signatures };
}
export function verifies(note, key) {
  const line = note.signatures.find((s) => s.name === key.name && s.id.equals(key.id));
  if (!line) return false;
  if (key.type === 1) return check(key, note.text, line.bytes);
  const time = line.bytes.readBigUInt64BE(0);
  return check(key, `cosignature/v1\ntime ${time}\n${note.text}`, line.bytes.subarray(8));
}
export const checkpointText = (origin, size, root) => `${origin}\n${size}\n${root.toString('base64')}\n`;
export function readCheckpoint(text) {
  const [origin, size, root] = text.split('\n');
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') };
}

// The leaf of docs/transparency.md: its fields in the order of their bits.
const FIELDS = [
  ['event_id', 'id'], ['payout', 8], ['item', 4], ['account', 'id'], ['recipient', 20], ['balances', 64], ['amount', 16],
  ['tx_hash', 32], ['ticket_hash', 32], ['content_hash', 32], ['digest', 32], ['hosts_word', 0],
];
export function encodeLeaf(kind, sequence, time, fields) {
  const head = Buffer.alloc(20);
  let mask = 0;
  const body = [];
  FIELDS.forEach(([name, form], bit) => {
    if (!(name in fields)) return;
    mask |= 1 << bit;
    if (form === 'id') body.push(Buffer.from([fields[name].length]));
    if (form !== 0) body.push(Buffer.from(fields[name]));
  });
  head[0] = 1;
  head[1] = kind;
  head.writeUInt16BE(mask, 2);
  head.writeBigUInt64BE(BigInt(sequence), 4);
  head.writeBigUInt64BE(BigInt(time), 12);
  return Buffer.concat([head, ...body]);
}
export function decodeLeaf(leaf) {
  const mask = leaf.readUInt16BE(2);
  const out = { version: leaf[0], kind: leaf[1], sequence: Number(leaf.readBigUInt64BE(4)), fields: {} };
  let at = 20;
  FIELDS.forEach(([name, form], bit) => {
    if (!(mask & (1 << bit))) return;
    const size = form === 'id' ? leaf[at++] : form;
    out.fields[name] = leaf.subarray(at, at + size);
    at += size;
  });
  if (at !== leaf.length) throw new Error('bytes after a leaf');
  return out;
}

// tlog-proof with Coffer's extra data.
export function readReceipt(text) {
  const [head, ...rest] = text.split('\n\n');
  const [version, extraLine, indexLine, ...proof] = head.split('\n');
  if (version !== 'c2sp.org/tlog-proof@v1') throw new Error('not a tlog-proof');
  const extra = Buffer.from(extraLine.replace(/^extra /, ''), 'base64');
  const tag = 'coffer-receipt:v1\n';
  if (extra.subarray(0, tag.length).toString() !== tag) throw new Error('not a Coffer receipt');
  const [leaf, attestation] = entriesOf(extra.subarray(tag.length));
  const index = Number(indexLine.replace(/^index /, ''));
  return { leaf, attestation: attestation.toString(), index, proof: proof.map((h) => Buffer.from(h, 'base64')), note: rest.join('\n\n') };
}
export function formatReceipt({ leaf, attestation, index, proof, note }) {
  const block = (bytes) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  const extra = Buffer.concat([Buffer.from('coffer-receipt:v1\n'), block(leaf), block(Buffer.from(attestation))]);
  const lines = proof.map((h) => `${h.toString('base64')}\n`).join('');
  return `c2sp.org/tlog-proof@v1\nextra ${extra.toString('base64')}\nindex ${index}\n${lines}\n${note}`;
}
