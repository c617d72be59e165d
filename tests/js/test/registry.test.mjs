// CheckpointRegistry: who may move a log's head, how far, and what can be proven against it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test, { after, before, beforeEach } from 'node:test';
import { SigningKey, Wallet, concat, getBytes, toBeHex } from 'ethers';
import { History, leafHash, sha256 } from '../../conformance/tlog.mjs';
import { startAnvil } from '../lib/anvil.mjs';
import { Random, testSeed } from '../lib/random.mjs';
import { deployRegistry, signStatement, statementDigest } from '../lib/registry.mjs';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const seed = testSeed('registry');
const random = new Random(seed);
const bytes32 = (text) => createHash('sha256').update(`${seed} ${text}`).digest();
let wallets = 0;
const newAudit = () => new Wallet(`0x${bytes32(`audit ${wallets++}`).toString('hex')}`);

const LEAVES = Array.from({ length: 200 }, (_, i) => Buffer.from(`leaf ${seed} ${i}`));
const HASHES = LEAVES.map(leafHash);
const TREE = new History(HASHES);

let node, registry, audit, snapshot;
const gas = [];

before(async () => {
  node = await startAnvil();
  registry = await deployRegistry(node);
  snapshot = await node.snapshot();
});
beforeEach(async () => {
  await node.revert(snapshot);
  snapshot = await node.snapshot();
  audit = newAudit();
});
after(async () => {
  await node?.stop();
  for (const [what, proof, used] of gas) console.log(`gas | ${what} | ${proof} | ${used}`);
});

const statement = (size, root, overrides = {}) => ({
  size,
  root,
  chainId: node.chainId,
  registry: registry.target,
  ...overrides,
});
/** The arguments of submit for a head of TREE, honest unless overridden. */
function submission(size, previous, { root = TREE.root(size), proof, signer = audit, signature, signed = {} } = {}) {
  return [
    audit.address,
    size,
    root,
    signature ?? signStatement(signer, statement(size, root, { audit: audit.address, ...signed })),
    proof ?? (previous > 0 ? TREE.consistency(previous, size) : []),
  ];
}
async function send(args, through = registry) {
  const receipt = await node.mined(await through.submit(...args));
  assert.equal(receipt.status, 1);
  return {
    gasUsed: receipt.gasUsed,
    events: receipt.logs.map((log) => registry.interface.parseLog(log)),
  };
}
const refuses = (args, name, ...values) =>
  assert.rejects(registry.submit.staticCall(...args), (error) => {
    assert.equal(error.revert?.name, name, error.message);
    if (values.length > 0) assert.deepEqual([...error.revert.args], values.map(BigInt));
    return true;
  });
const head = async () => {
  const { size, root, equivocated } = await registry.latest(audit.address);
  return [Number(size), root, equivocated];
};
const hex = (bytes) => `0x${bytes.toString('hex')}`;

test('the first head registers a log, a larger one with a proof follows', async () => {
  assert.deepEqual(await head(), [0, `0x${'0'.repeat(64)}`, false]);
  for (const [size, previous] of [[3, 0], [4, 3], [9, 4]]) {
    const { events } = await send(submission(size, previous));
    assert.equal(events.length, 1);
    assert.equal(events[0].name, 'CheckpointAccepted');
    assert.deepEqual([...events[0].args], [audit.address, BigInt(size), hex(TREE.root(size))]);
    assert.deepEqual(await head(), [size, hex(TREE.root(size)), false]);
    assert.equal(await registry.rootAt(audit.address, size), hex(TREE.root(size)));
  }
  const block = await node.provider.getBlock('latest');
  const { blockNumber, timestamp } = await registry.latest(audit.address);
  assert.deepEqual([Number(blockNumber), Number(timestamp)], [block.number, block.timestamp]);
});

test('logs do not touch each other, and anybody may submit', async () => {
  await send(submission(5, 0));
  const first = audit;
  audit = newAudit();
  const stranger = new Wallet(`0x${bytes32('stranger').toString('hex')}`, node.provider);
  await node.setBalance(stranger.address, 10n ** 18n);
  await send(submission(2, 0), registry.connect(stranger));
  assert.equal((await registry.latest(first.address)).size, 5n);
  assert.equal((await registry.latest(audit.address)).size, 2n);
});

test('a signature that is not the audit address over exactly this statement is refused', async () => {
  await send(submission(5, 0));
  const good = submission(8, 5);
  const other = newAudit();
  const rows = {
    'another signer': submission(8, 5, { signer: other }),
    'another chain': submission(8, 5, { signed: { chainId: node.chainId + 1 } }),
    'another registry': submission(8, 5, { signed: { registry: other.address } }),
    'another audit address inside': submission(8, 5, { signed: { audit: other.address } }),
    'another size inside': submission(8, 5, { signed: { size: 9 } }),
    'another root inside': submission(8, 5, { signed: { root: TREE.root(9) } }),
    'the digest signed without EIP-191': submission(8, 5, {
      signature: new SigningKey(audit.privateKey).sign(
        statementDigest({ audit: audit.address, ...statement(8, TREE.root(8)) }),
      ).serialized,
    }),
    'the log of nobody': ['0x0000000000000000000000000000000000000000', ...good.slice(1)],
  };
  for (const [what, args] of Object.entries(rows)) {
    await refuses(args, 'InvalidSignature').catch((error) => assert.fail(`${what}: ${error.message}`));
  }
  assert.notEqual(await registry.submit.staticCall(...good), null);
});

test('a signature has one form: low s, v of 27 or 28, 65 bytes', async () => {
  const args = submission(8, 0);
  const signature = getBytes(args[3]);
  const r = signature.slice(0, 32);
  const s = BigInt(hex(Buffer.from(signature.slice(32, 64))));
  const v = signature[64];
  const high = toBeHex(ORDER - s, 32);
  const rows = [
    concat([r, high, toBeHex(v ^ 7, 1)]), // 27 <-> 28: the same key's twin
    concat([r, high, toBeHex(v, 1)]),
    concat([r, toBeHex(s, 32), toBeHex(v - 27, 1)]),
    concat([r, toBeHex(s, 32), toBeHex(v ^ 7, 1)]),
    concat([r, toBeHex(s, 32), '0x1d']),
    concat([toBeHex(0, 32), toBeHex(s, 32), toBeHex(v, 1)]),
    concat([r, toBeHex(0, 32), toBeHex(v, 1)]),
    concat([signature, '0x00']),
    signature.slice(0, 64),
    '0x',
  ];
  for (const bad of rows) await refuses(submission(8, 0, { signature: bad }), 'InvalidSignature');
  // Every single bit of a good one.
  for (let i = 0; i < 24; ++i) {
    const flipped = Uint8Array.from(signature);
    flipped[random.below(65)] ^= 1 << random.below(8);
    await refuses(submission(8, 0, { signature: flipped }), 'InvalidSignature');
  }
  await send(args);
});

test('smaller sizes, equal ones and replays change nothing', async () => {
  await refuses(submission(0, 0, { root: sha256() }), 'NotLarger', 0, 0);
  const first = submission(5, 0);
  const second = submission(8, 5);
  await send(first);
  await send(second);
  await refuses(second, 'NotLarger', 8, 8);
  await refuses(first, 'NotLarger', 5, 8);
  await refuses(submission(7, 0), 'NotLarger', 7, 8);
  await refuses(submission(7, 0, { root: bytes32('other') }), 'NotLarger', 7, 8);
  assert.deepEqual(await head(), [8, hex(TREE.root(8)), false]);
});

test('two signed roots for one size are recorded as an equivocation, for good', async () => {
  await send(submission(5, 0));
  await send(submission(8, 5));
  for (const size of [5, 8]) {
    const forked = submission(size, 0, { root: bytes32(`fork ${size}`) });
    const { events } = await send(forked);
    assert.equal(events.length, 1);
    assert.equal(events[0].name, 'Equivocation');
    assert.deepEqual(
      [...events[0].args],
      [audit.address, BigInt(size), hex(TREE.root(size)), hex(forked[2]), forked[3]],
    );
    assert.deepEqual(await head(), [8, hex(TREE.root(8)), true], 'the head stays');
    assert.equal(await registry.rootAt(audit.address, size), hex(TREE.root(size)));
  }
  await refuses(submission(8, 0, { root: bytes32('x'), signer: newAudit() }), 'InvalidSignature');
  await send(submission(9, 8));
  assert.deepEqual(await head(), [9, hex(TREE.root(9)), true], 'it is never forgotten');
});

test('a larger tree that did not grow out of the accepted one is refused', async () => {
  await send(submission(5, 0));
  const good = TREE.consistency(5, 11);
  const elsewhere = new History([...HASHES.slice(0, 4), bytes32('rewritten'), ...HASHES.slice(5)]);
  const rows = [
    { root: elsewhere.root(11), proof: elsewhere.consistency(5, 11) },
    { root: elsewhere.root(11) },
    { root: bytes32('root') },
    { proof: [] },
    { proof: good.slice(1) },
    { proof: good.slice(0, -1) },
    { proof: [...good, bytes32('more')] },
    { proof: [bytes32('more'), ...good] },
    { proof: [...good].reverse() },
    { proof: TREE.consistency(4, 11) },
    { proof: TREE.consistency(5, 12) },
    ...good.map((_, i) => ({ proof: good.with(i, bytes32(`wrong ${i}`)) })),
  ];
  for (const row of rows) await refuses(submission(11, 5, row), 'NotConsistent', 5, 11);
  await refuses(submission(11, 0, { proof: [bytes32('none is needed')] }), 'NotConsistent', 5, 11);
  audit = newAudit();
  await refuses(submission(11, 0, { proof: [bytes32('none is needed')] }), 'NotConsistent', 0, 11);
});

test('growth between all sizes up to 40 is accepted with its proof and with no other', async () => {
  for (let first = 1; first < 40; ++first) {
    audit = newAudit();
    await send(submission(first, 0));
    const calls = [];
    for (let second = first + 1; second <= 40; ++second) {
      const args = submission(second, first);
      calls.push(registry.submit.staticCall(...args));
      const at = random.below(Math.max(1, args[4].length));
      const wrong = args[4].length > 0 ? args[4].with(at, bytes32('wrong')) : [bytes32('wrong')];
      calls.push(refuses(args.with(4, wrong), 'NotConsistent'));
    }
    await Promise.all(calls);
  }
});

test('inclusion proofs of trees of 1 to 70 leaves hold, and wrong ones do not', async () => {
  const [address] = [audit.address];
  for (let size = 1; size <= 70; ++size) {
    await send(submission(size, size - 1));
    const indexes = size <= 12 ? Array.from({ length: size }, (_, i) => i) : [0, size - 1, random.below(size), random.below(size)];
    await Promise.all(
      indexes.map(async (index) => {
        const proof = TREE.inclusion(index, size);
        const says = (at, leaf, path, n = size) => registry.verifyInclusion(address, n, at, leaf, path);
        assert.equal(await says(index, LEAVES[index], proof), true, `${index} of ${size}`);
        assert.equal(await registry.verifyInclusionOfHash(address, 0, index, HASHES[index], proof), true);
        const bad = random.pick([
          () => says(index, LEAVES[index + 1], proof),
          () => says(size, LEAVES[index], proof),
          () => says(index, LEAVES[index], [...proof, bytes32('more')]),
          () => says(index, LEAVES[index], proof.length > 0 ? proof.slice(1) : [bytes32('one')]),
          () => says(index, LEAVES[index], proof.length > 0 ? proof.with(random.below(proof.length), bytes32('no')) : [bytes32('no')]),
          () => says(index, LEAVES[index], proof, 71),
          () => registry.verifyInclusion(newAudit().address, size, index, LEAVES[index], proof),
          () => registry.verifyInclusion(newAudit().address, 0, index, LEAVES[index], proof),
        ]);
        assert.equal(await bad(), false, `a wrong proof of ${index} of ${size}`);
      }),
    );
  }
  // What was accepted earlier stays provable.
  assert.equal(await registry.verifyInclusion(address, 33, 7, LEAVES[7], TREE.inclusion(7, 33)), true);
});

// A tree of any size whose complete subtrees are random hashes, except where a cut goes through.
class SparseTree {
  constructor(name, cuts) {
    Object.assign(this, { name, cuts: cuts.map(BigInt) });
  }
  mth(begin, end) {
    const n = end - begin;
    const whole = (n & (n - 1n)) === 0n && !this.cuts.some((cut) => begin < cut && cut < end);
    if (whole) return bytes32(`${this.name} ${begin} ${end}`);
    const middle = begin + SparseTree.split(n);
    return sha256(Buffer.from([1]), this.mth(begin, middle), this.mth(middle, end));
  }
  static split(n) {
    let k = 1n;
    while (k * 2n < n) k *= 2n;
    return k;
  }
  inclusion(index, begin, end) {
    if (end - begin === 1n) return [];
    const middle = begin + SparseTree.split(end - begin);
    return index < middle
      ? [...this.inclusion(index, begin, middle), this.mth(middle, end)]
      : [...this.inclusion(index, middle, end), this.mth(begin, middle)];
  }
  consistency(first, begin, end, whole = true) {
    if (first === end) return whole ? [] : [this.mth(begin, end)];
    const middle = begin + SparseTree.split(end - begin);
    return first <= middle
      ? [...this.consistency(first, begin, middle, whole), this.mth(middle, end)]
      : [...this.consistency(first, middle, end, false), this.mth(begin, middle)];
  }
}
const big = (bits) => (BigInt(random.uint32()) << 32n | BigInt(random.uint32())) >> BigInt(64 - bits) | 1n << BigInt(bits - 1);

test('big trees: growth and inclusion, up to the largest size there is', async () => {
  const rows = [
    ['1 million leaves, 600 more', 1_000_000n, 1_000_600n],
    ['100 million leaves, 60,000 more', 100_000_000n, 100_060_000n],
    ['the longest proof there is', (1n << 61n) + 1n, (1n << 62n) - 1n],
    ...Array.from({ length: 30 }, (_, i) => {
      const a = big(8 + random.below(54));
      return [`random ${i}`, a, a + big(1 + random.below(40))];
    }),
  ];
  for (const [what, first, second] of rows) {
    audit = newAudit();
    const index = first - 1n - (big(20) % first);
    const tree = new SparseTree(what, [first, index, index + 1n]);
    const [before_, after_] = [tree.mth(0n, first), tree.mth(0n, second)];
    const one = await send(submission(first, 0, { root: before_, proof: [] }));
    const proof = tree.consistency(first, 0n, second);
    const two = await send(submission(second, 0, { root: after_, proof }));
    assert.equal(two.events[0].name, 'CheckpointAccepted');
    assert.ok(two.gasUsed < 250_000n, `${what}: ${two.gasUsed}`);
    const path = tree.inclusion(index, 0n, second);
    const leaf = tree.mth(index, index + 1n);
    const claim = [audit.address, second, index, leaf];
    assert.equal(await registry.verifyInclusionOfHash(...claim, path), true, what);
    const wrong = path.with(random.below(path.length), bytes32('wrong'));
    assert.equal(await registry.verifyInclusionOfHash(...claim, wrong), false, what);
    if (what.startsWith('random')) continue;
    const includes = await registry.verifyInclusionOfHash.estimateGas(...claim, path);
    if (gas.length === 0) gas.push(['first head of a log', 0, one.gasUsed]);
    gas.push([`growth: ${what}`, proof.length, two.gasUsed]);
    gas.push([`inclusion (a call of its own): ${what}`, path.length, includes]);
  }
});
