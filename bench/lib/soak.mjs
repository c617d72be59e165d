// Minutes of everything at once: credits at a fixed rate, payouts on a local chain, snapshots. What
// must not grow is watched: memory, latency, the folder of records.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { deployCoffer, startAnvil } from '../../tests/js/lib/chain.mjs';
import { Stack } from '../../tests/js/lib/coffer.mjs';
import { makeRecipients } from '../../tests/js/lib/e2e.mjs';
import { HttpConnection, quantile } from './http.mjs';
import { costOf } from './proc.mjs';
import { freshFolder } from './programs.mjs';

const REQUESTS_A_SECOND = 40;
const CREDITS_A_REQUEST = 50;
const CONNECTIONS = 8; // a request waits for its turn on one of them, and that wait counts
const RECIPIENTS = 100;
const ETHER = 10n ** 18n;
const WEI = 10n ** 12n; // of one credit
const WINDOW_MS = 10_000; // of one point in the plots
const PAYOUTS_EVERY_MS = 5_000;

const megabytes = (bytes) => bytes / 1e6;

// By another process: a look at thousands of files takes longer than a credit, and this one's
// requests would wait for it. What is compacted away meanwhile makes du fail, after it said the sum.
async function folderBytes(folder) {
  const said = await new Promise((resolve) => {
    execFile('du', ['-s', '--block-size=1', folder], (_, stdout) => resolve(stdout));
  });
  return Number.parseInt(said, 10);
}

/** Requests that are due at fixed moments, whatever the answers do: no coordinated omission. */
class OpenLoop {
  sent = 0;
  answered = 0;
  latencies = []; // milliseconds, since they were last taken
  #due = [];
  #stopping = false;

  constructor(port, token, makeBody) {
    Object.assign(this, { token, makeBody });
    const start = performance.now();
    this.done = Promise.all([this.#pace(start), ...Array.from({ length: CONNECTIONS }, () => this.#serve(port))]);
  }

  async #pace(start) {
    while (!this.#stopping) {
      const due = start + (this.sent * 1000) / REQUESTS_A_SECOND;
      await sleep(Math.max(0, due - performance.now()));
      this.#due.push(due);
      this.sent++;
    }
  }

  async #serve(port) {
    const connection = await HttpConnection.connect(port, { token: this.token });
    while (!this.#stopping || this.#due.length > 0) {
      const due = this.#due.shift();
      if (due === undefined) {
        await sleep(1);
        continue;
      }
      const answer = await connection.request('POST', '/api/ledger/events', this.makeBody());
      if (answer.status !== 200) throw new Error(`a credit was answered ${answer.status}: ${answer.body}`);
      this.latencies.push(performance.now() - due);
      this.answered++;
    }
    connection.close();
  }

  take() {
    return this.latencies.splice(0).sort((a, b) => a - b);
  }

  stop() {
    this.#stopping = true;
    return this.done;
  }
}

async function makeStack(base) {
  const node = await startAnvil();
  const recipients = makeRecipients('soak', RECIPIENTS, 'soak');
  const chain = await deployCoffer(node);
  await chain.registerTranscoders(Object.values(recipients));
  const stack = await Stack.make({ folder: freshFolder(base, 'soak'), chain, recipients });
  await chain.fundBroker(stack.address, { deposit: 5000n * ETHER, gas: 1000n * ETHER });
  await node.setAutomine(false);
  await node.rpc('anvil_setIntervalMining', 1);
  await stack.start();
  return { node, stack, ids: Object.keys(recipients) };
}

async function watch(stack, load, started) {
  const latencies = load.take();
  const status = await stack.api.status();
  const [enclave, host] = [costOf(stack.enclave.pid), costOf(stack.host.pid)];
  return {
    at: (performance.now() - started) / 1000,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    credits: load.answered * CREDITS_A_REQUEST,
    enclave: enclave.rssBytes,
    host: host.rssBytes,
    disk: await folderBytes(stack.dataDir),
    paid: BigInt(status.totals.paid),
    latencies,
  };
}

export async function soak(figures, { base, minutes, say }) {
  const { node, stack, ids } = await makeStack(base);
  try {
    let next = 0;
    const body = () =>
      JSON.stringify(Array.from({ length: CREDITS_A_REQUEST }, () => ({ id: `soak-${++next}`, account: ids[next % ids.length], amount_wei: String(WEI) })));
    const load = new OpenLoop(stack.port, stack.adminToken, body);
    load.done.catch(() => {}); // it is looked at below
    const started = performance.now();
    const seen = [];
    let asked = 0;
    while (performance.now() - started < minutes * 60_000) {
      await Promise.race([sleep(Math.min(1000, WINDOW_MS)), load.done]);
      if (performance.now() - asked > PAYOUTS_EVERY_MS) {
        asked = performance.now();
        await stack.api.post('/api/payouts/run');
      }
      if (performance.now() - started < (seen.length + 1) * WINDOW_MS) continue;
      seen.push(await watch(stack, load, started));
      const now = seen.at(-1);
      say(`soak: ${Math.round(now.at)} s, ${now.credits} credits, p99 ${now.p99.toFixed(1)} ms, enclave ${megabytes(now.enclave).toFixed(0)} MB, disk ${megabytes(now.disk).toFixed(0)} MB`);
    }
    await load.stop();
    await stack.payEverybody({ timeoutMs: 120_000 });
    const { totals } = await stack.api.status();
    const owed = BigInt(next) * WEI;
    if (BigInt(totals.paid) !== owed) throw new Error(`${owed} wei were credited, and ${totals.paid} paid`);
    addSoak(figures, seen);
  } finally {
    await stack.close();
    await node.stop();
  }
}

// The last third beside the one before it: what is flat has a ratio of 1.
function addSoak(figures, seen) {
  const third = Math.floor(seen.length / 3);
  const before = seen.slice(-2 * third, -third);
  const after = seen.slice(-third);
  const lower = { higherIsBetter: false };
  const add = (name, unit, field, more) => {
    const samples = (windows) => windows.map((window) => field(window));
    const limit = { name: 'the third of the time before it', samples: samples(before) };
    figures.add('soak', `${name}, in the last third`, unit, samples(after), { limit, ...lower, ...more });
    figures.addSeries('soak', name, unit, seen.map((window) => [window.at, field(window)]));
  };
  add('credit p50, from when it was due', 'ms', (window) => window.p50);
  add('credit p99, from when it was due', 'ms', (window) => window.p99);
  add('enclave resident', 'MB', (window) => megabytes(window.enclave));
  add('host resident', 'MB', (window) => megabytes(window.host));
  add('data folder', 'MB', (window) => megabytes(window.disk));
  const [first, last] = [before[0], after.at(-1)];
  if (first === undefined) return;
  const credits = last.credits - first.credits;
  figures.add('soak', 'credits a second', '/s', [credits / (last.at - first.at)]);
  figures.add('soak', 'memory of the enclave a credit more', 'bytes', [(last.enclave - first.enclave) / credits], { target: 20, ...lower });
  figures.add('soak', 'wei paid a wei credited, over the last two thirds', 'x', [Number(last.paid - first.paid) / Number(BigInt(credits) * WEI)]);
  figures.addHistogram('soak', 'credits of 50 a request, from when they were due', [histogramOf(seen.flatMap((window) => window.latencies))]);
}

// To a tenth of a millisecond, in microseconds.
function histogramOf(milliseconds) {
  const counts = new Map();
  for (const one of milliseconds) {
    const end = Math.ceil(one * 10) * 100;
    counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  return { buckets: [...counts] };
}
