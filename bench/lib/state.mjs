// The same work at one and at ten times the state: what a change costs has to follow the change.
import { median } from './figures.mjs';
import { runProgram } from './micro.mjs';
import { countedBetween, ranOf } from './proc.mjs';
import { freshFolder, isBuilt, runLoad, startEnclave } from './programs.mjs';

const CREDITS = 1000; // so few that they do not change the size of the state
const WITHIN = 1.3; // the largest state against the smallest
const NEVER = String(100 * 2 ** 30); // bytes between snapshots: none is taken

const show = (size) => size.toLocaleString('en-US');

/** Sizes of the state: as many ids as accounts. */
export function sizesOf({ quick, large }) {
  if (quick) return [10_000, 100_000];
  return large ? [10_000, 100_000, 1_000_000, 10_000_000] : [10_000, 100_000, 1_000_000];
}

/** What `work` took of the enclave's cores, in seconds, and what it gave. */
async function cpuOf(enclave, work) {
  const before = ranOf(enclave.child.pid);
  const result = await work();
  return { result, seconds: countedBetween(before, ranOf(enclave.child.pid)) / 1e9 };
}

/** One more credit, alone in its request, and a snapshot, of a real enclave that holds `size` ids and accounts. */
async function measure(base, size) {
  const folder = freshFolder(base, 'state');
  let enclave = await startEnclave(folder, ['--snapshot-interval', NEVER]);
  await runLoad(folder, enclave, { cases: 'batched', events: size, accounts: size });
  const single = { cases: 'batched', events: CREDITS, batch: 1, window: 1, accounts: size, 'first-id': 2 ** 40 };
  const credits = await cpuOf(enclave, () => runLoad(folder, enclave, single));
  const residentMb = enclave.cost().rssBytes / 1e6;
  await enclave.stop();
  enclave = await startEnclave(folder, ['--snapshot-interval', '1']);
  const { snapshot, stall } = await runLoad(folder, enclave, { cases: 'snapshot,stall', batch: 1000, accounts: size, 'first-id': 2 ** 41 });
  await enclave.stop();
  return {
    cpuUs: (credits.seconds * 1e6) / CREDITS,
    latencyUs: credits.result.batched.figures.request_latency.p50_us,
    recordBytes: credits.result.batched.stored_bytes / CREDITS,
    residentMb,
    snapshotSeconds: snapshot.figures.seconds,
    usualMs: stall.figures.request_latency.p50_us / 1000,
    waitMs: stall.figures.request_latency.max_us / 1000,
  };
}

/** The trusted code alone: Map of size -> {ns, bytes} of a credit's repetitions; undefined where the program is not built. */
function inside(base, sizes, repeats) {
  if (!isBuilt('bench_state')) return undefined;
  const folder = freshFolder(base, 'state-inside');
  const results = new Map();
  // A process a size: what one state left behind in the heap is not for another to pay.
  for (const size of sizes) {
    const runs = runProgram('bench_state', { repeats, seconds: 0, filter: `ids:${size}/`, folder }).get(`BM_OneCredit/ids:${size}`);
    results.set(size, { ns: runs.map((run) => run.cpuNs), bytes: runs.map((run) => run.bytes_each) });
  }
  return results;
}

export async function state(figures, all) {
  const { base, repeats, say } = all;
  const sizes = sizesOf(all);
  say('state: the trusted code alone');
  const alone = inside(base, sizes, repeats);
  const whole = new Map(sizes.map((size) => [size, []]));
  for (let i = 0; i < repeats; i++) {
    for (const size of sizes) {
      say(`state: ${show(size)} ids and accounts, repeat ${i + 1} of ${repeats}`);
      whole.get(size).push(await measure(base, size));
    }
  }
  addState(figures, sizes, alone, whole);
}

/** alone: as inside() gives it; whole: Map of size -> [what measure() gives]. */
export function addState(figures, sizes, alone, whole) {
  const [least, most] = [sizes[0], sizes.at(-1)];
  const add = (name, unit, read, within) => {
    const samples = new Map(sizes.map((size) => [size, read(size)]));
    for (const size of sizes) figures.add('state', `${name}, at ${show(size)}`, unit, samples.get(size), { higherIsBetter: false });
    figures.addCurve('state', name, 'ids, and as many accounts', unit, samples);
    if (within === undefined) return;
    const ratios = samples.get(most).map((sample) => sample / median(samples.get(least)));
    figures.add('state', `${name}, at ${show(most)} against ${show(least)}`, 'x', ratios, { target: within, higherIsBetter: false });
  };
  const of = (field) => (size) => whole.get(size).map((run) => run[field]);
  if (alone !== undefined) {
    add('CPU of one more credit, trusted code alone', 'ns', (size) => alone.get(size).ns, WITHIN);
    add('bytes to seal of one more credit, with its leaf', 'bytes', (size) => alone.get(size).bytes, WITHIN);
  }
  add('CPU of the enclave for one more credit', 'us', of('cpuUs'), WITHIN);
  add('one more credit, durable, p50', 'us', of('latencyUs'));
  add('record of one more credit, stored', 'bytes', of('recordBytes'), WITHIN);
  add('enclave resident', 'MB', of('residentMb'));
  // A snapshot is as large as the state, and comes as seldom: its cost is spread over as many changes.
  add('a snapshot, begun to stored', 's', of('snapshotSeconds'));
  add('1,000 credits in a request, p50', 'ms', of('usualMs'));
  add('the same while a snapshot is taken, longest', 'ms', of('waitMs'));
}
