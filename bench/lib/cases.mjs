// The macro cases: real processes, from outside.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { median } from './figures.mjs';
import { closedLoop, quantile } from './http.mjs';
import { ROOT, Process, freePort, isBuilt, runLoad, startEnclave, until } from './programs.mjs';

const NEVER = String(100 * 2 ** 30); // bytes between snapshots: none is taken
const ACCOUNTS = 300;

function freshFolder(base, name) {
  const folder = path.join(base, name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** Credits over the boundary: batched throughput, latency of one, and recovery of what was stored. */
export async function boundary(figures, of, { base, repeats, lines, seconds, say }) {
  const durable = [];
  const free = [];
  const latency = { closed: [], open: [], disk: [], free: [] };
  const recovery = { records: [], snapshot: [], bytes: [] };
  for (let i = 0; i < repeats; i++) {
    say(`boundary: repeat ${i + 1} of ${repeats}`);
    const folder = freshFolder(base, 'boundary');
    let enclave = await startEnclave(folder);
    const batched = await runLoad(folder, enclave, { cases: 'batched', events: lines });
    durable.push({ ...batched.batched.figures, ...enclave.cost() });
    recovery.bytes.push(batched.batched.stored_bytes);
    for (const [kind, snapshot] of [['snapshot', true], ['records', false]]) {
      await enclave.stop('SIGKILL');
      enclave = await startEnclave(folder);
      recovery[kind].push((await runLoad(folder, enclave, { cases: 'load', snapshot })).load.figures.seconds);
    }
    await enclave.stop();

    const second = freshFolder(base, 'boundary');
    enclave = await startEnclave(second);
    const one = await runLoad(second, enclave, { cases: 'disk,closed,open', seconds });
    latency.disk.push(one.disk.figures.latency);
    latency.closed.push(one.closed.figures.latency);
    latency.open.push(one.open.figures.latency);
    await enclave.stop();

    const third = freshFolder(base, 'boundary');
    enclave = await startEnclave(third);
    const none = await runLoad(third, enclave, { cases: 'batched,closed', events: lines, seconds, durability: 'none' });
    free.push(none.batched.figures.per_second);
    latency.free.push(none.closed.figures.latency);
    await enclave.stop();
  }
  const inside = { name: 'one core inside the enclave', samples: of('BM_ApplyEvents/mode:0/ids:1000000', 'items_per_second') };
  const perSecond = durable.map((run) => run.per_second);
  figures.add('boundary', 'credits, batched, durable', '/s', perSecond, { limit: inside });
  figures.add('boundary', 'credits, batched, storage that says yes at once', '/s', free, { limit: inside });
  const cpu = durable.map((run) => (run.cpuSeconds / run.events) * 1e6);
  figures.add('boundary', 'CPU of the enclave a credit', 'us', cpu, { higherIsBetter: false });
  addLatency(figures, latency);
  const rate = (name) => of(name, 'bytes_per_second');
  const bytesLimit = recovery.bytes.map((bytes, i) => bytes / rate('BM_LimitAesGcm/1048576')[i] + bytes / rate('BM_LimitSha256/1048576')[i]);
  const limit = { name: 'AES-GCM and SHA-256 of its bytes', samples: bytesLimit };
  const events = lines.toLocaleString('en-US');
  figures.add('recovery', `${events} credits, records only`, 's', recovery.records, { limit, target: lines / 1e6, higherIsBetter: false });
  figures.add('recovery', `${events} credits, with a snapshot`, 's', recovery.snapshot, { limit, higherIsBetter: false });
}

function addLatency(figures, { closed, open, disk, free }) {
  for (const [name, field] of [['p50', 'p50_us'], ['p99', 'p99_us'], ['p99.9', 'p999_us']]) {
    const limit = { name: `fdatasync of 512 bytes, ${name}`, samples: disk.map((run) => run[field]) };
    const add = (figure, runs, more) =>
      figures.add('latency', `${figure}, ${name}`, 'us', runs.map((run) => run[field]), { higherIsBetter: false, ...more });
    add('one credit, boundary, closed loop', closed, { limit });
    add('one credit, boundary, 1000/s open loop', open, { limit, target: name === 'p99' ? 2 * median(limit.samples) : undefined });
    add('one credit, boundary, storage that says yes at once', free);
  }
}

// ---- with coffer-host ---------------------------------------------------------------------------

export const hasHost = () => isBuilt('coffer-host');

/** A journal that is made once for its arguments: {path, bytes, registry, expected}. */
function journalFor(base, lines, say) {
  const folder = path.join(base, `journal-${lines}-${ACCOUNTS}-1`);
  const file = path.join(folder, 'journal.jsonl');
  if (!fs.existsSync(path.join(folder, 'expected.json'))) {
    say(`making a journal of ${lines} lines (kept in ${path.relative(ROOT, folder)})`);
    const args = ['tests/js/journal.mjs', '--lines', lines, '--accounts', ACCOUNTS, '--seed', 1, '--out', folder];
    const done = spawnSync('node', args.map(String), { cwd: ROOT, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`tests/js/journal.mjs failed:\n${done.stderr}`);
  }
  return {
    path: file,
    bytes: fs.statSync(file).size,
    registry: path.join(folder, 'registry.json'),
    expected: JSON.parse(fs.readFileSync(path.join(folder, 'expected.json'), 'utf8')),
  };
}

class Host {
  static async start(folder, enclave, { journal, registry }) {
    const host = new Host();
    host.port = await freePort();
    const args = ['--enclave', enclave.endpoint, '--data-dir', path.join(folder, 'data')];
    args.push('--http.listen', `tcp://127.0.0.1:${host.port}`);
    if (journal !== undefined) args.push('--journal.path', journal);
    if (registry !== undefined) args.push('--registry.path', registry);
    host.process = new Process('coffer-host', args, { log: path.join(folder, 'host.log') });
    return host;
  }

  async get(url) {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port}${url}`);
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { status: 0, body: '' }; // not listening yet
    }
  }

  async ready(alive) {
    await until('the host to be ready', async () => (await this.get('/readyz')).status === 200, {
      alive: [this.process, ...alive],
      everyMs: 2,
    });
  }

  async offset() {
    return Number(/^coffer_journal_offset_bytes(?:{[^}]*})? ([0-9.e+]+)/m.exec((await this.get('/metrics')).body)?.[1] ?? 0);
  }

  async status() {
    return JSON.parse((await this.get('/api/tee/status')).body);
  }
}

/** Replays the journal once into fresh processes; what it took, checked to the wei. */
async function replay(folder, journal, enclaveArgs) {
  const enclave = await startEnclave(folder, enclaveArgs);
  const start = process.hrtime.bigint();
  const host = await Host.start(folder, enclave, { journal: journal.path, registry: journal.registry });
  await until('the journal to be dealt with', async () => (await host.offset()) === journal.bytes, {
    alive: [host.process, enclave],
    everyMs: 20,
    timeoutMs: 600_000,
  });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const status = await host.status();
  const find = (object, key) => (key in object ? object : find(object.enclave, key));
  const { totals, events } = find(status, 'totals');
  if (BigInt(totals.available) !== BigInt(journal.expected.total_wei)) {
    throw new Error(`the journal owes ${journal.expected.total_wei} wei, the enclave ${totals.available}`);
  }
  return { enclave, host, seconds, events: Number(events), enclaveCost: enclave.cost(), hostCost: host.process.cost() };
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

async function stopBoth(run) {
  await run.host.process.stop();
  await run.enclave.stop();
}

/** From the journal on disk to durable, acknowledged balances, with coffer-enclave and coffer-host. */
export async function journalReplay(figures, of, { base, repeats, lines, say }) {
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
    target: 250_000,
  });
  const lower = { higherIsBetter: false };
  figures.add('journal', 'MB read', '/s', runs.map((run) => journal.bytes / run.seconds / 1e6));
  figures.add('journal', 'CPU of the enclave a line', 'us', runs.map((run) => (run.enclaveCost.cpuSeconds / lines) * 1e6), lower);
  figures.add('journal', 'CPU of the host a line', 'us', runs.map((run) => (run.hostCost.cpuSeconds / lines) * 1e6), lower);
  figures.add('journal', 'enclave resident at the end', 'MB', runs.map((run) => run.enclaveCost.rssBytes / 1e6), lower);
  figures.add('journal', 'host resident at the end', 'MB', runs.map((run) => run.hostCost.rssBytes / 1e6), lower);
  const name = `after kill -9 of both, ${runs[0].events.toLocaleString('en-US')} events`;
  figures.add('recovery', `${name}, records only`, 's', recovered.records, { target: runs[0].events / 1e6, ...lower });
  figures.add('recovery', `${name}, with a snapshot`, 's', recovered.snapshot, lower);
}

/** One credit over HTTP, closed loop on one connection, beside a request that does nothing. */
export async function http(figures, { base, repeats, seconds, say }) {
  const registry = path.join(base, 'http-registry.json');
  fs.writeFileSync(registry, JSON.stringify({ orchestrators: { 'orch-1': `0x${'12'.repeat(20)}` } }));
  const results = { credit: [], floor: [] };
  for (let i = 0; i < repeats; i++) {
    say(`http: repeat ${i + 1} of ${repeats}`);
    const folder = freshFolder(base, 'http');
    const enclave = await startEnclave(folder);
    const host = await Host.start(folder, enclave, { registry });
    await host.ready([enclave]);
    results.floor.push(await closedLoop(host.port, seconds, () => ({ method: 'GET', path: '/healthz', body: '' })));
    let next = 0;
    const credit = () => ({
      method: 'POST',
      path: '/api/ledger/events',
      body: JSON.stringify({ id: `bench-${++next}`, account: 'orch-1', amount: '0.00001' }),
    });
    results.credit.push(await closedLoop(host.port, seconds, credit));
    await stopBoth({ enclave, host });
  }
  for (const [name, share] of [['p50', 0.5], ['p99', 0.99]]) {
    const of = (runs) => runs.map((run) => quantile(run, share));
    const limit = { name: `GET /healthz by the same client, ${name}`, samples: of(results.floor) };
    figures.add('latency', `one credit, HTTP, closed loop, ${name}`, 'us', of(results.credit), { limit, higherIsBetter: false });
  }
}
