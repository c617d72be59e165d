// The payment contracts on a local chain: deployment, and what tests and the demo do with them.
import fs from 'node:fs';
import {
  Contract,
  ContractFactory,
  HDNodeWallet,
  Mnemonic,
  Wallet,
  getAddress,
  id,
  isAddress,
  parseEther,
} from 'ethers';
import { attachNode } from './anvil.mjs';
import { compileContracts } from './compile.mjs';

export { startAnvil } from './anvil.mjs';

const DEV_PHRASE = 'test test test test test test test test test test test junk';
const REGISTER_CHUNK = 100;
const READ_CHUNK = 500;
const FUND_GAS = 300_000n;

/**
 * The key of anvil's dev account number `index`; every such chain has the same ones, so they keep
 * no secret.
 */
export function devKey(index) {
  return HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(DEV_PHRASE), `m/44'/60'/0'/0/${index}`)
    .privateKey;
}

/** The deployed contracts, spoken to as their owner. */
export class Coffer {
  constructor(node, addresses, deployerKey) {
    this.node = node;
    this.addresses = addresses;
    this.deployerKey = deployerKey;
    this.owner = new Wallet(deployerKey, node.provider);
    const artifacts = compileContracts();
    const at = (name, address) => new Contract(address, artifacts[name].abi, this.owner);
    this.broker = at('TicketBroker', addresses.broker);
    this.controller = at('Controller', addresses.controller);
    this.roundsManager = at('RoundsManager', addresses.rounds_manager);
    this.bondingManager = at('BondingManager', addresses.bonding_manager);
    this.minter = at('Minter', addresses.minter);
  }

  /**
   * Calls a contract's method by a transaction and returns the receipt; throws with the reason if
   * it would revert.
   */
  async send(contract, method, ...args) {
    const receipt = await this.node.mined(await contract[method](...args));
    if (receipt.status !== 1) throw new Error(`${method} reverted in ${receipt.hash}`);
    return receipt;
  }

  async currentRound() {
    return this.roundsManager.currentRound();
  }

  /** {round, blockHash}: what a ticket made now carries in its auxData. */
  async roundForTickets() {
    const round = await this.roundsManager.currentRound();
    return { round, blockHash: await this.roundsManager.blockHashForRound(round) };
  }

  setRound(round, initialize = true) {
    return this.send(this.roundsManager, 'setRound', round, initialize);
  }

  advanceRound() {
    return this.send(this.roundsManager, 'advanceRound');
  }

  setPaused(paused) {
    return this.send(this.controller, paused ? 'pause' : 'unpause');
  }

  /** Registers each address as a transcoder; without it a redemption for it reverts. */
  async registerTranscoders(addresses, onProgress = () => {}) {
    for (let i = 0; i < addresses.length; i += REGISTER_CHUNK) {
      await this.send(this.bondingManager, 'registerMany', addresses.slice(i, i + REGISTER_CHUNK));
      onProgress(Math.min(i + REGISTER_CHUNK, addresses.length));
    }
  }

  /**
   * Gives `sender` a deposit and a reserve in the broker and sets its own balance to `gas`, all in
   * wei.
   *
   * Its key is not needed (the node plays the sender) and its nonce stays what it was.
   */
  async fundBroker(sender, { deposit = 0n, reserve = 0n, gas }) {
    const value = BigInt(deposit) + BigInt(reserve);
    const balanceAfter = gas ?? (await this.node.provider.getBalance(sender));
    if (value > 0n) {
      await this.node.setBalance(sender, value + parseEther('1'));
      await this.node.sendAs(sender, {
        to: this.addresses.broker,
        value: `0x${value.toString(16)}`,
        gas: `0x${FUND_GAS.toString(16)}`,
        data: fundingData(this.broker, BigInt(deposit), BigInt(reserve)),
      });
    }
    await this.node.setBalance(sender, balanceAfter);
  }

  /** getSenderInfo as plain numbers. */
  async senderInfo(sender) {
    const [[deposit, withdrawRound], [reserve, claimedInCurrentRound]] =
      await this.broker.getSenderInfo(sender);
    return { deposit, withdrawRound, reserve, claimedInCurrentRound };
  }

  /** Wei of fees credited to each recipient, as a Map in the order given. */
  async feesCredited(recipients) {
    const fees = new Map();
    for (let i = 0; i < recipients.length; i += READ_CHUNK) {
      const chunk = recipients.slice(i, i + READ_CHUNK);
      const amounts = await this.bondingManager.feesCreditedMany(chunk);
      chunk.forEach((recipient, k) => fees.set(recipient, amounts[k]));
    }
    return fees;
  }
}

// A deposit of nothing would still end an unlock, so each is funded alone when the other is 0.
function fundingData(broker, deposit, reserve) {
  if (reserve === 0n) return broker.interface.encodeFunctionData('fundDeposit');
  if (deposit === 0n) return broker.interface.encodeFunctionData('fundReserve');
  return broker.interface.encodeFunctionData('fundDepositAndReserve', [deposit, reserve]);
}

/**
 * Deploys all contracts and registers them in the Controller.
 *
 * roundLength 0: rounds move by setRound and advanceRound only; n: every n blocks, and each must be
 * initialized. Periods are in rounds.
 */
export async function deployCoffer(
  node,
  {
    deployerKey = devKey(0),
    roundLength = 0,
    validityPeriod = 2,
    unlockPeriod = 10,
    firstRound = 1000,
    onStep = () => {},
  } = {},
) {
  const artifacts = compileContracts();
  const owner = new Wallet(deployerKey, node.provider);
  const deploy = async (name, ...args) => {
    const factory = new ContractFactory(artifacts[name].abi, artifacts[name].bytecode, owner);
    const contract = await factory.deploy(...args);
    const receipt = await node.mined(contract.deploymentTransaction());
    if (receipt.status !== 1) throw new Error(`deploying ${name} reverted`);
    onStep(`${name} at ${receipt.contractAddress}`);
    return receipt.contractAddress;
  };
  const controller = await deploy('Controller');
  const addresses = {
    controller,
    rounds_manager: await deploy('RoundsManager', controller, firstRound),
    bonding_manager: await deploy('BondingManager', controller),
    minter: await deploy('Minter', controller),
    broker: await deploy('TicketBroker', controller, validityPeriod, unlockPeriod),
  };
  const coffer = new Coffer(node, addresses, deployerKey);
  const names = {
    rounds_manager: 'RoundsManager',
    bonding_manager: 'BondingManager',
    minter: 'Minter',
    broker: 'TicketBroker',
  };
  for (const [key, name] of Object.entries(names)) {
    await coffer.send(coffer.controller, 'setContract', id(name), addresses[key]);
  }
  if (roundLength > 0) await coffer.send(coffer.roundsManager, 'setRoundLength', roundLength);
  return coffer;
}

/** The Coffer of a running chain described by the file that `chain.mjs up` wrote. */
export function attachCoffer(file) {
  const description = JSON.parse(fs.readFileSync(file, 'utf8'));
  const node = attachNode({
    url: description.rpc_url,
    chainId: description.chain_id,
    automine: description.block_time === null,
  });
  return new Coffer(node, description, description.deployer_key);
}

/**
 * Payout addresses from a file, each once: a registry {"orchestrators": {id: address}}, a JSON
 * array of addresses, or text with one address a line.
 */
export function readAddresses(file) {
  const text = fs.readFileSync(file, 'utf8');
  let list;
  if (/^\s*[{[]/.test(text)) {
    const json = JSON.parse(text);
    list = Array.isArray(json) ? json : Object.values(json.orchestrators ?? {});
  } else {
    list = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  }
  for (const entry of list) {
    if (!isAddress(entry)) throw new Error(`${file}: '${entry}' is not an address`);
  }
  return [...new Set(list.map((entry) => getAddress(entry)))];
}
