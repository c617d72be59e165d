// What the end-to-end tests share.
import { Wallet } from 'ethers';
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
