// What the end-to-end tests share.
import { Wallet, parseEther } from 'ethers';
import { deployCoffer, startAnvil } from './chain.mjs';
import { Stack } from './coffer.mjs';
import { Random } from './random.mjs';

/** Orchestrators of a test with addresses of their own, as {id: address}. */
export function makeRecipients(seed, count, prefix = 'orch') {
  const random = new Random(`recipients ${seed} ${prefix}`);
  const recipients = {};
  for (let i = 1; i <= count; i++) {
    let digits = '';
    while (digits.length < 40) digits += random.uint32().toString(16).padStart(8, '0');
    recipients[`${prefix}-${i}`] = new Wallet(`0x${digits.slice(0, 40).padStart(64, '1')}`).address;
  }
  return recipients;
}

/** Runs `body` with a stack and ends it; a failure carries the ends of both logs. */
export async function withStack(options, body) {
  const stack = await Stack.make(options);
  try {
    await body(stack);
  } catch (error) {
    error.message += `\n-- host (${stack.host.log})\n${stack.host.tail()}`;
    error.message += `\n-- enclave (${stack.enclave.log})\n${stack.enclave.tail()}`;
    throw error;
  } finally {
    await stack.close();
  }
}

/** Resident memory of a process, bytes. */
export async function residentBytes(pid) {
  const { readFileSync } = await import('node:fs');
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match[1]) * 1024;
}

/**
 * A chain, the contracts, `count` registered recipients and a stack whose sender has the deposit and
 * reserve given (wei). `body` gets {stack, chain, node, recipients, ids, credit}.
 */
export async function withChain(
  { seed, count = 4, deposit = parseEther('100'), reserve = parseEther('1'), ...options },
  body,
) {
  const node = await startAnvil(options.anvil);
  try {
    const recipients = makeRecipients(seed, count);
    const chain = await deployCoffer(node, options.contracts);
    await chain.registerTranscoders(Object.values(recipients));
    await withStack({ ...options, chain, recipients }, async (stack) => {
      await chain.fundBroker(stack.address, { deposit, reserve, gas: parseEther('100') });
      await node.mine(5); // a reorganization in the test takes none of this back
      let number = 0;
      const credit = (id, wei) =>
        stack.api.credit([{ id: `e2e-${++number}`, account: id, amount_wei: String(wei) }]);
      await body({ stack, chain, node, recipients, ids: Object.keys(recipients), credit });
    });
  } finally {
    await node.stop();
  }
}

/** The payout driver's own words. */
export const driver = async (stack) => (await stack.api.get('/api/payouts?limit=1')).driver;

/** Transactions that wait in the node's pool, oldest nonce first. */
export async function poolOf(node, sender) {
  const { pending = {}, queued = {} } = await node.rpc('txpool_content');
  const mine = [pending, queued].flatMap((part) =>
    Object.entries(part)
      .filter(([address]) => address.toLowerCase() === sender.toLowerCase())
      .flatMap(([, byNonce]) => Object.values(byNonce)),
  );
  return mine.sort((a, b) => Number(a.nonce) - Number(b.nonce));
}
