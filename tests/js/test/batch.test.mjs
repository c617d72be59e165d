// Batches: no ticket's failure reverts one, and an estimate of their gas is not to be trusted.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseEther } from 'ethers';
import {
  DEPOSIT,
  RECIPIENTS,
  RESERVE,
  SENDER,
  UNREGISTERED,
  names,
  only,
  useChain,
} from '../lib/fixture.mjs';
import { Random, testSeed } from '../lib/random.mjs';

const chain = useChain();
const transfers = (events) => events.filter((event) => event.name === 'WinningTicketTransfer');

const batchArguments = (signed) => [
  signed.map((s) => s.ticket),
  signed.map((s) => s.sig),
  signed.map((s) => s.recipientRand),
];

test('a batch pays each ticket, with the events of each in order', async () => {
  const signed = [];
  for (const recipient of RECIPIENTS) signed.push(await chain.ticket({ recipient }));
  const events = await chain.redeemBatch(signed);
  const one = ['TranscoderFeesCredited', 'WinningTicketTransfer', 'WinningTicketRedeemed'];
  assert.deepEqual(names(events), [...one, ...one, ...one]);
  assert.deepEqual(
    transfers(events).map((event) => event.args.recipient),
    RECIPIENTS,
  );
  for (const recipient of RECIPIENTS) assert.equal(await chain.paid(recipient), parseEther('1'));
});

test("a batch with a used ticket has status 1 and the other ticket's events only", async () => {
  const [used, fresh] = [await chain.ticket(), await chain.ticket({ recipient: RECIPIENTS[1] })];
  await chain.redeem(used);
  const events = await chain.redeemBatch([used, fresh]);
  assert.equal(only(events, 'WinningTicketTransfer').recipient, RECIPIENTS[1]);
  assert.equal(only(events, 'WinningTicketRedeemed').senderNonce, fresh.ticket.senderNonce);
  assert.equal(await chain.paid(), parseEther('1'));
});

test('a batch of nothing but bad tickets has status 1 and pays none', async () => {
  const { round } = await chain.coffer.roundForTickets();
  const good = await chain.ticket();
  const bad = [
    await chain.ticket({ recipient: UNREGISTERED }),
    await chain.ticket({ round: round + 1n }),
    await chain.ticket({ winProb: 0n }),
    { ...good, sig: '0x' },
    { ...good, recipientRand: 9n },
  ];
  assert.deepEqual(await chain.redeemBatch(bad), []);
});

test('random mixtures of good and bad tickets pay exactly the good ones', async () => {
  const random = new Random(testSeed('random batches'));
  for (let i = 0; i < 8; i++) {
    const signed = [];
    const expected = [];
    for (let k = random.below(12); k >= 0; k--) {
      const faceValue = BigInt(random.digits(15)) + 1n;
      const good = random.chance(0.6);
      const one = await chain.ticket({ recipient: random.pick(RECIPIENTS), faceValue });
      signed.push(good ? one : { ...one, recipientRand: one.recipientRand + 1n });
      if (good) expected.push([one.ticket.recipient, faceValue]);
    }
    const events = await chain.redeemBatch(signed);
    assert.deepEqual(
      transfers(events).map((event) => [event.args.recipient, event.args.amount]),
      expected,
    );
  }
});

test('another senderNonce is another ticket; the same ticket twice pays once', async () => {
  const [a, b] = [await chain.ticket(), await chain.ticket()];
  const events = await chain.redeemBatch([a, b, a]);
  assert.deepEqual(
    events
      .filter((event) => event.name === 'WinningTicketRedeemed')
      .map((event) => event.args.senderNonce),
    [a.ticket.senderNonce, b.ticket.senderNonce],
  );
  assert.equal(await chain.paid(), parseEther('2'));
});

test('a deposit that runs out within a batch: then the reserve, then nothing', async () => {
  const faceValue = DEPOSIT - 1n;
  const signed = [];
  for (let i = 0; i < 3; i++) signed.push(await chain.ticket({ faceValue }));
  const events = await chain.redeemBatch(signed);
  assert.deepEqual(
    transfers(events).map((event) => event.args.amount),
    [faceValue, 1n + RESERVE / 3n],
  );
  assert.equal(events.filter((event) => event.name === 'WinningTicketRedeemed').length, 3);
  assert.equal(
    events.at(-1).args.senderNonce,
    signed[2].ticket.senderNonce,
    'the third is burnt unpaid',
  );
  assert.equal((await chain.coffer.senderInfo(SENDER)).deposit, 0n);
});

test('an empty batch succeeds', async () => {
  assert.deepEqual(await chain.redeemBatch([]), []);
});

test('arrays of different lengths revert with Panic 0x32', async () => {
  const [tickets, sigs, rands] = batchArguments([await chain.ticket(), await chain.ticket()]);
  const rows = [
    [tickets, sigs, rands.slice(1)],
    [tickets, sigs.slice(1), rands],
    [tickets.slice(1), sigs, rands],
    [tickets, [], []],
    [[], sigs, rands],
  ];
  for (const row of rows) {
    await assert.rejects(chain.brokerAs().batchRedeemWinningTickets.staticCall(...row), (error) => {
      assert.equal(error.revert.name, 'Panic');
      assert.equal(Number(error.revert.args[0]), 0x32);
      return true;
    });
  }
});

test('the estimate for a batch of 1 redeems nothing, with +20% neither', async () => {
  const signed = [await chain.ticket()];
  const broker = chain.brokerAs();
  const estimate = await broker.batchRedeemWinningTickets.estimateGas(...batchArguments(signed));
  assert.deepEqual(await chain.redeemBatch(signed, { gasLimit: estimate }), []);
  assert.deepEqual(await chain.redeemBatch(signed, { gasLimit: (estimate * 120n) / 100n }), []);
  assert.equal(await chain.paid(), 0n);
  assert.equal(transfers(await chain.redeemBatch(signed)).length, 1);
});

test('an estimate for 10 redeems fewer; 100,000 + 275,000 n redeems all, up to 100', async () => {
  const batchOf = async (n) => {
    const signed = [];
    for (let i = 0; i < n; i++)
      signed.push(await chain.ticket({ recipient: RECIPIENTS[i % 3], faceValue: 1n }));
    return signed;
  };
  const ten = await batchOf(10);
  const estimate = await chain
    .brokerAs()
    .batchRedeemWinningTickets.estimateGas(...batchArguments(ten));
  assert.ok(transfers(await chain.redeemBatch(ten, { gasLimit: estimate })).length < 10);
  for (const n of [1, 2, 10, 100]) {
    assert.equal(transfers(await chain.redeemBatch(await batchOf(n))).length, n);
  }
});

test('the estimate for a single redemption is enough for it', async () => {
  const { ticket, sig, recipientRand } = await chain.ticket();
  const gasLimit = await chain
    .brokerAs()
    .redeemWinningTicket.estimateGas(ticket, sig, recipientRand);
  const response = await chain
    .brokerAs()
    .redeemWinningTicket(ticket, sig, recipientRand, { gasLimit });
  assert.equal((await chain.node.receipt(response.hash)).status, 1);
});
