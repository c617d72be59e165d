// The remote signer: transactions signed over the JSON protocol, beside what libsecp256k1 signs on
// one core in the same minutes.
import { runProgram } from './micro.mjs';
import { freshFolder, runBench, startSigner } from './programs.mjs';

const PARALLEL = 8; // threads of the case with a connection a request

/** Recoverable signatures a second on one core. */
export function signRecoverableRate(folder) {
  const filter = '^BM_LimitSignRecoverable$';
  const [run] = runProgram('bench_signing', { repeats: 1, seconds: 1, filter, folder }).get(
    'BM_LimitSignRecoverable',
  );
  return run.items_per_second;
}

export async function signing(figures, { base, repeats, seconds, say }) {
  const folder = freshFolder(base, 'signing');
  const limits = [];
  const rates = { pipelined: [], one: [], many: [] };
  const cpu = [];
  const enclave = await startSigner(folder);
  for (let i = 0; i < repeats; i++) {
    say(`signing: repeat ${i + 1} of ${repeats}`);
    // Before and after, so that a machine that slows down slows both.
    const before = signRecoverableRate(folder);
    const spent = enclave.cost().cpuSeconds;
    const { pipelined } = await runBench('coffer-sign-bench', enclave, { mode: 'pipelined', seconds });
    cpu.push(((enclave.cost().cpuSeconds - spent) / (pipelined.figures.per_second * seconds * 1.2)) * 1e6);
    limits.push((before + signRecoverableRate(folder)) / 2);
    rates.pipelined.push(pipelined.figures.per_second);
    for (const [name, clients] of [['one', 1], ['many', PARALLEL]]) {
      const { connections } = await runBench('coffer-sign-bench', enclave, { mode: 'connections', seconds, clients });
      rates[name].push(connections.figures.per_second);
    }
  }
  await enclave.stop();
  const limit = { name: 'libsecp256k1 sign_recoverable, one core', samples: limits };
  figures.add('signing', 'transactions by JSON, one pipelined connection', '/s', rates.pipelined, { limit, target: 0.8 * limits[0] });
  figures.add('signing', 'transactions by JSON, a connection each, one client', '/s', rates.one, { limit });
  figures.add('signing', `transactions by JSON, a connection each, ${PARALLEL} clients`, '/s', rates.many, { limit });
  figures.add('signing', 'CPU of the enclave a transaction, pipelined', 'us', cpu, { higherIsBetter: false });
}
