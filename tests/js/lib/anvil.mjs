// A local chain for tests: one anvil process, and the node's own levers (mining, reorganizations,
// fees, balances).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonRpcProvider, Network } from 'ethers';
import { patient } from './patience.mjs';

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const RECEIPT_TIMEOUT_MS = 30_000;
const SETPRIV = '/usr/bin/setpriv';

/** Where the anvil binary is: COFFER_ANVIL, or the npm package's. */
export function anvilPath() {
  if (process.env.COFFER_ANVIL) return process.env.COFFER_ANVIL;
  try {
    return createRequire(import.meta.url).resolve('@foundry-rs/anvil-linux-amd64/bin/anvil');
  } catch {
    throw new Error(
      'anvil is not installed: run `npm ci --ignore-scripts` in tests/js, or set COFFER_ANVIL',
    );
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function anvilArguments(port, options) {
  const args = [
    '--host',
    '127.0.0.1',
    '--port',
    String(port),
    '--chain-id',
    String(options.chainId),
    '--quiet',
  ];
  if (options.noMining) args.push('--no-mining');
  if (options.blockTime !== undefined) args.push('--block-time', String(options.blockTime));
  if (options.state !== undefined) args.push('--state', options.state, '--preserve-historical-states');
  if (options.gasLimit !== undefined) args.push('--gas-limit', String(options.gasLimit));
  return args;
}

// setpriv ends the chain together with us, even if we are killed with SIGKILL.
function spawnAnvil(args) {
  const command = fs.existsSync(SETPRIV)
    ? [SETPRIV, '--pdeathsig', 'KILL', anvilPath(), ...args]
    : [anvilPath(), ...args];
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  child.errorText = '';
  child.stderr.on('data', (data) => {
    child.errorText = (child.errorText + data).slice(-4000);
  });
  child.on('error', (error) => {
    child.errorText += error.message;
  });
  return child;
}

const hasExited = (child) =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

async function waitUntilAnswering(child, provider) {
  const deadline = Date.now() + patient(START_TIMEOUT_MS);
  while (Date.now() < deadline) {
    if (hasExited(child))
      throw new Error(`anvil ended while starting: ${child.errorText.trim() || child.exitCode}`);
    try {
      return await provider.send('eth_chainId', []);
    } catch {
      await sleep(20);
    }
  }
  throw new Error(`anvil did not answer within ${patient(START_TIMEOUT_MS)} ms: ${child.errorText.trim()}`);
}

/** A provider without caching or long polls, for a node on this machine. */
export function localProvider(url, chainId) {
  return new JsonRpcProvider(url, chainId, {
    staticNetwork: Network.from(chainId),
    batchMaxCount: 1,
    cacheTimeout: -1,
    pollingInterval: 50,
  });
}

/**
 * A running node and its levers. Made by startAnvil, or over somebody else's node by attachNode.
 */
export class LocalNode {
  constructor({ url, chainId, automine, child }) {
    this.url = url;
    this.chainId = chainId;
    this.automine = automine;
    this.child = child;
    this.provider = localProvider(url, chainId);
  }

  rpc(method, ...params) {
    return this.provider.send(method, params);
  }

  /** Ends the process that startAnvil made; a node attached to is only left. */
  async stop() {
    this.provider.destroy();
    if (this.child === undefined || hasExited(this.child)) return;
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  async mine(blocks = 1) {
    await this.rpc('anvil_mine', `0x${blocks.toString(16)}`);
  }

  async setAutomine(on) {
    await this.rpc('evm_setAutomine', on);
    this.automine = on;
  }

  snapshot() {
    return this.rpc('evm_snapshot');
  }

  async revert(id) {
    if (!(await this.rpc('evm_revert', id)))
      throw new Error(`snapshot ${id} does not exist (each works once)`);
  }

  /**
   * Replaces the newest `depth` blocks by empty ones; their transactions are gone, from the pool
   * too.
   */
  async reorg(depth) {
    await this.rpc('anvil_reorg', depth, []);
  }

  /** Takes the newest `depth` blocks off. */
  async rollback(depth) {
    await this.rpc('anvil_rollback', depth);
  }

  /** Base fee of the next block, in wei. */
  async setBaseFee(wei) {
    await this.rpc('anvil_setNextBlockBaseFeePerGas', `0x${BigInt(wei).toString(16)}`);
  }

  /** Forgets a transaction that is not mined yet. */
  async dropTransaction(hash) {
    await this.rpc('anvil_dropTransaction', hash);
  }

  async setBalance(address, wei) {
    await this.rpc('anvil_setBalance', address, `0x${BigInt(wei).toString(16)}`);
  }

  async setNonce(address, nonce) {
    await this.rpc('anvil_setNonce', address, `0x${BigInt(nonce).toString(16)}`);
  }

  async setNextTimestampAhead(seconds) {
    await this.rpc('evm_increaseTime', seconds);
  }

  /**
   * The receipt of a sent transaction, which the node may know only a moment later. Status is not
   * judged.
   */
  async receipt(hash) {
    const deadline = Date.now() + patient(RECEIPT_TIMEOUT_MS);
    while (Date.now() < deadline) {
      const receipt = await this.provider.getTransactionReceipt(hash);
      if (receipt !== null) return receipt;
      await sleep(10);
    }
    throw new Error(`transaction ${hash} was not mined within ${patient(RECEIPT_TIMEOUT_MS)} ms`);
  }

  /**
   * Waits for a response of ethers' sendTransaction, mining a block if the node does not do so by
   * itself.
   */
  async mined(response) {
    if (!this.automine) await this.mine();
    return this.receipt(response.hash);
  }

  /** Sends as `address`, whose key nobody here has, and leaves its nonce as it was. */
  async sendAs(address, transaction) {
    const nonce = await this.provider.getTransactionCount(address);
    await this.rpc('anvil_impersonateAccount', address);
    try {
      const hash = await this.rpc('eth_sendTransaction', { from: address, ...transaction });
      const receipt = await this.mined({ hash });
      if (receipt.status !== 1) throw new Error(`transaction ${hash} as ${address} reverted`);
      return receipt;
    } finally {
      await this.rpc('anvil_stopImpersonatingAccount', address);
      await this.setNonce(address, nonce);
    }
  }
}

/**
 * Starts anvil on 127.0.0.1 and returns its LocalNode once it answers.
 *
 * port 0 picks a free one. Blocks: one per transaction, or with `blockTime` one every so many
 * seconds (fractions allowed), or with `noMining` only on mine(). `state`: a file from which the
 * chain is taken, if it is there, and to which it is written by stop().
 */
export async function startAnvil({
  port = 0,
  chainId = 31337,
  blockTime,
  noMining = false,
  gasLimit,
  state,
} = {}) {
  const automine = blockTime === undefined && !noMining;
  for (let attempt = 1; ; attempt++) {
    const chosen = port === 0 ? await freePort() : port;
    const child = spawnAnvil(anvilArguments(chosen, { chainId, blockTime, noMining, gasLimit, state }));
    const node = new LocalNode({ url: `http://127.0.0.1:${chosen}`, chainId, automine, child });
    process.once('exit', () => child.kill('SIGKILL'));
    try {
      const answered = Number(await waitUntilAnswering(child, node.provider));
      await sleep(5);
      if (hasExited(child))
        throw new Error(`anvil ended while starting: ${child.errorText.trim()}`);
      if (answered !== chainId)
        throw new Error(`port ${chosen} belongs to another chain, with id ${answered}`);
      return node;
    } catch (error) {
      await node.stop();
      // Somebody may have taken a free port between the look and the start.
      if (port !== 0 || attempt === 3) throw error;
    }
  }
}

/** The LocalNode of an anvil that somebody else started. */
export function attachNode({ url, chainId, automine = true }) {
  return new LocalNode({ url, chainId, automine });
}
