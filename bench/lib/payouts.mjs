// Payouts over the boundary: tickets prepared, signed and durable, then settled by receipts, by a host that only measures.
import { median } from './figures.mjs';
import { freshFolder, isBuilt, runLoad, startEnclave } from './programs.mjs';
import { signRecoverableRate } from './signing.mjs';

// How many payouts of so many tickets: `pipelined` as fast as they are answered, `single` one after the other.
const BATCHES = [
  { tickets: 1, pipelined: 5000, single: 2000 },
  { tickets: 20, pipelined: 1000, single: 1000 },
  { tickets: 100, pipelined: 300, single: 300 },
];
const WINDOW = 8; // payouts in flight
const OF_LIBSECP256K1 = 0.9; // of its rate, for tickets of a batch: one alone needs two signatures

async function measure({ base, quick }) {
  const folder = freshFolder(base, 'payouts');
  const enclave = await startEnclave(folder);
  let runs = 0;
  const results = [];
  for (const { tickets, pipelined, single } of BATCHES) {
    const one = async (payouts, window) => {
      const count = quick ? Math.ceil(payouts / 10) : payouts;
      const options = { cases: 'payouts', tickets, payouts: count, window, 'first-id': ++runs };
      return (await runLoad(folder, enclave, options)).payouts.figures;
    };
    results.push({ rate: await one(pipelined, WINDOW), latency: await one(single, 1) });
  }
  await enclave.stop();
  return results;
}

export async function payouts(figures, all) {
  const { base, repeats, say } = all;
  const runs = [];
  const limits = [];
  for (let i = 0; i < repeats; i++) {
    say(`payouts: repeat ${i + 1} of ${repeats}`);
    // Before and after, so that a machine that slows down slows both.
    const limitNow = () => (isBuilt('bench_signing') ? signRecoverableRate(freshFolder(base, 'signing-limit')) : NaN);
    const before = limitNow();
    runs.push(await measure(all));
    limits.push((before + limitNow()) / 2);
  }
  addPayouts(figures, BATCHES.map(({ tickets }) => tickets), runs, limits);
}

/** runs: for each repeat, for each of `batches`, what coffer-bench printed: {rate, latency}. */
export function addPayouts(figures, batches, runs, limits) {
  const limit = { name: 'libsecp256k1 sign_recoverable, one core', samples: limits };
  const known = limits.filter(Number.isFinite);
  const whole = known.length === 0 ? undefined : OF_LIBSECP256K1 * median(known);
  batches.forEach((tickets, i) => {
    const named = tickets === 1 ? 'one ticket' : `${tickets} tickets`;
    const of = (kind, stage, read) => runs.map((run) => read(run[i][kind][stage]));
    const rate = (stage) => of('rate', stage, (one) => one.per_second);
    const target = tickets > 1 ? whole : undefined;
    const note = `a payout of ${named} has ${tickets + 1} signatures`;
    figures.add('payouts', `tickets prepared, signed and durable, ${tickets} a payout`, '/s', rate('prepared'), { limit, target, note });
    figures.add('payouts', `tickets settled by receipts, durable, ${tickets} a payout`, '/s', rate('settled'));
    for (const stage of ['prepared', 'settled']) {
      for (const [name, field] of [['p50', 'p50_us'], ['p99', 'p99_us']]) {
        const samples = of('latency', stage, (one) => one.latency[field]);
        figures.add('payouts', `a payout of ${named} ${stage}, one at a time, ${name}`, 'us', samples, { higherIsBetter: false });
      }
      figures.addHistogram('payouts', `a payout of ${named} ${stage}`, of('latency', stage, (one) => one.latency));
    }
  });
}
