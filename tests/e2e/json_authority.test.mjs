// The authority profile as the public Python clients use it, with ethers as the judge of every
// transaction, ticket and signature.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Transaction,
  Wallet,
  getBytes,
  keccak256,
  solidityPackedKeccak256,
  toUtf8Bytes,
  verifyMessage,
} from 'ethers';
import { decodeBrokerCall, redemptionLogs } from '../js/lib/broker_calls.mjs';
import { BROKER, CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { writeExact } from '../js/lib/exact_json.mjs';
import { auxData } from '../js/lib/ticket.mjs';

const AUTHORITY = { flags: { profile: 'authority', storage: 'none', ...POLICY } };
const ALICE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const BOB = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';
const MILLI = 10n ** 15n;
const MAX_OWED = (1n << 126n) - 1n; // all accounts together
const BLOCK_HASH = `0x${'22'.repeat(32)}`;
const AUX_DATA = auxData(3500, BLOCK_HASH);
const FEES = { gas: 350000, maxFeePerGas: 2n * 10n ** 8n, maxPriorityFeePerGas: 0 };

let events = 0;
const event = (account, recipient, more) => ({
  orchestrator_id: account,
  recipient,
  event_id: `json:${++events}`,
  ...more,
});

const refused = (code, sentence = /./) => (error) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, sentence);
  return true;
};

const credit = (enclave, account, recipient, amount) =>
  enclave.call('credit', event(account, recipient, { amount_wei: amount }));

const redeem = (enclave, account, nonce, more = {}) =>
  enclave.call('livepeer_prepare_redeem_tx', {
    orchestrator_id: account,
    ticket_broker: BROKER,
    aux_data: AUX_DATA,
    tx: { chainId: CHAIN_ID, nonce, ...FEES },
    ...more,
  });

const balance = async (enclave, account) =>
  (await enclave.call('balance', { orchestrator_id: account })).balance_wei;

/** The transaction of an answer, its sender and calldata judged by ethers: {tx, redemptions}. */
function judge(enclave, answer, nonce) {
  const tx = Transaction.from(answer.raw_tx);
  assert.equal(tx.hash, answer.tx_hash);
  assert.equal(tx.from, enclave.address);
  assert.equal(tx.to, BROKER);
  assert.equal(tx.chainId, CHAIN_ID);
  assert.equal(tx.nonce, nonce);
  const call = decodeBrokerCall(tx.data);
  for (const { ticket, hash, sig } of call.redemptions) {
    assert.equal(ticket.sender, enclave.address);
    assert.equal(ticket.auxData, AUX_DATA);
    assert.equal(verifyMessage(getBytes(hash), sig), enclave.address);
  }
  return { tx, ...call };
}

test('credit, balance, prepare (twice: same bytes), confirm, balance', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    assert.deepEqual(await enclave.call('address'), { address: enclave.address });
    assert.deepEqual(await enclave.call('attestation', { nonce: BLOCK_HASH }), {});
    assert.deepEqual(await enclave.call('balance', { orchestrator_id: 'orch-1' }), {
      orchestrator_id: 'orch-1',
      recipient: null,
      balance_wei: 0n,
    });
    const given = event('orch-1', ALICE, { amount_wei: 3n * MILLI, metadata: { jobs: [1, { a: null }] } });
    const { audit_entry: entry, ...credited } = await enclave.call('credit', given);
    assert.equal(entry.event_id, given.event_id);
    assert.deepEqual(credited, {
      orchestrator_id: 'orch-1',
      recipient: ALICE.toLowerCase(),
      balance_wei: 3n * MILLI,
      idempotent: false,
    });
    assert.equal((await enclave.call('credit', given)).idempotent, true);
    assert.equal(await balance(enclave, 'orch-1'), 3n * MILLI);

    const first = await redeem(enclave, 'orch-1', 5);
    const { redemptions, name } = judge(enclave, first, 5);
    assert.equal(name, 'redeemWinningTicket');
    const [{ ticket, hash }] = redemptions;
    assert.equal(ticket.recipient, ALICE);
    assert.equal(ticket.faceValue, 3n * MILLI);
    assert.equal(first.ticket_hash, hash);
    assert.equal(first.recipient, ALICE.toLowerCase());
    assert.equal(first.face_value_wei, 3n * MILLI);
    assert.deepEqual(await redeem(enclave, 'orch-1', 5), first, 'asked twice');
    assert.equal(await balance(enclave, 'orch-1'), 3n * MILLI, 'owed until it is paid');
    const status = await enclave.call('status');
    assert.equal(status.profile, 'authority');
    assert.equal(status.balances, 1n);
    assert.equal(status.pending, 1n);
    assert.match(status.ledger_root, /^0x[0-9a-f]{64}$/);

    const confirmed = await enclave.call('confirm_payout', { tx_hash: first.tx_hash, status: 1 });
    assert.equal(confirmed.tx_hash, first.tx_hash);
    assert.equal(confirmed.cleared, true);
    assert.equal(confirmed.debited, true);
    assert.equal(confirmed.orchestrator_id, 'orch-1');
    assert.equal(confirmed.balance_wei, 0n);
    assert.equal(await balance(enclave, 'orch-1'), 0n);
    const again = await enclave.call('confirm_payout', { tx_hash: first.tx_hash, status: 1 });
    assert.equal(again.balance_wei, 0n, 'confirmed twice');
    await assert.rejects(
      enclave.call('confirm_payout', { tx_hash: `0x${'77'.repeat(32)}`, status: 1 }),
      refused('unknown_transaction'),
    );
    await assert.rejects(redeem(enclave, 'orch-1', 6), refused('nothing_to_pay'));
    await assert.rejects(redeem(enclave, 'nobody', 6), refused('unknown_account'));
    assert.equal((await enclave.call('status')).pending, 0n);
  }));

test('after a failure the same ticket goes out under the next nonce, and pays once', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, 7n * MILLI);
    const first = await redeem(enclave, 'orch-1', 0);
    const failed = await enclave.call('confirm_payout', { tx_hash: first.tx_hash, status: 0 });
    assert.equal(failed.cleared, false);
    assert.equal(failed.debited, false);
    assert.equal(failed.balance_wei, 7n * MILLI);
    const second = await redeem(enclave, 'orch-1', 1);
    judge(enclave, second, 1);
    assert.equal(second.ticket_hash, first.ticket_hash);
    assert.equal(second.face_value_wei, first.face_value_wei);
    assert.notEqual(second.tx_hash, first.tx_hash);
    assert.deepEqual(await redeem(enclave, 'orch-1', 1), second);
    const done = await enclave.call('confirm_payout', { tx_hash: second.tx_hash, status: '1' });
    assert.equal(done.debited, true);
    assert.equal(done.balance_wei, 0n);
    await assert.rejects(redeem(enclave, 'orch-1', 2), refused('nothing_to_pay'));
  }));

test('the nonce is the enclave’s: another one is refused, and the answer names the next', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, MILLI);
    await credit(enclave, 'orch-2', BOB, MILLI);
    await redeem(enclave, 'orch-1', 40);
    await assert.rejects(redeem(enclave, 'orch-2', 40), refused('wrong_state', /next nonce is 41/));
    await assert.rejects(redeem(enclave, 'orch-2', 39), refused('wrong_state', /next nonce is 41/));
    await assert.rejects(redeem(enclave, 'orch-2', 45), refused('nonce_alarm', /4[15]/));
    const other = await redeem(enclave, 'orch-2', 41).catch((error) => error);
    // A nonce that the host reported too high is an alarm until it is reconciled.
    if (other instanceof Error) assert.equal(other.code, 'nonce_alarm', other.message);
    else judge(enclave, other, 41);
  }));

test('a receipt says what was really paid; what is missing is owed again', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, 9n * MILLI);
    const first = await redeem(enclave, 'orch-1', 0, { max_face_value_wei: 4n * MILLI });
    const { redemptions } = judge(enclave, first, 0);
    assert.equal(first.face_value_wei, 4n * MILLI);
    const receipt = {
      status: '0x1',
      blockNumber: '0x10',
      blockHash: `0x${'ab'.repeat(32)}`,
      transactionHash: first.tx_hash,
      logs: redemptionLogs(BROKER, redemptions[0], MILLI),
    };
    const params = { tx_hash: first.tx_hash, status: 1, receipt };
    await assert.rejects(
      enclave.call('confirm_payout', { ...params, status: 0 }),
      refused('malformed', /differs from the receipt/),
    );
    const paid = await enclave.call('confirm_payout', params);
    assert.equal(paid.debited, true);
    assert.equal(paid.cleared, true);
    assert.equal(paid.balance_wei, 8n * MILLI);
    const { tx_hash: _, ...rest } = await enclave.call('confirm_payout', { ...params, status: undefined });
    assert.equal(rest.balance_wei, 8n * MILLI);
    const lie = { ...receipt, logs: redemptionLogs(BROKER, redemptions[0], 2n * MILLI) };
    const known = await enclave.call('confirm_payout', { ...params, receipt: lie });
    assert.equal(known.balance_wei, 8n * MILLI, 'a receipt is applied once, whatever is said later');
  }));

test('events: once only, one recipient, exact to the wei', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const given = event('orch-1', ALICE, { amount_wei: 5 });
    await enclave.call('credit', given);
    await assert.rejects(
      enclave.call('credit', { ...given, amount_wei: 6 }),
      refused('event_conflict'),
    );
    await assert.rejects(
      credit(enclave, 'orch-1', BOB, 5),
      refused('recipient_mismatch'),
    );
    // Refused is not remembered: the same id with the right recipient is applied.
    const id = event('orch-1', BOB, { amount_wei: 5 });
    await assert.rejects(enclave.call('credit', id), refused('recipient_mismatch'));
    const { audit_entry: entry, ...credited } = await enclave.call('credit', { ...id, recipient: ALICE });
    assert.equal(entry.event_id, id.event_id);
    assert.deepEqual(credited, {
      orchestrator_id: 'orch-1',
      recipient: ALICE.toLowerCase(),
      balance_wei: 10n,
      idempotent: false,
    });
    for (const [amount, code] of [
      [0, 'out_of_range'],
      [-1, 'malformed'],
      [MAX_OWED + 1n, 'out_of_range'],
      [1n << 127n, 'out_of_range'],
      [(1n << 256n) - 1n, 'out_of_range'],
      [1n << 256n, 'out_of_range'],
      ['0', 'out_of_range'],
      ['', 'malformed'],
      ['ten', 'malformed'],
      [1.5, 'malformed'],
      [true, 'malformed'],
      [null, 'malformed'],
      [[1], 'malformed'],
    ]) {
      await assert.rejects(credit(enclave, 'orch-2', BOB, amount), refused(code), String(amount));
    }
    await assert.rejects(
      credit(enclave, 'orch-2', BOB, (1n << 256n) - 1n),
      new RegExp(String((1n << 256n) - 1n)),
    );
    // All forms of one number.
    let sum = 0n;
    for (const amount of [(1n << 63n) + 1n, `${10n ** 30n}`, `0x${(1n << 100n).toString(16)}`, 1]) {
      sum += BigInt(amount);
      assert.equal((await credit(enclave, 'orch-2', BOB, amount)).balance_wei, sum);
    }
    const rest = MAX_OWED - sum - 10n; // orch-1 has 10
    assert.equal((await credit(enclave, 'orch-2', BOB, rest)).balance_wei, MAX_OWED - 10n);
    await assert.rejects(credit(enclave, 'orch-2', BOB, 1), refused('out_of_range'));
  }));

test('apply_delta and apply_event', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, 100);
    const delta = (wei) => enclave.call('apply_delta', event('orch-1', ALICE, { delta_wei: wei, reason: 'x' }));
    assert.equal((await delta(-40)).balance_wei, 60n);
    assert.equal((await delta('5')).balance_wei, 65n);
    await assert.rejects(delta(0), refused('out_of_range', /must not be 0/));
    await assert.rejects(delta(-66), refused('insufficient'));
    await assert.rejects(delta(-(1n << 127n)), refused('out_of_range'));
    assert.equal((await delta(-65)).balance_wei, 0n);
    const roots = [];
    for (const given of [
      { kind: 'credit', amount_wei: 7 },
      { kind: 'delta', delta_wei: -3 },
      { kind: 'delta', delta_wei: '0x3' },
    ]) {
      const answer = await enclave.call('apply_event', event('orch-1', ALICE, given));
      assert.equal(answer.ok, true);
      roots.push(answer.ledger_root);
      assert.equal(answer.ledger_root, (await enclave.call('status')).ledger_root);
    }
    assert.equal(new Set(roots).size, 3);
    for (const [given, sentence] of [
      [{ kind: 'debit', amount_wei: 1 }, /kind/],
      [{ kind: 'credit', delta_wei: 1 }, /missing params: amount_wei/],
      [{ amount_wei: 1 }, /missing params: .*kind/],
    ]) {
      await assert.rejects(
        enclave.call('apply_event', event('orch-1', ALICE, given)),
        refused('malformed', sentence),
      );
    }
    assert.equal(await balance(enclave, 'orch-1'), 7n);
  }));

const REPORTER = new Wallet(`0x${'ab'.repeat(32)}`);

/** EIP-191 by `wallet` over the packed digest of the protocol. */
function signEvent(wallet, { orchestrator_id: account, recipient, amount_wei, delta_wei, event_id: id }) {
  const hash = (text) => keccak256(toUtf8Bytes(text));
  const [tag, type, value] =
    amount_wei === undefined ? ['delta', 'int256', delta_wei] : ['credit', 'uint256', amount_wei];
  const digest = solidityPackedKeccak256(
    ['string', 'bytes32', 'address', type, 'bytes32'],
    [`payments-tee-core:${tag}:v1`, hash(account), recipient, value, hash(id)],
  );
  return wallet.signMessage(getBytes(digest));
}

test('credits and corrections that the reporter must sign', () =>
  withEnclave(
    {
      flags: {
        ...AUTHORITY.flags,
        'credit-reporter': REPORTER.address,
        'require-credit-signature': true,
      },
    },
    async (enclave) => {
      const stranger = Wallet.createRandom();
      for (const [method, more] of [
        ['credit', { amount_wei: 5n * MILLI }],
        ['credit', { amount_wei: 1n << 125n }],
        ['apply_delta', { delta_wei: -2n * MILLI }],
        ['apply_delta', { delta_wei: 3n }],
      ]) {
        const given = event('örch-1 ', ALICE, more);
        await assert.rejects(enclave.call(method, given), refused('signature'));
        const good = await signEvent(REPORTER, { ...given, orchestrator_id: given.orchestrator_id.trim() });
        const bad = [
          await signEvent(stranger, given),
          await signEvent(REPORTER, { ...given, recipient: BOB }),
          await signEvent(REPORTER, { ...given, event_id: 'another' }),
          await signEvent(REPORTER, { ...given, orchestrator_id: 'orch-2' }),
          `${good.slice(0, -2)}${good.endsWith('1b') ? '1c' : '1b'}`,
          `0x${'00'.repeat(65)}`,
        ];
        for (const signature of bad) {
          await assert.rejects(enclave.call(method, { ...given, signature }), refused('signature'));
        }
        await assert.rejects(
          enclave.call(method, { ...given, signature: good.slice(0, -2) }),
          refused('malformed', /65 bytes/),
        );
        const answer = await enclave.call(method, { ...given, signature: good });
        assert.equal(answer.idempotent, false);
      }
      assert.equal(await balance(enclave, 'örch-1'), (1n << 125n) + 3n * MILLI + 3n);
    },
  ));

test('prepare_payouts: several accounts in one transaction, all or nothing', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, 5n * MILLI);
    await credit(enclave, 'orch-2', BOB, 6n * MILLI);
    const chain = { nonce: 0, round: 3500, round_block_hash: BLOCK_HASH, chainId: CHAIN_ID, ...FEES };
    const prepare = (payouts, more = {}) =>
      enclave.call('prepare_payouts', { payouts, chain, ...more });
    for (const [payouts, code] of [
      [[], 'malformed'],
      [[{ orchestrator_id: 'orch-1' }, { orchestrator_id: 'orch-1' }], 'malformed'],
      [[{ orchestrator_id: 'orch-1' }, { orchestrator_id: 'nobody' }], 'unknown_account'],
      [[{ orchestrator_id: 'orch-1' }, { orchestrator_id: 'orch-2', amount_wei: 6n * MILLI + 1n }], 'insufficient'],
      [[{ orchestrator_id: 'orch-1', amount_wei: 0 }], 'out_of_range'],
    ]) {
      await assert.rejects(prepare(payouts), refused(code), writeExact(payouts));
    }
    const answer = await prepare([
      { orchestrator_id: 'orch-1' },
      { orchestrator_id: 'orch-2', amount_wei: 2n * MILLI },
    ]);
    const { name, redemptions } = judge(enclave, answer, 0);
    assert.equal(name, 'batchRedeemWinningTickets');
    assert.deepEqual(
      redemptions.map(({ ticket, hash }) => [ticket.recipient, ticket.faceValue, hash]),
      [[ALICE, 5n * MILLI], [BOB, 2n * MILLI]].map((pair, i) => [...pair, answer.tickets[i].ticket_hash]),
    );
    const receipt = {
      status: 1,
      logs: redemptions.flatMap((redemption) => redemptionLogs(BROKER, redemption)),
    };
    const confirmed = await enclave.call('confirm_payout', { tx_hash: answer.tx_hash, receipt });
    assert.equal(confirmed.cleared, true);
    assert.equal(confirmed.orchestrator_id, null);
    assert.equal(await balance(enclave, 'orch-1'), 0n);
    assert.equal(await balance(enclave, 'orch-2'), 4n * MILLI);
    await assert.rejects(
      prepare([{ orchestrator_id: 'orch-2' }], { strategy: 'eth_transfer' }),
      refused('policy', /allow_eth_transfer/),
    );
  }));

test('a plain transfer, where the policy allows one', () =>
  withEnclave({ flags: { ...AUTHORITY.flags, 'allow-eth-transfer': true } }, async (enclave) => {
    await credit(enclave, 'orch-1', ALICE, 5n * MILLI);
    const answer = await enclave.call('prepare_payouts', {
      payouts: [{ orchestrator_id: 'orch-1' }],
      strategy: 'eth_transfer',
      chain: { nonce: 3, gas: 21000, gasPrice: 10 },
    });
    const tx = Transaction.from(answer.raw_tx);
    assert.deepEqual([tx.from, tx.to, tx.value, tx.nonce, tx.data], [enclave.address, ALICE, 5n * MILLI, 3, '0x']);
  }));

test('fundDeposit goes to the policy’s broker and to no other', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const fund = (more = {}) =>
      enclave.call('livepeer_prepare_fund_deposit_tx', {
        ticket_broker: BROKER,
        amount_wei: MILLI,
        tx: { nonce: 0, gas: 90000, gasPrice: 2n * 10n ** 8n },
        ...more,
      });
    await assert.rejects(fund({ ticket_broker: ALICE }), refused('policy', /broker/));
    await assert.rejects(fund({ amount_wei: 10n ** 19n + 1n }), refused('policy', /max_fund_deposit/));
    await assert.rejects(fund({ amount_wei: 0 }), refused('out_of_range'));
    await assert.rejects(
      fund({ tx: { nonce: 0, gas: 90000, gasPrice: 1, to: ALICE } }),
      refused('malformed', /`tx\.to` is not known/),
    );
    await assert.rejects(
      fund({ tx: { nonce: 0, gas: 90000, gasPrice: 1, chainId: 1 } }),
      refused('policy', /chain_id/),
    );
    const answer = await fund();
    assert.equal(answer.amount_wei, MILLI);
    const { tx, name } = judge(enclave, answer, 0);
    assert.equal(name, 'fundDeposit');
    assert.equal(tx.value, MILLI);
    // A client that lost the answer asks again: nothing is signed twice.
    assert.deepEqual(await fund(), answer);
    await assert.rejects(fund({ amount_wei: MILLI + 1n }), refused('wrong_state', /next nonce is 1/));
    await credit(enclave, 'orch-1', ALICE, 1);
    await assert.rejects(redeem(enclave, 'orch-1', 1, { ticket_broker: BOB }), refused('policy', /broker/));
    judge(enclave, await redeem(enclave, 'orch-1', 1), 1);
    await enclave.call('confirm_payout', { tx_hash: answer.tx_hash, status: 1 });
    await assert.rejects(fund(), refused('wrong_state', /next nonce is 2/));
  }));

test('the state travels as a blob into a fresh enclave, and nowhere else', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const given = event('orch-1', ALICE, { amount_wei: 3n * MILLI });
    await enclave.call('credit', given);
    const prepared = await redeem(enclave, 'orch-1', 11);
    const exported = await enclave.call('export_state');
    await assert.rejects(enclave.call('load_state', exported), refused('already_loaded'));
    await enclave.restart();
    const blob = Buffer.from(exported.blob_b64, 'base64');
    for (const at of [0, 20, blob.length >> 1, blob.length - 1]) {
      const bad = Buffer.from(blob);
      bad[at] ^= 1;
      await assert.rejects(
        enclave.call('load_state', { blob_b64: bad.toString('base64') }),
        refused('state_refused'),
      );
    }
    await assert.rejects(
      enclave.call('load_state', { blob_b64: blob.subarray(0, -9).toString('base64') }),
      refused('state_refused'),
    );
    assert.deepEqual(await enclave.call('load_state', { blob_b64: exported.blob_b64 }), {
      ok: true,
      balances: 1n,
      pending: 1n,
      ledger_root: exported.ledger_root,
    });
    assert.equal((await enclave.call('credit', given)).idempotent, true);
    assert.deepEqual(await redeem(enclave, 'orch-1', 11), prepared);
    const confirmed = await enclave.call('confirm_payout', { tx_hash: prepared.tx_hash, status: 1 });
    assert.equal(confirmed.balance_wei, 0n);
    // Another key's enclave has no use for it.
    await withEnclave(AUTHORITY, (other) =>
      assert.rejects(other.call('load_state', exported), refused('state_refused')),
    );
  }));

test('what signs as asked does not exist here, and the answer says why', () =>
  withEnclave(AUTHORITY, async (enclave) => {
    const tx = { chainId: CHAIN_ID, nonce: 0, gas: 21000, gasPrice: 1, to: ALICE, value: 1 };
    const ticket = { recipient: ALICE, faceValue: 1, senderNonce: 1, auxData: AUX_DATA };
    for (const [method, params] of [
      ['sign_transaction', { tx }],
      ['sign_message_defunct', { message_hash: BLOCK_HASH }],
      ['sign_ticket', { ticket: { ...ticket, recipientRandHash: BLOCK_HASH } }],
    ]) {
      await assert.rejects(
        enclave.call(method, params),
        refused('wrong_profile', /authority profile: it signs nothing that it did not build itself/),
      );
    }
    assert.equal((await enclave.status()).signatures, '0');
  }));
