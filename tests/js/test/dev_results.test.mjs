// What ./dev test prints of a stage: the sums, and at its end each test that failed, by name and with why.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

// Runs stages of a copy of ./dev over made-up tests and a made-up simulator, and gives what is printed after them.
function runStages(t, stages, { tests = {}, simulator = 'exit 0' }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'coffer-dev-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const put = (name, text, mode = 0o644) => {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text, { mode });
  };
  for (const name of ['dev', 'tests/results/results.py']) put(name, fs.readFileSync(path.join(ROOT, name)));
  for (const [name, text] of Object.entries(tests)) put(`tests/e2e/${name}.test.mjs`, text);
  put('build/dev/bin/coffer_sim', `#!/bin/sh\n${simulator}\n`, 0o755);
  put('build/results/mutants.failed', 'left by the run before');
  const script = `source ./dev; tracked() { ls $1; }
    for stage in ${stages}; do run_stage $stage ''; done >/dev/null
    show_failures; printf '%s\\n' "\${SUMMARY[@]}"; echo "$TOTAL_PASSED $TOTAL_FAILED $TOTAL_SKIPPED"`;
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;  // with which the runner inside would report to the one outside
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
  return stdout.trimEnd().split('\n');
}

const GOOD = "import test from 'node:test'; test('fine', () => {}); test.skip('not here', () => {});";
const BAD = "import test from 'node:test'; test('breaks', () => { throw new Error('this is why'); });";
const DIES = "import test from 'node:test'; test('dies', () => process.kill(process.ppid, 'SIGKILL'));";

test('a test that fails is named at the end with its reason', (t) => {
  const lines = runStages(t, 'e2e', { tests: { good: GOOD, bad: BAD } });
  assert.match(lines[0], /^==> what failed in e2e/);
  assert.equal(lines[1], 'FAILED  bad.test.mjs: breaks');
  assert.ok(lines.some((line) => line.includes('this is why')), lines.join('\n'));
  assert.equal(lines.at(-1), '1 1 1');
});

test('a file whose runner dies is a failure', (t) => {
  const lines = runStages(t, 'e2e', { tests: { good: GOOD, dies: DIES } });
  assert.equal(lines[1], 'FAILED  dies.test.mjs: ended without a summary');
  assert.equal(lines.at(-1), '1 1 1');
});

test('a simulation that fails is named as the command that repeats it', (t) => {
  const simulator = 'echo "what it saw"; [ "$4" != adversary ]';
  const lines = runStages(t, 'sim', { simulator });
  assert.match(lines[1], /^FAILED {2}coffer_sim --jobs \d+ --mode adversary --seed \d+ --runs 1000$/);
  assert.equal(lines[2], 'what it saw');
  assert.equal(lines.at(-1), '3 1 0');
});

test('a stage that says nothing of its tests shows the end of its log, and nothing of a run before', (t) => {
  const lines = runStages(t, 'mutants', {});  // whose program is not there
  assert.match(lines[0], /^==> what failed in mutants/);
  assert.match(lines.slice(1).join('\n'), /tests\/mutants\/run\.py.*No such file/);
  assert.ok(!lines.join('\n').includes('left by'));
  assert.equal(lines.at(-1), '0 1 0');
});

test('when all holds nothing is repeated', (t) => {
  const lines = runStages(t, 'sim e2e', { tests: { good: GOOD } });
  assert.match(lines[0], /^sim +4 passed/);
  assert.match(lines[1], /^e2e +1 passed +0 failed +1 skipped/);
  assert.equal(lines.at(-1), '5 0 1');
});
