// One ticket: what it pays, what the events say, and every reason to refuse it.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  Signature,
  ZeroAddress,
  ZeroHash,
  getBytes,
  parseEther,
  toBeHex,
  zeroPadBytes,
} from 'ethers';
import {
  DEPOSIT,
  RECIPIENTS,
  RESERVE,
  SENDER,
  SENDER_KEY,
  STRANGER_KEY,
  UNREGISTERED,
  names,
  only,
  reverts,
  useChain,
} from '../lib/fixture.mjs';
import { Random, testSeed } from '../lib/random.mjs';
import { auxData, signTicket, ticketHash, winValue } from '../lib/ticket.mjs';

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const chain = useChain();

test('a ticket pays its face value as fees credited and is then used', async () => {
  const signed = await chain.ticket({ faceValue: 123_456_789n });
  const before = await chain.node.provider.getBalance(RECIPIENTS[0]);
  const events = await chain.redeem(signed);
  assert.deepEqual(names(events), [
    'TranscoderFeesCredited',
    'WinningTicketTransfer',
    'WinningTicketRedeemed',
  ]);
  assert.deepEqual(only(events, 'WinningTicketTransfer'), {
    sender: SENDER,
    recipient: RECIPIENTS[0],
    amount: 123_456_789n,
  });
  const { faceValue, winProb, senderNonce, auxData: aux } = signed.ticket;
  assert.deepEqual(only(events, 'WinningTicketRedeemed'), {
    sender: SENDER,
    recipient: RECIPIENTS[0],
    faceValue,
    winProb,
    senderNonce,
    recipientRand: 1n,
    auxData: aux,
  });
  assert.equal(await chain.paid(), 123_456_789n);
  assert.equal(await chain.coffer.bondingManager.totalFeesCredited(), 123_456_789n);
  assert.equal(
    await chain.node.provider.getBalance(RECIPIENTS[0]),
    before,
    'no ether moves to the recipient',
  );
  assert.equal((await chain.coffer.senderInfo(SENDER)).deposit, DEPOSIT - 123_456_789n);
  assert.equal(await chain.coffer.broker.usedTickets(ticketHash(signed.ticket)), true);
});

test('the contract hashes and judges random tickets as the payer does', async () => {
  const random = new Random(testSeed('random tickets'));
  for (let i = 0; i < 20; i++) {
    const signed = await chain.ticket({
      recipient: random.pick(RECIPIENTS),
      faceValue: BigInt(random.digits(18)),
      senderNonce: BigInt(random.digits(70)),
      recipientRand: BigInt(random.digits(77)),
      winProb: BigInt(`0x${'f'.repeat(1 + random.below(64))}`),
    });
    const before = await chain.paid(signed.ticket.recipient);
    if (winValue(signed) < signed.ticket.winProb) {
      await chain.redeem(signed);
      assert.equal(await chain.paid(signed.ticket.recipient), before + signed.ticket.faceValue);
      assert.equal(await chain.coffer.broker.usedTickets(ticketHash(signed.ticket)), true);
    } else {
      await chain.refuses(signed, 'ticket did not win');
    }
  }
});

test('a winProb of 0 never wins, the greatest does', async () => {
  await chain.refuses(await chain.ticket({ winProb: 0n }), 'ticket did not win');
  await chain.redeem(await chain.ticket());
});

test('a face value above the deposit is paid from deposit and reserve', async () => {
  const signed = await chain.ticket({ faceValue: DEPOSIT + 1_000n });
  const events = await chain.redeem(signed);
  assert.deepEqual(names(events), [
    'ReserveClaimed',
    'TranscoderFeesCredited',
    'WinningTicketTransfer',
    'WinningTicketRedeemed',
  ]);
  assert.deepEqual(only(events, 'ReserveClaimed'), {
    reserveHolder: SENDER,
    claimant: RECIPIENTS[0],
    amount: 1_000n,
  });
  assert.equal(await chain.paid(), DEPOSIT + 1_000n);
  assert.deepEqual(await chain.coffer.senderInfo(SENDER), {
    deposit: 0n,
    withdrawRound: 0n,
    reserve: RESERVE - 1_000n,
    claimedInCurrentRound: 1_000n,
  });
});

test('partial payment: Transfer says what was paid, Redeemed the face value', async () => {
  const share = RESERVE / BigInt(RECIPIENTS.length);
  const faceValue = DEPOSIT + RESERVE;
  const signed = await chain.ticket({ faceValue });
  const events = await chain.redeem(signed);
  assert.equal(only(events, 'WinningTicketTransfer').amount, DEPOSIT + share);
  assert.equal(only(events, 'WinningTicketRedeemed').faceValue, faceValue);
  assert.equal(await chain.paid(), DEPOSIT + share);
  await chain.refuses(signed, 'ticket is used');
});

test('the reserve is capped per recipient and round, and each round counts anew', async () => {
  const { broker } = chain.coffer;
  const share = RESERVE / 3n;
  await chain.redeem(await chain.ticket({ faceValue: DEPOSIT, recipient: RECIPIENTS[2] }));
  await chain.redeem(await chain.ticket({ faceValue: share - 5n }));
  assert.equal(await broker.claimableReserve(SENDER, RECIPIENTS[0]), 5n);
  assert.equal(
    await broker.claimableReserve(SENDER, RECIPIENTS[1]),
    share,
    'a claim does not shrink the others',
  );
  assert.equal(await broker.claimableReserve(SENDER, UNREGISTERED), 0n);
  await chain.redeem(await chain.ticket({ faceValue: share }));
  assert.equal(await chain.paid(), share);
  await chain.redeem(await chain.ticket({ faceValue: RESERVE, recipient: RECIPIENTS[1] }));
  assert.equal(await chain.paid(RECIPIENTS[1]), share);

  await chain.coffer.advanceRound();
  const info = await chain.coffer.senderInfo(SENDER);
  assert.equal(info.claimedInCurrentRound, 0n);
  assert.equal(info.reserve, RESERVE - 2n * share);
  assert.equal(await broker.claimableReserve(SENDER, RECIPIENTS[0]), info.reserve / 3n);
});

test('a recipient registered after the others claimed gets what is left', async () => {
  const { broker } = chain.coffer;
  const share = RESERVE / 3n;
  await chain.redeem(await chain.ticket({ faceValue: DEPOSIT + share }));
  await chain.redeem(await chain.ticket({ faceValue: share, recipient: RECIPIENTS[1] }));
  await chain.redeem(await chain.ticket({ faceValue: share - 9n, recipient: RECIPIENTS[2] }));
  await chain.coffer.registerTranscoders([UNREGISTERED]);
  assert.equal(await broker.claimableReserve(SENDER, RECIPIENTS[0]), 0n);
  await chain.redeem(await chain.ticket({ faceValue: share, recipient: UNREGISTERED }));
  assert.equal(await chain.paid(UNREGISTERED), 9n);
  await chain.refuses(
    await chain.ticket({ recipient: UNREGISTERED }),
    'sender deposit and reserve are zero',
  );
});

test('deposit and claimable reserve exhausted: Redeemed comes alone', async () => {
  await chain.redeem(await chain.ticket({ faceValue: DEPOSIT + RESERVE }));
  const before = await chain.paid();
  const signed = await chain.ticket();
  assert.deepEqual(names(await chain.redeem(signed)), ['WinningTicketRedeemed']);
  assert.equal(await chain.paid(), before);
  await chain.refuses(signed, 'ticket is used');
});

test('a face value of 0 emits Redeemed alone', async () => {
  assert.deepEqual(names(await chain.redeem(await chain.ticket({ faceValue: 0n }))), [
    'WinningTicketRedeemed',
  ]);
});

test('a sender without deposit and reserve has its tickets refused', async () => {
  await chain.refuses(
    await chain.ticket({ key: STRANGER_KEY }),
    'sender deposit and reserve are zero',
  );
});

test('a stranger can redeem a ticket; our own redemption then reverts', async () => {
  const signed = await chain.ticket();
  const events = await chain.redeem(signed, STRANGER_KEY);
  assert.equal(only(events, 'WinningTicketTransfer').sender, SENDER);
  assert.equal(await chain.paid(), signed.ticket.faceValue);
  await chain.refuses(signed, 'ticket is used');
  const response = await chain
    .brokerAs()
    .redeemWinningTicket(signed.ticket, signed.sig, signed.recipientRand, { gasLimit: 500_000 });
  const receipt = await chain.node.receipt(response.hash);
  assert.deepEqual([receipt.status, receipt.logs.length], [0, 0]);
  assert.equal(await chain.paid(), signed.ticket.faceValue);
});

test('a ticket is valid in rounds N and N+1 and expired at N+2', async () => {
  const [first, second, third] = [await chain.ticket(), await chain.ticket(), await chain.ticket()];
  await chain.redeem(first);
  await chain.coffer.advanceRound();
  await chain.redeem(second);
  await chain.coffer.advanceRound();
  await chain.refuses(third, 'ticket is expired');
});

test('the recipient must be registered', async () => {
  await chain.refuses(
    await chain.ticket({ recipient: UNREGISTERED }),
    'transcoder must be registered',
  );
  await chain.coffer.registerTranscoders([UNREGISTERED]);
  await chain.redeem(await chain.ticket({ recipient: UNREGISTERED }));
});

test('while the system is paused nothing moves; afterwards the same ticket pays', async () => {
  const signed = await chain.ticket();
  await chain.coffer.setPaused(true);
  await chain.refuses(signed, 'system is paused');
  const broker = chain.brokerAs();
  await reverts(broker.batchRedeemWinningTickets.staticCall([], [], []), 'system is paused');
  await reverts(broker.fundDeposit.staticCall({ value: 1 }), 'system is paused');
  await reverts(broker.fundReserve.staticCall({ value: 1 }), 'system is paused');
  await chain.coffer.setPaused(false);
  await chain.redeem(signed);
  assert.equal(await chain.paid(), signed.ticket.faceValue);
});

test('a round that is not initialized redeems nothing, single or batch', async () => {
  const signed = await chain.ticket();
  await chain.coffer.setRound(1001, false);
  await chain.refuses(signed, 'current round is not initialized');
  await reverts(
    chain.brokerAs().batchRedeemWinningTickets.staticCall([], [], []),
    'current round is not initialized',
  );
  await chain.coffer.send(chain.coffer.roundsManager, 'initializeRound');
  await chain.redeem(signed);
});

test('creation round and its block hash must match', async () => {
  const { round, blockHash } = await chain.coffer.roundForTickets();
  assert.notEqual(blockHash, ZeroHash);
  await chain.refuses(
    await chain.ticket({ round: round + 1n }),
    'ticket creationRound does not have a block hash',
  );
  await chain.refuses(
    await chain.ticket({ blockHash: toBeHex(1, 32) }),
    'ticket creationRoundBlockHash invalid for creationRound',
  );
});

test('auxData must be 64 bytes', async () => {
  const { round, blockHash } = await chain.coffer.roundForTickets();
  const whole = auxData(round, blockHash);
  for (const aux of ['0x', whole.slice(0, -2), `${whole}00`]) {
    await chain.refuses(
      await chain.ticket({ auxData: aux }),
      'invalid length for ticket auxData: must be 64 bytes',
    );
  }
});

test('recipient and recipientRand are checked', async () => {
  await chain.refuses(
    await chain.ticket({ recipient: ZeroAddress }),
    'ticket recipient is null address',
  );
  const signed = await chain.ticket();
  await chain.refuses(
    { ...signed, recipientRand: 2n },
    'recipientRand does not match recipientRandHash',
  );
});

test('the signature must be 65 canonical bytes by the sender', async () => {
  const { ticket, sig, recipientRand } = await chain.ticket();
  const bytes = getBytes(sig);
  const withV = (v) => `${sig.slice(0, -2)}${toBeHex(v, 1).slice(2)}`;
  const { r, s, v } = Signature.from(sig);
  const highS = toBeHex(CURVE_ORDER - BigInt(s), 32).slice(2);
  const rows = [
    ['0x', 'INVALID_SIGNATURE_LENGTH'],
    [Signature.from(sig).compactSerialized, 'INVALID_SIGNATURE_LENGTH'],
    [zeroPadBytes(bytes, 66), 'INVALID_SIGNATURE_LENGTH'],
    [withV(v - 27), "ECDSA: invalid signature 'v' value"],
    [withV(29), "ECDSA: invalid signature 'v' value"],
    [`${r}${highS}${toBeHex(55 - v, 1).slice(2)}`, "ECDSA: invalid signature 's' value"],
    [await signTicket(ticket, STRANGER_KEY), 'invalid signature over ticket hash'],
    [
      await signTicket({ ...ticket, faceValue: 2n }, SENDER_KEY),
      'invalid signature over ticket hash',
    ],
  ];
  for (const [bad, reason] of rows) {
    await chain.refuses({ ticket, sig: bad, recipientRand }, reason);
  }
  await chain.redeem({ ticket, sig, recipientRand });
});

test('a reverted redemption keeps the ticket usable', async () => {
  const signed = await chain.ticket({ recipient: UNREGISTERED });
  const response = await chain
    .brokerAs()
    .redeemWinningTicket(signed.ticket, signed.sig, signed.recipientRand, { gasLimit: 500_000 });
  assert.equal((await chain.node.receipt(response.hash)).status, 0);
  assert.equal(await chain.coffer.broker.usedTickets(ticketHash(signed.ticket)), false);
  assert.equal((await chain.coffer.senderInfo(SENDER)).deposit, DEPOSIT);
  await chain.coffer.registerTranscoders([UNREGISTERED]);
  assert.equal(only(await chain.redeem(signed), 'WinningTicketTransfer').amount, parseEther('1'));
});

test('with forwardFees on the recipient gets the ether too, and the same credit', async () => {
  await chain.coffer.send(chain.coffer.bondingManager, 'setForwardFees', true);
  const before = await chain.node.provider.getBalance(RECIPIENTS[0]);
  await chain.redeem(await chain.ticket({ faceValue: 77n }));
  assert.equal(await chain.node.provider.getBalance(RECIPIENTS[0]), before + 77n);
  assert.equal(await chain.paid(), 77n);
});
