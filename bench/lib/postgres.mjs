// What a user would pick instead: PostgreSQL as the ledger, on the same disk, with the same lines and
// the same promise (an event counts once; what is acknowledged survives a crash), driven in the best
// batched way that was found.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { median } from './figures.mjs';
import { freshFolder } from './programs.mjs';

const BIN = '/usr/lib/postgresql/15/bin';
// How many lines a transaction has, and how many connections share the work: which is best differs
// from machine to machine, so all are tried and the best is the figure.
const WAYS = [
  { batch: 2_000, connections: 1 },
  { batch: 20_000, connections: 1 },
  { batch: 100_000, connections: 1 },
  { batch: 2_000, connections: 2 },
  { batch: 20_000, connections: 2 },
];
const SETTINGS = {
  listen_addresses: '',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  work_mem: '128MB',
  max_wal_size: '16GB',
  checkpoint_timeout: '30min', // no checkpoint falls into a run
  wal_buffers: '64MB',
  jit: 'off',
};
// An id is 16 bytes of the line's SHA-256, which is the smallest that PostgreSQL indexes well. The
// events keep nothing else, though an auditor would want them to: that is to its advantage.
const SCHEMA = `
DROP TABLE IF EXISTS events, accounts;
CREATE TABLE events (id uuid PRIMARY KEY);
CREATE TABLE accounts (account text PRIMARY KEY, wei numeric(39) NOT NULL);
`;
// In order, so that two connections wait for each other's ids and accounts one way round only.
const APPLY = `
WITH fresh AS (INSERT INTO events SELECT id FROM staging ORDER BY id ON CONFLICT DO NOTHING RETURNING id),
     once AS (SELECT DISTINCT ON (id) id, account, wei FROM staging),
     sums AS (SELECT account, sum(wei) AS wei FROM once JOIN fresh USING (id) GROUP BY account ORDER BY account)
INSERT INTO accounts SELECT account, wei FROM sums
ON CONFLICT (account) DO UPDATE SET wei = accounts.wei + EXCLUDED.wei;
`;

export const hasPostgres = () => fs.existsSync(path.join(BIN, 'postgres'));

/** A server of our own below `base`, on a unix socket there; as another user when this is root. */
class Server {
  constructor(base) {
    this.folder = freshFolder(base, 'postgres');
    this.data = path.join(this.folder, 'data');
  }

  // PostgreSQL does not run as root.
  #as(program, args) {
    const command = [path.join(BIN, program), ...args];
    return process.getuid() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  }

  #run(program, args) {
    const [command, ...rest] = this.#as(program, args);
    // pg_ctl leaves the server with our pipes, which would then never end.
    const done = spawnSync(command, rest, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (done.status !== 0) throw new Error(`${program} failed: ${done.stderr}`);
  }

  start() {
    if (process.getuid() === 0) {
      const id = (flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
      fs.chownSync(this.folder, id('-u'), id('-g'));
    }
    this.#run('initdb', ['-D', this.data, '-U', 'coffer', '-A', 'trust', '-E', 'UTF8', '--locale=C']);
    const settings = Object.entries({ ...SETTINGS, unix_socket_directories: this.folder });
    const options = settings.map(([name, value]) => `-c ${name}='${value}'`).join(' ');
    this.#run('pg_ctl', ['start', '-w', '-D', this.data, '-o', options, '-l', path.join(this.folder, 'log')]);
  }

  stop() {
    this.#run('pg_ctl', ['stop', '-w', '-m', 'immediate', '-D', this.data]);
  }

  /** Runs psql with a script; its output. */
  psql(script) {
    const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', this.folder, '-U', 'coffer', 'postgres'];
    return new Promise((resolve, reject) => {
      const child = spawn(path.join(BIN, 'psql'), args, { stdio: ['pipe', 'pipe', 'pipe'] });
      let out = '';
      let error = '';
      child.stdout.on('data', (piece) => (out += piece));
      child.stderr.on('data', (piece) => (error += piece));
      child.once('error', reject);
      child.once('close', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(`psql: ${error}`))));
      child.stdin.end(script);
    });
  }
}

/** Wei of a line's amount, which has at most 18 decimals, from its text: a JSON number would round it. */
function weiOf(line) {
  const [, sign, whole, fraction = '', exponent = '0'] = /"amount":"?(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?/.exec(line);
  return BigInt(`${sign}${whole}${fraction}`) * 10n ** BigInt(18 - fraction.length + Number(exponent));
}

/** The journal's money as files that COPY takes, `batch` lines each: made before the clock starts. */
async function makeBatches(folder, journal, batch) {
  const files = [];
  let lines = [];
  const flush = () => {
    if (lines.length === 0) return;
    files.push(path.join(folder, `${files.length}.tsv`));
    fs.writeFileSync(files.at(-1), lines.join(''));
    lines = [];
  };
  for await (const line of readline.createInterface({ input: fs.createReadStream(journal.path) })) {
    const entry = JSON.parse(line);
    if (entry.event !== 'credit') continue; // the rest moves no money
    const id = createHash('sha256').update(line).digest('hex').slice(0, 32);
    lines.push(`${id}\t${entry.orchestrator_id}\t${weiOf(line)}\n`);
    if (lines.length === batch) flush();
  }
  flush();
  return files;
}

const scriptOf = (files) =>
  'CREATE TEMP TABLE staging (id uuid, account text, wei numeric) ON COMMIT DELETE ROWS;\n' +
  files.map((file) => `BEGIN;\n\\copy staging FROM '${file}'\n${APPLY}COMMIT;\n`).join('');

async function runOnce(server, files, connections, journal) {
  await server.psql(`${SCHEMA}CHECKPOINT;`);
  const scripts = Array.from({ length: connections }, (_, c) => scriptOf(files.filter((_, i) => i % connections === c)));
  const start = process.hrtime.bigint();
  await Promise.all(scripts.map((script) => server.psql(script)));
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const total = await server.psql('SELECT sum(wei) FROM accounts;');
  if (BigInt(total) !== BigInt(journal.expected.total_wei)) {
    throw new Error(`the journal owes ${journal.expected.total_wei} wei, PostgreSQL has ${total}`);
  }
  return seconds;
}

/** The journal of `journal` (journalFor) into PostgreSQL: adds the best way's figure, and gives its samples. */
export async function postgres(figures, journal, { base, repeats, lines, say }) {
  const server = new Server(base);
  server.start();
  const results = [];
  try {
    for (const way of WAYS) {
      say(`postgres: making batches of ${way.batch} lines`);
      const files = await makeBatches(freshFolder(base, 'postgres-lines'), journal, way.batch);
      const rates = [];
      for (let i = 0; i < repeats; i++) {
        say(`postgres: ${way.batch} lines a transaction, ${way.connections} at once, repeat ${i + 1} of ${repeats}`);
        rates.push(lines / (await runOnce(server, files, way.connections, journal)));
      }
      results.push({ ...way, rates });
    }
  } finally {
    server.stop();
  }
  results.sort((a, b) => median(b.rates) - median(a.rates));
  const named = ({ batch, connections }) => `${batch.toLocaleString('en-US')} a transaction, ${connections} at once`;
  for (const result of results) {
    figures.add('postgres', `lines to durable balances, ${named(result)}`, '/s', result.rates);
  }
  return results[0].rates;
}
