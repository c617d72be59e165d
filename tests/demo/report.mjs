// The demo's end: a table of what happened, and every figure compared with the chain and with the
// journal, and the transparency log verified.
import fs from 'node:fs';
import path from 'node:path';
import { formatEther } from 'ethers';
import { owedBy, transfers } from '../js/lib/audit.mjs';
import { allPublished, auditApi, publicGet } from '../js/lib/log.mjs';
import { runProgram } from '../js/lib/program.mjs';

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

/**
 * The log as a partner checks it: every leaf up to the signed root, what they add up to against the
 * operator's API, and one payee's receipt. {rows, wrong}.
 */
async function verifyLog(stack, accounts) {
  const { log_key: key } = await allPublished(stack.api);
  const state = path.join(stack.folder, 'verified-log');
  const args = ['--url', stack.api.base, '--api', stack.api.base, '--key', key, '--state', state];
  const verified = await runProgram('coffer', ['verify', 'log', '--full', '--json', ...args, '--address', stack.address], {
    env: { COFFER_TOKEN: stack.viewerToken },
    timeoutMs: 120_000,
  });
  const [account] = accounts.values();
  const { entries } = await auditApi(stack.api, `/log?limit=1&order=desc&orchestrator_id=${encodeURIComponent(account.id)}`);
  const { audit_entry: last } = entries[0];
  const file = path.join(stack.folder, 'receipt.tlog-proof');
  const receipt = await publicGet(stack.api, `/api/transparency/tee-core/receipt?leaf_index=${last.leaf_index}&format=file`);
  fs.writeFileSync(file, receipt.body);
  const checked = await runProgram('coffer', ['verify', 'receipt', file, '--key', key, '--account', account.id]);
  const wrong = [];
  if (verified.code !== 0) wrong.push(`coffer verify log: ${verified.stdout}${verified.stderr}`);
  if (checked.code !== 0) wrong.push(`coffer verify receipt: ${checked.stdout}${checked.stderr}`);
  const { published } = await auditApi(stack.api, '/audit/status');
  return {
    wrong,
    rows: [
      ['log', `${published.size} leaves, ${verified.code === 0 ? 'each one verified; they add up to the ledger' : 'NOT verified'}`],
      ['receipt', `leaf ${last.leaf_index}, ${last.kind} of ${account.id}: ${checked.code === 0 ? 'verified offline' : 'NOT verified'}`],
    ],
  };
}

/** What the local KMS was asked, where there was one: {rows, wrong}. */
function kmsFindings(stack, kms) {
  if (kms === undefined) return { rows: [], wrong: [] };
  const calls = kms.calls.filter(({ action }) => action !== 'Encrypt');
  const bad = calls.filter(({ attested, outcome }) => !attested || outcome !== 'ok');
  const keys = fs.readdirSync(path.join(stack.dataDir, 'keys')).filter((name) => name.startsWith('state-'));
  return {
    wrong: bad.map((call) => `kms: ${JSON.stringify(call)}`),
    rows: [['keys', `${calls.length} from a local stand-in for KMS, each for the attested image; ${keys.length} of them new state keys`]],
  };
}

/** Prints the table; true when every figure agrees. `kms`: a KmsWorld, or none. */
export async function report({ stack, chain, expected, started, kms }) {
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
  const log = await verifyLog(stack, accounts);
  const keys = kmsFindings(stack, kms);
  wrong.push(...log.wrong, ...keys.wrong);
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
    ...log.rows,
    ...keys.rows,
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
      'what the journal owed, to the wei; nobody was paid twice; the log says the same',
  );
  return true;
}
