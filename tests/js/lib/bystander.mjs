// A well-behaved client in a thread of its own, so that what a test does meanwhile is not in its
// latencies: one request after the other on one connection, each of which must be answered.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { JsonConnection, encodeCall } from './json_client.mjs';

/** Starts one: `stop()` gives {count, p50, p99} in microseconds, or throws what went wrong. */
export async function startBystander(endpoint) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { bystander: endpoint } });
  const ended = once(worker, 'exit');
  const failure = new Promise((resolve) => worker.once('error', resolve));
  const first = await Promise.race([once(worker, 'message'), failure]);
  if (first instanceof Error) throw first;
  return {
    async stop() {
      const figures = once(worker, 'message');
      figures.catch(() => {});
      worker.postMessage('stop');
      const answer = await Promise.race([figures, failure]);
      if (answer instanceof Error) throw answer;
      await ended;
      return answer[0];
    },
  };
}

async function run(endpoint) {
  let running = true;
  parentPort.once('message', () => (running = false));
  const tx = { chainId: 1, nonce: 0, gas: 21000, gasPrice: 1, to: `0x${'22'.repeat(20)}`, value: 1 };
  const request = encodeCall('sign_transaction', { tx });
  const connection = await JsonConnection.connect(endpoint);
  const latencies = [];
  const ask = async () => {
    const began = process.hrtime.bigint();
    const answer = (await connection.send(request)).toString();
    latencies.push(Number(process.hrtime.bigint() - began) / 1000);
    if (!answer.startsWith('{"result":{"raw_tx":"0x')) throw new Error(answer);
  };
  for (let warm = 0; warm < 200; warm++) await ask();
  latencies.length = 0;
  parentPort.postMessage('started');
  while (running || latencies.length === 0) {
    await ask();
    await sleep(1);
  }
  await connection.close();
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  parentPort.postMessage({ count: latencies.length, p50: at(0.5), p99: at(0.99) });
}

if (!isMainThread && workerData?.bystander) await run(workerData.bystander);
