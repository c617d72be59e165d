// Deposit, reserve, unlock and withdraw, and who may set what.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseEther } from 'ethers';
import {
  DEPOSIT,
  RECIPIENTS,
  RESERVE,
  SENDER,
  STRANGER_KEY,
  names,
  reverts,
  useChain,
} from '../lib/fixture.mjs';

const UNLOCK_PERIOD = 3;
const FIRST_ROUND = 1000n;
const chain = useChain({ unlockPeriod: UNLOCK_PERIOD });

const as = (method, ...args) =>
  chain
    .brokerAs()
    [method](...args)
    .then((response) => chain.node.mined(response));

async function moveRounds(rounds) {
  await chain.coffer.setRound((await chain.coffer.currentRound()) + BigInt(rounds));
}

test('funding adds up, is announced, and lies in the Minter', async () => {
  const rows = [
    ['fundDeposit', [{ value: 5n }], [['DepositFunded', 5n]]],
    ['fundReserve', [{ value: 7n }], [['ReserveFunded', 7n]]],
    [
      'fundDepositAndReserve',
      [2n, 3n, { value: 5n }],
      [
        ['DepositFunded', 2n],
        ['ReserveFunded', 3n],
      ],
    ],
  ];
  for (const [method, args, announced] of rows) {
    const events = chain
      .events(await as(method, ...args))
      .filter((event) => event.name.endsWith('Funded'));
    assert.deepEqual(
      events.map((event) => [event.name, event.args.amount]),
      announced,
    );
    assert.equal(Object.values(events[0].args)[0], SENDER);
  }
  assert.deepEqual(await chain.coffer.senderInfo(SENDER), {
    deposit: DEPOSIT + 7n,
    withdrawRound: 0n,
    reserve: RESERVE + 10n,
    claimedInCurrentRound: 0n,
  });
  assert.equal(
    await chain.node.provider.getBalance(chain.coffer.addresses.minter),
    DEPOSIT + RESERVE + 17n,
  );
  assert.equal(await chain.node.provider.getBalance(chain.coffer.addresses.broker), 0n);
});

test('fundDepositAndReserve wants exactly the sum', async () => {
  await reverts(
    chain.brokerAs().fundDepositAndReserve.staticCall(2n, 3n, { value: 4n }),
    'msg.value does not equal sum of deposit amount and reserve amount',
  );
});

test('tickets pay until the withdraw round, then the sender may withdraw everything', async () => {
  await as('unlock');
  assert.equal(await chain.coffer.broker.isUnlockInProgress(SENDER), true);
  assert.equal(
    (await chain.coffer.senderInfo(SENDER)).withdrawRound,
    FIRST_ROUND + BigInt(UNLOCK_PERIOD),
  );
  await reverts(chain.brokerAs().unlock.staticCall(), 'unlock already initiated');

  await moveRounds(UNLOCK_PERIOD - 1);
  await chain.redeem(await chain.ticket());
  await reverts(chain.brokerAs().withdraw.staticCall(), 'account is locked');

  await moveRounds(1);
  await chain.refuses(await chain.ticket(), 'sender is unlocked');
  const before = await chain.node.provider.getBalance(SENDER);
  const receipt = await as('withdraw');
  assert.deepEqual(names(chain.events(receipt)), ['Withdrawal', 'Withdrawn']);
  assert.equal(
    await chain.node.provider.getBalance(SENDER),
    before - receipt.fee + DEPOSIT + RESERVE - parseEther('1'),
  );
  assert.deepEqual(await chain.coffer.senderInfo(SENDER), {
    deposit: 0n,
    withdrawRound: 0n,
    reserve: 0n,
    claimedInCurrentRound: 0n,
  });
  await chain.refuses(await chain.ticket(), 'sender deposit and reserve are zero');
});

test('fundDeposit cancels an unlock in progress, fundReserve does not', async () => {
  await as('unlock');
  await as('fundReserve', { value: 1n });
  assert.equal(await chain.coffer.broker.isUnlockInProgress(SENDER), true);
  await as('fundDeposit', { value: 1n });
  assert.equal(await chain.coffer.broker.isUnlockInProgress(SENDER), false);
  await moveRounds(UNLOCK_PERIOD);
  await chain.redeem(await chain.ticket());
  await reverts(chain.brokerAs().withdraw.staticCall(), 'no unlock request in progress');
});

test('who has nothing can neither unlock nor withdraw', async () => {
  for (const method of ['unlock', 'withdraw']) {
    await reverts(
      chain.brokerAs(STRANGER_KEY)[method].staticCall(),
      'sender deposit and reserve are zero',
    );
  }
});

test('only the owner sets anything, only the broker credits fees or moves ether', async () => {
  const { controller, roundsManager, bondingManager, minter, broker } = chain.coffer;
  const stranger = chain.brokerAs(STRANGER_KEY).runner;
  const call = (contract, method, ...args) =>
    contract.connect(stranger)[method].staticCall(...args);
  const byController = 'caller must be Controller owner';
  const rows = [
    [controller, 'pause', [], 'caller must be the owner'],
    [controller, 'setContract', [`0x${'00'.repeat(32)}`, SENDER], 'caller must be the owner'],
    [roundsManager, 'setRound', [1, true], byController],
    [roundsManager, 'advanceRound', [], byController],
    [roundsManager, 'setRoundLength', [1], byController],
    [bondingManager, 'register', [SENDER], byController],
    [bondingManager, 'registerMany', [[SENDER]], byController],
    [bondingManager, 'setForwardFees', [true], byController],
    [broker, 'setTicketValidityPeriod', [9], byController],
    [broker, 'setUnlockPeriod', [9], byController],
    [
      bondingManager,
      'updateTranscoderWithFees',
      [RECIPIENTS[0], 1, 1],
      'caller must be TicketBroker',
    ],
    [minter, 'withdrawETH', [SENDER, 1], 'caller must be TicketBroker or BondingManager'],
  ];
  for (const [contract, method, args, reason] of rows) {
    await reverts(call(contract, method, ...args), reason);
  }
});

test('with a round length rounds follow the blocks and each waits to be initialized', async () => {
  const { roundsManager } = chain.coffer;
  await chain.coffer.send(roundsManager, 'setRoundLength', 5);
  const signed = await chain.ticket();
  await chain.node.mine(4);
  assert.equal(await chain.coffer.currentRound(), FIRST_ROUND);
  assert.equal(await roundsManager.currentRoundInitialized(), true);
  await chain.node.mine(1);
  assert.equal(await chain.coffer.currentRound(), FIRST_ROUND + 1n);
  assert.equal(await roundsManager.currentRoundInitialized(), false);
  await chain.refuses(signed, 'current round is not initialized');
  await chain.coffer.send(roundsManager, 'initializeRound');
  await reverts(roundsManager.initializeRound.staticCall(), 'round already initialized');
  await chain.redeem(signed);
  await chain.node.mine(10);
  await chain.coffer.send(roundsManager, 'initializeRound');
  await chain.refuses(
    await chain.ticket({ round: FIRST_ROUND + 2n }),
    'ticket creationRound does not have a block hash',
  );
});
