// SIGKILL at random moments of either process, under load: no acknowledged credit is lost, none is
// applied twice, nobody is paid twice. COFFER_KILLS says how often, COFFER_TEST_SEED when.
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Wallet, parseEther } from 'ethers';
import { audit } from '../js/lib/audit.mjs';
import { deployCoffer, startAnvil } from '../js/lib/chain.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { ApiLoad, JournalLoad, neverPaidTwice, owedAfter, settleApi } from '../js/lib/load.mjs';
import { patient } from '../js/lib/patience.mjs';
import { temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const KILLS = Number(process.env.COFFER_KILLS ?? 25);
const seed = testSeed('kill');
const JOURNAL = makeRecipients(seed, 40, 'journal');
const BY_API = makeRecipients(seed, 10, 'api');

async function killAtRandom(stack, random) {
  const victims = random.pick([['host'], ['host'], ['enclave'], ['enclave'], ['host', 'enclave']]);
  await sleep(random.chance(0.25) ? random.below(150) : random.below(1300));
  for (const victim of victims) await stack[victim].kill();
  if (random.chance(0.4)) await sleep(random.below(400));
  for (const victim of victims) stack[victim].start();
  // Often the next kill comes while this one is recovered from.
  if (random.chance(0.6)) await stack.ready();
}

test(`${KILLS} kills under load`, { timeout: patient(60_000 + KILLS * 8_000) }, async () => {
  const folder = temporaryFolder();
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const node = await startAnvil();
  try {
    const chain = await deployCoffer(node);
    await chain.registerTranscoders([...Object.values(JOURNAL), ...Object.values(BY_API)]);
    await node.setAutomine(false);
    await node.rpc('anvil_setIntervalMining', 1);
    const options = {
      chain,
      recipients: { ...JOURNAL, ...BY_API },
      journal: writer.file,
      enclave: { 'snapshot-interval': '64KiB' },
      host: {
        'store.segment-bytes': '1MiB',
        'payouts.interval': '700ms',
        'payouts.max-tickets': 8,
      },
    };
    await withStack(options, (stack) => underLoad(stack, chain, writer));
  } finally {
    await node.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

async function underLoad(stack, chain, writer) {
  const sender = new Wallet(stack.key).address;
  await chain.node.setAutomine(true);
  await chain.fundBroker(sender, { deposit: parseEther('5000'), gas: parseEther('1000') });
  await chain.node.setAutomine(false);
  await chain.node.rpc('anvil_setIntervalMining', 1);
  const random = new Random(seed);
  await stack.start();
  const journal = new JournalLoad(writer, { seed, recipients: JOURNAL });
  const loads = [1, 2, 3].map((n) => new ApiLoad(stack, `client-${n}`, { seed, recipients: BY_API }));
  for (let kill = 1; kill <= KILLS; kill++) {
    await killAtRandom(stack, random);
    if (kill % 25 === 0) console.log(`kill: ${kill} of ${KILLS}`);
  }
  await Promise.all([journal, ...loads].map((load) => load.stop()));
  await stack.ready();
  await stack.caughtUp();
  for (const load of loads) await settleApi(stack, load);
  await stack.payEverybody({ timeoutMs: 120_000 });
  await audit({ api: stack.api, chain, expected: owedAfter(writer, loads) });
  await neverPaidTwice(stack, chain);
  const sent = loads.reduce((sum, load) => sum + load.events.length, 0);
  const { payouts } = await stack.api.status();
  console.log(
    `kill: enclave started ${stack.enclave.starts} times, host ${stack.host.starts}; ` +
      `${journal.lines} lines, ${sent} events, ${payouts} payouts`,
  );
}
