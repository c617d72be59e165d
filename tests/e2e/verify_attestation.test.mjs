// `coffer verify attestation` beside two verifiers that share no code with it: Evervault's (Rust, for
// documents of AWS, which it judges at the time that the clock shows) and tests/js/lib/nitro.mjs
// (cborg and node's crypto). All agree on what is accepted and what is refused.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { encode } from 'cborg';
import { makeChain, makeFields, signPayload, verifyNitro } from '../js/lib/nitro.mjs';
import { runProgram, temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const random = new Random(testSeed('verify_attestation'));
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const VECTORS = fileURLToPath(new URL('../../../shared/vectors/nitro/', import.meta.url));
const haveVectors = fs.existsSync(path.join(VECTORS, 'MANIFEST.tsv'));
const withVectors = { skip: haveVectors ? false : `no documents signed by AWS: ${VECTORS} is not there` };

function readVectors() {
  const rows = fs.readFileSync(path.join(VECTORS, 'MANIFEST.tsv'), 'utf8').trim().split('\n').slice(1);
  return rows.map((row) => {
    const columns = row.split('\t');
    return { bytes: fs.readFileSync(path.join(VECTORS, columns[0])), at: Date.parse(columns[6]), pcr0: columns[8] };
  });
}

/** {code, report} of the command for a document. */
async function coffer(bytes, args) {
  const file = path.join(folder, 'document');
  fs.writeFileSync(file, bytes);
  const run = await runProgram('coffer', ['verify', 'attestation', '--document', file, '--json', ...args]);
  const report = run.stdout === '' ? undefined : JSON.parse(run.stdout);
  const checks = report?.submods['nitro-enclave']['coffer.checks'] ?? [];
  return { ...run, report, failed: checks.filter((one) => one.outcome === 'failed').map((one) => one.name) };
}

function other(bytes, options) {
  try {
    verifyNitro(bytes, options);
    return true;
  } catch {
    return false;
  }
}

async function evervault() {
  const module = await import('@evervault/wasm-attestation-bindings');
  const wasm = new URL('../js/node_modules/@evervault/wasm-attestation-bindings/index_bg.wasm', import.meta.url);
  module.initSync({ module: fs.readFileSync(wasm) });
  return (bytes, at, pcr0) => {
    const [now, { log, error }] = [Date.now, console];
    Date.now = () => at;
    // It says on the console why it refuses.
    console.log = console.error = () => {};
    try {
      return module.validateAttestationDocPcrs(bytes.toString('base64'), [new module.PCRs(pcr0)]);
    } catch {
      return false;
    } finally {
      Date.now = now;
      Object.assign(console, { log, error });
    }
  };
}

const ROOT = haveVectors ? fs.readFileSync(path.join(VECTORS, 'AWS_NitroEnclaves_Root-G1.pem'), 'utf8') : '';
const iso = (ms) => new Date(ms).toISOString();

test('documents of AWS: three verifiers agree, at their time and at others', withVectors, async () => {
  const third = await evervault();
  for (const { bytes, at, pcr0 } of readVectors()) {
    const wrong = pcr0.replace(/^./, (digit) => (digit === 'f' ? 'e' : 'f'));
    const cases = [[at, pcr0, true], [at + 3 * 3600e3 + 60e3, pcr0, false], [at - 3600e3, pcr0, false], [at, wrong, false]];
    for (const [time, pcr, accepted] of cases) {
      const ours = await coffer(bytes, ['--at', iso(time), '--pcr0', pcr, '--allow-debug']);
      assert.equal(ours.code, accepted ? 0 : 1, ours.stdout);
      const expected = { root: ROOT, at: time, pcr0: Buffer.from(pcr, 'hex'), debug: true };
      assert.equal(other(bytes, expected), accepted, 'nitro.mjs');
      assert.equal(third(bytes, time, pcr), accepted, 'Evervault');
    }
  }
});

test('documents of AWS with a byte changed, cut or added: all three refuse', withVectors, async () => {
  const third = await evervault();
  for (const { bytes, at, pcr0 } of readVectors()) {
    const altered = Array.from({ length: 8 }, () => {
      const copy = Buffer.from(bytes);
      copy[random.below(copy.length)] ^= 1 << random.below(8);
      return copy;
    });
    altered.push(bytes.subarray(0, random.below(bytes.length)));
    for (const one of altered) {
      const ours = await coffer(one, ['--at', iso(at), '--pcr0', pcr0, '--allow-debug']);
      assert.ok(ours.code === 1 || (ours.code === 2 && ours.report === undefined), ours.stdout + ours.stderr);
      const expected = { root: ROOT, at, pcr0: Buffer.from(pcr0, 'hex'), debug: true };
      assert.equal(other(one, expected), false, 'nitro.mjs');
      assert.equal(third(one, at, pcr0), false, 'Evervault');
    }
  }
});

const chain = makeChain(folder);
const rootFile = path.join(folder, 'root.pem');
const pcr = (byte) => Buffer.alloc(48, byte);
const nonce = Buffer.from('nonce of the test');

/** A document whose fields `alter` changed, signed by the enclave's key. */
function altered(alter = () => {}, options = {}) {
  const fields = makeFields(chain, { nonce });
  alter(fields);
  return signPayload(fields, chain.enclave.key, options);
}

const CASES = [
  ['as it should be', () => altered(), []],
  ['with tag 18', () => Buffer.concat([Buffer.from([0xd2]), altered()]), []],
  ['of an indefinite map', () => {
    const inner = Buffer.from(encode(makeFields(chain, { nonce })));
    const map = Buffer.concat([Buffer.from([0xbf]), inner.subarray(1), Buffer.from([0xff])]);
    return signPayload(map, chain.enclave.key);
  }, []],
  ['signed by another key', () => signPayload(makeFields(chain, { nonce }), chain.instance.key), ['signature']],
  ['another algorithm', () => altered(undefined, { header: Buffer.from('a10126', 'hex') }), ['algorithm']],
  ['no algorithm', () => altered(undefined, { header: Buffer.alloc(0) }), ['algorithm']],
  ['a reordered bundle', () => altered((f) => f.get('cabundle').reverse()), ['root', 'chain', 'usage']],
  ['a bundle without its middle', () => altered((f) => f.get('cabundle').splice(1, 1)), ['chain']],
  ['a longer chain', () => altered((f) => f.get('cabundle').push(f.get('certificate'))), ['chain', 'usage']],
  ['the issuer for a signer', () => altered((f) => {
    f.set('certificate', chain.instance.der);
    f.get('cabundle').pop();
  }), ['usage', 'signature']],
  ['too old for its certificates', () => altered((f) => f.set('timestamp', Date.now() - 86400e3)), ['validity']],
  ['another nonce', () => altered((f) => f.set('nonce', Buffer.from('other'))), ['nonce']],
  ['no nonce', () => altered((f) => f.set('nonce', null)), ['nonce']],
  ['another image', () => altered((f) => f.get('pcrs').set(0, pcr(7))), ['pcr0']],
  ['debug mode', () => altered((f) => [0, 1, 2].forEach((i) => f.get('pcrs').set(i, pcr(0)))), ['debug', 'pcr0']],
  ['an unknown field', () => altered((f) => f.set('extra', 1)), ['fields']],
  ['a missing field', () => altered((f) => f.delete('digest')), ['fields']],
  ['a field that is there twice', () => {
    const bytes = Buffer.from(encode(makeFields(chain, { nonce })));
    bytes[0] += 1;
    return signPayload(Buffer.concat([bytes, Buffer.from(encode('nonce')), Buffer.from(encode(nonce))]), chain.enclave.key);
  }, ['fields']],
  ['bytes after the payload', () => signPayload(Buffer.concat([encode(makeFields(chain, { nonce })), Buffer.from([0])]), chain.enclave.key), ['fields']],
  ['bytes after the message', () => Buffer.concat([altered(), Buffer.from([0])]), ['cose']],
];

for (const [name, make, failing] of CASES) {
  test(`a development document, ${name}: ${failing.length ? `refused (${failing})` : 'accepted'}`, async () => {
    const bytes = make();
    const args = ['--root', rootFile, '--pcr0', pcr(0xa0).toString('hex'), '--nonce', nonce.toString('hex')];
    const ours = await coffer(bytes, args);
    assert.equal(ours.code, failing.length ? 1 : 0, ours.stdout + ours.stderr);
    for (const check of failing) assert.ok(ours.failed.includes(check), `${check}: ${ours.failed}`);
    const expected = { root: chain.root.pem, at: Date.now(), pcr0: pcr(0xa0), nonce };
    assert.equal(other(bytes, expected), failing.length === 0, 'nitro.mjs');
    // Without its root, none of them is anything.
    assert.equal((await coffer(bytes, args.slice(2))).code, 1);
  });
}

test('what is said about a development document', async () => {
  const args = ['--root', rootFile, '--pcr0', pcr(0xa0).toString('hex')];
  const { report } = await coffer(altered(), args);
  assert.equal(report.verified, true);
  assert.equal(report.development, true);
  const enclave = report.submods['nitro-enclave'];
  assert.equal(enclave['ear.status'], 'warning');
  assert.deepEqual(enclave['ear.trustworthiness-vector'], { 'instance-identity': 0, configuration: 2, executables: 2, hardware: 32 });
  assert.match(enclave['coffer.checks'].find((one) => one.name === 'root').sentence, /A DEVELOPMENT DOCUMENT/);
  const nobody = await coffer(altered(), args.slice(0, 2));
  assert.equal(nobody.code, 2, 'nobody said which image');
  assert.equal(nobody.report.verified, null);
  assert.equal(nobody.report.submods['nitro-enclave']['ear.status'], 'none');
});

test('the forms of a file, and what is no document', async () => {
  const args = ['--root', rootFile, '--pcr0', pcr(0xa0).toString('hex')];
  const b64 = altered().toString('base64');
  for (const text of [b64, `${b64.replace(/.{76}/g, '$&\n')}\n`, JSON.stringify({ document_b64: b64 }), JSON.stringify({ result: { document_b64: b64 } })]) {
    assert.equal((await coffer(text, args)).code, 0);
  }
  for (const text of ['', 'hello!', '{}', '{"document_b64":1}', '{"document_b64":"', '{"result":{}}']) {
    const run = await coffer(text, args);
    assert.equal(run.code, 2, text);
    assert.match(run.stderr, /^coffer: .+\n$/);
  }
  for (const wrong of [['--pcr0', '00'], ['--pcr', '32=00'], ['--at', 'yesterday'], ['--max-age', '-1s'], ['--root', '/nowhere'], ['--nonce', 'xyz'], ['--nonce', 'auto'], ['--address', '0x12']]) {
    assert.equal((await coffer(altered(), wrong)).code, 2, wrong.join(' '));
  }
});

/** A host that answers GET .../attestation?nonce= with what `answer(nonce)` says. */
async function withHost(answer, body) {
  const asked = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://host');
    asked.push(url);
    const { status = 200, json } = answer(Buffer.from(url.searchParams.get('nonce') ?? '', 'hex'));
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${server.address().port}`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a host is asked for a fresh document', async () => {
  const args = ['verify', 'attestation', '--root', rootFile, '--pcr0', pcr(0xa0).toString('hex'), '--max-age', '1m'];
  const fresh = (asked) => ({ json: { document_b64: signPayload(makeFields(chain, { nonce: asked }), chain.enclave.key).toString('base64') } });
  await withHost(fresh, async (url, asked) => {
    const run = await runProgram('coffer', [...args, '--url', url]);
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^verified$/m);
    assert.equal((await runProgram('coffer', [...args, '--url', `${url}/api/tee/attestation`, '--nonce', '0a0b'])).code, 0);
    assert.deepEqual(asked.map((one) => one.pathname), ['/api/tee/core/attestation', '/api/tee/attestation']);
    assert.equal(asked[0].searchParams.get('nonce').length, 64);
    assert.equal(asked[1].searchParams.get('nonce'), '0a0b');
  });
  // One that plays an old document again.
  await withHost(() => fresh(nonce), async (url) => {
    const run = await runProgram('coffer', [...args, '--url', url]);
    assert.equal(run.code, 1);
    assert.match(run.stdout, /^failed +nonce /m);
  });
  for (const answer of [{ json: {} }, { status: 500, json: {} }, { status: 404, json: {} }]) {
    await withHost(() => answer, async (url) => {
      const run = await runProgram('coffer', [...args, '--url', url]);
      assert.equal(run.code, 2);
      assert.match(run.stderr, /^coffer: http:\/\/127\.0\.0\.1/);
    });
  }
});

test('the stand-alone verifier is the same', async () => {
  const file = path.join(folder, 'alone');
  fs.writeFileSync(file, altered());
  const args = ['--document', file, '--root', rootFile, '--pcr0', pcr(0xa0).toString('hex')];
  const alone = await runProgram('coffer-verify', args);
  const whole = await runProgram('coffer', ['verify', 'attestation', ...args]);
  assert.equal(alone.code, 0);
  const timeless = (text) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z|it is \d\S*$/gm, '');
  assert.equal(timeless(alone.stdout), timeless(whole.stdout));
});
