// Attestation documents from a real enclave with a development root, by HTTP and by hand, read by a
// parser that shares no code with Coffer (tests/js/lib/nitro.mjs): what is bound, nonces, the rate,
// the cache, a restart; and what is said where it proves nothing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { createHash, createPublicKey, randomBytes } from 'node:crypto';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { withEnclave } from '../js/lib/enclave.mjs';
import { verifyNitro } from '../js/lib/nitro.mjs';
import { programPath, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const RECIPIENTS = makeRecipients(testSeed('attestation'), 1);
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const SECRET = path.join(folder, 'root', 'coffer-dev-root.key');
const ROOT_FILE = path.join(folder, 'root', 'coffer-dev-root.pem');
const DEV = { attestor: 'dev', 'dev-root': SECRET };
let root;

test.before(async () => {
  const made = await runProgram('coffer', ['dev-root', '--out', path.join(folder, 'root')]);
  assert.equal(made.code, 0, made.stderr);
  root = fs.readFileSync(ROOT_FILE, 'utf8');
});

const PCR0 = createHash('sha384').update(fs.readFileSync(programPath('coffer-enclave'))).digest();
const newNonce = () => randomBytes(32);
const textOf = (document) => Buffer.from(document.get('user_data')).toString();

/** The document of an answer, verified by the other verifier. */
function read(answer, nonce) {
  const bytes = Buffer.from(answer.document_b64, 'base64');
  return verifyNitro(bytes, { root, at: Date.now(), pcr0: PCR0, nonce });
}

/** The fields after the old text, as {key: value}. */
function fieldsOf(document) {
  const [, ...pairs] = textOf(document).split(';');
  return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s, 2)));
}

test('coffer dev-root replaces no key, keeps it to its owner, and says what it is not for', async () => {
  const before = fs.readFileSync(SECRET);
  assert.equal(fs.statSync(SECRET).mode & 0o777, 0o600);
  const again = await runProgram('coffer', ['dev-root', '--out', path.join(folder, 'root')]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /is there already/);
  assert.deepEqual(fs.readFileSync(SECRET), before);
  assert.ok(!root.includes('PRIVATE'));
});

test('over HTTP: the document binds the key, the policy, the log and the sequence', () =>
  withStack({ recipients: RECIPIENTS, enclave: DEV }, async (stack) => {
    await stack.start();
    await stack.api.credit([{ id: 'e1', account: Object.keys(RECIPIENTS)[0], amount_wei: '5' }]);
    const status = await stack.api.status();
    assert.equal(status.attestation_available, true);
    assert.equal(status.attestation_kind, 'development');
    const nonce = newNonce();
    const answer = await stack.api.get(`/api/tee/attestation?nonce=0x${nonce.toString('hex')}`);
    assert.equal(answer.address, stack.address);
    assert.equal(answer.nonce_hex, `0x${nonce.toString('hex')}`);
    assert.equal(answer.development, true);
    assert.match(answer.note, /proves nothing about a TEE/);
    const document = read(answer, nonce);
    const audit = status.audit_address.toLowerCase();
    assert.ok(
      textOf(document).startsWith(`payments-tee-core:${stack.address.toLowerCase()}:audit:${audit};`),
    );
    const fields = fieldsOf(document);
    assert.equal(fields.policy, status.policy_hash);
    assert.equal(fields.audit, audit);
    assert.equal(Number(fields.sequence), (await stack.api.status()).stored_sequence);
    const log = await stack.api.get('/api/transparency/tee-core/audit/status');
    assert.ok(JSON.stringify(log).includes(fields.log), fields.log);
    assert.match(document.get('module_id'), /^dev-[0-9a-f]{16}$/);
    // Both programs say it, and so does the operator's command.
    assert.match(stack.enclave.text(), /INSECURE: attestation documents are development documents/);
    assert.match(stack.host.text(), /INSECURE: its attestation documents are development documents/);
    const shown = await runProgram('coffer', ['status', '--host-url', stack.api.base], {
      env: { COFFER_TOKEN: stack.viewerToken },
    });
    assert.match(shown.stdout, /attestation +development: its documents prove nothing about a TEE/);
  }));

test('the public door: no token, hex with or without 0x, limited by address, cached by nonce', () =>
  withStack(
    { recipients: RECIPIENTS, enclave: DEV, host: { 'http.public-rate': 20, 'http.public-burst': 100 } },
    async (stack) => {
      await stack.start();
      const ask = (nonce) =>
        stack.api.raw('GET', `/api/tee/core/attestation?nonce=${nonce}`, undefined, { token: '' });
      for (const nonce of ['0x1', 'zz', '', '0x', 'a'.repeat(66)]) {
        assert.equal((await ask(nonce)).status, 400, nonce);
      }
      const nonce = newNonce();
      const first = await ask(nonce.toString('hex'));
      assert.equal(first.status, 200);
      read(first.body, nonce);
      const second = await ask(`0x${nonce.toString('hex').toUpperCase()}`);
      assert.deepEqual(second.body, first.body);
      assert.equal(await stack.api.metric('coffer_attestation_cached_total'), 1);
      let refused;
      for (let i = 0; i < 30 && refused === undefined; i++) {
        const answer = await ask(newNonce().toString('hex'));
        if (answer.status !== 200) refused = answer;
      }
      assert.equal(refused?.status, 429);
      assert.ok(Number(refused.headers.get('retry-after')) >= 1);
      assert.ok((await stack.api.metric('coffer_attestation_rate_limited_total')) >= 1);
      // Nothing else suffers.
      assert.equal((await stack.api.status()).phase, 'ready');
    },
  ));

test('a restart: another module and certificate, the same claims under a fresh nonce', () =>
  withStack({ recipients: RECIPIENTS, enclave: DEV }, async (stack) => {
    await stack.start();
    const ask = async () => {
      const nonce = newNonce();
      return read(await stack.api.get(`/api/tee/attestation?nonce=${nonce.toString('hex')}`), nonce);
    };
    const before = await ask();
    await stack.enclave.kill();
    stack.enclave.start();
    await stack.ready();
    const after = await ask();
    assert.notEqual(after.get('module_id'), before.get('module_id'));
    assert.notDeepEqual(after.get('certificate'), before.get('certificate'));
    const { sequence: s1, ...bound } = fieldsOf(before);
    const { sequence: s2, ...boundAgain } = fieldsOf(after);
    assert.deepEqual(boundAgain, bound);
    assert.ok(Number(s2) >= Number(s1));
  }));

test('coffer call attestation: a document with a key to encrypt to, verified by the command', () =>
  withEnclave({ flags: { profile: 'signer', ...DEV } }, async (enclave) => {
    const nonce = newNonce();
    const call = await runProgram('coffer', [
      ...['call', 'attestation', '--endpoint', enclave.endpoint],
      ...['--param', `nonce=0x${nonce.toString('hex')}`, '--param', 'public_key=rsa-2048'],
    ]);
    assert.equal(call.code, 0, call.stderr);
    const answer = JSON.parse(call.stdout).result;
    assert.equal(answer.attestation_kind, 'development');
    const document = read(answer, nonce);
    assert.ok(textOf(document).startsWith(`payments-signer:${enclave.address.toLowerCase()};policy=0x`));
    const key = createPublicKey({
      key: Buffer.from(document.get('public_key')),
      format: 'der',
      type: 'spki',
    });
    assert.equal(key.asymmetricKeyDetails.modulusLength, 2048);
    const p384 = await enclave.call('attestation', { public_key: 'p-384' });
    const curve = createPublicKey({
      key: Buffer.from(read(p384).get('public_key')),
      format: 'der',
      type: 'spki',
    });
    assert.equal(curve.asymmetricKeyDetails.namedCurve, 'secp384r1');
    assert.equal(read(await enclave.call('attestation')).get('public_key'), null);

    const file = path.join(folder, 'document.b64');
    fs.writeFileSync(file, answer.document_b64);
    const verify = (...args) =>
      runProgram('coffer', ['verify', 'attestation', '--document', file, ...args]);
    const expected = [
      ...['--pcr0', PCR0.toString('hex'), '--nonce', nonce.toString('hex')],
      ...['--address', enclave.address],
    ];
    const good = await verify('--root', ROOT_FILE, ...expected);
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.match(good.stdout, /development/i);
    assert.equal((await verify(...expected)).code, 1); // not under AWS's root
  }));

test('measurements are served as they are, to everybody, and read again on SIGHUP', async () => {
  const file = path.join(folder, 'measurements.json');
  const text = '{ "version": 1,\n  "releases": [] }\n';
  fs.writeFileSync(file, text);
  await withStack(
    { recipients: RECIPIENTS, host: { measurements: file } },
    async (stack) => {
      await stack.start();
      const ask = () => fetch(`${stack.api.base}/api/tee/measurements`).then((answer) => answer.text());
      assert.equal(await ask(), text);
      fs.writeFileSync(file, '{"releases":[1]}');
      process.kill(stack.host.pid, 'SIGHUP');
      await until('the measurements read again', async () => (await ask()) !== text);
      assert.equal(await ask(), '{"releases":[1]}');
      const none = await stack.api.raw('GET', '/api/tee/core/attestation?nonce=00', undefined, { token: '' });
      assert.equal(none.status, 503);
    },
  );
});

test('an attestor that cannot be is refused at start, with the reason and without the secret', async () => {
  const open = path.join(folder, 'open.key');
  fs.copyFileSync(SECRET, open);
  fs.chmodSync(open, 0o644);
  const cases = [
    [['--attestor', 'dev'], /--attestor dev needs --dev-root/],
    [['--attestor', 'dev', '--dev-root', path.join(folder, 'none')], /cannot be opened/],
    [['--attestor', 'dev', '--dev-root', open], /can be read by others/],
    [['--attestor', 'dev', '--dev-root', ROOT_FILE], /can be read by others|no private key/],
    [['--attestor', 'none', '--dev-root', SECRET], /--dev-root is of --attestor dev/],
    [['--attestor', 'tdx'], /auto, nsm, dev, none/],
  ];
  if (!fs.existsSync('/dev/nsm')) cases.push([['--attestor', 'nsm'], /\/dev\/nsm cannot be opened/]);
  for (const [args, why] of cases) {
    const run = await runProgram(
      'coffer-enclave',
      ['--insecure-dev-key', '--profile', 'signer', '--listen', `unix://${folder}/x.sock`, ...args],
      { env: { SIGNER_PRIVATE_KEY: '01'.repeat(32) } },
    );
    assert.equal(run.code, 2, args.join(' '));
    assert.match(run.stderr, why);
    assert.ok(!run.stderr.includes(fs.readFileSync(SECRET, 'utf8').split('\n')[1]));
  }
});
