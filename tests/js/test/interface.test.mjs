// Selectors, topics and shapes: what a payer's calldata and log filters are written against.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Interface, id } from 'ethers';
import { compileContracts } from '../lib/compile.mjs';
import { DEPOSIT, RESERVE, SENDER, useChain } from '../lib/fixture.mjs';

const TICKET = '(address,address,uint256,uint256,uint256,bytes32,bytes)';

const SELECTORS = {
  TicketBroker: {
    'fundDeposit()': '6caa736b',
    'fundReserve()': '6f9c3c8f',
    'fundDepositAndReserve(uint256,uint256)': '511f4073',
    [`redeemWinningTicket(${TICKET},bytes,uint256)`]: 'ec8b3cb6',
    [`batchRedeemWinningTickets(${TICKET}[],bytes[],uint256[])`]: 'd01b808e',
    'getSenderInfo(address)': 'e1a589da',
    'usedTickets(bytes32)': '59a515ba',
    'ticketValidityPeriod()': '856a2cf8',
    'controller()': 'f77c4791',
    'claimableReserve(address,address)': '81779f38',
    'isUnlockInProgress(address)': '121cdcc2',
    'unlock()': 'a69df4b5',
    'withdraw()': '3ccfd60b',
  },
  Controller: { 'getContract(bytes32)': 'e16c7d98', 'paused()': '5c975abb' },
  RoundsManager: {
    'currentRound()': '8a19c8bc',
    'currentRoundInitialized()': '219bc76c',
    'blockHashForRound(uint256)': '3aa4add4',
  },
};

const TOPICS = {
  WinningTicketTransfer: '8b87351a208c06e3ceee59d80725fd77a23b4129e1b51ca231fc89b40712649c',
  WinningTicketRedeemed: 'c389eb51ed006dbf2528507f010efdf5225ea596e1e1741d74f550dab1925ee7',
  DepositFunded: '5159e237d952190e68d5215430f305831be7c9c8776d1377c76679ae4773413f',
  ReserveFunded: 'b52b99b9e83551fcbd069b559cc3e823e2a1a3bad8ece46561ea77524394c850',
  ReserveClaimed: '5c2b394723f408a40a60335e24b71829642e35f350cebe2036a96a66e895ea98',
};

const INDEXED = {
  WinningTicketTransfer: ['sender', 'recipient'],
  WinningTicketRedeemed: ['sender', 'recipient'],
  DepositFunded: ['sender'],
  ReserveFunded: ['reserveHolder'],
  ReserveClaimed: ['reserveHolder'],
};

const chain = useChain();

for (const [contract, selectors] of Object.entries(SELECTORS)) {
  test(`${contract} has the selectors of the deployed one`, () => {
    const compiled = compileContracts()[contract].selectors;
    for (const [signature, selector] of Object.entries(selectors)) {
      assert.equal(compiled[signature], selector, signature);
    }
  });
}

test('events have the topics and indexed arguments of the deployed broker', () => {
  const broker = new Interface(compileContracts().TicketBroker.abi);
  for (const [name, topic] of Object.entries(TOPICS)) {
    const event = broker.getEvent(name);
    assert.equal(event.topicHash, `0x${topic}`, name);
    assert.deepEqual(
      event.inputs.filter((input) => input.indexed).map((input) => input.name),
      INDEXED[name],
    );
  }
});

test('getSenderInfo is two pairs of words, deposit and reserve', async () => {
  const shape = new Interface([
    'function getSenderInfo(address) view returns ((uint256 deposit,uint256 withdrawRound),' +
      '(uint256 fundsRemaining,uint256 claimedInCurrentRound))',
  ]);
  const data = await chain.node.provider.call({
    to: chain.coffer.addresses.broker,
    data: shape.encodeFunctionData('getSenderInfo', [SENDER]),
  });
  assert.equal(data.length, 2 + 4 * 64);
  const [sender, reserve] = shape.decodeFunctionResult('getSenderInfo', data);
  assert.deepEqual([...sender, ...reserve], [DEPOSIT, 0n, RESERVE, 0n]);
});

test('the Controller finds each contract by keccak256 of its name', async () => {
  const { controller, addresses, broker } = chain.coffer;
  assert.equal(await controller.getContract(id('TicketBroker')), addresses.broker);
  assert.equal(await controller.getContract(id('RoundsManager')), addresses.rounds_manager);
  assert.equal(await controller.getContract(id('BondingManager')), addresses.bonding_manager);
  assert.equal(await controller.getContract(id('Minter')), addresses.minter);
  assert.equal(BigInt(await controller.getContract(id('Nobody'))), 0n);
  assert.equal(await broker.controller(), addresses.controller);
});
