// `coffer bench`: what it says when something is missing, what it passes on, and that a harness away from the source tree works.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { ROOT, programPath, temporaryFolder } from '../js/lib/program.mjs';

const folder = temporaryFolder('coffer-bench-');
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs a `coffer bench` to its end in `cwd`; without COFFER_BIN, as a user does. */
function bench(args, { coffer = programPath('coffer'), cwd = folder, PATH = process.env.PATH } = {}) {
  const { status, stdout, stderr } = spawnSync(coffer, ['bench', ...args], { cwd, encoding: 'utf8', timeout: 60_000, env: { PATH, HOME: folder } });
  return { status, stdout, stderr };
}

function folderOf(name) {
  const made = path.join(folder, name);
  fs.mkdirSync(made, { recursive: true });
  return made;
}

/** A folder with a harness that only says what it was given, and ends with 7. */
function echoHarness() {
  const made = folderOf('echo harness');
  fs.writeFileSync(path.join(made, 'run.mjs'), 'console.log(JSON.stringify([process.argv.slice(2), process.env.COFFER_BIN]));\nprocess.exit(7);\n');
  return made;
}

test('all arguments reach the harness as they were given, with the folder of the programs, and its exit code comes back', () => {
  const words = ['--quick', '--only', 'status', '', 'verify', '--out=a b.json', '--', '-x', '--url', "it's"];
  const { status, stdout } = bench([...words.slice(0, 3), '--harness', echoHarness(), ...words.slice(3)]);
  assert.equal(status, 7);
  assert.deepEqual(JSON.parse(stdout), [words, path.dirname(fs.realpathSync(programPath('coffer')))]);
  assert.equal(bench([`--harness=${echoHarness()}`]).status, 7);
});

test('what is missing is said in a sentence, with exit code 2', () => {
  const nowhere = bench(['--harness', '/nowhere/at all', '--quick']);
  assert.deepEqual([nowhere.status, nowhere.stdout], [2, '']);
  assert.equal(nowhere.stderr, 'coffer: the harness is not there: there is no /nowhere/at all/run.mjs\n');
  const noNode = bench(['--harness', echoHarness()], { PATH: folderOf('no programs') });
  assert.equal(noNode.status, 2);
  assert.match(noNode.stderr, /^coffer: node is not on the PATH: the harness needs Node 18 or newer/);
  const noValue = bench(['--quick', '--harness']);
  assert.equal(noValue.status, 2);
  assert.match(noValue.stderr, /^coffer: --harness needs a folder/);
});

test('a program alone, without its harness, says where it looked', () => {
  const coffer = path.join(folderOf('alone/bin'), 'coffer');
  fs.copyFileSync(programPath('coffer'), coffer);
  const { status, stderr } = bench([], { coffer });
  assert.equal(status, 2);
  assert.match(stderr, /there is no \S+\/alone\/share\/coffer\/bench\/run\.mjs nor \S+\/bench\/run\.mjs; give its folder with --harness DIR/);
  const help = bench(['--help'], { coffer });
  assert.deepEqual([help.status, help.stderr], [0, '']);
  assert.match(help.stdout, /--harness DIR[\s\S]*Example: coffer bench --quick[\s\S]*Its own options cannot be shown/);
});

test('help is that of both, and `coffer --help` lists the command', () => {
  const { status, stdout } = bench(['--help']);
  assert.equal(status, 0);
  assert.match(stdout, /Usage: coffer bench \[--harness DIR\][\s\S]*Example: coffer bench[\s\S]*--repeats N/);
  const all = spawnSync(programPath('coffer'), ['--help'], { encoding: 'utf8' });
  assert.match(all.stdout, /^ +bench +Measure Coffer/m);
});

/** A short run of a `coffer bench` that lies in PREFIX/bin, from a folder of its own. */
function smoke(prefix) {
  const coffer = path.join(prefix, 'bin/coffer');
  const cwd = folderOf(`${path.basename(prefix)} cwd${'/deep'.repeat(20)}`); // too long a path for a socket
  const help = bench(['--help'], { coffer, cwd });
  assert.equal(help.status, 0, help.stderr);
  assert.match(help.stdout, /^ {2}coffer bench \[options\]$/m);
  const soak = bench(['--only', 'soak'], { coffer, cwd });
  assert.equal(soak.status, 2);
  assert.match(soak.stderr, /soak needs a local chain and the npm packages of the source tree/);
  const { status, stdout, stderr } = bench(['--quick', '--only', 'idle'], { coffer, cwd });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /idle: wake-ups of the enclave, all threads/);
  const results = path.join(cwd, 'coffer-bench-results');
  const { machine, figures } = JSON.parse(fs.readFileSync(path.join(results, 'latest.json'), 'utf8'));
  assert.equal(machine.build, path.join(fs.realpathSync(prefix), 'bin'));
  assert.equal(figures.length, 6);
  assert.match(fs.readFileSync(path.join(results, 'latest.html'), 'utf8'), /host resident/);
  assert.ok(!fs.existsSync(path.join(results, 'runs')), 'what a run needs is gone at its end');
  assert.deepEqual(fs.readdirSync(cwd), ['coffer-bench-results']);
  const out = path.join(cwd, 'journal');
  const journal = path.join(prefix, 'share/coffer/tests/js/journal.mjs');
  const made = spawnSync(process.execPath, [journal, '--lines', '20', '--accounts', '3', '--out', out], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  return { coffer, cwd };
}

test('a harness away from the source tree measures, and leaves its results where it was started', () => {
  const prefix = folderOf('by hand');
  fs.mkdirSync(path.join(prefix, 'bin'));
  for (const name of ['coffer', 'coffer-enclave', 'coffer-host']) fs.copyFileSync(programPath(name), path.join(prefix, 'bin', name));
  const share = path.join(prefix, 'share/coffer');
  const scripts = (from) => !/node_modules/.test(from) && (fs.statSync(from).isDirectory() || from.endsWith('.mjs'));
  for (const part of ['bench', 'tests/js/lib', 'tests/js/journal.mjs']) {
    fs.cpSync(path.join(ROOT, part), path.join(share, part), { recursive: true, filter: scripts });
  }
  const { coffer, cwd } = smoke(prefix);
  const { status, stderr } = bench(['--only', 'payouts'], { coffer, cwd });
  assert.equal(status, 2);
  assert.match(stderr, /^error: coffer-bench is not in .*by hand\/bin; install Coffer with its benchmarks/m);
});

test('cmake --install puts the programs and the harness where they find each other', () => {
  const build = path.resolve(path.dirname(programPath('coffer')), '..');
  const prefix = folderOf('installed');
  const done = spawnSync('cmake', ['--install', build, '--prefix', prefix], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  for (const name of ['coffer', 'coffer-enclave', 'coffer-host', 'coffer-verify']) assert.ok(fs.existsSync(path.join(prefix, 'bin', name)), name);
  if (fs.existsSync(path.join(build, 'bin/coffer-bench'))) {
    for (const name of ['coffer-bench', 'coffer-sign-bench', 'bench_ledger', 'bench_state']) assert.ok(fs.existsSync(path.join(prefix, 'bin', name)), name);
  }
  smoke(prefix);
});
