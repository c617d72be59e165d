// A signer's policy from outside: one transaction just inside each rule and one just outside, and
// 20,000 altered ones, judged by ethers alone.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  MaxUint256,
  Transaction,
  Wallet,
  ZeroAddress,
  getBytes,
  hexlify,
  keccak256,
  toBeHex,
  verifyMessage,
} from 'ethers';
import {
  BROKER_INTERFACE,
  decodeBrokerCall,
  redemptionCalldata,
} from '../js/lib/broker_calls.mjs';
import { BROKER, CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { parseExact } from '../js/lib/exact_json.mjs';
import { encodeCall, pipeline } from '../js/lib/json_client.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { auxData, ticketHash } from '../js/lib/ticket.mjs';

const MUTATIONS = Number(process.env.COFFER_MUTATIONS ?? 20_000);
const seed = testSeed('policy_edges');
const random = new Random(seed);

const KEY = keccak256(Buffer.from(seed));
const WALLET = new Wallet(KEY);
const ALICE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const BOB = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';
const EVE = '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB';
const WIN_PROB = MaxUint256 >> 1n;
const GWEI = 10n ** 9n;

const FLAGS = {
  profile: 'signer',
  ...POLICY,
  'max-face-value-wei': 1000,
  'max-batch-total-wei': 2500,
  'max-tickets': 3,
  'win-prob': WIN_PROB,
  'allow-eth-transfer': true,
  'max-transfer-wei': 500,
  'allowed-recipients': `${ALICE},${BOB}`,
  'require-allowlist': true,
  'max-gas-limit': 500_000,
  'max-fee-per-gas-wei': 10n * GWEI,
  'max-priority-fee-per-gas-wei': 2n * GWEI,
  'max-transaction-cost-wei': 400_000n * 10n * GWEI,
  'max-fund-deposit-wei': 700,
  'max-fund-reserve-wei': 300,
};

const signer = (more = {}) => ({ key: KEY, flags: { ...FLAGS, ...more } });
const { 'allowed-recipients': _list, 'require-allowlist': _require, ...OPEN } = FLAGS;

/** A redemption of one more ticket of ours; its signature is not what a policy looks at. */
let tickets = 0n;
function redemption(overrides = {}) {
  const ticket = {
    recipient: ALICE,
    sender: WALLET.address,
    faceValue: 800n,
    winProb: WIN_PROB,
    senderNonce: ++tickets,
    recipientRandHash: keccak256(toBeHex(tickets, 32)),
    auxData: auxData(7, keccak256('0x07')),
    ...overrides,
  };
  return { ticket, sig: WALLET.signingKey.sign(ticketHash(ticket)).serialized, recipientRand: tickets };
}

const BASE = { chainId: CHAIN_ID, nonce: 1, gas: 300_000, maxFeePerGas: 5n * GWEI, maxPriorityFeePerGas: 0 };
const call = (data, more = {}) => ({ ...BASE, to: BROKER, value: 0, data, ...more });
const legacy = (gasPrice, more = {}) => {
  const { maxFeePerGas: _1, maxPriorityFeePerGas: _2, ...tx } = transfer(1n, more);
  return { ...tx, gasPrice };
};
const redeem = (overrides, more) => call(redemptionCalldata([redemption(overrides)]), more);
const batch = (faceValues, overrides = {}) =>
  call(redemptionCalldata(faceValues.map((faceValue) => redemption({ faceValue, ...overrides })), { batch: true }));
const transfer = (value, more = {}) => ({ ...BASE, to: ALICE, value, ...more });
const fund = (name, value, more) => call(BROKER_INTERFACE.encodeFunctionData(name), { value, ...more });

// rule, inside, outside, what the sentence names (limit and value).
const EDGES = [
  ['chain_id', redeem(), redeem({}, { chainId: CHAIN_ID + 1n }), [CHAIN_ID, CHAIN_ID + 1n]],
  ['max_face_value', redeem({ faceValue: 1000n }), redeem({ faceValue: 1001n }), [1000, 1001]],
  ['max_face_value', redeem({ faceValue: 0n }), redeem({ faceValue: MaxUint256 }), [1000, MaxUint256]],
  ['max_batch_total', batch([1000n, 1000n, 500n]), batch([1000n, 1000n, 501n]), [2500, 2501]],
  ['max_tickets', batch([1n, 1n, 1n]), batch([1n, 1n, 1n, 1n]), [3, 4]],
  ['max_tickets', batch([1n]), batch([]), [3, 0]],
  ['win_prob', redeem(), redeem({ winProb: WIN_PROB + 1n }), [WIN_PROB, WIN_PROB + 1n]],
  ['win_prob', redeem(), redeem({ winProb: WIN_PROB - 1n }), [WIN_PROB, WIN_PROB - 1n]],
  ['allow_tickets', redeem(), redeem({ sender: EVE }), [WALLET.address, EVE]],
  ['allowed_recipients', redeem({ recipient: BOB }), redeem({ recipient: EVE }), [EVE]],
  ['allowed_recipients', transfer(1n, { to: BOB }), transfer(1n, { to: EVE }), [EVE, BROKER]],
  ['allowed_recipients', redeem(), redeem({ recipient: ZeroAddress }), [ZeroAddress]],
  ['max_transfer', transfer(500n), transfer(501n), [500, 501]],
  ['max_transfer', redeem(), redeem({}, { value: 1 }), ['0', '1 wei']],
  ['max_fund_deposit', fund('fundDeposit', 700), fund('fundDeposit', 701), [700, 701]],
  ['max_fund_deposit', fund('fundDeposit', 1), fund('fundDeposit', 0), ['1..700', '0 wei']],
  ['max_fund_reserve', fund('fundReserve', 300), fund('fundReserve', 301), [300, 301]],
  ['max_gas_limit', transfer(1n, { gas: 500_000 }), transfer(1n, { gas: 500_001 }), [500_000, 500_001]],
  ['max_gas_limit', transfer(1n, { gas: 21_000 }), transfer(1n, { gas: 20_999 }), [21_000, 20_999]],
  [
    'max_fee_per_gas',
    transfer(1n, { maxFeePerGas: 10n * GWEI }),
    transfer(1n, { maxFeePerGas: 10n * GWEI + 1n }),
    [10n * GWEI, 10n * GWEI + 1n],
  ],
  ['max_fee_per_gas', legacy(2n * GWEI), legacy(10n * GWEI + 1n), [10n * GWEI, 10n * GWEI + 1n]],
  [
    'max_priority_fee_per_gas',
    transfer(1n, { maxPriorityFeePerGas: 2n * GWEI }),
    transfer(1n, { maxPriorityFeePerGas: 2n * GWEI + 1n }),
    [2n * GWEI, 2n * GWEI + 1n],
  ],
  ['max_priority_fee_per_gas', legacy(2n * GWEI), legacy(2n * GWEI + 1n), [2n * GWEI, 2n * GWEI + 1n]],
  [
    'max_priority_fee_per_gas',
    transfer(1n, { maxFeePerGas: 5, maxPriorityFeePerGas: 5 }),
    transfer(1n, { maxFeePerGas: 5, maxPriorityFeePerGas: 6 }),
    [5, 6],
  ],
  [
    'max_transaction_cost',
    transfer(1n, { gas: 400_000, maxFeePerGas: 10n * GWEI }),
    transfer(1n, { gas: 400_001, maxFeePerGas: 10n * GWEI }),
    [400_000n * 10n * GWEI, 400_001n * 10n * GWEI],
  ],
  ['allow_access_list', transfer(1n, { accessList: [] }), transfer(1n, { accessList: [[BROKER, []]] }), [0, 1]],
  ['broker', transfer(1n), transfer(1n, { to: null }), [BROKER]],
  ['broker', transfer(1n), transfer(1n, { data: '0x00' }), ['0 bytes', 1]],
  ['broker', redeem(), call('0x'), [BROKER]],
  ['broker', redeem(), call('0x6caa73'), [BROKER]],
  ['broker', redeem(), call(BROKER_INTERFACE.encodeFunctionData('withdraw')), [BROKER]],
  ['broker', redeem(), fund('fundDeposit', 1, { data: '0x6caa736b00' }), [BROKER]],
];

// Calldata that solidity would read and no encoder writes.
const data = redemptionCalldata([redemption()]);
const word = (index) => 10 + 64 * index; // of a calldata's hex digits
const put = (text, at, digits) => text.slice(0, at) + digits + text.slice(at + digits.length);
for (const [what, altered] of [
  ['a trailing byte', `${data}00`],
  ['a trailing word', `${data}${'00'.repeat(32)}`],
  ['a byte less', data.slice(0, -2)],
  ['a dirty address', put(data, word(3), '01')],
  ['an offset beyond', put(data, word(1) - 2, 'ff')],
  ['dirty padding of the signature', put(data, data.length - 2, '01')],
]) {
  EDGES.push([`broker`, redeem(), call(altered), [BROKER], what]);
}
const twice = redemption({ faceValue: 1n });
EDGES.push(['max_tickets', batch([1n, 1n]), call(redemptionCalldata([twice, twice])), [ticketHash(twice.ticket)], 'twice']);
for (const bytes of [63, 65, 0, 32, 96]) {
  const aux = hexlify(new Uint8Array(bytes));
  EDGES.push(['broker', redeem(), redeem({ auxData: aux }), [BROKER], `auxData of ${bytes} bytes`]);
}

// Other policies: flags, then edges.
const OTHER_POLICIES = [
  [
    { ...FLAGS, 'allow-tickets': false },
    [
      ['allow_tickets', transfer(1n), redeem(), ['false', 'ticket']],
      ['allow_tickets', fund('fundDeposit', 1), batch([1n]), ['false', 'ticket']],
    ],
  ],
  [
    { ...FLAGS, 'allow-eth-transfer': false },
    [['allow_eth_transfer', redeem(), transfer(0n), ['false', ALICE]]],
  ],
  [
    { ...OPEN, 'require-allowlist': true },
    [['require_allowlist', fund('fundDeposit', 1), redeem(), [ALICE, 'empty']]],
  ],
  [OPEN, [['allowed_recipients', redeem({ recipient: EVE }), transfer(1n), ['empty', ALICE]]]],
  [
    { ...FLAGS, 'allow-access-list': true },
    [['chain_id', transfer(1n, { accessList: [[BROKER, []]] }), transfer(1n, { chainId: 1 }), [1, CHAIN_ID]]],
  ],
  [
    { ...FLAGS, 'max-fund-deposit-wei': 0, 'max-fund-reserve-wei': 0 },
    [
      ['max_fund_deposit', redeem(), fund('fundDeposit', 1), [0, 1]],
      ['max_fund_reserve', redeem(), fund('fundReserve', 1), [0, 1]],
    ],
  ],
];

async function sign(connection, tx) {
  const { raw_tx: raw } = await connection.call('sign_transaction', { tx });
  const signed = Transaction.from(raw);
  assert.equal(signed.from, WALLET.address);
  return signed;
}

async function outside(promise, rule, values, what) {
  await assert.rejects(
    promise,
    (error) => {
      assert.deepEqual([error.code, error.rule], ['policy', rule], error.message);
      for (const value of values) {
        assert.ok(error.message.toLowerCase().includes(String(value).toLowerCase()), `${value}: ${error.message}`);
      }
      return true;
    },
    what,
  );
}

async function checkEdges(enclave, edges) {
  const connection = await enclave.connect();
  const refusals = {};
  for (const [rule, good, bad, values, what = ''] of edges) {
    await sign(connection, good).catch((error) => {
      throw new Error(`inside ${rule} ${what}: ${error.message}`);
    });
    await outside(connection.call('sign_transaction', { tx: bad }), rule, values, `${rule} ${what} was signed`);
    refusals[rule] = (refusals[rule] ?? 0) + 1;
  }
  await connection.close();
  return refusals;
}

/** Every refusal is counted by its rule and in the log with it. */
async function checkCounted(enclave, refusals) {
  const { refusals_by_rule: counted } = await enclave.status();
  const numbers = Object.fromEntries(Object.entries(counted).map(([rule, n]) => [rule, Number(n)]));
  assert.deepEqual(numbers, refusals);
  const text = enclave.program.text();
  for (const rule of Object.keys(refusals)) {
    assert.match(text, new RegExp(`the policy refuses a request.*\\b${rule}\\b`), rule);
  }
}

test('each rule: just inside is signed; just outside is refused, named, counted and logged', () =>
  withEnclave(signer(), async (enclave) => {
    await checkCounted(enclave, await checkEdges(enclave, EDGES));
  }));

for (const [index, [flags, edges]] of OTHER_POLICIES.entries()) {
  test(`each rule, another policy (${index + 1}: ${edges.map(([rule]) => rule)})`, () =>
    withEnclave({ key: KEY, flags }, async (enclave) => {
      await checkCounted(enclave, await checkEdges(enclave, edges));
    }));
}

test('sign_ticket is under the same limits, sign_message_defunct is refused', () =>
  withEnclave(signer(), async (enclave) => {
    const connection = await enclave.connect();
    const ask = (overrides) => {
      const { ticket } = redemption(overrides);
      return connection.call('sign_ticket', { ticket });
    };
    const good = await ask({ faceValue: 1000n });
    assert.equal(verifyMessage(getBytes(good.ticket_hash), good.signature), WALLET.address);
    const refusals = {};
    for (const [rule, overrides, values] of [
      ['max_face_value', { faceValue: 1001n }, [1000, 1001]],
      ['win_prob', { winProb: 0n }, [WIN_PROB, 0]],
      ['win_prob', { winProb: WIN_PROB + 1n }, [WIN_PROB, WIN_PROB + 1n]],
      ['allow_tickets', { sender: EVE }, [EVE, WALLET.address]],
      ['allowed_recipients', { recipient: EVE }, [EVE]],
    ]) {
      await outside(ask(overrides), rule, values);
      refusals[rule] = (refusals[rule] ?? 0) + 1;
    }
    const { winProb: _, ...ticket } = redemption().ticket;
    const absent = await connection.call('sign_ticket', { ticket });
    assert.equal(absent.ticket_hash, ticketHash({ ...ticket, winProb: WIN_PROB }));
    const hash = ticketHash({ ...ticket, faceValue: MaxUint256, winProb: WIN_PROB });
    await outside(connection.call('sign_message_defunct', { message_hash: hash }), 'allow_raw_messages', ['false', 'sign_ticket']);
    await checkCounted(enclave, { ...refusals, allow_raw_messages: 1 });
    await connection.close();
  }));

test('bare messages, where the policy allows them, with a warning', () =>
  withEnclave(signer({ 'allow-raw-messages': true }), async (enclave) => {
    const { signature } = await enclave.call('sign_message_defunct', { message_hash: '0x1234' });
    assert.equal(verifyMessage(getBytes('0x1234'), signature), WALLET.address);
    assert.match(enclave.program.text(), /INSECURE: bare messages are signed/);
  }));

/** Throws unless a transaction is inside FLAGS. Shares no code with the enclave. */
function assertInside(tx) {
  assert.equal(tx.chainId, CHAIN_ID);
  assert.equal(tx.to, BROKER);
  assert.equal(tx.value, 0n);
  const { name, redemptions, lengths } = decodeBrokerCall(tx.data);
  assert.equal(name, 'batchRedeemWinningTickets');
  assert.ok(lengths.every((length) => length === redemptions.length), `${lengths}`);
  assert.ok(redemptions.length >= 1 && redemptions.length <= 3);
  assert.equal(redemptionCalldata(redemptions, { batch: true }), tx.data, 'not canonical');
  let total = 0n;
  for (const { ticket, sig } of redemptions) {
    assert.equal(ticket.sender, WALLET.address);
    assert.ok([ALICE, BOB].includes(ticket.recipient), ticket.recipient);
    assert.ok(ticket.faceValue <= 1000n);
    assert.equal(ticket.winProb, WIN_PROB);
    assert.equal(getBytes(ticket.auxData).length, 64);
    assert.equal(getBytes(sig).length, 65);
    total += ticket.faceValue;
  }
  assert.ok(total <= 2500n);
  assert.equal(new Set(redemptions.map(({ hash }) => hash)).size, redemptions.length, 'a ticket twice');
}

test(`${MUTATIONS} single bytes altered: what is still signed is still inside the policy`, () =>
  withEnclave(signer(), async (enclave) => {
    const allowed = batch([1000n, 1000n, 500n]);
    const bytes = Buffer.from(getBytes(allowed.data));
    const sent = new Array(MUTATIONS);
    let signed = 0;
    const refusals = {};
    const connection = await enclave.connect();
    const before = await sign(connection, allowed);
    assertInside(before);
    await pipeline(connection, MUTATIONS, {
      request: (i) => {
        const altered = Buffer.from(bytes);
        // Every byte at least once, then any.
        const at = i < bytes.length ? i : random.below(bytes.length);
        altered[at] ^= 1 + random.below(255);
        sent[i] = hexlify(altered);
        return encodeCall('sign_transaction', { tx: { ...allowed, data: sent[i] } });
      },
      answered: (i, payload) => {
        const { result, error } = parseExact(payload.toString());
        if (error !== undefined) {
          assert.equal(error.code, 'policy', error.message);
          refusals[error.rule] = (refusals[error.rule] ?? 0) + 1;
          return;
        }
        signed++;
        const tx = Transaction.from(result.raw_tx);
        // Recovering takes ethers long, and whose key signs is not what is altered here.
        if (signed % 50 === 1) assert.equal(tx.from, WALLET.address);
        assert.equal(tx.data, sent[i], 'signed something else');
        try {
          assertInside(tx);
        } catch (failure) {
          failure.message += `\nsigned, mutation ${i}: ${sent[i]}`;
          throw failure;
        }
      },
    });
    await connection.close();
    console.log(`policy_edges: ${signed} of ${MUTATIONS} signed; refused: ${JSON.stringify(refusals)}`);
    assert.ok(signed > 0 && signed < MUTATIONS, 'nothing was tried');
    await checkCounted(enclave, refusals);
  }));
