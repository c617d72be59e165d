// The books compared: what was owed, what the enclave says, what the chain credited. To the wei.
import assert from 'node:assert/strict';
import { assertLogAgrees } from './log.mjs';

/**
 * Per account and in sum: credited + adjusted = available + reserved + paid (I2), nothing negative.
 */
export function assertConserved(accounts) {
  for (const a of accounts.values()) {
    for (const name of ['available', 'reserved', 'credited', 'paid'])
      assert.ok(a[name] >= 0n, `${a.id}: ${name} is ${a[name]}`);
    assert.equal(
      a.credited + a.adjusted_up - a.adjusted_down,
      a.available + a.reserved + a.paid,
      `${a.id} breaks I2: ${describe(a)}`,
    );
  }
}

const describe = (a) =>
  Object.entries(a)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');

export const owedBy = (account) =>
  account.credited + account.adjusted_up - account.adjusted_down;

/** Every account owes exactly what `expected` (a Map id -> wei) says, and there is no other. */
export function assertOwed(accounts, expected) {
  for (const [id, wei] of expected) {
    const account = accounts.get(id);
    const owed = account === undefined ? 0n : owedBy(account);
    assert.equal(owed, wei, `${id}: ${owed} wei in the ledger, ${wei} wei in the journal`);
  }
  for (const account of accounts.values())
    assert.ok(expected.has(account.id), `nobody expected the account ${account.id}`);
}

/**
 * What the chain credited to each recipient since `before` (a Map address -> wei, or nothing) is
 * what the ledger calls paid.
 */
export async function assertChainAgrees(chain, accounts, before = new Map()) {
  const paid = new Map();
  for (const a of accounts.values())
    paid.set(a.recipient, (paid.get(a.recipient) ?? 0n) + a.paid);
  const fees = await chain.feesCredited([...paid.keys()]);
  for (const [recipient, wei] of paid) {
    const credited = fees.get(recipient) - (before.get(recipient) ?? 0n);
    assert.equal(credited, wei, `${recipient}: ${credited} wei on chain, ${wei} wei in the ledger`);
  }
}

/** The WinningTicketTransfer events of a sender: [{recipient, amount}]. */
export async function transfers(chain, sender) {
  const events = await chain.broker.queryFilter(chain.broker.filters.WinningTicketTransfer(sender));
  return events.map(({ args, transactionHash }) => ({
    recipient: args.recipient,
    amount: args.amount,
    transactionHash,
  }));
}

/** Everything at once, the transparency log too; gives the accounts. */
export async function audit({ api, chain, expected, before }) {
  const accounts = await api.accounts();
  assertConserved(accounts);
  if (expected) assertOwed(accounts, expected);
  if (chain) await assertChainAgrees(chain, accounts, before);
  const { totals } = await api.status();
  for (const name of ['available', 'reserved', 'paid', 'credited']) {
    const sum = [...accounts.values()].reduce((total, a) => total + a[name], 0n);
    assert.equal(BigInt(totals[name]), sum, `the sum of ${name}`);
  }
  await assertLogAgrees(api, accounts);
  return accounts;
}

/** Owed wei by id, of a journal's expected.json. */
export function expectedOf(expected) {
  return new Map(
    Object.entries(expected.orchestrators)
      .filter(([, { wei }]) => wei !== undefined)
      .map(([id, { wei }]) => [id, BigInt(wei)]),
  );
}
