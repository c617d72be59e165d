// The enclave image is made of its inputs and of nothing else: two builds in two folders, at two times,
// by two sets of habits give the same bytes; and what `coffer measure` predicts is what another
// implementation computes from the parts.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { patient } from '../js/lib/patience.mjs';
import { ROOT, programPath, temporaryFolder } from '../js/lib/program.mjs';
import { buildImage, whyNoKernel } from '../js/lib/vm.mjs';

const skip = whyNoKernel() ?? false;
const ARGS = ['--chain-id', '31337', '--ticket-broker', '0x00000000000000000000000000000000000000b1'];
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

function withFolders(body) {
  const folders = [temporaryFolder('coffer-image-'), temporaryFolder('another-longer-name-')];
  try {
    return body(...folders.map((folder) => (name) => path.join(folder, name)));
  } finally {
    for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** The sections of an image, read without any code of ours: [{type, data}]. */
function sections(file) {
  const image = fs.readFileSync(file);
  const found = [];
  for (let at = 548; at < image.length; ) {
    const size = Number(image.readBigUInt64BE(at + 4));
    found.push({ type: image.readUInt16BE(at), data: image.subarray(at + 12, at + 12 + size) });
    at += 12 + size;
  }
  return found;
}

const sha384 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha384')).digest();
const extended = (...parts) => sha384(Buffer.alloc(48), sha384(...parts)).toString('hex');

/** Names in a cpio archive of the form "newc", each with its header's fields. */
function entries(archive) {
  const found = new Map();
  for (let at = 0; ; ) {
    assert.equal(archive.subarray(at, at + 6).toString(), '070701');
    const field = (n) => parseInt(archive.subarray(at + 6 + 8 * n, at + 14 + 8 * n).toString(), 16);
    const [mode, uid, gid, , mtime, size] = [1, 2, 3, 4, 5, 6].map(field);
    const start = at + 110;
    const name = archive.subarray(start, start + field(11) - 1).toString();
    const data = Math.ceil((start + field(11)) / 4) * 4;
    if (name === 'TRAILER!!!') return found;
    found.set(name, { mode, uid, gid, mtime, text: archive.subarray(data, data + size) });
    at = Math.ceil((data + size) / 4) * 4;
  }
}

test('two builds give one image', { skip, timeout: patient(240_000) }, () =>
  withFolders((one, two) => {
    // With a key in it, because an image without one is refused to programs of a build that is no release.
    const key = randomBytes(32).toString('hex');
    for (const file of [one('key'), two('other.key')]) fs.writeFileSync(file, key, { mode: 0o600 });
    const first = buildImage({ out: one('coffer.eif'), devKey: one('key'), args: ARGS });
    // The same programs from another folder, newer, with other modes; another time zone, language, umask and year.
    fs.mkdirSync(two('bin'));
    for (const name of ['coffer', 'coffer-enclave', 'coffer-init'])
      fs.copyFileSync(programPath(name), two(`bin/${name}`));
    execFileSync('chmod', ['700', ...['coffer', 'coffer-enclave', 'coffer-init'].map((n) => two(`bin/${n}`))]);
    const habits = ['env', 'LC_ALL=C.UTF-8', 'TZ=Asia/Tokyo', `TMPDIR=${two('')}`];
    if (fs.existsSync(FAKETIME)) habits.push(`LD_PRELOAD=${FAKETIME}`, 'FAKETIME=+400d', 'NO_FAKE_STAT=1');
    const wrap = ['sh', '-c', `umask 077; exec ${habits.join(' ')} "$@"`, 'sh'];
    const second = buildImage({
      out: two('again.eif'),
      bin: two('bin'),
      devKey: two('other.key'),
      args: ARGS,
      wrap,
    });
    assert.equal(second.pcr0, first.pcr0);
    assert.ok(fs.readFileSync(one('coffer.eif')).equals(fs.readFileSync(two('again.eif'))));
    const other = buildImage({
      out: two('other.eif'),
      devKey: one('key'),
      args: [...ARGS, '--max-tickets', '7'],
    });
    assert.notEqual(other.pcr0, first.pcr0);
    assert.notEqual(other.pcr2, first.pcr2);
    assert.equal(other.pcr1, first.pcr1, 'what boots is the same');
  }),
);

test('what is in an image, and what is measured of it', { skip, timeout: patient(120_000) }, () =>
  withFolders((at) => {
    const key = randomBytes(32).toString('hex');
    fs.writeFileSync(at('key'), key, { mode: 0o600 });
    const measured = buildImage({ out: at('coffer.eif'), devKey: at('key'), cmdline: 'quiet', args: ARGS });
    const parts = sections(at('coffer.eif'));
    assert.deepEqual(
      parts.map(({ type }) => type),
      [1, 2, 5, 3, 3],
    );
    const [kernel, cmdline, metadata, boot, app] = parts.map(({ data }) => data);
    assert.equal(measured.pcr0, extended(kernel, cmdline, boot, app));
    assert.equal(measured.pcr1, extended(kernel, cmdline, boot));
    assert.equal(measured.pcr2, extended(app));
    assert.match(cmdline.toString(), /^console=ttyS0 [\w=\- ]* quiet$/);
    assert.equal(JSON.parse(metadata).ImageName, 'coffer-enclave-development');

    const files = new Map([...entries(gunzipSync(boot)), ...entries(gunzipSync(app))]);
    for (const [name, { uid, gid, mtime }] of files)
      assert.deepEqual([uid, gid, mtime], [0, 0, 0], `${name} has an owner or a time`);
    assert.equal(files.get('init').mode & 0o7777, 0o755);
    assert.equal(files.get('etc/coffer/dev-key').mode & 0o7777, 0o600);
    assert.equal(files.get('etc/coffer/dev-key').text.toString(), key);
    const lines = files.get('etc/coffer/boot').text.toString().trimEnd().split('\n');
    assert.ok(lines.includes('hello 3 9000'));
    assert.deepEqual(
      lines.filter((line) => line.startsWith('arg ')).map((line) => line.slice(4)),
      [
        '/bin/coffer-enclave',
        ...['--listen', 'vsock://4294967295:5000', '--attestor', 'nsm'],
        ...['--insecure-dev-key', '--key-file', '/etc/coffer/dev-key'],
        ...ARGS,
      ],
    );
  }),
);

test('the tree for a Dockerfile has all that the program needs', { skip, timeout: patient(60_000) }, (t) =>
  withFolders((at) => {
    const bin = path.dirname(programPath('coffer'));
    execFileSync(path.join(ROOT, 'deploy/nitro/build'), ['--tree', at('tree'), '--bin', bin]);
    if (process.getuid() !== 0) return t.skip('chroot needs root');
    const version = execFileSync('chroot', [at('tree'), '/bin/coffer-enclave', '--version']).toString();
    return assert.match(version, /^coffer-enclave \d/);
  }),
);

test('what is not right is refused', { skip, timeout: patient(120_000) }, () =>
  withFolders((at) => {
    const build = (...args) => {
      try {
        execFileSync(path.join(ROOT, 'deploy/nitro/build'), args, { stdio: 'pipe' });
        return 'it was built';
      } catch (error) {
        return String(error.stderr);
      }
    };
    const bin = path.dirname(programPath('coffer'));
    assert.match(build('--out', at('a'), '--bin', at('none')), /coffer-enclave is not there/);
    assert.match(build('--out', at('a'), '--bin', bin, '--kernel', at('none')), /no vmlinuz/);
    assert.match(build('--out', at('a'), '--colour', 'red'), /unknown argument '--colour'/);
    assert.match(build('--out', at('a'), '--bin', bin, '--', 'two\nlines'), /may not contain a newline/);
    assert.match(build('--out', at('a'), '--bin', bin, '--', '--chain-identity', '1'), /chain-identity.*\n.*\n?.*does not take/);
    assert.equal(fs.existsSync(at('a')), false);
  }),
);
