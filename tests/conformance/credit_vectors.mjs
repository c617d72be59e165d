// Prints random batches of credits, one JSON object a line, with the digests and signatures that ethers makes of them by the
// rules of proto/ledger.proto. The C++ test beside this file compares every case with enclave_core.
//
//   node credit_vectors.mjs SEED [CASES]
//
// Every number is a string: JSON numbers stop being exact at 2^53. Texts are hex of their UTF-8.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { seeded } from './seeded.mjs';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const { ethers } = await import(pathToFileURL(require.resolve('ethers')).href);

const seed = process.argv[2] ?? '1';
const cases = Number(process.argv[3] ?? '60');

const { below, hex, uint } = seeded('credits', seed);
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789:-_ .é€'];
const text = (n) => Array.from({ length: n }, () => LETTERS[below(LETTERS.length)]).join('');

const CREDIT = 1;
const ADJUST_DOWN = 3;

const randomEvent = () => ({
  kind: 1 + below(3),
  amount: uint(127),
  recipient: hex(20),
  account: text(1 + below(40)),
  id: text(1 + below(90)),
  contentHash: below(2) === 0 ? '0x' : hex(32),
});

function digestOf({ kind, amount, recipient, account, id }) {
  const [tag, type] = kind === CREDIT ? ['credit', 'uint256'] : ['delta', 'int256'];
  return ethers.solidityPackedKeccak256(
    ['string', 'bytes32', 'address', type, 'bytes32'],
    [`payments-tee-core:${tag}:v1`, ethers.id(account), recipient, kind === ADJUST_DOWN ? -amount : amount, ethers.id(id)],
  );
}

function batchDigestOf(events) {
  const withLength = (bytes) => ethers.solidityPacked(['uint32', 'bytes'], [ethers.dataLength(bytes), bytes]);
  const encoding = ethers.concat(
    events.map(({ kind, amount, recipient, account, id, contentHash }) =>
      ethers.concat([
        ethers.solidityPacked(['uint32', 'uint128'], [kind, amount]),
        withLength(recipient),
        withLength(ethers.hexlify(ethers.toUtf8Bytes(account))),
        withLength(ethers.hexlify(ethers.toUtf8Bytes(id))),
        withLength(contentHash),
      ]),
    ),
  );
  return ethers.solidityPackedKeccak256(
    ['string', 'uint64', 'bytes32'],
    ['coffer:credit-batch:v1', events.length, ethers.sha256(encoding)],
  );
}

for (let i = 0; i < cases; ++i) {
  const reporter = new ethers.Wallet(hex(32));
  // Now and then more than is hashed at once.
  const events = Array.from({ length: below(8) === 0 ? 20 + below(200) : 1 + below(6) }, randomEvent);
  const digest = batchDigestOf(events);
  const shown = events.map((event) => ({
    ...event,
    amount: event.amount.toString(),
    account: ethers.hexlify(ethers.toUtf8Bytes(event.account)),
    id: ethers.hexlify(ethers.toUtf8Bytes(event.id)),
    digest: digestOf(event),
  }));
  const signature = await reporter.signMessage(ethers.getBytes(digest));
  process.stdout.write(JSON.stringify({ kind: 'batch', events: shown, digest, signature, reporter: reporter.address }) + '\n');
}
