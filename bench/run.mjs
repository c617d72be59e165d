// ./dev bench, or coffer bench: the figures of this machine, each beside its limit in the same run.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UsageError, parseInteger, parseOptions } from '../tests/js/lib/cli.mjs';
import { boundary } from './lib/boundary.mjs';
import { Figures, compare, render } from './lib/figures.mjs';
import { hasHost } from './lib/host.mjs';
import { http } from './lib/http_cases.mjs';
import { idle } from './lib/idle.mjs';
import { journalFor, journalReplay } from './lib/journal.mjs';
import { addMicroFigures, runMicro } from './lib/micro.mjs';
import { payouts } from './lib/payouts.mjs';
import { hasPostgres, postgres } from './lib/postgres.mjs';
import { LAYOUT, PROGRAMS, isBuilt, programPath, removeFolders, run } from './lib/programs.mjs';
import { recovery } from './lib/recovery.mjs';
import { renderReport } from './lib/report.mjs';
import { signing } from './lib/signing.mjs';
import { state } from './lib/state.mjs';

const { command: COMMAND, resultsNamed: RESULTS } = LAYOUT;
const USAGE = `Measures Coffer on this machine, with real processes, each figure beside its limit in the same run.

  ${COMMAND} [options]
    --quick              a smoke test of the harness: 100,000 lines, 1 repeat, short cases
    --lines N            journal lines, and credits of the boundary cases (default 1,000,000)
    --repeats N          default 3; the table shows median, least and most
    --seconds N          length of each latency case (default 5)
    --minutes N          length of the soak (default 10)
    --only a,b           of micro, boundary, payouts, signing, state, recovery, postgres, journal, http, idle (the rest
                         is left out, and limits with it) and soak, which runs only when it is named: minutes of
                         credits and payouts on a local chain
    --large              the micro-benchmarks and the state with 10,000,000 ids too (8 GB of memory), and recovery of
                         10,000,000 and 100,000,000 events, where memory and disk are enough
    --compare OLD.json   ratios to an earlier run
    --out FILE           where the JSON goes (default ${RESULTS}/DATE-COMMIT.json); a page for reading goes
                         beside it, as FILE with .html for .json, and both as latest.* into
                         ${RESULTS}
    --report FILE.json   measures nothing: only makes the page of an earlier run, beside its file
    --help

The disk that is measured is the one that holds ${RESULTS}. Leave the machine alone meanwhile. On ext4 without a journal leave five
minutes between two runs: what was deleted at the end of one slows down each new file of the next.

Examples
  ${COMMAND} --quick
  ${COMMAND} --only micro,journal --compare ${RESULTS}/latest.json
  ${COMMAND} --report ${RESULTS}/latest.json`;

const GROUPS = ['micro', 'boundary', 'payouts', 'signing', 'state', 'recovery', 'postgres', 'journal', 'http', 'idle', 'soak'];

function parse(args) {
  const flags = new Set(args.filter((arg) => arg === '--quick' || arg === '--large'));
  const rest = args.filter((arg) => !flags.has(arg));
  const quick = flags.has('--quick');
  const options = parseOptions(rest, {
    lines: quick ? '100000' : '1000000',
    repeats: quick ? '1' : '3',
    seconds: quick ? '1' : '5',
    minutes: '10',
    only: GROUPS.filter((group) => group !== 'soak').join(','),
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
    minutes: parseInteger('minutes', options.minutes, 1, 24 * 60),
    only,
    compare: options.compare,
    out: options.out,
  };
}

/** What has to be there; a coffer-host that is not there leaves its figures out. */
function programsOf(only) {
  const loads = ['boundary', 'payouts', 'state', 'recovery'].some((group) => only.includes(group));
  const programs = ['coffer-enclave'];
  if (loads) programs.push('coffer-bench');
  if (only.includes('signing')) programs.push('coffer-sign-bench');
  return programs;
}

const pageOf = (file) => `${file.replace(/\.json$/, '')}.html`;

/** The page of an earlier run, whose file may come from another machine or an older harness. */
function reportOnly(args, say) {
  if (args.length !== 2 || args[0] !== '--report') throw new UsageError('--report FILE.json takes no other option; see --help');
  const file = args[1];
  let result;
  try {
    result = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`--report: cannot read ${file}: ${error.message}`);
  }
  if (!Array.isArray(result?.figures)) throw new UsageError(`--report: ${file} has no figures: ${COMMAND} did not write it`);
  fs.writeFileSync(pageOf(file), renderReport(result));
  say(`written to ${pageOf(file)}`);
}

/** The commit of a source tree; an installed system has none, and may lie in another project's tree. */
function versionHere() {
  const said = LAYOUT.installed ? run(programPath('coffer'), ['--version']) : run('git', ['describe', '--always', '--dirty']);
  return said || 'unknown';
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
    compiler: (!LAYOUT.installed && run('c++', ['--version']).split('\n')[0]) || 'unknown',
    commit: versionHere(),
    node: process.version,
    build: PROGRAMS,
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

/** The soak alone needs the npm packages and a chain. */
async function loadSoak() {
  try {
    return (await import('./lib/soak.mjs')).soak;
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UsageError('soak needs a local chain and the npm packages of the source tree: run ./dev bench --only soak there');
  }
}

async function main(args) {
  const say = (text) => console.error(`bench: ${text}`);
  if (args.includes('--report')) return reportOnly(args, say);
  const options = parse(args);
  const old = options.compare === undefined ? undefined : JSON.parse(fs.readFileSync(options.compare, 'utf8'));
  for (const program of programsOf(options.only)) {
    if (!isBuilt(program)) throw new UsageError(`${program} is not in ${PROGRAMS}; ${LAYOUT.remedy}`);
  }
  const base = LAYOUT.results;
  fs.mkdirSync(base, { recursive: true });
  removeFolders(base); // of a run that was interrupted
  const machine = describeMachine(options, base);
  const figures = new Figures();
  const wants = (group) => options.only.includes(group);
  const soak = wants('soak') ? await loadSoak() : undefined; // before hours of figures would be lost
  const all = { base, say, ...options };

  const of = wants('micro') ? runMicro({ ...all, folder: base }) : () => [];
  if (wants('micro')) addMicroFigures(figures, of);
  if (wants('boundary')) await boundary(figures, of, all);
  if (wants('payouts')) await payouts(figures, all);
  if (wants('signing')) await signing(figures, all);
  if (wants('state')) await state(figures, all);
  if (wants('recovery')) {
    const left = await recovery(figures, of, all);
    if (left.length > 0) machine.leftOut = left;
  }
  let rival;
  if (wants('postgres') && hasPostgres()) {
    rival = await postgres(figures, journalFor(base, options.lines, say), all);
  } else if (wants('postgres')) {
    say('PostgreSQL 15 is not installed (Debian: postgresql-15): no figures beside it');
  }
  if (!hasHost() && (wants('journal') || wants('http') || wants('idle') || wants('soak'))) {
    say('coffer-host is not built: no journal, no HTTP, no idle and no soak figures');
  } else {
    if (wants('journal')) await journalReplay(figures, { ...all, rival });
    if (wants('http')) await http(figures, all);
    if (wants('idle')) await idle(figures, all);
    if (wants('soak')) await soak(figures, all);
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
  const { rows, series, histograms, curves } = figures;
  const result = { machine, figures: rows, series, histograms, curves };
  const json = `${JSON.stringify(result, null, 1)}\n`;
  removeFolders(base);
  const latest = path.join(base, 'latest.json');
  for (const file of [out, latest]) fs.writeFileSync(file, json); // before the page: what was measured must not be lost
  const page = renderReport(result);
  for (const file of [out, latest]) fs.writeFileSync(pageOf(file), page);
  const shown = (file) => path.relative(process.cwd(), file);
  say(`written to ${shown(out)}, and as a page to ${shown(pageOf(out))} and ${shown(pageOf(latest))}`);
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
