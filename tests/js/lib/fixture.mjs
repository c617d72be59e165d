// What the contract tests share: a fresh chain for each file, put back to its first state before
// each test.
import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { Interface, Wallet, parseEther } from 'ethers';
import { deployCoffer, devKey, startAnvil } from './chain.mjs';
import { makeTicket } from './ticket.mjs';

export const DEPOSIT = parseEther('50');
export const RESERVE = parseEther('6');

/** Dev accounts: 0 owns the contracts, 1 is the payer, 2 a stranger, the recipients come after. */
export const SENDER_KEY = devKey(1);
export const STRANGER_KEY = devKey(2);
export const SENDER = new Wallet(SENDER_KEY).address;
export const RECIPIENTS = [3, 4, 5].map((index) => new Wallet(devKey(index)).address);
export const UNREGISTERED = new Wallet(devKey(6)).address;

/** The chain of a test file and the payer's side of it. Filled in by useChain's hooks. */
class Fixture {
  nonce = 1n;

  async start(options) {
    this.node = await startAnvil();
    this.coffer = await deployCoffer(this.node, options);
    await this.coffer.registerTranscoders(RECIPIENTS);
    await this.coffer.fundBroker(SENDER, { deposit: DEPOSIT, reserve: RESERVE });
    this.snapshot = await this.node.snapshot();
  }

  async reset() {
    await this.node.revert(this.snapshot);
    this.snapshot = await this.node.snapshot();
  }

  /** The broker as the payer (or another key) speaks to it. */
  brokerAs(key = SENDER_KEY) {
    return this.coffer.broker.connect(new Wallet(key, this.node.provider));
  }

  /**
   * A ticket of the payer for the first recipient, made in the current round, with a senderNonce of
   * its own.
   */
  async ticket(overrides = {}) {
    return makeTicket({
      key: SENDER_KEY,
      recipient: RECIPIENTS[0],
      faceValue: parseEther('1'),
      senderNonce: this.nonce++,
      ...(await this.coffer.roundForTickets()),
      ...overrides,
    });
  }

  /** Sends redeemWinningTicket and returns the events of its receipt. */
  async redeem({ ticket, sig, recipientRand }, key = SENDER_KEY) {
    const receipt = await this.node.mined(
      await this.brokerAs(key).redeemWinningTicket(ticket, sig, recipientRand),
    );
    assert.equal(receipt.status, 1);
    return this.events(receipt);
  }

  /**
   * Sends batchRedeemWinningTickets, with gas by the rule of thumb: an estimate would starve the
   * inner calls.
   */
  async redeemBatch(signed, { gasLimit = 100_000 + 275_000 * signed.length } = {}) {
    const receipt = await this.node.mined(
      await this.brokerAs().batchRedeemWinningTickets(
        signed.map((s) => s.ticket),
        signed.map((s) => s.sig),
        signed.map((s) => s.recipientRand),
        { gasLimit },
      ),
    );
    assert.equal(receipt.status, 1);
    return this.events(receipt);
  }

  /** Asserts that redeeming would revert with exactly these words. */
  async refuses({ ticket, sig, recipientRand }, reason) {
    await reverts(
      this.brokerAs().redeemWinningTicket.staticCall(ticket, sig, recipientRand),
      reason,
    );
  }

  /** The logs of a receipt in order, as {name, args}. */
  events(receipt) {
    const contracts = [this.coffer.broker, this.coffer.bondingManager, this.coffer.minter];
    const known = new Interface(
      contracts.flatMap((c) => c.interface.fragments.filter((f) => f.type === 'event')),
    );
    return receipt.logs.map((log) => {
      const { name, args } = known.parseLog(log);
      return { name, args: args.toObject() };
    });
  }

  /** Wei of fees credited to a recipient. */
  paid(recipient = RECIPIENTS[0]) {
    return this.coffer.bondingManager.feesCredited(recipient);
  }
}

/** Hooks for one test file; `options` are those of deployCoffer. */
export function useChain(options = {}) {
  const fixture = new Fixture();
  before(() => fixture.start(options));
  beforeEach(() => fixture.reset());
  after(() => fixture.node?.stop());
  return fixture;
}

/** Asserts that a call reverts with exactly this reason. */
export async function reverts(promise, reason) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.reason, reason, error.message);
    return true;
  });
}

export const names = (events) => events.map((event) => event.name);

/** The one event of this name. */
export function only(events, name) {
  const found = events.filter((event) => event.name === name);
  assert.equal(found.length, 1, `${found.length} events ${name} among ${names(events)}`);
  return found[0].args;
}
