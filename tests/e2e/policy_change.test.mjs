// A policy changes by the signatures of its admins and by nothing else: EIP-712 as ethers (and so any
// wallet) signs it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Transaction, Wallet, keccak256, toUtf8Bytes } from 'ethers';
import { CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { policyHash, signChange } from '../js/lib/policy.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('policy_change');
const wallet = (name) => new Wallet(keccak256(toUtf8Bytes(`${seed} ${name}`)));
const ADMINS = ['one', 'two', 'three']
  .map(wallet)
  .sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
const STRANGER = wallet('stranger');
const ALICE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const BOB = '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359';

const FLAGS = {
  profile: 'signer',
  ...POLICY,
  'allow-eth-transfer': true,
  'allowed-recipients': ALICE,
  'max-transfer-wei': 100,
  admins: ADMINS.map(({ address }) => address).join(','),
  'admin-threshold': 2,
};

const transfer = (enclave, value, to = ALICE) =>
  enclave.call('sign_transaction', {
    tx: { chainId: CHAIN_ID, nonce: 1, gas: 21000, gasPrice: 5, to, value },
  });

const refused = (code, sentence = /./) => (error) => {
  assert.equal(error.code, code, error.message);
  assert.match(error.message, sentence);
  return true;
};

const inForce = (enclave) => enclave.call('policy');

/** Asks for a change signed by `wallets`; `domain` goes into the signed domain. */
async function change(enclave, more, wallets, { sequence = 1n, domain, signer = enclave.address } = {}) {
  const { policy } = await inForce(enclave);
  const next = { ...policy, ...more };
  const signatures = await signChange(wallets, { signer, sequence, policy: next }, domain);
  return enclave.call('change_policy', { policy: next, sequence, signatures });
}

test('two of three admins change it, at once and for good', () =>
  withEnclave({ storage: true, flags: FLAGS }, async (enclave) => {
    const before = await inForce(enclave);
    assert.equal(before.policy_hash, policyHash(before.policy), 'EIP-712 hashStruct');
    assert.equal(before.policy_sequence, 0n);
    assert.deepEqual(before.policy.admins, ADMINS.map(({ address }) => address.toLowerCase()));
    await assert.rejects(transfer(enclave, 101), refused('policy', /max_transfer/));

    const more = { maxTransfer: 500n, allowedRecipients: [ALICE, BOB].map((a) => a.toLowerCase()) };
    const after = await change(enclave, more, [ADMINS[2], ADMINS[0]]);
    assert.equal(after.policy_sequence, 1n);
    assert.equal(after.policy_hash, policyHash({ ...before.policy, ...more }));
    const check = async () => {
      assert.deepEqual(await inForce(enclave), after);
      for (const to of [ALICE, BOB]) Transaction.from((await transfer(enclave, 500, to)).raw_tx);
      await assert.rejects(transfer(enclave, 501), refused('policy', /500/));
    };
    await check();
    await enclave.restart();
    await check();

    // Tightening goes the same way.
    await change(enclave, { allowEthTransfer: false }, ADMINS, { sequence: 2n });
    await assert.rejects(transfer(enclave, 1), refused('policy', /allow_eth_transfer/));
    await enclave.restart();
    await assert.rejects(transfer(enclave, 1), refused('policy', /allow_eth_transfer/));
    assert.match(enclave.program.text(), /the policy was changed by its admins/);
  }));

test('nobody else changes it', () =>
  withEnclave({ storage: true, flags: FLAGS }, async (enclave) => {
    const before = await inForce(enclave);
    const more = { maxTransfer: 500n };
    const two = ADMINS.slice(0, 2);
    const holder = new Wallet(enclave.key);
    const cases = [
      ['nobody', [], {}, refused('signature', /2 of 3.*0 different/s)],
      ['too few', [ADMINS[0]], {}, refused('signature', /2 of 3.*1 different/s)],
      ['one of them twice', [ADMINS[0], ADMINS[0]], {}, refused('signature', /1 different/)],
      ['a stranger with one', [ADMINS[0], STRANGER], {}, refused('signature', /1 different/)],
      ['strangers', [STRANGER, holder], {}, refused('signature', /0 different/)],
      ['a sequence before', two, { sequence: 0n }, refused('wrong_state', /sequence 1/)],
      ['a sequence ahead', two, { sequence: 2n }, refused('wrong_state', /sequence 1/)],
      ['signed for another chain', two, { domain: { chainId: 1n } }, refused('signature')],
      ['signed for another version', two, { domain: { version: '2' } }, refused('signature')],
      ['signed for another enclave', two, { signer: STRANGER.address }, refused('signature')],
    ];
    for (const [what, wallets, options, check] of cases) {
      await assert.rejects(change(enclave, more, wallets, options), check, what);
    }
    await assert.rejects(change(enclave, { chainId: 1n }, ADMINS), refused('policy', /chain_id/));
    await assert.rejects(change(enclave, { ticketBroker: ALICE }, ADMINS), refused('policy', /broker/));
    await assert.rejects(change(enclave, { maxTickets: 101n }, ADMINS), refused('malformed', /max_tickets/));
    await assert.rejects(change(enclave, { adminThreshold: 4n }, ADMINS), refused('malformed', /admin_threshold/));
    // Signed, and another policy sent.
    const signatures = await signChange(two, { signer: enclave.address, sequence: 1n, policy: { ...before.policy, ...more } });
    await assert.rejects(
      enclave.call('change_policy', { policy: { ...before.policy, maxTransfer: 501n }, sequence: 1, signatures }),
      refused('signature'),
    );
    assert.deepEqual(await inForce(enclave), before);
    await assert.rejects(transfer(enclave, 101), refused('policy', /max_transfer/));

    // A change is used up with its sequence: it does not come back later.
    await enclave.call('change_policy', { policy: { ...before.policy, ...more }, sequence: 1, signatures });
    await change(enclave, { maxTransfer: 100n }, two, { sequence: 2n });
    await assert.rejects(
      enclave.call('change_policy', { policy: { ...before.policy, ...more }, sequence: 1, signatures }),
      refused('wrong_state'),
    );
    await assert.rejects(transfer(enclave, 101), refused('policy', /max_transfer/));
  }));

test('the admins themselves are changed by the admins in force', () =>
  withEnclave({ storage: true, flags: FLAGS }, async (enclave) => {
    const alone = { admins: [STRANGER.address.toLowerCase()], adminThreshold: 1n };
    await change(enclave, alone, ADMINS.slice(1));
    await assert.rejects(
      change(enclave, { maxTransfer: 5n }, ADMINS, { sequence: 2n }),
      refused('signature', /1 of 1/),
    );
    await change(enclave, { admins: [], adminThreshold: 0n }, [STRANGER], { sequence: 2n });
    await assert.rejects(
      change(enclave, { maxTransfer: 5n }, [STRANGER], { sequence: 3n }),
      refused('policy', /no admins/),
    );
  }));

test('the host alone, with other flags, changes nothing', () =>
  withEnclave({ storage: true, flags: FLAGS }, async (enclave) => {
    await change(enclave, { maxTransfer: 50n }, ADMINS);
    const { admins: _1, 'admin-threshold': _2, ...nobody } = FLAGS;
    for (const other of [
      { ...FLAGS, 'max-transfer-wei': 1000 },
      { ...FLAGS, 'admin-threshold': 1 },
      { ...FLAGS, admins: `${STRANGER.address},${ADMINS[0].address}` },
      { ...FLAGS, 'max-transfer-wei': 1000, 'insecure-accept-policy-change': true },
      { ...nobody, storage: 'host' },
      { ...nobody, storage: 'host', 'insecure-accept-policy-change': true },
      { profile: 'signer', storage: 'host' },
      { ...FLAGS, 'chain-id': 1 },
    ]) {
      await assert.rejects(enclave.restart(other), (error) => {
        assert.equal(error.code, 'ERROR_STATE_REFUSED', error.message);
        return true;
      });
    }
    // With the flags of its founding it comes back, under the policy in force.
    await enclave.restart(FLAGS);
    assert.equal((await inForce(enclave)).policy_sequence, 1n);
    await transfer(enclave, 50);
    await assert.rejects(transfer(enclave, 51), refused('policy', /50/));
  }));

test('without admins it never changes', () =>
  withEnclave({ flags: { profile: 'signer', ...POLICY } }, async (enclave) => {
    await assert.rejects(
      change(enclave, { maxTransfer: 5n }, ADMINS),
      (error) => error.code === 'policy' && error.rule === 'admins',
    );
  }));
