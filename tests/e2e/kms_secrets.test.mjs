// I8, with keys from KMS: the signing key and the state keys are in the enclave's locked memory and nowhere else, not in the
// host's memory, in no file, log, dump or answer; the AWS secret is gone from the enclave once it has its keys. What is
// searched for is first shown to be found where it lies open. COFFER_SECRET_ROUNDS: how often all steps are gone through.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Wallet, parseEther } from 'ethers';
import { withChain, withStack } from '../js/lib/e2e.mjs';
import { POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { JsonConnection, decodeAnswer } from '../js/lib/json_client.mjs';
import { FakeImds } from '../js/lib/kms/imds.mjs';
import { rotateUntilItSigns, stepOf, untilRetired } from '../js/lib/kms/signing_rotation.mjs';
import { openStoredKeys } from '../js/lib/kms/stored_keys.mjs';
import { SIGNING_CONTEXT, useKmsWorld } from '../js/lib/kms/world.mjs';
import { patient } from '../js/lib/patience.mjs';
import { Program, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';
import { cannotTrace, formsOf, isSecretMemory, needlesOf, scanFile, scanFolder, scanProcess, told } from '../js/lib/secret_scan.mjs';

const ROUNDS = Number(process.env.COFFER_SECRET_ROUNDS ?? 1);
const seed = testSeed('kms_secrets');
const world = await useKmsWorld(test);
const { kms, coffer } = world;
const traced = { skip: cannotTrace(), timeout: patient(60_000 * ROUNDS) };
const folder = temporaryFolder('coffer-secrets-');
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

// DER as OpenSSL writes it, of which the scanner knows nothing.
function derForms(key) {
  const bare = Buffer.concat([Buffer.from('302e0201010420', 'hex'), key, Buffer.from('a00706052b8104000a', 'hex')]);
  const made = createPrivateKey({ key: bare, format: 'der', type: 'sec1' });
  return ['sec1', 'pkcs8'].flatMap((type) => [
    [`${type} DER`, made.export({ type, format: 'der' })],
    [`${type} PEM`, Buffer.from(made.export({ type, format: 'pem' }).replace(/\n/g, ''))],
  ]);
}

// A process that holds all these bytes open, until it is ended.
async function withHolder(pieces, body) {
  const script = `
    const held = JSON.parse(require('fs').readFileSync(0, 'utf8')).map((hex) => Buffer.from(hex, 'hex'));
    console.log('holds', held.length);
    setInterval(() => held.length, 1e6);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    // What the pipe and the parser saw is a hex text of another value, so that only the bytes themselves can be found.
    child.stdin.end(JSON.stringify(pieces.map((bytes) => bytes.toString('hex'))));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await body(child.pid);
  } finally {
    child.kill('SIGKILL');
  }
}

test('the scanner finds each form in the memory of a process and in a file', traced, async () => {
  const key = randomBytes(32);
  const needles = needlesOf({ key });
  const forms = formsOf(key);
  await withHolder(forms.map(([, bytes]) => bytes), async (pid) => {
    const found = new Set(scanProcess(pid, needles).map(({ form }) => form));
    for (const [form] of forms) assert.ok(found.has(form), `${form} is not found in a process that has it`);
  });
  for (const [name, bytes] of [...forms, ...derForms(key)]) {
    const file = path.join(folder, 'planted');
    // At the edge of what is read at once.
    fs.writeFileSync(file, Buffer.concat([Buffer.alloc((4 << 20) - 9), bytes, Buffer.alloc(9)]));
    assert.ok(scanFile(file, needles).length > 0, `${name} is not found in a file`);
  }
  fs.writeFileSync(path.join(folder, 'planted'), randomBytes(1 << 20));
  assert.deepEqual(scanFolder(folder, needles).hits, []);
});

/** Hits outside of memory for secrets. */
const open = (hits) => hits.filter(({ mapping }) => !isSecretMemory(mapping));

/** The enclave has each secret of `held`, all of them in memory for secrets alone, and none of the others. */
function checkEnclave(pid, held, others, when) {
  const hits = scanProcess(pid, needlesOf(held));
  for (const name of Object.keys(held)) assert.ok(hits.some((hit) => hit.name === name), `${when}: ${name} is not in the enclave`);
  assert.deepEqual(told(open(hits)), [], `${when}: the enclave's keys outside of locked memory`);
  assert.deepEqual(told(scanProcess(pid, needlesOf(others))), [], `${when}: in the enclave`);
}

function checkHost(pid, secrets, when) {
  assert.deepEqual(told(scanProcess(pid, needlesOf(secrets))), [], `${when}: in the host's memory`);
}

test('an enclave with a key from outside keeps it in locked memory', traced, async () => {
  await withEnclave({ flags: { profile: 'signer' } }, async (enclave) => {
    const key = Buffer.from(enclave.key.slice(2), 'hex');
    checkEnclave(enclave.program.pid, { 'the signing key': key }, {}, 'with --insecure-dev-key');
  });
});

const AWS = {
  'the AWS secret access key': Buffer.from(coffer.enclave.secret_access_key),
  'the AWS session token': Buffer.from(coffer.enclave.session_token),
};

/** {name: bytes} of what a host's ciphertexts hold. */
function keysOf(stack) {
  const { inUse, state } = openStoredKeys(kms, stack.dataDir, SIGNING_CONTEXT);
  const keys = Object.fromEntries(inUse.map(({ address, secret }) => [`the signing key of ${address}`, secret]));
  for (const [epoch, bytes] of state) keys[`the state key of epoch ${epoch}`] = bytes;
  return keys;
}

/** Everything is as it should be in both, which do nothing at the moment; the keys. */
function checkBoth(stack, when) {
  const keys = keysOf(stack);
  checkHost(stack.host.pid, { ...keys, ...AWS }, when);
  checkEnclave(stack.enclave.pid, keys, AWS, when);
  return keys;
}

/** During `body`, both are looked at whenever KMS is asked and whenever it answers. */
async function watched(stack, secrets, body) {
  let calls = 0;
  let failure;
  const look = (when) => async () => {
    calls += 1;
    try {
      checkHost(stack.host.pid, { ...secrets, ...AWS }, when);
      const hits = scanProcess(stack.enclave.pid, needlesOf(secrets));
      assert.deepEqual(told(open(hits)), [], `${when}: the enclave's keys outside of locked memory`);
    } catch (error) {
      failure ??= error;
    }
  };
  kms.onRequest = look('KMS is asked');
  kms.onAnswer = look('KMS answers');
  try {
    await body();
  } finally {
    kms.onRequest = kms.onAnswer = undefined;
  }
  if (failure) throw failure;
  assert.ok(calls > 0, 'KMS was never asked');
}

async function rotate(stack) {
  await stack.api.post('/api/tee/rotate-state-key');
  await until('the rotation of the state key', async () => {
    const { step, why } = await stack.api.get('/api/tee/rotate-state-key');
    assert.notEqual(step, 'failed', why);
    return step === 'done';
  });
}

/** Another signing key, while the old one has still something to do; then without it. */
async function rotateSigningKey({ stack, chain, node }) {
  const old = keysOf(stack)[`the signing key of ${stack.address}`];
  assert.ok(old.length === 32);
  await watched(stack, keysOf(stack), () => rotateUntilItSigns(stack));
  await until('the snapshot under the new state key', async () => (await stepOf(stack)) === 'draining');
  checkBoth(stack, 'with two signing keys');
  await watched(stack, keysOf(stack), () => restart(stack, 'enclave'));
  checkBoth(stack, 'with two signing keys, after a restart of the enclave');
  await untilRetired(stack, chain, node);
  const retired = { 'the retired signing key': old };
  checkHost(stack.host.pid, { ...keysOf(stack), ...AWS, ...retired }, 'retired');
  checkEnclave(stack.enclave.pid, keysOf(stack), { ...AWS, ...retired }, 'retired');
  await restart(stack, 'enclave');
  checkEnclave(stack.enclave.pid, keysOf(stack), { ...AWS, ...retired }, 'retired, after a restart of the enclave');
  return retired;
}

async function restart(stack, name) {
  await stack[name].kill();
  stack[name].start();
  await stack.ready();
}

/** All that the host tells by HTTP. */
async function answersOf(stack) {
  const paths = ['/api/tee/status', '/api/tee/rotate-state-key', '/api/payouts', '/api/ledger/accounts', '/readyz', '/metrics'];
  const texts = await Promise.all(paths.map(async (where) => JSON.stringify((await stack.api.raw('GET', where)).body)));
  return Buffer.from(texts.join('\n'));
}

/** KMS does what it should not, and refuses: what is said about it. */
async function provokeErrors(stack) {
  for (const fault of ['plaintext', 'altered-envelope', 'not-json']) kms.faults.arm(fault, { times: 1 });
  await restart(stack, 'enclave');
  world.letIn(['ab'.repeat(48)]);
  await stack.enclave.kill();
  stack.enclave.start();
  await until('a refusal by KMS', () => /AccessDeniedException/.test(stack.host.lastRun()));
  world.letIn([world.image]);
  await stack.ready();
  await stack.api.raw('POST', '/api/tee/rotate-state-key', { key_id: 'alias/nothing' });
  await until('a refused rotation', async () => (await stack.api.get('/api/tee/rotate-state-key')).step === 'failed');
}

/** No file of the run, among them logs, records, cursor and ciphertexts, nor an answer has any of these; but a planted one is seen. */
async function checkFiles(stack, secrets) {
  const needles = needlesOf(secrets);
  const planted = path.join(stack.dataDir, 'planted');
  fs.writeFileSync(planted, Object.values(secrets).at(-1));
  assert.ok(scanFolder(stack.folder, needles).hits.length > 0);
  fs.rmSync(planted);
  const answers = path.join(stack.folder, 'answers');
  fs.writeFileSync(answers, await answersOf(stack));
  const { files, hits } = scanFolder(stack.folder, needles);
  assert.deepEqual(told(hits), [], 'in the files of the run');
  for (const name of ['host.log', 'enclave.log', 'signing.ciphertext', 'signing-1.json', 'state-1.json', 'state-2.json', 'journal.cursor'])
    assert.ok(files.some((file) => path.basename(file).startsWith(name)), `${name} is not among ${files}`);
}

const GCORE = ['/usr/bin/gcore', '/usr/local/bin/gcore'].find((file) => fs.existsSync(file));
// Runs the rest in a folder, with core dumps as large as allowed.
const withCores = (where) => ['bash', '-c', 'cd "$0" && ulimit -c "$(ulimit -Hc)" && exec "$@"', where];

/** What a debugger writes of it, with the kernel's say about what is left out. */
function checkDump(t, program, secrets) {
  if (GCORE === undefined) return t.diagnostic('there is no gcore here: no dump was looked at');
  const prefix = path.join(folder, 'dump');
  execFileSync(GCORE, ['-o', prefix, String(program.pid)], { stdio: 'pipe' });
  const dump = `${prefix}.${program.pid}`;
  const known = needlesOf({ path: program.args.join('\0') });
  assert.ok(scanFile(dump, known.filter(({ form }) => form === 'first half')).length > 0, 'what it was started with is in the dump');
  assert.deepEqual(told(scanFile(dump, needlesOf(secrets))), [], `in a dump of ${program.name}`);
  fs.rmSync(dump);
}

/** A crash leaves no core file, where one of another program is left. */
async function checkCrash(t, stack, where) {
  const other = new Program({ name: 'sleep', file: '/bin/sleep', args: ['60'], log: path.join(folder, 'sleep.log'), wrap: withCores(where) });
  const crash = async (program) => {
    program.signal('SIGABRT');
    assert.equal((await program.ended()).signal, 'SIGABRT');
    const left = fs.readdirSync(where);
    for (const name of left) fs.rmSync(path.join(where, name));
    return left;
  };
  other.start();
  await until('sleep', () => fs.readFileSync(`/proc/${other.pid}/comm`, 'utf8').trim() === 'sleep');
  if ((await crash(other)).length === 0) t.diagnostic('core dumps are not written to the working folder here, of no program');
  for (const name of ['enclave', 'host']) assert.deepEqual(await crash(stack[name]), [], `a core dump of the ${name}`);
}

test('provision, seal, sign, rotate, restart: each key only in the enclave', traced, async (t) => {
  const expires = new Date(Date.now() + 3600e3).toISOString();
  const imds = await FakeImds.start({ region: kms.store.region, credentials: { ...coffer.enclave, expires } });
  const signing = randomBytes(32);
  const key = `0x${signing.toString('hex')}`;
  const cores = fs.mkdtempSync(path.join(folder, 'cores-'));
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const options = world.stack({
    key,
    // An operator may encrypt the text: one more form to be careful with.
    ciphertext: await world.ciphertextFile(key, 'text'),
    journal: writer.file,
    host: { 'kms.credentials': 'instance' },
    hostEnv: imds.environment,
  });
  try {
    await withChain({ seed, contracts: { unlockPeriod: 1 }, ...options }, async ({ stack, chain, node, ids, credit }) => {
      for (const name of ['enclave', 'host']) stack[name].wrap = withCores(cores);
      await watched(stack, { 'the signing key': signing }, () => stack.start());
      checkBoth(stack, 'provisioned');
      for (let round = 0; round < ROUNDS; round++) {
        for (const id of ids) await credit(id, parseEther('0.1'));
        for (const id of ids) writer.credit(id, 10n ** 15n, { round });
        await stack.caughtUp();
        checkBoth(stack, 'sealed');
        await stack.payEverybody();
        checkBoth(stack, 'signed');
        await watched(stack, keysOf(stack), () => rotate(stack));
        checkBoth(stack, 'rotated');
        await watched(stack, keysOf(stack), () => restart(stack, 'enclave'));
        checkBoth(stack, 'after a restart of the enclave');
        await restart(stack, 'host');
        checkBoth(stack, 'after a restart of the host');
      }
      const retired = await rotateSigningKey({ stack, chain, node });
      const secrets = { ...keysOf(stack), ...AWS, ...retired };
      for (const program of [stack.enclave, stack.host]) checkDump(t, program, secrets);
      await provokeErrors(stack);
      checkBoth(stack, 'after refusals');
      await checkCrash(t, stack, cores);
      for (const name of ['enclave', 'host']) stack[name].start();
      await stack.ready();
      await checkFiles(stack, secrets);
    });
  } finally {
    await imds.close();
  }
});

/** Credentials where people and units leave them: {kind: {host flags, environment}}. */
function waysToCredentials() {
  const home = fs.mkdtempSync(path.join(folder, 'home-'));
  const { access_key_id: id, secret_access_key: secret, session_token: token } = coffer.enclave;
  fs.mkdirSync(path.join(home, '.aws'));
  const text = `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\naws_session_token = ${token}\n`;
  fs.writeFileSync(path.join(home, '.aws/credentials'), text, { mode: 0o600 });
  return {
    environment: [{ 'kms.credentials': 'environment' }, world.environment()],
    profile: [{ 'kms.credentials': 'profile' }, { HOME: home, AWS_REGION: kms.store.region }],
  };
}

test('credentials from the environment and from a profile, a key that KMS makes', traced, async (t) => {
  for (const [kind, [host, hostEnv]] of Object.entries(waysToCredentials())) {
    await t.test(kind, () => withStack(world.stack({ host, hostEnv }), async (stack) => {
      await stack.start();
      stack.address = openStoredKeys(kms, stack.dataDir, SIGNING_CONTEXT).address;
      assert.equal((await stack.api.status()).address, stack.address);
      await rotate(stack);
      const keys = keysOf(stack);
      checkEnclave(stack.enclave.pid, keys, AWS, 'provisioned');
      checkHost(stack.host.pid, keys, 'provisioned');
      const hits = scanProcess(stack.host.pid, needlesOf(AWS));
      // What was in the environment cannot be fetched again: it is kept, in locked memory.
      assert.equal(hits.length > 0, kind === 'environment');
      assert.deepEqual(told(open(hits)), [], "AWS's in the host's memory");
      const environment = fs.readFileSync(`/proc/${stack.host.pid}/environ`);
      assert.ok(!environment.includes(coffer.enclave.secret_access_key) && !environment.includes(coffer.enclave.session_token));
      assert.deepEqual(told(scanFolder(stack.folder, needlesOf({ ...keys, ...AWS })).hits), []);
    }));
  }
});

const PARAMS = {
  region: kms.store.region,
  aws_access_key_id: coffer.enclave.access_key_id,
  aws_secret_access_key: coffer.enclave.secret_access_key,
  aws_session_token: coffer.enclave.session_token,
};

test('the JSON protocol: requests that are refused, a key provisioned, state exported', traced, async () => {
  const signing = randomBytes(32);
  const held = { 'the signing key': signing };
  const ciphertext = (await world.encrypt(signing.toString('hex').toUpperCase())).toString('base64');
  const context = { encryption_context: SIGNING_CONTEXT };
  await withEnclave({ key: null, flags: { ...world.enclaveFlags, profile: 'signer' } }, async (enclave) => {
    const refused = async (pattern, { raw, ...params }) => {
      const connection = await JsonConnection.connect(enclave.endpoint);
      await assert.rejects(raw ? connection.send(raw).then(decodeAnswer) : connection.call('provision', params), pattern);
      connection.close();
      assert.deepEqual(told(scanProcess(enclave.program.pid, needlesOf({ ...AWS, ...held }))), [], String(pattern));
    };
    const good = { ...PARAMS, ...context, ciphertext_b64: ciphertext };
    await refused(/ciphertext_b64/, { ...good, ciphertext_b64: undefined });
    await refused(/expected_address/, { ...good, expected_address: PARAMS.aws_secret_access_key });
    await refused(/AccessDenied/, { ...good, encryption_context: {} });
    await refused(/Signature/, { ...good, aws_secret_access_key: `${PARAMS.aws_secret_access_key}x` });
    // Cut off within a string, and behind one.
    const text = JSON.stringify({ method: 'provision', params: good });
    for (const end of [text.length - 40, text.length - 1]) await refused(/not valid JSON/, { raw: Buffer.from(text.slice(0, end)) });
    assert.equal((await enclave.call('provision', good)).address, new Wallet(`0x${signing.toString('hex')}`).address);
    checkEnclave(enclave.program.pid, held, AWS, 'provisioned by JSON');
    await enclave.call('sign_message_defunct', { message_hash: `0x${'5a'.repeat(32)}` });
    await enclave.call('export_state', {});
    checkEnclave(enclave.program.pid, held, AWS, 'signed and exported');
    await assert.rejects(enclave.call('provision', good), /already provisioned/);
    checkEnclave(enclave.program.pid, held, AWS, 'refused a second time');
    assert.deepEqual(told(scanFile(enclave.program.log, needlesOf({ ...held, ...AWS }))), []);
  });
});

test('coffer provision: what it says, stores, and has in its memory while KMS is asked', traced, async () => {
  const keys = path.join(folder, 'tool-keys');
  await withEnclave({ key: null, flags: { ...world.enclaveFlags, ...POLICY } }, async (enclave) => {
    const pairs = Object.entries(SIGNING_CONTEXT).flatMap((pair) => ['--encryption-context', pair.join('=')]);
    const pinned = ['--root', world.rootFile, '--pcr0', world.image];
    const tool = new Program({
      name: 'coffer',
      args: ['provision', '--endpoint', enclave.endpoint, ...pinned, ...pairs, '--generate', '--kms-key-id', coffer.alias, '--keys', keys],
      env: world.environment(),
      log: path.join(folder, 'tool.log'),
    });
    let looked = 0;
    let hits = [];
    kms.onRequest = async () => {
      looked += 1;
      hits = hits.concat(open(scanProcess(tool.pid, needlesOf(AWS))));
    };
    try {
      assert.equal((await tool.start().ended()).code, 0, tool.text());
    } finally {
      kms.onRequest = undefined;
    }
    assert.equal(looked, 2);
    assert.deepEqual(told(hits), [], 'in the open memory of coffer provision');
    const { signing, state } = openStoredKeys(kms, folder, SIGNING_CONTEXT, 'tool-keys');
    const held = { 'the signing key': signing, 'the state key': state.get(1) };
    checkEnclave(enclave.program.pid, held, AWS, 'provisioned by the tool');
    const needles = needlesOf({ ...held, ...AWS });
    assert.deepEqual(told([...scanFile(tool.log, needles), ...scanFolder(keys, needles).hits]), []);
  });
});
