// Credits over the boundary, by a host that only measures: real processes, from outside.
import { median } from './figures.mjs';
import { freshFolder, runLoad, startEnclave } from './programs.mjs';

const CLIENTS = [1, 8, 64];
// What the Python core that Coffer takes the place of did on such a machine, with a connection a request and nothing durable: credits a second.
const PYTHON_CORE = { name: 'the Python core, nothing durable, as it was measured', samples: [3100] };
const TIMES_PYTHON = { single: 5, batched: 300 };

/** Credits over the boundary: batched throughput, latency of one, and recovery of what was stored. */
export async function boundary(figures, of, { base, repeats, lines, seconds, say }) {
  const durable = [];
  const free = [];
  const latency = { closed: [], open: [], disk: [], free: [] };
  const clients = new Map(CLIENTS.map((n) => [n, []]));
  const connections = [];
  const harness = [];
  const recovery = { records: [], snapshot: [], bytes: [] };
  for (let i = 0; i < repeats; i++) {
    say(`boundary: repeat ${i + 1} of ${repeats}`);
    const folder = freshFolder(base, 'boundary');
    let enclave = await startEnclave(folder);
    const batched = await runLoad(folder, enclave, { cases: 'batched', events: lines });
    harness.push((batched.batched.figures.cpu_seconds / lines) * 1e6);
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
    for (const n of CLIENTS) {
      const { closed } = await runLoad(second, enclave, { cases: 'closed', seconds, clients: n, 'first-id': 2 ** 40 * n });
      clients.get(n).push(closed.figures);
    }
    connections.push((await runLoad(second, enclave, { cases: 'connections', seconds, clients: 64, 'first-id': 2 ** 50 })).connections.figures);
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
  const python = (times) => ({ limit: PYTHON_CORE, target: times * PYTHON_CORE.samples[0] });
  figures.add('boundary', 'credits, batched, durable, against the Python core', '/s', perSecond, python(TIMES_PYTHON.batched));
  const single = 'one credit a request and a connection, durable, 64 clients';
  figures.add('boundary', single, '/s', connections.map((run) => run.per_second), python(TIMES_PYTHON.single));
  figures.addHistogram('boundary', single, connections.map((run) => run.latency));
  figures.add('boundary', 'credits, batched, storage that says yes at once', '/s', free, { limit: inside });
  const cpu = durable.map((run) => (run.cpuSeconds / run.events) * 1e6);
  figures.add('boundary', 'CPU of the enclave a credit', 'us', cpu, { higherIsBetter: false });
  figures.add('boundary', 'CPU of the harness a credit, with its storage', 'us', harness, { higherIsBetter: false });
  addClients(figures, clients, latency.disk);
  addLatency(figures, latency);
  const rate = (name) => of(name, 'bytes_per_second');
  const bytesLimit = recovery.bytes.map((bytes, i) => bytes / rate('BM_LimitAesGcm/1048576')[i] + bytes / rate('BM_LimitSha256/1048576')[i]);
  const limit = { name: 'AES-GCM and SHA-256 of its bytes', samples: bytesLimit };
  const events = lines.toLocaleString('en-US');
  figures.add('recovery', `${events} credits, records only`, 's', recovery.records, { limit, target: lines / 1e6, higherIsBetter: false });
  figures.add('recovery', `${events} credits, with a snapshot`, 's', recovery.snapshot, { higherIsBetter: false });
}

// One credit a request: what they share is the fdatasync.
function addClients(figures, clients, disk) {
  const syncs = { name: 'fdatasync of 512 bytes, one after the other', samples: disk.map((run) => 1e6 / run.p50_us) };
  for (const [n, runs] of clients) {
    const named = `one credit a request, ${n} ${n === 1 ? 'client' : 'clients'}`;
    figures.add('boundary', named, '/s', runs.map((run) => run.per_second), { limit: syncs });
    figures.addHistogram('boundary', named, runs.map((run) => run.latency));
  }
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
  figures.addHistogram('latency', 'fdatasync of 512 bytes', disk);
  figures.addHistogram('latency', 'one credit, closed loop', closed);
  figures.addHistogram('latency', 'one credit, 1000/s open loop', open);
}
