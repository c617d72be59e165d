// ./dev bench: the figures of this machine, each beside its limit in the same run.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UsageError, parseInteger, parseOptions } from '../tests/js/lib/cli.mjs';
import { boundary, hasHost, http, journalReplay } from './lib/cases.mjs';
import { Figures, compare, render } from './lib/figures.mjs';
import { addMicroFigures, runMicro } from './lib/micro.mjs';
import { ROOT, isBuilt, run } from './lib/programs.mjs';
import { signing } from './lib/signing.mjs';

const USAGE = `Measures Coffer on this machine, with real processes, each figure beside its limit in the same run.

  ./dev bench [options]
    --quick              a smoke test of the harness: 100,000 lines, 1 repeat, short cases
    --lines N            journal lines, and credits of the boundary cases (default 1,000,000)
    --repeats N          default 3; the table shows median, least and most
    --seconds N          length of each latency case (default 5)
    --only a,b           of micro, boundary, signing, journal, http (the rest is left out, and limits with it)
    --large              the micro-benchmarks with 10,000,000 ids too (2 GB of memory)
    --compare OLD.json   ratios to an earlier run
    --out FILE           where the JSON goes (default build/bench/DATE-COMMIT.json)
    --help

The disk that is measured is the one that holds build/. Leave the machine alone meanwhile.

Examples
  ./dev bench --quick
  ./dev bench --only micro,journal --compare build/bench/latest.json`;

const GROUPS = ['micro', 'boundary', 'signing', 'journal', 'http'];

function parse(args) {
  const flags = new Set(args.filter((arg) => arg === '--quick' || arg === '--large'));
  const rest = args.filter((arg) => !flags.has(arg));
  const quick = flags.has('--quick');
  const options = parseOptions(rest, {
    lines: quick ? '100000' : '1000000',
    repeats: quick ? '1' : '3',
    seconds: quick ? '1' : '5',
    only: GROUPS.join(','),
    compare: undefined,
    out: undefined,
  });
  const only = options.only.split(',');
  for (const group of only) {
    if (!GROUPS.includes(group)) throw new UsageError(`--only: there is no '${group}'; there are ${GROUPS}`);
  }
  return {
    quick,
    large: flags.has('--large'),
    lines: parseInteger('lines', options.lines, 1000, 100_000_000),
    repeats: parseInteger('repeats', options.repeats, 1, 100),
    seconds: parseInteger('seconds', options.seconds, 1, 3600),
    only,
    compare: options.compare,
    out: options.out,
  };
}

/** What has to be known to judge the figures. */
function describeMachine(options, base) {
  const cpu = os.cpus();
  const device = run('df', ['--output=source,fstype', base]).split('\n').at(-1) ?? '';
  return {
    date: new Date().toISOString(),
    cpu: `${cpu.length} x ${cpu[0]?.model ?? 'unknown'}`,
    memoryGB: Math.round(os.totalmem() / 1e9),
    load: os.loadavg()[0],
    kernel: `${os.type()} ${os.release()}`,
    disk: device,
    compiler: run('c++', ['--version']).split('\n')[0],
    commit: run('git', ['describe', '--always', '--dirty']) || 'unknown',
    node: process.version,
    build: process.env.COFFER_BIN ?? 'build/release/bin',
    settings: { lines: options.lines, repeats: options.repeats, seconds: options.seconds, only: options.only },
  };
}

function header(machine) {
  const { lines, repeats, seconds, only } = machine.settings;
  const busy = machine.load > 0.5 ? ' (the machine was busy: judge with care)' : '';
  return [
    `machine   ${machine.cpu}, ${machine.memoryGB} GB, load ${machine.load.toFixed(2)}${busy}`,
    `kernel    ${machine.kernel}; disk ${machine.disk}`,
    `compiler  ${machine.compiler}; commit ${machine.commit}; node ${machine.node}`,
    `settings  ${lines} lines, ${repeats} repeats, ${seconds} s a latency case; ${only.join(', ')}`,
  ].join('\n');
}

async function main(args) {
  const options = parse(args);
  const old = options.compare === undefined ? undefined : JSON.parse(fs.readFileSync(options.compare, 'utf8'));
  for (const program of ['coffer-enclave', 'coffer-bench', 'coffer-sign-bench']) {
    if (!isBuilt(program)) throw new UsageError(`${program} is not built; run ./dev build release`);
  }
  const base = path.join(ROOT, 'build/bench');
  fs.mkdirSync(base, { recursive: true });
  const machine = describeMachine(options, base);
  const say = (text) => console.error(`bench: ${text}`);
  const figures = new Figures();
  const wants = (group) => options.only.includes(group);
  const all = { base, say, ...options };

  const of = wants('micro') ? runMicro({ ...all, folder: base }) : () => [];
  if (wants('micro')) addMicroFigures(figures, of);
  if (wants('boundary')) await boundary(figures, of, all);
  if (wants('signing')) await signing(figures, all);
  if (!hasHost() && (wants('journal') || wants('http'))) {
    say('coffer-host is not built: no journal and no HTTP figures');
  } else {
    if (wants('journal')) await journalReplay(figures, of, all);
    if (wants('http')) await http(figures, all);
  }

  console.log(`${header(machine)}\n\n${render(figures.rows)}`);
  if (old !== undefined) {
    const same = JSON.stringify(old.machine.settings) === JSON.stringify(machine.settings);
    const warning = same ? '' : ' (measured with other settings: judge with care)';
    console.log(`\nagainst ${old.machine.commit} of ${old.machine.date}${warning}\n`);
    console.log(compare(figures.rows, old.figures));
  }
  const stamp = machine.date.slice(0, 19).replace(/[-:]/g, '');
  const out = options.out ?? path.join(base, `${stamp}-${machine.commit}.json`);
  const json = `${JSON.stringify({ machine, figures: figures.rows }, null, 1)}\n`;
  fs.writeFileSync(out, json);
  fs.writeFileSync(path.join(base, 'latest.json'), json);
  say(`written to ${path.relative(process.cwd(), out)}`);
}

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  console.log(USAGE);
} else {
  try {
    await main(args);
  } catch (error) {
    console.error(`error: ${error instanceof UsageError ? error.message : error.stack}`);
    process.exit(error instanceof UsageError ? 2 : 1); // and so kill what still runs
  }
}
