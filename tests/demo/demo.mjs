// The whole path on a local chain: a journal becomes money, through two processes that are killed on
// the way. Ends with a table and a comparison to the wei.
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Wallet, formatEther, parseEther } from 'ethers';
import { deployCoffer, startAnvil } from '../js/lib/chain.mjs';
import { Stack } from '../js/lib/coffer.mjs';
import { UsageError, parseInteger } from '../js/lib/cli.mjs';
import { generateJournal } from '../js/lib/journal.mjs';
import { runProgram, until } from '../js/lib/program.mjs';
import { Random } from '../js/lib/random.mjs';
import { report } from './report.mjs';

const USAGE = `The main job, end to end, on a local chain: journal -> enclave -> chain, with kills.

  ./dev demo [options]      (or, after a release build: node tests/demo/demo.mjs [options])
    --lines N       lines of the journal, default 20000
    --accounts N    orchestrators, default 300
    --seed TEXT     decides the journal and the moments of the kills, default 1
    --tickets N     tickets in one transaction at most, default 25
    --kms           the enclave has its keys from KMS, and from there alone: from a local stand-in for it
    --keep          leave logs, journal and data folder there, and say where (also left after a failure)
    --help

What it does: starts anvil and deploys the contracts; writes the journal; starts coffer-enclave and
coffer-host; lets them read while the journal grows, and kills each with SIGKILL on the way; pays
everybody in batches of tickets, and kills each again; then compares, to the wei, what each recipient
was credited on the chain with what the journal owed him. Corrections in the journal take back what
is not paid yet, so nobody is paid before the whole journal is read. Exit code 0 only when every
figure agrees.

With --kms the signing key is encrypted by the AWS SDK, as an operator would do it, and opened for the
enclave's measured image alone, at each of its starts; the state key is made by KMS and changed once, before
the payouts begin. This KMS is a program on this machine, as is what attests the image (--attestor dev): they
show the way, and protect nothing.`;

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../build/demo');
const CHUNKS = 20;
const PACE_MS = 120;

const started = Date.now();
const seconds = (from = started) => ((Date.now() - from) / 1000).toFixed(1);
const say = (line) => console.log(`[${seconds().padStart(5)} s] ${line}`);
const eth = (wei) => `${formatEther(wei)} ETH`;

function parse(args) {
  const options = { lines: '20000', accounts: '300', seed: '1', tickets: '25', keep: false, kms: false };
  for (let i = 0; i < args.length; i++) {
    const name = args[i].startsWith('--') ? args[i].slice(2) : undefined;
    if (name === 'keep' || name === 'kms') options[name] = true;
    else if (name === undefined || !Object.hasOwn(options, name))
      throw new UsageError(`unknown argument '${args[i]}'; see --help`);
    else if (args[i + 1] === undefined) throw new UsageError(`--${name} needs a value`);
    else options[name] = args[++i];
  }
  return {
    ...options,
    lines: parseInteger('lines', options.lines, 1, 10_000_000),
    accounts: parseInteger('accounts', options.accounts, 1, 100_000),
    tickets: parseInteger('tickets', options.tickets, 1, 100),
  };
}

// A local KMS, and the key in it as an operator puts it there.
async function startKms(key) {
  const { KmsWorld } = await import('../js/lib/kms/world.mjs');
  const world = await KmsWorld.make({ folder: path.join(FOLDER, 'kms') });
  say(`kms: a LOCAL STAND-IN for AWS KMS at ${world.kms.endpoint}, for this demo only: it protects nothing`);
  const ciphertext = await world.ciphertextFile(key);
  say(`kms: the signing key is encrypted by the AWS SDK under ${world.coffer.alias}; the enclave starts without it`);
  say(`kms: its policy opens keys for the image ${world.image.slice(0, 16)}... alone (deploy/kms)`);
  return { world, ciphertext };
}

async function rotateStateKey(stack) {
  const args = ['rotate', 'state-key', '--host-url', stack.api.base];
  const done = await runProgram('coffer', args, { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
  if (done.code !== 0) throw new Error(`coffer rotate state-key: ${done.stderr}`);
  say(`kms: coffer rotate state-key: ${done.stdout.trim().split('\n').at(-1)}`);
}

async function startChain(recipients, sender, owed) {
  const node = await startAnvil({ blockTime: 0.2 });
  say(`chain: anvil at ${node.url}`);
  await node.setAutomine(true); // while it is prepared
  const chain = await deployCoffer(node);
  say(`chain: TicketBroker at ${chain.addresses.broker}`);
  await chain.registerTranscoders(recipients);
  const deposit = owed + parseEther('1');
  await chain.fundBroker(sender, { deposit, reserve: parseEther('1'), gas: parseEther('100') });
  say(`chain: ${recipients.length} recipients registered, a deposit of ${eth(deposit)}`);
  await node.setAutomine(false);
  await node.rpc('evm_setIntervalMining', 1);
  return chain;
}

// The journal grows while it is read; at two moments a process is killed.
async function replay(stack, pieces, random) {
  const first = 3 + random.below(5);
  const kills = new Map([
    [first, 'host'],
    [first + 3 + random.below(5), 'enclave'],
  ]);
  for (const [index, piece] of pieces.entries()) {
    fs.appendFileSync(stack.journal, piece);
    await sleep(PACE_MS);
    const victim = kills.get(index);
    if (victim === undefined) continue;
    const { events } = await stack.api.status().catch(() => ({ events: '?' }));
    await killAndRestart(stack, victim, `after about ${events} events`);
  }
  const progress = setInterval(() => {
    stack.api.get('/api/journal').then(
      ({ lines, lag_bytes: lag }) => say(`replay: ${lines} lines, ${lag} bytes to go`),
      () => {},
    );
  }, 2000);
  try {
    await stack.ready();
    await stack.caughtUp(120_000);
  } finally {
    clearInterval(progress);
  }
}

async function killAndRestart(stack, victim, when) {
  const program = stack[victim];
  const pid = program.pid;
  await program.kill();
  say(`SIGKILL: ${program.name} (pid ${pid}) ${when}; starting it again`);
  program.start();
}

// Everybody is paid; each process is killed once some payouts are signed, and once more later.
async function pay(stack, random, batches) {
  const at = [...new Set([1, 2, 3].map((n) => Math.max(1, Math.floor((batches * n) / 5))))];
  const victims = random.chance(0.5) ? ['host', 'enclave'] : ['enclave', 'host'];
  const kills = at.map((payouts, i) => ({ payouts, victims: i < 2 ? [victims[i]] : victims }));
  let shown = '';
  await stack.payEverybody({
    timeoutMs: 150_000,
    everyMs: 20,
    onStatus: async (status) => {
      const done = status.payouts - status.open_payouts;
      const line = `payouts: ${done} of ${status.payouts} done, ${eth(BigInt(status.totals.paid))} paid`;
      if (line !== shown) say((shown = line));
      if (kills.length === 0 || status.payouts < kills[0].payouts) return;
      for (const victim of kills.shift().victims) {
        await sleep(random.below(300)); // anywhere between signed, sent, mined and settled
        await killAndRestart(stack, victim, `with ${status.open_payouts} payouts under way`);
      }
    },
  });
}

function makeStack({ options, chain, key, registry, kms }) {
  const common = {
    folder: FOLDER,
    chain,
    key,
    recipients: registry.orchestrators,
    journal: path.join(FOLDER, 'journal.jsonl'),
    enclave: {
      'max-face-value-wei': parseEther('1000'),
      'max-batch-total-wei': parseEther('100000'),
    },
    host: {
      'payouts.max-tickets': options.tickets,
      'payouts.max-under-way': 4,
      'payouts.paused': true, // a correction takes back only what is not paid yet
    },
  };
  return Stack.make(kms === undefined ? common : kms.world.stack({ ...common, ciphertext: kms.ciphertext }));
}

async function run(options) {
  fs.rmSync(FOLDER, { recursive: true, force: true });
  fs.mkdirSync(FOLDER, { recursive: true });
  const random = new Random(`demo ${options.seed}`);
  let text = '';
  const { registry, expected } = generateJournal(
    { lines: options.lines, accounts: options.accounts, seed: options.seed },
    (piece) => (text += piece),
  );
  fs.writeFileSync(path.join(FOLDER, 'expected.json'), `${JSON.stringify(expected, null, 1)}\n`);
  const owed = BigInt(expected.total_wei);
  say(`journal: ${options.lines} lines, seed ${options.seed}, ${eth(owed)} owed to ${options.accounts}`);

  const key = `0x${randomBytes(32).toString('hex')}`;
  const recipients = Object.values(registry.orchestrators);
  const chain = await startChain(recipients, new Wallet(key).address, owed);
  const kms = options.kms ? await startKms(key) : undefined;
  const stack = await makeStack({ options, chain, key, registry, kms });
  let right = false;
  try {
    fs.writeFileSync(stack.journal, '');
    await stack.start();
    say(`coffer-enclave (pid ${stack.enclave.pid}) and coffer-host (pid ${stack.host.pid}) are ready`);
    const replayed = Date.now();
    await replay(stack, split(text, CHUNKS), random);
    if (kms !== undefined) await rotateStateKey(stack);
    say(`replay: all ${options.lines} lines are durable after ${seconds(replayed)} s`);
    say('payouts begin now: a correction in the journal takes back only what is not paid yet');
    // From here on payouts go on by themselves after a restart.
    stack.host.args.splice(stack.host.args.indexOf('--payouts.paused'), 1);
    await stack.host.stop();
    stack.host.start();
    await stack.ready();
    const paying = Date.now();
    await pay(stack, random, Math.ceil(options.accounts / options.tickets));
    say(`payouts: everybody is paid after ${seconds(paying)} s`);
    await until('the last receipt', async () => (await stack.api.status()).open_payouts === 0);
    right = await report({ stack, chain, expected, started, kms: kms?.world });
    return right;
  } finally {
    await stack.close();
    await kms?.world.close();
    await chain.node.stop();
    if (options.keep || !right) say(`everything is left in ${FOLDER}`);
    else fs.rmSync(FOLDER, { recursive: true, force: true });
  }
}

// The text in about `count` pieces, cut anywhere: lines come in halves, too.
function split(text, count) {
  const bytes = Buffer.from(text);
  const size = Math.max(1, Math.ceil(bytes.length / count));
  const pieces = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(USAGE);
} else {
  try {
    const right = await run(parse(args));
    process.exit(right ? 0 : 1);
  } catch (error) {
    console.error(error instanceof UsageError ? `demo: ${error.message}` : `demo: ${error.stack}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
}
