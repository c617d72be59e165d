// The transparency log through the JSON protocol: what a client is told of each leaf, the heads that
// the enclave signs, and who may write. Judges: ethers for the statement and the entries' signatures,
// the independent log implementation of tests/conformance for notes, leaves and the tree.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { getBytes, hexlify, solidityPackedKeccak256, verifyMessage } from 'ethers';
import * as tlog from '../conformance/tlog.mjs';
import { BROKER, CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { writeExact } from '../js/lib/exact_json.mjs';
import { auxData } from '../js/lib/ticket.mjs';

const AUTHORITY = { flags: { profile: 'authority', storage: 'none', ...POLICY } };
const SIGNER = { flags: { profile: 'signer', 'allow-raw-messages': true, ...POLICY } };
const ALICE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const REGISTRY = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';

const credit = (event_id, amount_wei, more = {}) => ({
  orchestrator_id: 'alice',
  recipient: ALICE,
  event_id,
  amount_wei,
  ...more,
});

/** Throws unless ethers and the other implementation agree that this head is signed. */
function judgeHead(head, status, registry) {
  const digest = solidityPackedKeccak256(
    ['string', 'address', 'uint64', 'bytes32', 'uint256', 'address'],
    ['coffer-audit:checkpoint:v1', head.audit_address, head.seq, head.merkle_root, head.chain_id, registry],
  );
  assert.equal(head.message_hash, digest);
  assert.equal(verifyMessage(getBytes(digest), head.signature), head.audit_address);
  const key = tlog.readVkey(status.log_key);
  const note = tlog.readNote(head.checkpoint);
  assert.ok(tlog.verifies(note, key), 'the log key signed it');
  const { origin, size, root } = tlog.readCheckpoint(note.text);
  assert.equal(origin, key.name);
  assert.equal(BigInt(size), BigInt(head.seq));
  assert.equal(hexlify(root), head.merkle_root);
}

test('every credit is told its leaf, and the leaves make the tree whose head is signed', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const entries = [];
    for (let i = 0; i < 5; ++i) {
      const { audit_entry: entry } = await enclave.call('credit', credit(`e${i}`, 100 + i));
      assert.equal(entry.event_id, `e${i}`);
      assert.equal(BigInt(entry.seq), BigInt(entry.leaf_index) + 1n);
      assert.equal(entry.entry_hash, hexlify(tlog.leafHash(getBytes(entry.leaf))));
      const leaf = tlog.decodeLeaf(Buffer.from(getBytes(entry.leaf)));
      assert.equal(leaf.fields.event_id.toString(), `e${i}`);
      assert.equal(leaf.sequence, Number(entry.leaf_index));
      entries.push(entry);
    }
    assert.deepEqual(entries.map((e) => Number(e.leaf_index)), [2, 3, 4, 5, 6], 'after the genesis and the account');
    const status = await enclave.call('audit_status');
    assert.equal(Number(status.audit_seq), 7);
    assert.equal(status.audit_head_hash, entries.at(-1).entry_hash);
    const head = await enclave.call('audit_checkpoint', { chain_id: 42161, contract_address: REGISTRY });
    assert.equal(head.merkle_root, status.audit_merkle_root);
    judgeHead(head, status, REGISTRY);
    const plain = await enclave.call('audit_checkpoint', { chain_id: 1 });
    judgeHead(plain, status, `0x${'00'.repeat(20)}`);
    const { audit_seq, audit_merkle_root } = await enclave.call('status');
    assert.deepEqual([audit_seq, audit_merkle_root], [status.audit_seq, status.audit_merkle_root]);
  }));

test('reason and metadata are bound by their hash, and a repetition makes no leaf', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const about = { reason: 'Überweisung\nfür "Mai"', metadata: { jobs: 3, share: 0.25, list: [null, true, 'x'] } };
    const { audit_entry: entry } = await enclave.call('credit', credit('e1', 5, about));
    const text = writeExact(about); // as the client sent it: compact, keys sorted
    assert.equal(entry.content_hash, `0x${createHash('sha256').update(text).digest('hex')}`);
    const again = await enclave.call('credit', credit('e1', 5));
    assert.equal(again.idempotent, true);
    assert.equal(again.audit_entry, null);
    const { audit_entry: bare } = await enclave.call('credit', credit('e2', 5));
    assert.equal(bare.content_hash, undefined);
  }));

test('a single entry is signed by the audit address, when asked for', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const { audit_entry: bare } = await enclave.call('credit', credit('e1', 5));
    assert.equal(bare.signature, undefined);
    const { audit_entry: entry } = await enclave.call('credit', credit('e2', 5, { sign_audit_entry: true }));
    const { audit_address } = await enclave.call('audit_status');
    const digest = solidityPackedKeccak256(
      ['string', 'address', 'uint64', 'bytes32'],
      ['coffer-audit:entry:v1', audit_address, entry.leaf_index, entry.entry_hash],
    );
    assert.equal(verifyMessage(getBytes(digest), entry.signature), audit_address);
  }));

test('what is paid on a status alone is called the host\'s word', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await enclave.call('credit', credit('e1', 1000));
    const { tx_hash, ticket_hash } = await enclave.call('livepeer_prepare_redeem_tx', {
      orchestrator_id: 'alice',
      ticket_broker: BROKER,
      aux_data: auxData(3500, `0x${'22'.repeat(32)}`),
      tx: { chainId: CHAIN_ID, nonce: 0, gas: 350000, maxFeePerGas: 200000000, maxPriorityFeePerGas: 0 },
    });
    const { audit_entry: entry } = await enclave.call('confirm_payout', { tx_hash, status: 1 });
    assert.equal(entry.kind, 'item_paid');
    assert.equal(entry.hosts_word, true);
    assert.equal(entry.amount_wei, '1000');
    assert.equal(entry.paid_wei, '1000');
    assert.equal(entry.tx_hash, tx_hash);
    assert.equal(entry.ticket_hash, ticket_hash);
  }));

test('I9: nobody else writes into the log', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const before = await enclave.call('audit_status');
    await assert.rejects(enclave.call('audit_event', { kind: 'note', event_id: 'mine' }), (error) => {
      assert.equal(error.code, 'policy');
      assert.match(error.message, /the enclave alone writes its transparency log/);
      return true;
    });
    assert.deepEqual(await enclave.call('audit_status'), before);
  }));

test('the signer profile logs each signature', () =>
  withEnclave(SIGNER, async (enclave) => {
    const { audit_seq: before } = await enclave.call('audit_status');
    await enclave.call('sign_message_defunct', { message_hash: `0x${'12'.repeat(32)}` });
    const status = await enclave.call('audit_status');
    assert.equal(Number(status.audit_seq), Number(before) + 1);
    judgeHead(await enclave.call('audit_checkpoint', { chain_id: CHAIN_ID }), status, `0x${'00'.repeat(20)}`);
  }));
