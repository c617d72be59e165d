// Prints random policies, signed policy changes and broker calls, one JSON object a line, with the hashes, signatures and
// calldata that ethers makes of them. The C++ test beside this file compares every case with enclave_core.
//
//   node policy_vectors.mjs SEED [CASES]
//
// Every number is a string: JSON numbers stop being exact at 2^53.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { seeded } from './seeded.mjs';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const { ethers } = await import(pathToFileURL(require.resolve('ethers')).href);

const seed = process.argv[2] ?? '1';
const cases = Number(process.argv[3] ?? '60');

const { below, hex, uint } = seeded('policy', seed);
const address = () => ethers.getAddress(hex(20));
const flag = () => below(2) === 1;
const ascending = (list) => [...new Set(list)].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
const out = (kind, fields) =>
  process.stdout.write(JSON.stringify({ kind, ...fields }, (_, v) => (typeof v === 'bigint' ? v.toString() : v)) + '\n');

// Written here once more, and not read from the C++ sources: the test compares the two.
const types = {
  PolicyChange: [
    { name: 'signer', type: 'address' },
    { name: 'sequence', type: 'uint64' },
    { name: 'policy', type: 'Policy' },
  ],
  Policy: ('bool unrestricted,uint64 chainId,address ticketBroker,bool allowTickets,uint256 maxFaceValue,'
    + 'uint256 maxBatchTotal,uint32 maxTickets,uint256 winProb,uint64 ticketValidityRounds,bool voidOnHostWord,'
    + 'bool allowEthTransfer,uint256 maxTransfer,uint256 maxFundDeposit,uint256 maxFundReserve,bool requireAllowlist,'
    + 'address[] allowedRecipients,uint64 maxGasLimit,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,'
    + 'uint256 maxTransactionCost,bool allowAccessList,bool allowRawMessages,uint64 velocityWindow,uint256 velocityTotal,'
    + 'uint256 velocityRecipient,uint32 velocitySignatures,address creditReporter,bool requireCreditSignature,'
    + 'address[] admins,uint32 adminThreshold')
    .split(',').map((member) => ({ type: member.split(' ')[0], name: member.split(' ')[1] })),
};

function randomPolicy(admins) {
  return {
    unrestricted: false,
    chainId: uint(53) + 1n,
    ticketBroker: address(),
    allowTickets: flag(),
    maxFaceValue: uint(127),
    maxBatchTotal: uint(127),
    maxTickets: 1 + below(100),
    winProb: uint(255) + 1n,
    ticketValidityRounds: uint(64),
    voidOnHostWord: flag(),
    allowEthTransfer: flag(),
    maxTransfer: uint(127),
    maxFundDeposit: uint(127),
    maxFundReserve: uint(127),
    requireAllowlist: flag(),
    allowedRecipients: ascending(Array.from({ length: below(4) === 0 ? below(300) : below(4) }, address)),
    maxGasLimit: uint(64),
    maxFeePerGas: uint(127),
    maxPriorityFeePerGas: uint(127),
    maxTransactionCost: uint(127),
    allowAccessList: flag(),
    allowRawMessages: flag(),
    velocityWindow: BigInt(below(31 * 24 * 3600 + 1)),
    velocityTotal: uint(127),
    velocityRecipient: uint(127),
    velocitySignatures: 1 + below(100000),
    creditReporter: flag() ? address() : ethers.ZeroAddress,
    requireCreditSignature: false,
    admins,
    adminThreshold: admins.length === 0 ? 0 : 1 + below(admins.length),
  };
}

async function policyCase() {
  const wallets = Array.from({ length: below(6) }, () => new ethers.Wallet(hex(32)));
  const admins = ascending(wallets.map((w) => w.address));
  const policy = randomPolicy(admins);
  const next = randomPolicy(ascending(Array.from({ length: below(3) }, address)));
  const domain = { name: 'Coffer policy', version: '1', chainId: next.chainId };
  const message = { signer: address(), sequence: uint(64), policy: next };
  const { EIP712Domain, ...rest } = ethers.TypedDataEncoder.getPayload(domain, types, message).types;
  out('policy', {
    policy,
    next,
    signer: message.signer,
    sequence: message.sequence,
    hash: ethers.TypedDataEncoder.hashStruct('Policy', { Policy: types.Policy }, policy),
    encodedType: ethers.TypedDataEncoder.from({ Policy: types.Policy }).encodeType('Policy'),
    digest: ethers.TypedDataEncoder.hash(domain, types, message),
    types: { EIP712Domain, ...rest },
    signatures: await Promise.all(wallets.map((w) => w.signTypedData(domain, types, message))),
  });
}

const TICKET = 'tuple(address recipient,address sender,uint256 faceValue,uint256 winProb,uint256 senderNonce,'
  + 'bytes32 recipientRandHash,bytes auxData)';
const broker = new ethers.Interface([
  `function redeemWinningTicket(${TICKET} ticket,bytes sig,uint256 recipientRand)`,
  `function batchRedeemWinningTickets(${TICKET}[] tickets,bytes[] sigs,uint256[] recipientRands)`,
  'function fundDeposit() payable',
  'function fundReserve() payable',
]);

function redemption() {
  const ticket = {
    recipient: address(),
    sender: address(),
    faceValue: uint(256),
    winProb: uint(256),
    senderNonce: uint(256),
    recipientRandHash: hex(32),
    creationRound: uint(64),
    creationRoundBlockHash: hex(32),
  };
  ticket.auxData = ethers.solidityPacked(['uint256', 'bytes32'], [ticket.creationRound, ticket.creationRoundBlockHash]);
  return { ticket, signature: hex(65), recipientRand: uint(256) };
}

function callCase(kind) {
  const tickets = Array.from({ length: kind === 'redeem' ? 1 : kind === 'batch' ? below(below(8) === 0 ? 101 : 6) : 0 }, redemption);
  const calldata = {
    redeem: () => broker.encodeFunctionData('redeemWinningTicket', [
      tickets[0].ticket, tickets[0].signature, tickets[0].recipientRand]),
    batch: () => broker.encodeFunctionData('batchRedeemWinningTickets', [
      tickets.map((t) => t.ticket), tickets.map((t) => t.signature), tickets.map((t) => t.recipientRand)]),
    fundDeposit: () => broker.encodeFunctionData('fundDeposit'),
    fundReserve: () => broker.encodeFunctionData('fundReserve'),
  }[kind]();
  out('call', { call: kind, tickets, calldata });
}

for (let i = 0; i < cases; ++i) {
  await policyCase();
  for (const kind of ['redeem', 'batch', 'fundDeposit', 'fundReserve']) callCase(kind);
}
