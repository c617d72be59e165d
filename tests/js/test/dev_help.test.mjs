// ./dev VERB --help says what the verb does, with an example, and does nothing else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

// A copy in a folder of its own, so that a verb that did something would do it there.
function makeDev(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'coffer-dev-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.copyFileSync(path.join(ROOT, 'dev'), path.join(folder, 'dev'));
  fs.mkdirSync(path.join(folder, 'build'));
  return {
    folder,
    run: (...args) => spawnSync(path.join(folder, 'dev'), args, { encoding: 'utf8', timeout: 60_000 }),
  };
}

test('verbs that hand nothing on explain themselves, and do nothing', (t) => {
  const dev = makeDev(t);
  for (const verb of ['setup', 'build', 'test', 'check', 'e2e', 'fuzz', 'clean']) {
    for (const args of [[verb, '--help'], [verb, 'x', '-h']]) {
      const { status, stdout, stderr } = dev.run(...args);
      assert.equal(status, 0, `${args}: ${stderr}`);
      assert.match(stdout, new RegExp(`^  ${verb} `), args.join(' '));
      assert.match(stdout, new RegExp(`\nexample: \\./dev ${verb}`), args.join(' '));
    }
  }
  assert.deepEqual(fs.readdirSync(dev.folder).sort(), ['build', 'dev']);
});

test('without help the verb does what it says', (t) => {
  const dev = makeDev(t);
  assert.equal(dev.run('clean').status, 0);
  assert.deepEqual(fs.readdirSync(dev.folder), ['dev']);
});

test('each verb of the usage exists, and what is none is refused', (t) => {
  const dev = makeDev(t);
  const verbs = dev.run('--help').stdout.matchAll(/^ {2}([a-z0-9]+) /gm);
  const source = fs.readFileSync(path.join(ROOT, 'dev'), 'utf8');
  const listed = [...new Set([...verbs].map(([, verb]) => verb))];
  assert.ok(listed.length >= 10, listed.join(' '));
  for (const verb of listed) assert.match(source, new RegExp(`^    ${verb}\\)`, 'm'), verb);
  const { status, stderr } = dev.run('nothing');
  assert.equal(status, 1);
  assert.match(stderr, /no verb 'nothing'/);
});
