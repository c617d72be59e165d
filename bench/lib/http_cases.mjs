// Credits over the host's HTTP API.
import fs from 'node:fs';
import path from 'node:path';
import { Host, stopBoth } from './host.mjs';
import { closedLoop, quantile } from './http.mjs';
import { freshFolder, startEnclave } from './programs.mjs';

const BATCHES = [1, 100, 1000]; // credits a request; 1000 is the most

/** Credits over HTTP, closed loop on one connection: one and many a request, beside a request that does nothing. */
export async function http(figures, { base, repeats, seconds, say }) {
  const registry = path.join(base, 'http-registry.json');
  fs.writeFileSync(registry, JSON.stringify({ orchestrators: { 'orch-1': `0x${'12'.repeat(20)}` } }));
  const results = { floor: [], ...Object.fromEntries(BATCHES.map((n) => [n, []])) };
  for (let i = 0; i < repeats; i++) {
    say(`http: repeat ${i + 1} of ${repeats}`);
    const folder = freshFolder(base, 'http');
    const enclave = await startEnclave(folder);
    const host = await Host.start(folder, enclave, { registry });
    await host.ready([enclave]);
    results.floor.push(await closedLoop(host.port, seconds, () => ({ method: 'GET', path: '/healthz', body: '' })));
    let next = 0;
    const credit = () => ({ id: `bench-${++next}`, account: 'orch-1', amount: '0.00001' });
    for (const n of BATCHES) {
      results[n].push(await closedLoop(host.port, seconds, () => ({
        method: 'POST',
        path: '/api/ledger/events',
        body: JSON.stringify(Array.from({ length: n }, credit)),
      })));
    }
    await stopBoth({ enclave, host });
  }
  for (const [name, share] of [['p50', 0.5], ['p99', 0.99]]) {
    const of = (runs) => runs.map((run) => quantile(run, share));
    const limit = { name: `GET /healthz by the same client, ${name}`, samples: of(results.floor) };
    figures.add('latency', `one credit, HTTP, closed loop, ${name}`, 'us', of(results[1]), { limit, higherIsBetter: false });
  }
  for (const n of BATCHES) {
    const rates = results[n].map((run) => (run.length * n) / seconds);
    figures.add('http', `credits over HTTP, ${n} a request, one client`, '/s', rates);
    figures.addHistogram('http', `${n} a request`, results[n].map(histogramOf));
  }
  figures.addHistogram('http', 'GET /healthz', results.floor.map(histogramOf));
}

// Exact: a bucket a latency, to the microsecond.
function histogramOf(latencies) {
  const counts = new Map();
  for (const one of latencies) counts.set(Math.ceil(one), (counts.get(Math.ceil(one)) ?? 0) + 1);
  return { buckets: [...counts] };
}
