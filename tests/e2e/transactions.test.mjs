// Random transactions of all types and field shapes, pipelined to a signer without a policy over one
// connection: every raw transaction is byte for byte what ethers makes of the same fields.
// COFFER_TX_COUNT says how many (100,000 take about two minutes of a quiet machine with two cores).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { withEnclave } from '../js/lib/enclave.mjs';
import { decodeAnswer } from '../js/lib/json_client.mjs';
import { testSeed } from '../js/lib/random.mjs';

const COUNT = Number(process.env.COFFER_TX_COUNT ?? 20_000);
const WORKERS = 2;
const CHUNK = 250; // transactions that a worker makes at a time
const seed = testSeed('transactions');

function check(expected, payload) {
  // Compared as text first: decoding is the expensive part.
  if (payload.toString() === `{"result":{"raw_tx":"${expected.raw}"}}`) return;
  const sent = `transaction ${expected.index} of seed ${seed}: ${expected.payload.toString().slice(0, 3000)}`;
  try {
    assert.equal(decodeAnswer(payload).raw_tx, expected.raw);
  } catch (error) {
    error.message += `\n${sent}`;
    throw error;
  }
}

test(`${COUNT} random transactions are signed as ethers signs them`, () =>
  withEnclave({ flags: { profile: 'signer' } }, async (enclave) => {
    const workerData = { transactions: { seed, privateKey: enclave.key } };
    const file = new URL('../js/lib/random_transactions.mjs', import.meta.url);
    const workers = Array.from({ length: WORKERS }, () => new Worker(file, { workerData }));
    const connection = await enclave.connect();
    const start = Date.now();
    let next = 0;
    let bytes = 0;
    const lane = async (worker) => {
      const ask = () => {
        const from = next;
        next = Math.min(COUNT, next + CHUNK);
        if (from === next) return undefined;
        worker.postMessage({ from, to: next });
        return once(worker, 'message');
      };
      let coming = ask();
      while (coming !== undefined) {
        const [cases] = await coming;
        coming = ask(); // made while these are signed
        await Promise.all(
          cases.map(async (one) => {
            bytes += one.payload.length;
            one.payload = Buffer.from(one.payload); // a worker hands over plain arrays
            check(one, await connection.send(one.payload));
          }),
        );
      }
    };
    try {
      await Promise.all(workers.map(lane));
    } finally {
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    await connection.close();
    const { signatures, errors } = await enclave.status();
    assert.equal(signatures, String(COUNT));
    assert.deepEqual(errors, {});
    const seconds = (Date.now() - start) / 1000;
    console.log(`transactions: ${COUNT} (${(bytes / 1e6).toFixed(0)} MB) in ${seconds.toFixed(1)} s`);
  }));
