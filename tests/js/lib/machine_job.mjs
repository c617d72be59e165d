// The main job for an enclave in a virtual machine: journal -> balances -> paid, while the plug of the
// machine is pulled, once under credits and once under payouts.
import assert from 'node:assert/strict';
import { audit } from './audit.mjs';
import { neverPaidTwice } from './load.mjs';

const BOOT_MS = 180_000; // five seconds, on a machine that does nothing else
const LINES = 60;

async function unplug(stack) {
  await stack.enclave.kill();
  stack.enclave.start();
  await stack.ready(BOOT_MS);
}

function appendCredits(writer, random, ids, count) {
  for (let i = 0; i < count; i++)
    writer.credit(random.pick(ids), 1n + BigInt(random.uint32()) * 1_000_000n, { n: random.uint32() });
}

/** Runs it with the world of withChain, whose stack reads `writer`'s journal. */
export async function mainJob({ stack, chain, ids }, writer, random) {
  stack.enclave.start();
  stack.host.start();
  await stack.ready(BOOT_MS);
  appendCredits(writer, random, ids, LINES);
  await stack.caughtUp();
  appendCredits(writer, random, ids, LINES);
  await unplug(stack);
  await stack.caughtUp();
  let unplugged = false;
  await stack.payEverybody({
    timeoutMs: 2 * BOOT_MS,
    everyMs: 20,
    onStatus: async ({ open_payouts: open }) => {
      if (unplugged || open === 0) return;
      unplugged = true;
      await unplug(stack);
    },
  });
  assert.ok(unplugged, 'everybody was paid before the plug could be pulled');
  await audit({ api: stack.api, chain, expected: writer.owed });
  await neverPaidTwice(stack, chain);
  assert.equal(stack.enclave.starts, 3);
}
