// A local chain with the payment contracts, for the demo and for trials by hand.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getAddress, isAddress, parseEther } from 'ethers';
import { attachCoffer, deployCoffer, readAddresses, startAnvil } from './lib/chain.mjs';
import { REQUIRED, UsageError, parseInteger, parseOptions, runMain } from './lib/cli.mjs';

const USAGE = `A local chain with the payment contracts.

  chain.mjs up --out FILE [options]     start, deploy, stay in the foreground until SIGTERM
    --out FILE            written when all is ready: rpc_url, chain_id, addresses, deployer_key
    --port N              default 8545; 0 picks a free one (see rpc_url)
    --chain-id N          default 31337
    --block-time S        a block every S seconds (fractions allowed); default: one per transaction
    --round-length N      a round every N blocks, initialized as it begins; default 0: none moves
    --validity-period N   rounds in which a ticket is valid, default 2
    --register FILE       register these recipients: a registry.json, a JSON array, or lines
    --fund-sender ADDR    give this sender a deposit and a reserve in the broker and ether for gas
    --deposit-eth X       default 10
    --reserve-eth X       default 1
    --gas-eth X           default 10

  chain.mjs paid --chain FILE --recipients FILE
    prints {"0xRecipient": "wei credited", ...} as the BondingManager has it

Examples
  node tests/js/chain.mjs up --port 8545 --out chain.json --register registry.json \\
      --fund-sender 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --deposit-eth 50
  node tests/js/chain.mjs paid --chain chain.json --recipients registry.json`;

const UP_OPTIONS = {
  out: REQUIRED,
  port: '8545',
  'chain-id': '31337',
  'block-time': undefined,
  'round-length': '0',
  'validity-period': '2',
  register: undefined,
  'fund-sender': undefined,
  'deposit-eth': '10',
  'reserve-eth': '1',
  'gas-eth': '10',
};

const KEEPER_INTERVAL_MS = 100;
const say = (line) => console.log(`chain: ${line}`);

function parseEth(name, text) {
  if (!/^[0-9]{1,9}(\.[0-9]{1,18})?$/.test(text)) {
    throw new UsageError(`--${name} is '${text}'; give an amount in ETH such as 1.5`);
  }
  return parseEther(text);
}

function parseUp(args) {
  const options = parseOptions(args, UP_OPTIONS);
  const blockTime = options['block-time'] === undefined ? undefined : Number(options['block-time']);
  if (blockTime !== undefined && !(blockTime >= 0.05 && blockTime <= 3600)) {
    throw new UsageError(
      `--block-time is '${options['block-time']}'; give seconds from 0.05 to 3600`,
    );
  }
  const sender = options['fund-sender'];
  if (sender !== undefined && !isAddress(sender))
    throw new UsageError(`--fund-sender '${sender}' is not an address`);
  return {
    out: options.out,
    port: parseInteger('port', options.port, 0, 65535),
    chainId: parseInteger('chain-id', options['chain-id'], 1, 2 ** 48),
    blockTime,
    roundLength: parseInteger('round-length', options['round-length'], 0, 1_000_000),
    validityPeriod: parseInteger('validity-period', options['validity-period'], 1, 1_000_000),
    recipients: options.register === undefined ? [] : readAddresses(options.register),
    sender: sender === undefined ? undefined : getAddress(sender),
    funds: {
      deposit: parseEth('deposit-eth', options['deposit-eth']),
      reserve: parseEth('reserve-eth', options['reserve-eth']),
      gas: parseEth('gas-eth', options['gas-eth']),
    },
  };
}

async function prepare(node, options) {
  const coffer = await deployCoffer(node, {
    ...options,
    onStep: (line) => say(`deployed ${line}`),
  });
  await coffer.registerTranscoders(options.recipients, (n) =>
    say(`registered ${n} of ${options.recipients.length}`),
  );
  if (options.sender !== undefined) {
    await coffer.fundBroker(options.sender, options.funds);
    const { deposit, reserve } = await coffer.senderInfo(options.sender);
    say(`sender ${options.sender} has a deposit of ${deposit} wei and a reserve of ${reserve} wei`);
  }
  return coffer;
}

// Whole or not at all: a reader that sees the file can use the chain.
function writeDescription(file, node, coffer, options) {
  const description = {
    rpc_url: node.url,
    chain_id: node.chainId,
    ...coffer.addresses,
    deployer_address: coffer.owner.address,
    deployer_key: coffer.deployerKey,
    block_time: options.blockTime ?? null,
    round_length: options.roundLength,
    ticket_validity_period: options.validityPeriod,
    registered: options.recipients.length,
    funded_sender: options.sender ?? null,
  };
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(description, null, 2)}\n`, {
    mode: 0o600,
  });
  fs.renameSync(`${file}.${process.pid}`, file);
}

// What keepers do on the real chain: initialize each round when it begins.
async function keepRounds(coffer, isStopping) {
  while (!isStopping()) {
    try {
      if (!(await coffer.roundsManager.currentRoundInitialized())) {
        await coffer.send(coffer.roundsManager, 'initializeRound');
        say(`round ${await coffer.currentRound()} initialized`);
      }
    } catch (error) {
      if (!isStopping())
        say(`initializing the round failed, trying again: ${error.shortMessage ?? error.message}`);
    }
    await sleep(KEEPER_INTERVAL_MS);
  }
}

async function up(args) {
  const options = parseUp(args);
  let stopping = false;
  let endWait;
  const ended = new Promise((resolve) => {
    endWait = resolve;
  });
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      stopping = true;
      endWait(`stopping on ${signal}`);
    });
  }
  fs.rmSync(options.out, { force: true });
  const node = await startAnvil(options);
  node.child.once('exit', () => endWait(`anvil ended by itself: ${node.child.errorText.trim()}`));
  say(`anvil answers at ${node.url}, chain id ${node.chainId}`);
  try {
    const prepared = prepare(node, options);
    prepared.catch(() => {}); // seen below, unless a signal came first
    const coffer = await Promise.race([prepared, ended.then(() => undefined)]);
    if (coffer !== undefined) {
      writeDescription(options.out, node, coffer, options);
      say(`ready; described in ${options.out}`);
      if (options.roundLength > 0) keepRounds(coffer, () => stopping);
    }
    say(await ended);
  } finally {
    await node.stop();
  }
  process.exit(stopping ? 0 : 1);
}

async function paid(args) {
  const options = parseOptions(args, { chain: REQUIRED, recipients: REQUIRED });
  const coffer = attachCoffer(options.chain);
  const fees = await coffer.feesCredited(readAddresses(options.recipients));
  console.log(
    JSON.stringify(
      Object.fromEntries([...fees].map(([who, wei]) => [who, wei.toString()])),
      null,
      2,
    ),
  );
  await coffer.node.stop();
}

await runMain(USAGE, async ([command, ...args]) => {
  if (command === 'up') return up(args);
  if (command === 'paid') return paid(args);
  throw new UsageError(`unknown command '${command}'; see --help`);
});
