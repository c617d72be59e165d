// One signature of the reporter over a batch of credits, made by ethers and checked by the enclave
// as it is shipped.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Wallet,
  concat,
  dataLength,
  getBytes,
  sha256,
  solidityPacked,
  solidityPackedKeccak256,
  toUtf8Bytes,
} from 'ethers';
import { fromWei, wei } from '../js/lib/boundary.mjs';
import { POLICY, withEnclave } from '../js/lib/enclave.mjs';

const REPORTER = new Wallet(`0x${'ab'.repeat(32)}`);
const KINDS = { KIND_CREDIT: 1, KIND_ADJUST_UP: 2, KIND_ADJUST_DOWN: 3 };
const OPTIONS = {
  flags: {
    profile: 'authority',
    storage: 'none',
    ...POLICY,
    'credit-reporter': REPORTER.address,
    'require-credit-signature': true,
  },
};

const withLength = (bytes) => solidityPacked(['uint32', 'bytes'], [dataLength(bytes), bytes]);

/** EIP-191 by `wallet` over the digest that docs/policy.md states. */
async function signBatch(wallet, events) {
  const encoding = concat(
    events.map((event) =>
      concat([
        solidityPacked(['uint32', 'uint128'], [KINDS[event.kind], event.wei]),
        withLength(event.recipient),
        withLength(toUtf8Bytes(event.account)),
        withLength(toUtf8Bytes(event.id)),
        withLength(event.content_hash ?? '0x'),
      ]),
    ),
  );
  const digest = solidityPackedKeccak256(
    ['string', 'uint64', 'bytes32'],
    ['coffer:credit-batch:v1', events.length, sha256(encoding)],
  );
  return Buffer.from(getBytes(await wallet.signMessage(getBytes(digest))));
}

const event = (id, account, amount, more = {}) => ({
  id,
  account,
  kind: 'KIND_CREDIT',
  recipient: Buffer.alloc(20, account.length),
  wei: amount,
  ...more,
});

const BATCH = [
  event('b-1', 'örch-1', 1n << 100n),
  event('b-2', 'orch', 7n, { content_hash: Buffer.alloc(32, 0xcd) }),
  event('b-3', 'orch', 3n, { kind: 'KIND_ADJUST_DOWN' }),
];

const apply = (client, events, signature) =>
  client.call('apply_events', {
    events: events.map(({ wei: amount, ...rest }) => ({ ...rest, amount: wei(amount) })),
    batch_signature: signature,
  });

const assertRefused = (answer, count) => {
  assert.deepEqual([answer.applied, answer.refusals.length], [0, count]);
  for (const { error } of answer.refusals) assert.equal(error.code, 'ERROR_SIGNATURE');
};

test('a batch of credits that the reporter must sign', () =>
  withEnclave(OPTIONS, async (enclave) => {
    const client = enclave.boundary;
    const good = await signBatch(REPORTER, BATCH);
    assertRefused(await apply(client, BATCH), 3);
    assertRefused(await apply(client, BATCH, await signBatch(Wallet.createRandom(), BATCH)), 3);
    assertRefused(await apply(client, BATCH, good.subarray(0, 64)), 3);
    assertRefused(await apply(client, BATCH.slice(0, 2), good), 2);
    assertRefused(await apply(client, [...BATCH].reverse(), good), 3);
    assertRefused(await apply(client, [...BATCH, event('b-4', 'orch', 1n)], good), 4);
    assertRefused(await apply(client, [BATCH[0], { ...BATCH[1], wei: 8n }, BATCH[2]], good), 3);
    const answer = await apply(client, BATCH, good);
    assert.deepEqual([answer.applied, answer.refusals.length], [3, 0]);
    const again = await apply(client, BATCH, good);
    assert.deepEqual([again.applied, again.duplicates], [0, [0, 1, 2]]);
    const { available } = await client.call('get_account', { id: 'orch' });
    assert.equal(fromWei(available), 4n);
  }));
