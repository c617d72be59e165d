// `coffer measure` and `coffer eif build`, the real program, against images that tests/conformance/eif.mjs
// builds, signs and measures from the published format alone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { buildEif, measure, signatureSection } from '../conformance/eif.mjs';
import { runProgram, temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const random = new Random(testSeed('measure'));
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(content) {
  const file = path.join(folder, `f${++files}`);
  fs.writeFileSync(file, content);
  return file;
}
const coffer = (...args) => runProgram('coffer', args);
async function measured(image) {
  const { code, stdout, stderr } = await coffer('measure', write(image), '--json');
  return { code, stderr, ...JSON.parse(stdout) };
}

const bytes = (size) => Buffer.from(Array.from({ length: size }, () => random.below(256)));
const metadata = { type: 'metadata', data: Buffer.from('{"ImageName":"x"}') };
const ramdisks = (count) => Array.from({ length: count }, () => ({ type: 'ramdisk', data: bytes(1 + random.below(5000)) }));
const sectionsOf = (count) => [
  { type: 'kernel', data: bytes(1 + random.below(20_000)) },
  { type: 'cmdline', data: Buffer.from(`console=ttyS0 seed=${random.digits(random.below(60))}`) },
  metadata,
  ...ramdisks(count),
];

/** A fresh P-384 key and its certificate, made by the openssl command. */
function newSigner(name) {
  const [key, certificate] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes',
    '-keyout', key, '-out', certificate, '-subj', `/CN=${name}`, '-days', '1'], { stdio: 'pipe' });
  return { key: fs.readFileSync(key, 'utf8'), certificate: fs.readFileSync(certificate, 'utf8') };
}

test('registers of random images are those of the second implementation', async () => {
  for (const count of [1, 2, 2 + random.below(5), 29]) {
    const sections = sectionsOf(count);
    const image = buildEif(sections, { memory: 1 + random.uint32(), cpus: 1 + random.below(64), flags: random.below(2) });
    const { pcr0, pcr1, pcr2, ...rest } = await measured(image);
    assert.deepEqual({ pcr0, pcr1, pcr2 }, measure(sections));
    assert.equal(rest.code, 0);
    assert.equal(rest.pcr8, undefined);
    assert.equal(rest.bytes, image.length);
    assert.deepEqual(rest.sections.map(({ type, bytes: size }) => [type, size]), sections.map(({ type, data }) => [type, data.length]));
    assert.deepEqual(rest.metadata, { ImageName: 'x' });
  }
});

test('a signed image has PCR8, and its signature is judged', async () => {
  const [signer, stranger] = [newSigner('signer'), newSigner('stranger')];
  const sections = sectionsOf(2);
  const pcrs = measure(sections, signer.certificate);
  const signedBy = (data) => buildEif([...sections, { type: 'signature', data }]);
  for (const plain of [false, true]) {
    const found = await measured(signedBy(signatureSection(pcrs.pcr0, signer.certificate, signer.key, { plain })));
    const { pcr0, pcr1, pcr2, pcr8 } = found;
    assert.deepEqual({ pcr0, pcr1, pcr2, pcr8 }, pcrs);
    assert.equal(found.code, 0);
    assert.deepEqual(found.signature, { subject: 'CN=signer', valid: true, sentence: 'the signature over PCR0 is right' });
  }
  const other = measure(sectionsOf(2)).pcr0;
  for (const [section, sentence] of [
    [signatureSection(pcrs.pcr0, signer.certificate, stranger.key), /NOT verified/],
    [signatureSection(other, signer.certificate, signer.key), /NOT verified: is over another image, whose PCR0 is/],
  ]) {
    const found = await measured(signedBy(section));
    assert.equal(found.code, 1);
    assert.equal(found.pcr8, pcrs.pcr8);
    assert.equal(found.signature.valid, false);
    assert.match(found.signature.sentence, sentence);
  }
  const broken = await measured(signedBy(Buffer.from([0x80])));
  assert.equal(broken.code, 1);
  assert.match(broken.error, /signature section is an empty list/);
});

test('an image built by coffer is the second implementation\'s, byte for byte', async () => {
  const sections = sectionsOf(3);
  const described = JSON.stringify({ ImageName: 'a', ImageVersion: '1', BuildMetadata: {}, DockerInfo: {}, CustomMetadata: {} });
  sections[2] = { type: 'metadata', data: Buffer.from(described) };
  const out = path.join(folder, 'new', 'built.eif');
  const [kernel, cmdline, , ...disks] = sections;
  const args = ['eif', 'build', '--kernel', write(kernel.data), '--cmdline', cmdline.data.toString(), '--metadata', write(described),
    ...disks.flatMap(({ data }) => ['--ramdisk', write(data)]), '--memory', '256', '--cpus', '3', '--out', out];
  const { code, stdout } = await coffer(...args, '--json');
  assert.equal(code, 0);
  assert.deepEqual(fs.readFileSync(out), buildEif(sections, { memory: 256 << 20, cpus: 3 }));
  const { pcr0, pcr1, pcr2 } = JSON.parse(stdout);
  assert.deepEqual({ pcr0, pcr1, pcr2 }, measure(sections));
  const text = await coffer('measure', out);
  assert.match(text.stdout, new RegExp(`^image  .*built.eif, ${fs.statSync(out).size} bytes, EIF version 4, x86_64\n`));
  for (const [name, value] of Object.entries(measure(sections))) {
    assert.match(text.stdout, new RegExp(`^${name.toUpperCase()}   ${value}$`, 'm'));
  }
  // Without a description of its own it says nothing that differs from one build to the next.
  const plain = args.filter((arg, i) => arg !== '--metadata' && args[i - 1] !== '--metadata');
  assert.equal((await coffer(...plain)).code, 0);
  const first = fs.readFileSync(out);
  assert.equal((await coffer(...plain)).code, 0);
  assert.deepEqual(fs.readFileSync(out), first);
});

test('what is no image is refused, and nothing is written of what makes none', async () => {
  const good = buildEif(sectionsOf(2));
  for (const [image, sentence] of [
    [Buffer.alloc(0), /has 0 bytes; its header alone has 548/],
    [good.subarray(0, good.length - 1), /the file has/],
    [Buffer.concat([good, Buffer.from([0])]), /1 bytes after its last section/],
    [buildEif(sectionsOf(2), { version: 5 }), /is of EIF version 5/],
    [buildEif(sectionsOf(0)), /has no ramdisk/],
    [buildEif(sectionsOf(2), { change: (header) => header.fill(0, 28, 36) }), /section 0 is said to begin at byte 0/],
    [Buffer.from(good).fill(good[good.length - 1] ^ 1, good.length - 1), /is damaged: its CRC-32 is/],
  ]) {
    const { code, error } = await measured(image);
    assert.equal(code, 1);
    assert.match(error, sentence);
  }
  const missing = await coffer('measure', path.join(folder, 'nothing.eif'));
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /nothing.eif is missing/);
  const out = path.join(folder, 'none.eif');
  const build = (...args) => coffer('eif', 'build', '--cmdline', 'x', '--out', out, ...args);
  const refused = await build('--kernel', write(''), '--ramdisk', write('x'));
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /section 0, a kernel, is empty/);
  for (const [about, sentence] of [['[]', /is no JSON object/], ['{"ImageName":"x"}', /has no "ImageVersion", without which AWS's tools/]]) {
    const bad = await build('--kernel', write('k'), '--ramdisk', write('x'), '--metadata', write(about));
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, sentence);
  }
  assert.equal(fs.existsSync(out), false);
});
