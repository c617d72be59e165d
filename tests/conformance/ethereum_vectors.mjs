// Prints random cases, one JSON object a line, with the answers that ethers and noble-curves give. The C++ test
// beside this file runs it and compares every case with enclave_core/ethereum byte for byte.
//
//   node ethereum_vectors.mjs SEED [CASES]
//
// Every number is a string: JSON numbers stop being exact at 2^53.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages live in tests/js, not beside this file.
const require = createRequire(new URL('../js/package.json', import.meta.url));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { ethers } = await load('ethers');
const { secp256k1 } = await load('@noble/curves/secp256k1.js');

const seed = process.argv[2] ?? '1';
const cases = Number(process.argv[3] ?? '40');

// A counter hashed with the seed: the same cases for the same seed, on every machine.
let counter = 0;
let pool = Buffer.alloc(0);
function randomBytes(n) {
  while (pool.length < n) {
    const block = createHash('sha256').update(`${seed}:${counter++}`).digest();
    pool = Buffer.concat([pool, block]);
  }
  const out = pool.subarray(0, n);
  pool = pool.subarray(n);
  return out;
}
const below = (n) => Number(BigInt('0x' + randomBytes(6).toString('hex')) % BigInt(n));
const hex = (n) => '0x' + randomBytes(n).toString('hex');
// Every bit length is as likely as another, so that short integers and the largest ones both appear.
function uint(bits) {
  const length = below(bits + 1);
  if (length === 0) return 0n;
  const value = BigInt(hex(32)) & ((1n << BigInt(length)) - 1n);
  return value | (1n << BigInt(length - 1));
}
const address = () => ethers.getAddress(hex(20));
const privateKey = () => hex(32);

const out = (kind, fields) => process.stdout.write(JSON.stringify({ kind, ...fields }) + '\n');
const text = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, typeof v === 'bigint' ? v.toString() : v]));

function transactionCase(type) {
  const key = privateKey();
  const fields = {
    type,
    chainId: type === 0 ? 1n + uint(62) : uint(64),
    nonce: Number(uint(53)),
    gasLimit: uint(64),
    to: below(8) === 0 ? null : address(),
    value: uint(256),
    data: hex(below(4) === 0 ? below(600) : below(3)),
  };
  if (type === 2) {
    const fees = [uint(256), uint(256)].sort((a, b) => (a < b ? -1 : 1));
    fields.maxPriorityFeePerGas = fees[0];
    fields.maxFeePerGas = fees[1];
  } else {
    fields.gasPrice = uint(256);
  }
  if (type !== 0) {
    fields.accessList = Array.from({ length: below(4) }, () => ({
      address: address(),
      storageKeys: Array.from({ length: below(3) }, () => hex(32)),
    }));
  }
  const tx = ethers.Transaction.from(fields);
  const signer = new ethers.SigningKey(key);
  tx.signature = signer.sign(tx.unsignedHash);
  out('transaction', {
    key,
    ...text(fields),
    nonce: String(fields.nonce),
    signingHash: tx.unsignedHash,
    raw: tx.serialized,
    hash: tx.hash,
    sender: tx.from,
  });
}

const TICKET = 'tuple(address recipient,address sender,uint256 faceValue,uint256 winProb,uint256 senderNonce,'
  + 'bytes32 recipientRandHash,bytes auxData)';
const broker = new ethers.Interface([
  `function redeemWinningTicket(${TICKET} ticket,bytes sig,uint256 recipientRand)`,
  `function batchRedeemWinningTickets(${TICKET}[] tickets,bytes[] sigs,uint256[] recipientRands)`,
  'function fundDeposit() payable',
  'function fundReserve() payable',
  'function getSenderInfo(address) view returns (tuple(uint256,uint256),tuple(uint256,uint256))',
  'function claimableReserve(address,address) view returns (uint256)',
  'function usedTickets(bytes32) view returns (bool)',
  'function blockHashForRound(uint256) view returns (bytes32)',
  'function getContract(bytes32) view returns (address)',
  'event WinningTicketTransfer(address indexed sender,address indexed recipient,uint256 amount)',
  'event WinningTicketRedeemed(address indexed sender,address indexed recipient,uint256 faceValue,uint256 winProb,'
    + 'uint256 senderNonce,uint256 recipientRand,bytes auxData)',
  'event DepositFunded(address indexed sender,uint256 amount)',
  'event ReserveFunded(address indexed reserveHolder,uint256 amount)',
  'event ReserveClaimed(address indexed reserveHolder,address claimant,uint256 amount)',
]);

function signedTicket() {
  const key = privateKey();
  const recipientRand = uint(256);
  const ticket = {
    recipient: address(),
    sender: ethers.computeAddress(key),
    faceValue: uint(256),
    winProb: below(2) === 0 ? (1n << 256n) - 1n : uint(256),
    senderNonce: uint(256),
    creationRound: uint(64),
    creationRoundBlockHash: hex(32),
  };
  ticket.recipientRandHash = ethers.solidityPackedKeccak256(['uint256'], [recipientRand]);
  ticket.auxData = ethers.solidityPacked(['uint256', 'bytes32'], [ticket.creationRound, ticket.creationRoundBlockHash]);
  const ticketHash = ethers.solidityPackedKeccak256(
    ['address', 'address', 'uint256', 'uint256', 'uint256', 'bytes32', 'bytes'],
    [ticket.recipient, ticket.sender, ticket.faceValue, ticket.winProb, ticket.senderNonce,
      ticket.recipientRandHash, ticket.auxData]);
  const signingHash = ethers.hashMessage(ethers.getBytes(ticketHash));
  const signature = new ethers.SigningKey(key).sign(signingHash).serialized;
  return { key, ticket, recipientRand, ticketHash, signingHash, signature };
}
const ticketJson = (t) => ({ ...t, ticket: text(t.ticket), recipientRand: t.recipientRand.toString() });

function ticketCase() {
  const t = signedTicket();
  const calldata = broker.encodeFunctionData('redeemWinningTicket', [t.ticket, t.signature, t.recipientRand]);
  out('ticket', { ...ticketJson(t), calldata });
}

function batchCase(count) {
  const tickets = Array.from({ length: count }, signedTicket);
  out('batch', {
    tickets: tickets.map(ticketJson),
    calldata: broker.encodeFunctionData('batchRedeemWinningTickets', [
      tickets.map((t) => t.ticket), tickets.map((t) => t.signature), tickets.map((t) => t.recipientRand)]),
  });
}

// A receipt: some redemptions, paid in full, in part or not at all, with other events of the broker and of others.
function receiptCase() {
  const me = address();
  const logs = [];
  const redemptions = [];
  const fundings = [];
  const emit = (from, event, args) => {
    const { topics, data } = broker.encodeEventLog(event, args);
    logs.push({ address: from, topics, data });
  };
  for (let i = below(5); i > 0; --i) {
    const { ticket, recipientRand } = signedTicket();
    const paid = [ticket.faceValue, ticket.faceValue / 3n, 0n][below(3)];
    if (below(3) === 0) emit(me, 'ReserveClaimed', [ticket.sender, ticket.recipient, paid]);
    if (below(3) === 0) emit(address(), 'WinningTicketTransfer', [ticket.sender, ticket.recipient, paid]);
    if (below(3) === 0) {
      const kind = below(2) === 0 ? 'DepositFunded' : 'ReserveFunded';
      const amount = uint(256);
      emit(me, kind, [ticket.sender, amount]);
      fundings.push(text({ event: kind, sender: ticket.sender, amount }));
    }
    if (paid > 0n) emit(me, 'WinningTicketTransfer', [ticket.sender, ticket.recipient, paid]);
    emit(me, 'WinningTicketRedeemed', [ticket.sender, ticket.recipient, ticket.faceValue, ticket.winProb,
      ticket.senderNonce, recipientRand, ticket.auxData]);
    redemptions.push(text({ ...ticket, recipientRand, paid }));
  }
  out('receipt', { broker: me, logs, redemptions, fundings });
}

function readCase() {
  const [a, b, word, round, name] = [address(), address(), hex(32), uint(64), `Contract${below(1000)}`];
  const info = [uint(256), uint(64), uint(256), uint(256)];
  const reason = `reason ${randomBytes(below(60)).toString('base64')}`;
  const panic = BigInt(below(256));
  const errors = new ethers.Interface(['error Error(string)', 'error Panic(uint256)']);
  out('read', {
    a, b, word, round: round.toString(), name, reason, panic: panic.toString(),
    info: info.map(String),
    getSenderInfo: broker.encodeFunctionData('getSenderInfo', [a]),
    senderInfo: broker.encodeFunctionResult('getSenderInfo', [[info[0], info[1]], [info[2], info[3]]]),
    claimableReserve: broker.encodeFunctionData('claimableReserve', [a, b]),
    usedTickets: broker.encodeFunctionData('usedTickets', [word]),
    blockHashForRound: broker.encodeFunctionData('blockHashForRound', [round]),
    getContract: broker.encodeFunctionData('getContract', [ethers.id(name)]),
    errorData: errors.encodeErrorResult('Error', [reason]),
    panicData: errors.encodeErrorResult('Panic', [panic]),
  });
}

function rlpTree(depth) {
  if (depth === 0 || below(2) === 0) return hex(below(3) === 0 ? below(300) : below(4));
  return Array.from({ length: below(5) }, () => rlpTree(depth - 1));
}

function smallCases() {
  const lower = hex(20);
  out('checksum', { lower, checksum: ethers.getAddress(lower) });
  const message = hex(below(300));
  out('eip191', { message, hash: ethers.hashMessage(ethers.getBytes(message)), keccak: ethers.keccak256(message) });
  const tree = rlpTree(4);
  out('rlp', { tree, encoded: ethers.encodeRlp(tree) });
  // Signed by noble-curves itself; its recovered form is recovery || r || s.
  const key = randomBytes(32);
  const digest = randomBytes(32);
  const raw = Buffer.from(secp256k1.sign(digest, key, { prehash: false, lowS: true, format: 'recovered' }));
  const signature = Buffer.concat([raw.subarray(1), Buffer.from([27 + raw[0]])]);
  out('recover', {
    key: '0x' + key.toString('hex'),
    digest: '0x' + digest.toString('hex'),
    signature: '0x' + signature.toString('hex'),
    address: ethers.computeAddress('0x' + key.toString('hex')),
  });
}

for (let i = 0; i < cases; ++i) {
  for (const type of [0, 1, 2]) transactionCase(type);
  ticketCase();
  receiptCase();
  readCase();
  smallCases();
  if (i % 8 === 0) batchCase(below(6));
}
batchCase(0);
batchCase(100);
