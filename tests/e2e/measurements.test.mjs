// `coffer measurements`, the real program: a roll-out, a roll-back, and everything that is refused.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { buildEif, measure } from '../conformance/eif.mjs';
import { runProgram, temporaryFolder } from '../js/lib/program.mjs';

const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const sections = (name) => [
  { type: 'kernel', data: Buffer.from('kernel') },
  { type: 'cmdline', data: Buffer.from('quiet') },
  { type: 'ramdisk', data: Buffer.from('init') },
  { type: 'ramdisk', data: Buffer.from(name) },
];
function image(name) {
  const file = path.join(folder, `${name}.eif`);
  fs.writeFileSync(file, buildEif(sections(name)));
  return file;
}
const pcrsOf = (name) => measure(sections(name));

let count = 0;
/** Runs verbs on a file of its own. */
function pins() {
  const file = path.join(folder, `pins-${++count}.json`);
  const run = (verb, ...args) => runProgram('coffer', ['measurements', verb, '--file', file, ...args]);
  const release = (version) => ['--name', 'coffer', '--version', version];
  const check = async (...args) => {
    const { code, stdout } = await run('check', '--json', ...args);
    return { code, ...JSON.parse(stdout) };
  };
  return { file, run, release, check };
}

test('a roll-out: the new one is allowed before the old one is retired', async () => {
  const { file, run, release, check } = pins();
  const [old, fresh] = [image('old'), image('new')];
  const standing = async (eif, at) => {
    const found = await check('--eif', eif, '--at', at);
    assert.equal(found.code, found.standing === 'allowed' ? 0 : 1);
    assert.equal(found.allowed, found.standing === 'allowed');
    return found.standing;
  };
  const added = await run('add', ...release('1.0.0'), '--from-eif', old, '--from', '2026-11-01T00:00:00Z', '--commit', 'a'.repeat(40));
  assert.equal(added.code, 0);
  assert.equal(added.stdout, `coffer 1.0.0 is allowed from 2026-11-01T00:00:00Z on; PCR0 ${pcrsOf('old').pcr0}\n`);
  assert.equal(await standing(old, '2026-11-02T00:00:00Z'), 'allowed');
  assert.equal(await standing(fresh, '2026-11-02T00:00:00Z'), 'unknown');
  const { pcr0, pcr1, pcr2 } = pcrsOf('new');
  const pcrs = ['--pcr0', `0x${pcr0.toUpperCase()}`, '--pcr1', pcr1, '--pcr2', pcr2];
  assert.equal((await run('add', ...release('1.1.0'), ...pcrs, '--from', '2026-12-01T00:00:00Z', '--note', 'faster')).code, 0);
  assert.equal((await run('retire', ...release('1.0.0'), '--at', '2026-12-08T00:00:00Z')).code, 0);
  assert.equal(await standing(fresh, '2026-11-30T23:59:59Z'), 'not yet');
  assert.equal(await standing(fresh, '2026-12-01T00:00:00Z'), 'allowed');
  assert.equal(await standing(old, '2026-12-07T23:59:59Z'), 'allowed');
  assert.equal(await standing(old, '2026-12-08T00:00:00Z'), 'retired');
  // PCR0 alone will do, and what is given besides must fit.
  assert.equal((await check('--pcr0', pcr0, '--at', '2026-12-02T00:00:00Z')).release.note, 'faster');
  assert.equal((await check('--pcr0', pcr0, '--pcr1', pcr2, '--at', '2026-12-02T00:00:00Z')).standing, 'unknown');
  // Back again.
  assert.equal((await run('restore', ...release('1.0.0'))).code, 0);
  assert.equal(await standing(old, '2027-01-01T00:00:00Z'), 'allowed');
  assert.deepEqual(JSON.parse(fs.readFileSync(file)), {
    format: 1,
    platform: 'nitro',
    releases: [
      { name: 'coffer', version: '1.0.0', commit: 'a'.repeat(40), ...pcrsOf('old'), from: '2026-11-01T00:00:00Z' },
      { name: 'coffer', version: '1.1.0', ...pcrsOf('new'), from: '2026-12-01T00:00:00Z', note: 'faster' },
    ],
  });
  const list = await run('list', '--at', '2026-11-02T00:00:00Z');
  assert.match(list.stdout, /^allowed {2}coffer 1\.0\.0 .*\nnot yet {2}coffer 1\.1\.0 .*faster\n$/);
});

test('without a time it is now', async () => {
  const { run, release, check } = pins();
  const now = () => `${new Date().toISOString().slice(0, 19)}Z`;
  const before = now();
  await run('add', ...release('1.0.0'), '--from-eif', image('old'));
  const found = await check('--eif', image('old'));
  assert.equal(found.standing, 'allowed');
  const times = [before, found.release.from, found.at, now()];
  assert.deepEqual(times, [...times].sort());
});

test('what is refused leaves the file as it was', async () => {
  const { file, run, release } = pins();
  await run('add', ...release('1.0.0'), '--from-eif', image('old'), '--from', '2026-11-01T00:00:00Z');
  const before = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  const zeros = '0'.repeat(96);
  const { pcr0, pcr1 } = pcrsOf('new');
  const unsigned = ['--from-eif', image('new')];
  for (const [code, sentence, ...args] of [
    [1, /there already/, 'add', ...release('1.0.0'), ...unsigned],
    [1, /the same image is there already, as coffer 1\.0\.0/, 'add', ...release('1.1.0'), '--from-eif', image('old')],
    [1, /pcr0 is zero, as it is in a debug enclave/, 'add', ...release('1.1.0'), '--pcr0', zeros, '--pcr1', zeros, '--pcr2', zeros],
    [1, /version must be 1 to 64/, 'add', ...release('1.1 0'), ...unsigned],
    [1, /commit must be 40 or 64/, 'add', ...release('1.1.0'), ...unsigned, '--commit', 'main'],
    [1, /note must be one line/, 'add', ...release('1.1.0'), ...unsigned, '--note', 'a\nb'],
    [1, /until must be after from/, 'add', ...release('1.1.0'), ...unsigned, '--from', '2026-11-02T00:00:00Z', '--until', '2026-11-02T00:00:00Z'],
    [2, /--from: a time must be UTC/, 'add', ...release('1.1.0'), ...unsigned, '--from', 'tomorrow'],
    [2, /--pcr2/, 'add', ...release('1.1.0'), '--pcr0', pcr0, '--pcr1', pcr1],
    [2, /--pcr0: a PCR has 96 hexadecimal digits \(SHA-384\), and this 2/, 'check', '--pcr0', '00'],
    [2, /exactly 1|Exactly 1/, 'check'],
    [2, /f does not begin with|its header alone has/, 'check', '--eif', file],
    [1, /no other release is allowed .* say --force/, 'retire', ...release('1.0.0'), '--at', '2026-12-01T00:00:00Z'],
    [1, /cannot be retired before/, 'retire', ...release('1.0.0'), '--at', '2026-11-01T00:00:00Z', '--force'],
    [1, /there is no release coffer 3\.0\.0/, 'retire', ...release('3.0.0')],
    [1, /was not retired/, 'restore', ...release('1.0.0')],
    [1, /there is no release/, 'restore', ...release('2')],
  ]) {
    const result = await run(...args);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stdout + result.stderr, sentence);
    assert.equal(createHash('sha256').update(fs.readFileSync(file)).digest('hex'), before);
  }
  assert.equal((await run('retire', ...release('1.0.0'), '--at', '2026-12-01T00:00:00Z', '--force')).code, 0);
  assert.deepEqual(fs.readdirSync(folder).filter((name) => name.includes('.tmp')), []);
});

test('a file that is missing or malformed can tell nothing', async () => {
  const { file, run, release } = pins();
  const { pcr0 } = pcrsOf('old');
  for (const verb of [['list'], ['check', '--pcr0', pcr0], ['retire', ...release('1.0.0')]]) {
    const missing = await run(...verb);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /is missing/);
  }
  assert.equal(fs.existsSync(file), false);
  fs.writeFileSync(file, '{"format": 1, "platform": "nitro", "releases": [], "releases": []}');
  for (const verb of [['list'], ['check', '--pcr0', pcr0], ['add', ...release('1.0.0'), '--from-eif', image('old')]]) {
    const malformed = await run(...verb);
    assert.equal(malformed.code, 2);
    assert.match(malformed.stderr, /measurements: has a name twice in one object/);
  }
});

test('a folder is made for a new file, and for nothing else', async () => {
  const inner = path.join(folder, 'a', 'b', 'pins.json');
  const run = (verb, ...args) => runProgram('coffer', ['measurements', verb, '--file', inner, '--name', 'coffer', '--version', '1', ...args]);
  const missing = await run('retire');
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /the folder .*b is missing/);
  assert.equal(fs.existsSync(path.join(folder, 'a')), false);
  assert.equal((await run('add', '--from-eif', image('old'))).code, 0);
  assert.deepEqual(fs.readdirSync(path.dirname(inner)), ['pins.json']);
});

test('many at once: every release is there at the end', async () => {
  const { file, run, release } = pins();
  const names = Array.from({ length: 8 }, (_, i) => `many-${i}`);
  const results = await Promise.all(names.map((name, i) => run('add', ...release(`1.${i}`), '--from-eif', image(name))));
  assert.deepEqual(results.map(({ code }) => code), names.map(() => 0));
  assert.equal(JSON.parse(fs.readFileSync(file)).releases.length, names.length);
});

test('the files of deploy/measurements are well-formed', async () => {
  const deployed = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../deploy/measurements');
  const files = fs.readdirSync(deployed).filter((name) => name.endsWith('.json'));
  assert.notEqual(files.length, 0);
  for (const name of files) {
    const result = await runProgram('coffer', ['measurements', 'list', '--file', path.join(deployed, name)]);
    assert.equal(result.code, 0, result.stderr);
  }
});
