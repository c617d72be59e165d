// The simulator's TicketBroker (tests/sim/chain) against the contract: coffer_chain_scenario plays random calls on
// the model and tells what became of each; here the same calls are made on the contract and everything is compared:
// status, the revert's words, every event, what each ticket paid, and what the contracts then answer to a payer.
// COFFER_SCENARIOS sets how many plays.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AbiCoder, getAddress, keccak256, toBeHex } from 'ethers';
import { deployCoffer, startAnvil } from '../js/lib/chain.mjs';
import { testSeed } from '../js/lib/random.mjs';

const SCENARIOS = Number(process.env.COFFER_SCENARIOS ?? 3);
const STEPS = 250;
const GAS = '0x1312d00'; // 20 million, as the model's
const BLOCK_HASH_SLOT = 3; // of RoundsManager.blockHashForRound
const PROGRAM = path.join(
  process.env.COFFER_BIN ?? fileURLToPath(new URL('../../build/dev/bin', import.meta.url)),
  'coffer_chain_scenario',
);

const seed = testSeed('chain_model');
const coder = AbiCoder.defaultAbiCoder();
let node;
before(async () => {
  node = await startAnvil({ gasLimit: 30_000_000 });
});
after(() => node?.stop());

/** The lines of scenario number `index`: the program takes a number, and so our seed is hashed. */
function scenario(index) {
  const number = createHash('sha256').update(`${seed}/${index}`).digest().readBigUInt64BE(0);
  const args = ['--seed', String(number), '--steps', String(STEPS)];
  const text = execFileSync(PROGRAM, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  return { number, lines: text.trim().split('\n').map((line) => JSON.parse(line)) };
}

/** In the model's words: the text of Error(string), "Panic 0x32", or nothing. */
function revertWords(data) {
  if (data.startsWith('0x08c379a0')) return coder.decode(['string'], `0x${data.slice(10)}`)[0];
  if (data.startsWith('0x4e487b71')) return `Panic 0x${BigInt(`0x${data.slice(10)}`).toString(16)}`;
  return '';
}

/** eth_call as {status, data}: what it returned, or the revert's data. */
async function ethCall(transaction) {
  try {
    return { status: 1, data: await node.rpc('eth_call', transaction, 'latest') };
  } catch (error) {
    const data = error.info?.error?.data ?? error.error?.data ?? error.data;
    return { status: 0, data: typeof data === 'string' ? data : '0x' };
  }
}

/** The contracts as a scenario's setup wants them, and what its lines ask for. */
class Stage {
  static async build(setup) {
    const stage = new Stage();
    stage.coffer = await deployCoffer(node, {
      firstRound: setup.round,
      validityPeriod: setup.validity_period,
      unlockPeriod: setup.unlock_period,
    });
    stage.addresses = stage.coffer.addresses;
    await stage.round(setup);
    await stage.coffer.registerTranscoders(setup.registered);
    return stage;
  }

  /** Makes it this round, with the model's block hash for it, on which the tickets are made. */
  async round({ round, initialized, hash }) {
    await this.coffer.setRound(round, initialized);
    if (!initialized) return;
    const slot = keccak256(coder.encode(['uint256', 'uint256'], [round, BLOCK_HASH_SLOT]));
    await node.rpc('anvil_setStorageAt', this.addresses.rounds_manager, slot, hash);
  }

  async pause({ paused }) {
    if ((await this.coffer.controller.paused()) !== paused) await this.coffer.setPaused(paused);
  }

  register({ who }) {
    return this.coffer.registerTranscoders([who]);
  }

  validity({ rounds }) {
    return this.coffer.send(this.coffer.broker, 'setTicketValidityPeriod', rounds);
  }

  async mark() {
    this.snapshot = await node.snapshot();
  }

  async back(line) {
    await node.revert(this.snapshot);
    await this.compareState(line);
  }

  async call(line) {
    const transaction = {
      from: line.from,
      to: this.addresses.broker,
      value: toBeHex(BigInt(line.value)).replace(/^0x0+(?=.)/, '0x'),
      data: line.data,
      gas: GAS,
    };
    await node.setBalance(line.from, 10n ** 18n);
    if (line.starved) transaction.gas = await node.rpc('eth_estimateGas', transaction);
    const dry = await ethCall(transaction);
    assert.equal(dry.status, line.status, 'whether it reverts');
    if (dry.status === 0) assert.equal(revertWords(dry.data), line.revert, 'why it reverts');
    const receipt = await this.sendAs(transaction);
    assert.equal(receipt.status, line.status, 'the status of the transaction');
    assert.deepEqual(this.logs(receipt), line.logs, 'the events');
    await this.compareState(line);
    const balance = await node.provider.getBalance(this.addresses.minter);
    assert.equal(String(balance), line.minter, "the Minter's ether");
  }

  async sendAs(transaction) {
    await node.rpc('anvil_impersonateAccount', transaction.from);
    const hash = await node.rpc('eth_sendTransaction', transaction);
    return node.receipt(hash);
  }

  logs(receipt) {
    const roles = new Map(Object.entries(this.addresses).map(([role, at]) => [getAddress(at), role]));
    const broker = coder.encode(['address'], [this.addresses.broker]);
    return receipt.logs.map(({ address, topics, data }) => ({
      contract: roles.get(getAddress(address)),
      data,
      topics: topics.map((topic) => (topic === broker ? 'broker' : topic)),
    }));
  }

  async compareState({ reads, fees }) {
    const answers = await Promise.all(
      reads.map(({ contract, data }) => ethCall({ to: this.addresses[contract], data })),
    );
    reads.forEach(({ contract, data, result }, i) => {
      const got = answers[i].status === 1 ? answers[i].data : 'reverted';
      assert.equal(got, result, `what ${contract} answers to ${data}`);
    });
    const credited = await this.coffer.feesCredited(Object.keys(fees));
    for (const [recipient, wei] of credited) assert.equal(String(wei), fees[recipient], recipient);
  }
}

// What the scenarios of one run met, so that a run which never redeems anything cannot pass.
const met = new Map();
const count = (what) => met.set(what, (met.get(what) ?? 0) + 1);

for (let index = 0; index < SCENARIOS; index++) {
  test(`scenario ${index}: the model and the contract agree`, async () => {
    const { number, lines } = scenario(index);
    const stage = await Stage.build(lines[0]);
    for (const [i, line] of lines.slice(1).entries()) {
      try {
        await stage[line.op](line);
      } catch (error) {
        error.message = `--seed ${number}, step ${i + 1} (${line.op}): ${error.message}\n${JSON.stringify(line.tickets ?? {})}`;
        throw error;
      }
      count(line.starved ? 'starved' : line.op);
      if (line.op === 'call') count(line.status === 1 ? 'succeeded' : line.revert);
      for (const ticket of line.tickets ?? []) count(ticket.revert || (ticket.paid === '0' ? 'burnt' : 'paid'));
    }
  });
}

test('the scenarios met what they are for', (t) => {
  t.diagnostic([...met].map(([what, times]) => `${what || '(no word)'}: ${times}`).join(', '));
  for (const what of ['call', 'round', 'mark', 'succeeded', 'paid', 'burnt', 'starved', 'out of gas', 'ticket is used', 'ticket is expired']) {
    assert.ok(met.get(what) > 0, `no ${what}`);
  }
});
