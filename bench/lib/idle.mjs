// Both processes with nothing to do: how often they wake up, and what they hold.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Host, stopBoth } from './host.mjs';
import { costOf, countedBetween, ranOf, switchesOf } from './proc.mjs';
import { freshFolder, startEnclave } from './programs.mjs';

const SECONDS = 10;
const QUICK_SECONDS = 3;
const SETTLE_MS = 1_000; // what a start leaves behind is over by then
const RESIDENT_MB = 30;
const WAKE_UPS = 5; // a second: an idle process is not to keep a core awake

const look = (pid) => ({ at: performance.now(), switches: switchesOf(pid), ran: ranOf(pid), rssBytes: costOf(pid).rssBytes });

/** What happened from one look to the next, a second. */
export function idleBetween(before, after) {
  const seconds = (after.at - before.at) / 1000;
  return {
    wakeUps: countedBetween(before.switches, after.switches) / seconds,
    cpuMs: after.ran.size === 0 ? NaN : countedBetween(before.ran, after.ran) / 1e6 / seconds,
    residentMb: after.rssBytes / 1e6,
  };
}

/** coffer-enclave and coffer-host beside each other, following a journal that has nothing in it. */
async function idleOnce(base, seconds) {
  const folder = freshFolder(base, 'idle');
  const watched = path.join(folder, 'journal'); // with nothing else in it: the host is told of every write there
  fs.mkdirSync(watched);
  const journal = path.join(watched, 'journal.jsonl');
  const registry = path.join(folder, 'registry.json');
  fs.writeFileSync(journal, '');
  fs.writeFileSync(registry, JSON.stringify({ orchestrators: {} }));
  const enclave = await startEnclave(folder);
  const host = await Host.start(folder, enclave, { journal, registry });
  await host.ready([enclave]);
  const pids = { enclave: enclave.child.pid, host: host.process.child.pid };
  const lookAtBoth = () => Object.entries(pids).map(([name, pid]) => [name, look(pid)]);
  await sleep(SETTLE_MS);
  const before = Object.fromEntries(lookAtBoth());
  await sleep(seconds * 1000);
  const idle = lookAtBoth().map(([name, after]) => [name, idleBetween(before[name], after)]);
  await stopBoth({ enclave, host });
  return Object.fromEntries(idle);
}

export async function idle(figures, { base, repeats, quick, say }) {
  const seconds = quick ? QUICK_SECONDS : SECONDS;
  const runs = [];
  for (let i = 0; i < repeats; i++) {
    say(`idle: ${seconds} s, repeat ${i + 1} of ${repeats}`);
    runs.push(await idleOnce(base, seconds));
  }
  const lower = { higherIsBetter: false };
  for (const name of ['enclave', 'host']) {
    const of = (field) => runs.map((run) => run[name][field]);
    figures.add('idle', `wake-ups of the ${name}, all threads`, '/s', of('wakeUps'), { target: WAKE_UPS, ...lower });
    figures.add('idle', `CPU of the ${name}`, 'ms/s', of('cpuMs'), lower);
    figures.add('idle', `${name} resident`, 'MB', of('residentMb'), { target: RESIDENT_MB, ...lower });
  }
}
