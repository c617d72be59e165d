// Random transactions in every shape in which eth-account's dictionaries come, and what ethers makes
// of them. Also a worker: ethers takes most of a millisecond for each, so two of them share the work.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { SigningKey, Transaction, getAddress } from 'ethers';
import { encodeCall } from './json_client.mjs';
import { Random } from './random.mjs';

const MAX_DATA_BYTES = 128 << 10;
const LARGE_DATA = 0.001; // of all transactions

/** Hex digits, two a byte. */
function hexDigits(random, bytes) {
  let digits = '';
  while (digits.length < 2 * bytes) digits += random.uint32().toString(16).padStart(8, '0');
  return digits.slice(0, 2 * bytes);
}

/** Of any size up to 2^bits - 1, the edges often. */
function integer(random, bits) {
  const edge = random.below(16);
  if (edge === 0) return 0n;
  if (edge === 1) return (1n << BigInt(bits)) - 1n;
  if (edge === 2 && bits > 64) return (1n << 64n) - BigInt(random.below(2));
  const size = 1 + random.below(bits);
  return BigInt(`0x${hexDigits(random, Math.ceil(bits / 8))}`) >> BigInt(Math.ceil(bits / 8) * 8 - size);
}

/** How a client may write an integer. */
function written(random, value) {
  const hex = value.toString(16);
  switch (random.below(6)) {
    case 0:
      return String(value);
    case 1:
      return `0x${hex}`;
    case 2:
      return `0x${hex.padStart(hex.length + (hex.length % 2), '0').toUpperCase()}`;
    case 3:
      return `0x${hex.padStart(64, '0')}`;
    default:
      return value; // a JSON integer, whatever its size
  }
}

function address(random) {
  const lower = `0x${hexDigits(random, 20)}`;
  const checksummed = getAddress(lower);
  const upper = `0x${lower.slice(2).toUpperCase()}`;
  return [checksummed, random.pick([lower, upper, checksummed])];
}

function recipient(random) {
  if (!random.chance(0.1)) return address(random);
  return [null, random.pick([undefined, null, '', '0x'])];
}

function calldata(random) {
  const kind = random.uint32() / 2 ** 32;
  let bytes = random.pick([0, 0, 1, 4, 31, 32, 36, 55, 56, 68]);
  if (kind < 0.2) bytes = random.below(1000);
  if (kind < LARGE_DATA) bytes = random.chance(0.3) ? MAX_DATA_BYTES : random.below(MAX_DATA_BYTES);
  return `0x${hexDigits(random, bytes)}`;
}

function writtenData(random, data) {
  if (data === '0x' && random.chance(0.5)) return random.pick([{}, { data: null }, { data: '' }, { input: '' }]);
  const text = random.chance(0.1) ? `0x${data.slice(2).toUpperCase()}` : data;
  return random.pick([{ data: text }, { data: text }, { input: text }, { data: text, input: data }]);
}

function accessList(random) {
  const entries = random.chance(0.5) ? 0 : 1 + random.below(4);
  const list = [];
  const given = [];
  for (let i = 0; i < entries; i++) {
    const [checksummed, text] = address(random);
    const keys = Array.from({ length: random.below(4) }, () => `0x${hexDigits(random, 32)}`);
    list.push({ address: checksummed, storageKeys: keys });
    given.push(random.chance(0.5) ? [text, keys] : { address: text, storageKeys: keys });
  }
  return { list, given };
}

/** {given: what is sent, expected: the fields for ethers}. */
export function randomTransaction(random) {
  const type = random.below(3);
  const number = (bits, least = 0n) => {
    const value = integer(random, bits);
    return value < least ? least : value;
  };
  // ethers has no nonce beyond 2^53 - 1.
  const expected = { type, chainId: number(64, 1n), nonce: Number(number(53)), gasLimit: number(64) };
  const given = {
    chainId: written(random, expected.chainId),
    nonce: written(random, BigInt(expected.nonce)),
    gas: written(random, expected.gasLimit),
  };
  let implied = type;
  if (type === 2) {
    const fees = [number(256), number(256)].sort((a, b) => (a < b ? -1 : 1));
    [expected.maxPriorityFeePerGas, expected.maxFeePerGas] = fees;
    given.maxPriorityFeePerGas = written(random, fees[0]);
    given.maxFeePerGas = written(random, fees[1]);
  } else {
    expected.gasPrice = number(256);
    given.gasPrice = written(random, expected.gasPrice);
  }
  if (type > 0 && random.chance(0.7)) {
    const { list, given: entries } = accessList(random);
    expected.accessList = list;
    given.accessList = entries;
  } else if (type === 1) {
    implied = 0; // nothing in it says that it is of type 1
  }
  if (implied !== type || random.chance(0.3)) given.type = random.pick([type, `0x${type}`, String(type)]);
  [expected.to, given.to] = recipient(random);
  const value = number(256);
  expected.value = value;
  if (value !== 0n || random.chance(0.5)) given.value = written(random, value);
  expected.data = calldata(random);
  Object.assign(given, writtenData(random, expected.data));
  return { given, expected };
}

/** What ethers signs. */
export function signedByEthers(key, expected) {
  const tx = Transaction.from(expected);
  tx.signature = key.sign(tx.unsignedHash);
  return tx.serialized;
}

/** Number `index` of a seed: {payload, raw}, the request and the transaction that must come back. */
export function transactionCase(seed, key, index) {
  const { given, expected } = randomTransaction(new Random(`${seed}/${index}`));
  return { payload: encodeCall('sign_transaction', { tx: given }), raw: signedByEthers(key, expected) };
}

// As a worker: answers {from, to} with the cases of those numbers.
if (!isMainThread && workerData?.transactions) {
  const { seed, privateKey } = workerData.transactions;
  const key = new SigningKey(privateKey);
  parentPort.on('message', ({ from, to }) => {
    const cases = [];
    for (let i = from; i < to; i++) cases.push({ index: i, ...transactionCase(seed, key, i) });
    parentPort.postMessage(cases);
  });
}
