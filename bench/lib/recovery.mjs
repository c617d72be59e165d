// Restarts of an enclave with much to remember: from records alone, and from a snapshot.
import fs from 'node:fs';
import path from 'node:path';
import { median } from './figures.mjs';
import { runProgram } from './micro.mjs';
import { availableIn } from './proc.mjs';
import { freshFolder, isBuilt, runLoad, startEnclave } from './programs.mjs';

const ACCOUNTS = 1_000_000;
const SEGMENT = 10_000_000; // credits that coffer-bench makes at a time, in memory
const NEVER = String(100 * 2 ** 30); // bytes between snapshots: none is taken
const EVENTS_A_SECOND = 1_000_000; // targets
const ACCOUNTS_A_SECOND = 10_000_000;
// What a run needs: the tables of ids while they grow, and the parts of a snapshot; the harness's requests; records.
const MEMORY_AN_EVENT = 130;
const MEMORY_A_REQUEST = 200;
const MEMORY_BESIDES = 1.5e9;
const DISK_AN_EVENT = 350;

const show = (number) => number.toLocaleString('en-US');
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(0)} GB`;

/** Sizes that this machine can hold, and a sentence on each that it cannot. memory, disk: bytes that are free. */
export function sizesFor({ quick, large }, { memory, disk }) {
  const wanted = quick ? [100_000] : large ? [1_000_000, 10_000_000, 100_000_000] : [1_000_000];
  const sizes = [];
  const left = [];
  for (const events of wanted) {
    const needs = {
      memory: MEMORY_BESIDES + events * MEMORY_AN_EVENT + Math.min(events, SEGMENT) * MEMORY_A_REQUEST,
      disk: events * DISK_AN_EVENT,
    };
    const lacking = Object.entries({ memory, disk }).find(([kind, free]) => free < needs[kind]);
    if (lacking === undefined) sizes.push(events);
    else left.push(`${show(events)} events are left out: that takes ${gigabytes(needs[lacking[0]])} of ${lacking[0]}, and ${gigabytes(lacking[1])} are free`);
  }
  return { sizes, left };
}

function freeOf(base) {
  const { bavail, bsize } = fs.statfsSync(base);
  return { memory: availableIn(fs.readFileSync('/proc/meminfo', 'utf8')), disk: bavail * bsize };
}

const seconds = async (work) => {
  const start = performance.now();
  const result = await work();
  return [result, (performance.now() - start) / 1000];
};

/** kill -9, and a new enclave that loads what is stored. */
async function restart(folder, before, { snapshot, interval = NEVER, cases = 'load' }) {
  await before.stop('SIGKILL');
  const [enclave, started] = await seconds(() => startEnclave(folder, ['--snapshot-interval', interval]));
  const { load } = await runLoad(folder, enclave, { cases, snapshot });
  const { rssBytes, peakRssBytes } = enclave.cost();
  return { enclave, ...load.figures, restartSeconds: started + load.figures.seconds, rssBytes, peakRssBytes };
}

/** Events of as many accounts, and both ways to have them again. */
async function measure(base, events) {
  const accounts = Math.min(events, ACCOUNTS);
  const folder = freshFolder(base, 'recovery');
  const first = await startEnclave(folder, ['--snapshot-interval', NEVER]);
  const segments = Math.ceil(events / SEGMENT);
  const cases = Array(segments).fill('batched').join(',');
  await runLoad(folder, first, { cases, events: events / segments, accounts });
  const records = await restart(folder, first, { snapshot: false });
  const taken = await restart(folder, records.enclave, { snapshot: false, interval: '1', cases: 'snapshot' });
  const snapshot = await restart(folder, taken.enclave, { snapshot: true });
  await snapshot.enclave.stop('SIGKILL');
  for (const run of [records, snapshot]) {
    if (run.events !== events || run.accounts !== accounts) {
      throw new Error(`of ${events} events and ${accounts} accounts, ${run.events} and ${run.accounts} came back`);
    }
  }
  const bytesOf = (name) => fs.statSync(path.join(folder, 'store', name)).size;
  records.bytes = bytesOf('records');
  snapshot.bytes = bytesOf('snapshot');
  fs.rmSync(path.join(folder, 'store'), { recursive: true }); // two files, which can be most of the disk
  return { accounts, records, snapshot };
}

/** Seconds that a byte takes one core to decrypt and to hash; undefined where that was not measured and cannot be. */
function cryptoOfAByte(of, base) {
  const names = ['BM_LimitAesGcm/1048576', 'BM_LimitSha256/1048576'];
  let read = of;
  if (names.some((name) => of(name, 'bytes_per_second').length === 0)) {
    if (!isBuilt('bench_sealing')) return undefined;
    const runs = runProgram('bench_sealing', { repeats: 1, seconds: 0.3, filter: `^(${names.join('|')})$`, folder: freshFolder(base, 'crypto') });
    read = (name, field) => runs.get(name).map((run) => run[field]);
  }
  return names.reduce((sum, name) => sum + 1 / median(read(name, 'bytes_per_second')), 0);
}

/** Adds its figures, and gives a sentence on each size that was left out. */
export async function recovery(figures, of, all) {
  const { base, repeats, say } = all;
  const aByte = cryptoOfAByte(of, base);
  const { sizes, left } = sizesFor(all, freeOf(base));
  left.forEach((sentence) => say(sentence));
  for (const events of sizes) {
    const runs = [];
    const times = events > ACCOUNTS ? 1 : repeats; // minutes each
    for (let i = 0; i < times; i++) {
      say(`recovery: ${show(events)} events, repeat ${i + 1} of ${times}`);
      runs.push(await measure(base, events));
    }
    addRecovery(figures, aByte, events, runs);
  }
  return left;
}

/** aByte: as cryptoOfAByte() gives it; runs: what measure() gives, one a repeat. */
export function addRecovery(figures, aByte, events, runs) {
  const lower = { higherIsBetter: false };
  const { accounts } = runs[0];
  const size = `${show(events)} events of ${show(accounts)} accounts`;
  const parts = [
    ['records', 'records only', 'events', events, EVENTS_A_SECOND],
    ['snapshot', 'a snapshot', 'accounts', accounts, ACCOUNTS_A_SECOND],
  ];
  for (const [kind, from, what, count, target] of parts) {
    const each = (read) => runs.map((run) => read(run[kind]));
    const limit = { name: 'AES-GCM and SHA-256 of its bytes', samples: each(({ bytes }) => bytes * aByte) };
    figures.add('recovery', `enclave started and loaded from ${from}, ${size}`, 's', each((run) => run.restartSeconds), { limit, ...lower });
    figures.add('recovery', `${what} a second from ${from}, ${size}`, '/s', each((run) => count / run.seconds), { target });
    figures.add('recovery', `enclave resident after ${from}, ${size}`, 'MB', each((run) => run.rssBytes / 1e6), lower);
    figures.add('recovery', `enclave resident at most, ${from}, ${size}`, 'MB', each((run) => run.peakRssBytes / 1e6), lower);
    figures.add('recovery', `read from disk, ${from}, ${size}`, 'MB', each((run) => run.bytes / 1e6), lower);
  }
}
