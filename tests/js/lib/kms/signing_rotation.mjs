// One signing key after another, as an operator has it done and a chain lets it come to its end.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { until } from '../program.mjs';

export const rotation = (stack) => stack.api.get('/api/tee/rotate-signing-key');
export const order = (stack) => stack.api.raw('POST', '/api/tee/rotate-signing-key').catch(() => {});
export const stepOf = async (stack) => (await rotation(stack).catch(() => ({}))).step;

/** What the enclave calls its signing keys: {address: use}. */
export const usesOf = async (stack) => Object.fromEntries((await stack.api.status()).signing_keys.map(({ address, use }) => [address, use]));

/** Ordered until the new key signs; gives the rotation's progress. */
export async function rotateUntilItSigns(stack) {
  await order(stack);
  return until('the new key to sign', async () => {
    const progress = await rotation(stack).catch(() => ({}));
    if (progress.step === 'failed' || progress.step === 'idle') await order(stack);
    return ['draining', 'done'].includes(progress.step) && progress;
  });
}

/**
 * Deposit and reserve of a key that has signed nothing. They are sent as if by it and its nonce put back, which a driver must not
 * see: the first nonce of a key is the one that it reads.
 */
export async function fund(stack, chain, sender) {
  await stack.api.post('/api/payouts/pause');
  await sleep(500);
  await chain.fundBroker(sender, { deposit: parseEther('5000'), reserve: parseEther('1'), gas: parseEther('100') });
  await sleep(2000); // a turn of the driver that has read the nonce in between is over
  await stack.api.post('/api/payouts/resume');
}

/** Blocks and rounds go by until the old key is retired and the folder says so, or `enough`. */
export async function untilRetired(stack, chain, node, enough = () => false) {
  let turn = 0;
  const retired = async () => {
    await node.mine(40);
    if (++turn % 5 === 0) await chain.advanceRound();
    return enough() || (await stepOf(stack)) === 'done';
  };
  try {
    await until('the old key to be retired', retired, { timeoutMs: 120_000, everyMs: 100 });
  } catch (error) {
    const { driver, draining } = await stack.api.get('/api/payouts?limit=1');
    error.message += `\n-- rotation ${JSON.stringify(await rotation(stack))}\n-- draining ${JSON.stringify(draining)}\n-- driver ${JSON.stringify(driver)}`;
    throw error;
  }
}
