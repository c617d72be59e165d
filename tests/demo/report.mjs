// The demo's end: a table of what happened, and every figure compared with the chain and with the
// journal.
import { formatEther } from 'ethers';
import { owedBy, transfers } from '../js/lib/audit.mjs';

const RECEIPTS_AT_A_TIME = 20;

async function receiptsOf(chain, hashes) {
  const receipts = [];
  for (let i = 0; i < hashes.length; i += RECEIPTS_AT_A_TIME) {
    const some = hashes.slice(i, i + RECEIPTS_AT_A_TIME);
    receipts.push(
      ...(await Promise.all(some.map((hash) => chain.node.provider.getTransactionReceipt(hash)))),
    );
  }
  return receipts.filter((receipt) => receipt !== null);
}

function countBy(list, key) {
  const counts = new Map();
  for (const entry of list) counts.set(entry[key], (counts.get(entry[key]) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ') || 'none';
}

// Sentences about everything that is not as it must be.
async function findings({ stack, chain, expected, accounts, payouts }) {
  const wrong = [];
  const orchestrators = Object.entries(expected.orchestrators);
  const fees = await chain.feesCredited(orchestrators.map(([, { recipient }]) => recipient));
  for (const [id, { recipient, wei }] of orchestrators) {
    const account = accounts.get(id);
    const [owed, got] = [BigInt(wei), fees.get(recipient)];
    if (got !== owed)
      wrong.push(`${id}: the journal owes ${owed} wei, ${recipient} got ${got} wei on chain`);
    if (account === undefined ? owed !== 0n : account.paid !== got)
      wrong.push(`${id}: the enclave says ${account?.paid} wei paid, the chain ${got}`);
    if (account !== undefined && owedBy(account) !== account.available + account.reserved + account.paid)
      wrong.push(`${id}: the account does not add up (I2)`);
  }
  const paid = await transfers(chain, stack.address);
  const sum = paid.reduce((total, { amount }) => total + amount, 0n);
  if (sum !== BigInt(expected.total_wei))
    wrong.push(`${sum} wei were transferred, ${expected.total_wei} wei were owed`);
  // Each ticket was redeemed once, and no recipient was paid by two tickets for the same funds.
  const tickets = payouts.flatMap((payout) => payout.items.map((item) => item.ticket_hash));
  if (new Set(tickets).size !== tickets.length) wrong.push('a ticket was in two payouts');
  if (paid.length !== tickets.length)
    wrong.push(`${tickets.length} tickets were signed, ${paid.length} were paid`);
  return { wrong, paid };
}

/** Prints the table; true when every figure agrees. */
export async function report({ stack, chain, expected, started }) {
  const accounts = await stack.api.accounts();
  const payouts = await stack.api.payouts();
  const { totals } = await stack.api.status();
  const attempts = payouts.flatMap((payout) => payout.attempts);
  const receipts = await receiptsOf(
    chain,
    attempts.map((attempt) => attempt.tx_hash),
  );
  const gas = receipts.reduce((sum, receipt) => sum + receipt.gasUsed, 0n);
  const items = payouts.flatMap((payout) => payout.items);
  const { wrong, paid } = await findings({ stack, chain, expected, accounts, payouts });
  const left = BigInt(totals.available) + BigInt(totals.reserved);
  const wei = (value) => `${value} wei (${formatEther(BigInt(value))} ETH)`;
  const rows = [
    ['accounts', String(accounts.size)],
    ['journal', Object.entries(expected.counts).map(([kind, n]) => `${n} ${kind}`).join(', ')],
    ['payouts', countBy(payouts, 'state')],
    ['tickets', countBy(items, 'state')],
    ['credited', wei(totals.credited)],
    ['corrected', wei(BigInt(totals.adjusted_up) - BigInt(totals.adjusted_down))],
    ['paid', wei(totals.paid)],
    ['left', wei(left)],
    ['transactions', `${receipts.length} mined of ${attempts.length} signed`],
    ['gas a ticket', paid.length === 0 ? 'none' : String(gas / BigInt(paid.length))],
    ['starts', `enclave ${stack.enclave.starts}, host ${stack.host.starts}`],
    ['time', `${((Date.now() - started) / 1000).toFixed(1)} s`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')}\n`);
  if (left !== 0n) wrong.push(`${left} wei are still owed`);
  if (wrong.length > 0) {
    console.log(wrong.slice(0, 20).join('\n'));
    console.log(`WRONG: ${wrong.length} figures do not agree`);
    return false;
  }
  console.log(
    `RIGHT: each of ${Object.keys(expected.orchestrators).length} recipients got on chain exactly ` +
      'what the journal owed, to the wei; nobody was paid twice',
  );
  return true;
}
