// From the journal on disk to durable, acknowledged balances, and back after a crash.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { median } from './figures.mjs';
import { Host, stopBoth } from './host.mjs';
import { ROOT, freshFolder, startEnclave, until } from './programs.mjs';

const NEVER = String(100 * 2 ** 30); // bytes between snapshots: none is taken
const ACCOUNTS = 300;

/** A journal that is made once for its arguments: {path, bytes, registry, expected}. */
export function journalFor(base, lines, say) {
  const folder = path.join(base, `journal-${lines}-${ACCOUNTS}-1`);
  const file = path.join(folder, 'journal.jsonl');
  if (!fs.existsSync(path.join(folder, 'expected.json'))) {
    say(`making a journal of ${lines} lines (kept in ${path.relative(process.cwd(), folder)})`);
    const args = ['tests/js/journal.mjs', '--lines', lines, '--accounts', ACCOUNTS, '--seed', 1, '--out', folder];
    const done = spawnSync(process.execPath, args.map(String), { cwd: ROOT, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`tests/js/journal.mjs failed:\n${done.stderr}`);
  }
  return {
    path: file,
    bytes: fs.statSync(file).size,
    registry: path.join(folder, 'registry.json'),
    expected: JSON.parse(fs.readFileSync(path.join(folder, 'expected.json'), 'utf8')),
  };
}

/** CPU seconds so far of a process's threads, by the name of each. */
function threadsOf(pid) {
  const seconds = {};
  for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
    const stat = fs.readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    seconds[name] = (seconds[name] ?? 0) + (Number(fields[11]) + Number(fields[12])) / 100;
  }
  return seconds;
}

/**
 * Milliseconds until the next look at a replay, a quarter of the time that is left by its pace: each look costs the host
 * what it takes to write its metrics, and the last ones say when it was over. `seen` is [seconds, bytes dealt with, ..].
 */
export function pauseAfter(seen, bytes) {
  const [seconds, done] = seen.at(-1);
  const left = done > 0 ? ((bytes - done) * seconds) / done : 0;
  return Math.min(250, Math.max(10, 250 * left));
}

/** Replays the journal once into fresh processes; what it took, checked to the wei. */
async function replay(folder, journal, enclaveArgs) {
  const enclave = await startEnclave(folder, enclaveArgs);
  const start = process.hrtime.bigint();
  const host = await Host.start(folder, enclave, { journal: journal.path, registry: journal.registry });
  const since = () => Number(process.hrtime.bigint() - start) / 1e9;
  const seen = []; // [seconds, bytes dealt with, resident bytes of the enclave, of the host]
  const done = async () => {
    const offset = await host.offset();
    seen.push([since(), offset, enclave.cost().rssBytes, host.process.cost().rssBytes]);
    return offset === journal.bytes;
  };
  await until('the journal to be dealt with', done, {
    alive: [host.process, enclave],
    everyMs: () => pauseAfter(seen, journal.bytes),
    timeoutMs: 3_600_000,
  });
  const seconds = since();
  const threads = threadsOf(host.process.child.pid);
  const status = await host.status();
  const find = (object, key) => (key in object ? object : find(object.enclave, key));
  const { totals, events } = find(status, 'totals');
  if (BigInt(totals.available) !== BigInt(journal.expected.total_wei)) {
    throw new Error(`the journal owes ${journal.expected.total_wei} wei, the enclave ${totals.available}`);
  }
  return {
    enclave, host, seconds, seen, threads, events: Number(events), enclaveCost: enclave.cost(), hostCost: host.process.cost(),
  };
}

/** kill -9 of both, a restart, and the seconds until both are ready again. */
async function recover(folder, run, journal, enclaveArgs) {
  await Promise.all([run.enclave.stop('SIGKILL'), run.host.process.stop('SIGKILL')]);
  const start = process.hrtime.bigint();
  const enclave = await startEnclave(folder, enclaveArgs);
  const host = await Host.start(folder, enclave, { journal: journal.path, registry: journal.registry });
  await host.ready([enclave]);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  return { enclave, host, seconds };
}

// Lines a second between one look and the next, as though all lines were equally long.
function addOverTime(figures, { seen }, bytesALine) {
  const rate = ([t1, b1], [t0, b0]) => [t1, (b1 - b0) / bytesALine / (t1 - t0)];
  figures.addSeries('journal', 'lines to durable balances', '/s', seen.slice(1).map((now, i) => rate(now, seen[i])));
  figures.addSeries('journal', 'enclave resident', 'MB', seen.map(([t, , rss]) => [t, rss / 1e6]));
  figures.addSeries('journal', 'host resident', 'MB', seen.map(([t, , , rss]) => [t, rss / 1e6]));
}

/** From the journal on disk to durable, acknowledged balances, with coffer-enclave and coffer-host. */
export async function journalReplay(figures, { base, repeats, lines, say, rival }) {
  const journal = journalFor(base, lines, say);
  const runs = [];
  const recovered = { snapshot: [], records: [] };
  for (let i = 0; i < repeats; i++) {
    for (const [kind, args] of [['snapshot', []], ['records', ['--snapshot-interval', NEVER]]]) {
      say(`journal: ${lines} lines, repeat ${i + 1} of ${repeats}, ${kind === 'snapshot' ? 'with snapshots' : 'records only'}`);
      const folder = freshFolder(base, 'journal-run');
      const run = await replay(folder, journal, args);
      if (kind === 'snapshot') runs.push(run);
      const again = await recover(folder, run, journal, args);
      recovered[kind].push(again.seconds);
      await stopBoth(again);
    }
  }
  const rates = runs.map((run) => lines / run.seconds);
  const boundaryRow = figures.rows.find((row) => row.figure === 'credits, batched, durable');
  figures.add('journal', 'lines to durable balances, end to end', '/s', rates, {
    limit: { name: 'credits, batched, durable, without a journal', samples: boundaryRow?.samples ?? [] },
    target: 1_000_000,
  });
  if (rival !== undefined) {
    const against = rates.map((rate) => rate / median(rival));
    figures.add('journal', 'the same against PostgreSQL 15, its best way', 'x', against, { target: 10 });
  }
  addOverTime(figures, runs.at(-1), journal.bytes / lines);
  const lower = { higherIsBetter: false };
  figures.add('journal', 'MB read', '/s', runs.map((run) => journal.bytes / run.seconds / 1e6));
  figures.add('journal', 'CPU of the enclave a line', 'us', runs.map((run) => (run.enclaveCost.cpuSeconds / lines) * 1e6), lower);
  figures.add('journal', 'CPU of the host a line', 'us', runs.map((run) => (run.hostCost.cpuSeconds / lines) * 1e6), lower);
  const threads = { 'coffer-host': 'reading the journal', 'coffer-store': 'storing', 'coffer-log': 'the index of the log' };
  for (const [name, does] of Object.entries(threads)) {
    figures.add('journal', `CPU of the host a line: ${does}`, 'us', runs.map((run) => (run.threads[name] / lines) * 1e6), lower);
  }
  figures.add('journal', 'enclave resident at the end', 'MB', runs.map((run) => run.enclaveCost.rssBytes / 1e6), lower);
  figures.add('journal', 'host resident at the end', 'MB', runs.map((run) => run.hostCost.rssBytes / 1e6), lower);
  const name = `after kill -9 of both, ${runs[0].events.toLocaleString('en-US')} events`;
  figures.add('recovery', `${name}, records only`, 's', recovered.records, { target: runs[0].events / 1e6, ...lower });
  figures.add('recovery', `${name}, with a snapshot`, 's', recovered.snapshot, lower);
}
