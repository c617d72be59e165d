// `coffer provision` and the old clients' provision and generate, with real processes: the key goes to the enclave
// whose attestation was verified, and to another one nothing is sent that would be worth having.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { Wallet } from 'ethers';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { BROKER, CHAIN_ID, POLICY, withEnclave } from '../js/lib/enclave.mjs';
import { kmsClient, send } from '../js/lib/kms/client.mjs';
import { developmentImage } from '../js/lib/kms/coffer_key.mjs';
import { SIGNING_CONTEXT, useKmsWorld } from '../js/lib/kms/world.mjs';
import { programPath, runProgram, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';
import { Recorder } from '../js/lib/recorder.mjs';

const PATIENCE_MS = 90_000; // on a machine that does much else
const RECIPIENTS = makeRecipients(testSeed('kms_provision'), 1);
const [ID] = Object.keys(RECIPIENTS);
const world = await useKmsWorld(test);
const { coffer } = world;
const newKey = () => `0x${randomBytes(32).toString('hex')}`;
const CONTEXT = Object.entries(SIGNING_CONTEXT).map((pair) => pair.join('=')).join();

/** Runs `coffer provision` with the instance's credentials: {code, stdout, stderr}. */
function provision(endpoint, args) {
  const all = ['--endpoint', endpoint, '--credentials', 'environment', '--encryption-context', CONTEXT, ...args];
  return runProgram('coffer', ['provision', ...all], { env: world.environment(), timeoutMs: 60_000 });
}

const EVERYTHING = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
const pinned = () => ['--root', world.rootFile, '--pcr0', world.image];
const noSecretIn = (run) => {
  for (const secret of [coffer.enclave.secret_access_key, coffer.enclave.session_token]) {
    assert.ok(!(run.stdout + run.stderr).includes(secret));
  }
};

/** An enclave that waits for its key, and a relay before it that records what it is sent. */
async function withWaiting(options, body) {
  const { flags = {}, ...rest } = options;
  await withEnclave({ key: null, ...rest, flags: { ...world.enclaveFlags, ...POLICY, ...flags } }, async (enclave) => {
    const recorder = await Recorder.start(path.join(enclave.folder, 'recorder.sock'), enclave.endpoint);
    try {
      await body(enclave, recorder);
    } finally {
      await recorder.close();
    }
  });
}

const has = (bytes, text) => bytes.includes(Buffer.from(text));

test('the attested enclave gets its key, and another one is sent nothing', async () => {
  const key = newKey();
  const address = new Wallet(key).address;
  const file = await world.ciphertextFile(key);
  const ciphertext = fs.readFileSync(file);
  const otherRoot = path.join(world.folder, 'other-root');
  assert.equal((await runProgram('coffer', ['dev-root', '--out', otherRoot])).code, 0);
  await withWaiting({}, async (enclave, recorder) => {
    const keys = path.join(enclave.folder, 'keys');
    const run = (...args) => provision(recorder.endpoint, ['--ciphertext-file', file, '--keys', keys, ...args]);
    const before = world.calls.length;
    for (const [what, args] of Object.entries({
      'another image': ['--root', world.rootFile, '--pcr0', 'c0'.repeat(48)],
      'another root': ['--root', path.join(otherRoot, 'coffer-dev-root.pem'), '--pcr0', world.image],
      'the root of AWS, for a development document': ['--pcr0', world.image],
      'no image is pinned': ['--root', world.rootFile],
      'nothing is pinned': [],
    })) {
      recorder.forget();
      const refused = await run(...args);
      assert.equal(refused.code, 1, `${what}: ${refused.stderr}`);
      assert.match(refused.stderr, /the enclave is not the one that is meant, as far as can be told: it was sent nothing/, what);
      noSecretIn(refused);
      const { sent } = recorder;
      assert.ok(sent.length > 0, 'it was asked for its document');
      for (const secret of [coffer.enclave.access_key_id, coffer.enclave.secret_access_key, coffer.enclave.session_token, ciphertext]) {
        assert.ok(!has(sent, secret), what);
      }
      assert.equal((await enclave.status()).phase, 'PHASE_UNPROVISIONED');
      assert.equal(world.calls.length, before, what);
    }

    recorder.forget();
    const shown = await run(...pinned(), '--dry-run', '--expected-address', address);
    assert.equal(shown.code, 0, shown.stderr);
    noSecretIn(shown);
    assert.match(shown.stdout, /secret access key: \(set, masked\)\nsession token: \(set, masked\)/);
    assert.match(shown.stdout, new RegExp(`ciphertext: ${ciphertext.length} bytes, sha256 `));
    assert.ok(!shown.stdout.includes(coffer.enclave.access_key_id), 'the access key id is masked, too');
    assert.ok(!has(recorder.sent, coffer.enclave.secret_access_key));
    assert.equal(world.calls.length, before);

    const wrong = await run(...pinned(), '--expected-address', new Wallet(newKey()).address);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, new RegExp(`the ciphertext holds the key of ${address}, and that of 0x[0-9a-fA-F]{40} is expected`));
    assert.equal((await enclave.status()).phase, 'PHASE_UNPROVISIONED');

    recorder.forget();
    const right = await run(...pinned(), '--expected-address', address);
    assert.equal(right.code, 0, right.stderr);
    assert.equal(right.stdout, `${address}\n`);
    noSecretIn(right);
    assert.ok(has(recorder.sent, coffer.enclave.secret_access_key), 'what is looked for above is found when it is sent');
    assert.equal(`0x${(await enclave.status()).address.toString('hex')}`, address.toLowerCase());
    assert.deepEqual(fs.readdirSync(keys).filter((name) => name !== 'LOCK').sort(), ['signing.ciphertext', 'signing.json', 'state-1.json']);

    const again = await run(...pinned());
    assert.equal(again.code, 1);
    assert.match(again.stderr, new RegExp(`the enclave has a key already: ${address}`));
  });
});

test('an enclave that nothing attests does not wait for a key', async () => {
  const flags = { attestor: 'none', 'kms-endpoint-override': world.enclaveFlags['kms-endpoint-override'] };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const listen = `unix://${path.join(world.folder, 'unattested.sock')}`;
  const run = await runProgram('coffer-enclave', ['--profile', 'signer', '--listen', listen, ...args]);
  assert.equal(run.code, 2);
  assert.match(run.stderr, /no key can be had here: KMS gives one only to an enclave that attests what it is/);
});

test('an altered enclave is sent nothing', async () => {
  const altered = path.join(world.folder, 'altered');
  fs.copyFileSync(programPath('coffer-enclave'), altered);
  fs.appendFileSync(altered, '\0');
  assert.notEqual(developmentImage(altered), world.image);
  const file = await world.ciphertextFile(newKey());
  await withWaiting({ flags: { profile: 'signer' }, file: altered }, async (enclave, recorder) => {
    const before = world.calls.length;
    const refused = await provision(recorder.endpoint, ['--ciphertext-file', file, ...pinned()]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /it was sent nothing/);
    assert.ok(!has(recorder.sent, coffer.enclave.access_key_id));
    assert.equal(world.calls.length, before);
    // Whoever looks away sends it, and KMS still looks: the key stays shut.
    const forced = await provision(recorder.endpoint, ['--ciphertext-file', file, '--insecure-skip-attestation']);
    assert.equal(forced.code, 1);
    assert.match(forced.stderr, /INSECURE/);
    assert.match(forced.stderr, /AccessDeniedException: .*PCR0 is /);
    assert.equal((await enclave.status()).phase, 'PHASE_UNPROVISIONED');
  });
});

test('a key that KMS generates, by hand; then the host has its state loaded, and needs a hand again', async () => {
  const options = world.stack({ recipients: RECIPIENTS, host: { 'kms.provision': undefined, 'kms.generate-key-id': undefined } });
  await withStack(options, async (stack) => {
    const keys = path.join(stack.dataDir, 'keys');
    const reason = (pattern) => until(`not ready because of ${pattern}`, async () => {
      const { body } = await stack.api.raw('GET', '/readyz');
      return body.reasons.some((one) => pattern.test(one));
    }, { timeoutMs: PATIENCE_MS });
    const waiting = () => until('the enclave', () => fs.existsSync(stack.endpoint.slice('unix://'.length)));
    stack.enclave.start();
    await waiting();
    fs.mkdirSync(stack.dataDir);
    const made = await provision(stack.endpoint, ['--generate', '--kms-key-id', coffer.alias, '--keys', keys, ...pinned()]);
    assert.equal(made.code, 0, made.stderr);
    const address = made.stdout.trim();
    stack.host.start();
    await stack.ready(PATIENCE_MS);
    assert.equal((await stack.api.status()).address, address);
    await stack.api.credit([{ id: 'kept', account: ID, amount_wei: '7' }]);

    await stack.enclave.kill();
    stack.enclave.start();
    await reason(/not_asked: the enclave has no key: let this host give it one \(--kms\.provision\), or run coffer provision/);
    const busy = await provision(stack.endpoint, ['--keys', keys, ...pinned()]);
    assert.notEqual(busy.code, 0, 'the host has the folder');
    assert.equal(busy.stdout, '');
    await stack.host.stop();
    const again = await provision(stack.endpoint, ['--keys', keys, ...pinned()]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.stdout, made.stdout);
    stack.host.start();
    await stack.ready(PATIENCE_MS);
    assert.equal((await stack.api.accounts()).get(ID).available, 7n);
  });
});

/** What an old client sends with provision and generate. */
const credentials = () => ({
  region: world.kms.store.region,
  aws_access_key_id: coffer.enclave.access_key_id,
  aws_secret_access_key: coffer.enclave.secret_access_key,
  aws_session_token: coffer.enclave.session_token,
});

test('old clients: provision, the second of which is refused, and what the signer then does', async () => {
  const key = newKey();
  const address = new Wallet(key).address;
  const params = { ...credentials(), ciphertext_b64: (await world.encrypt(key)).toString('base64'), encryption_context: SIGNING_CONTEXT };
  const policy = { chain_id: CHAIN_ID, ticket_broker: BROKER, max_face_value_wei: 10n ** 18n };
  const flags = { profile: 'signer', 'chain-id': undefined, 'ticket-broker': undefined };
  await withWaiting({ flags }, async (enclave) => {
    await assert.rejects(enclave.call('address'), { code: 'not_provisioned', message: /^signer not provisioned/ });
    assert.equal((await enclave.call('status')).provisioned, false);
    const wrong = { ...params, aws_secret_access_key: 'not-the-secret' };
    await assert.rejects(enclave.call('provision', wrong), { code: 'kms', message: /InvalidSignatureException/ });
    await assert.rejects(enclave.call('provision', { ...params, expected_address: BROKER }), { code: 'kms', message: /another key's ciphertext/ });
    const other = { ...params, encryption_context: { 'coffer:purpose': 'another' } };
    await assert.rejects(enclave.call('provision', other), { code: 'kms', message: /AccessDeniedException/ });
    assert.deepEqual(await enclave.call('provision', { ...params, ...policy, expected_address: address }), { address });
    assert.deepEqual(await enclave.call('address'), { address });
    assert.equal((await enclave.call('status')).provisioned, true);
    const before = world.calls.length;
    for (const method of ['provision', 'generate']) {
      const again = { ...params, key_id: coffer.alias };
      await assert.rejects(enclave.call(method, again), { code: 'already_provisioned' });
    }
    assert.equal(world.calls.length, before);
    assert.ok(!enclave.program.text().includes(coffer.enclave.secret_access_key));
  });
});

test('old clients: generate, and the same key from its ciphertext in the next enclave', async () => {
  const params = { ...credentials(), encryption_context: SIGNING_CONTEXT };
  await withWaiting({ flags: { profile: 'signer' } }, async (enclave) => {
    const made = await enclave.call('generate', { ...params, key_id: coffer.alias, key_spec: 'AES-256' });
    assert.deepEqual(Object.keys(made).sort(), ['address', 'ciphertext_b64', 'key_id', 'key_spec']);
    assert.equal(made.key_id, coffer.keyId);
    const blob = await enclave.call('export_state');
    await enclave.restart();
    const provisioned = await enclave.call('provision', { ...params, ciphertext_b64: made.ciphertext_b64 });
    assert.equal(provisioned.address, made.address);
    assert.equal((await enclave.call('load_state', { blob_b64: blob.blob_b64 })).ok, true);
  });
});

test('state keys: given back they open the state, and one of the host\'s own making is refused', async () => {
  const key = newKey();
  const params = { ...credentials(), ciphertext_b64: (await world.encrypt(key)).toString('base64'), encryption_context: SIGNING_CONTEXT };
  await withWaiting({ storage: true }, async (enclave) => {
    const { address, new_state_keys: made } = await enclave.call('provision', params);
    assert.deepEqual(made.map(({ epoch }) => epoch), [1n]);
    await enclave.boundary.load(enclave.storage);
    const event = { event_id: 'kept', orchestrator_id: ID, recipient: RECIPIENTS[ID], amount_wei: 7n };
    await enclave.call('credit', event);
    await enclave.restart();

    // A host whose account lets it use another KMS key has bytes that it knows encrypted, with the right context. Under
    // Coffer's own key not even the operator can do that.
    coffer.enclave.policies.push(EVERYTHING);
    const context = { 'coffer:purpose': 'state-key', 'coffer:address': address.toLowerCase(), 'coffer:epoch': '1' };
    const input = { Plaintext: Buffer.alloc(32, 7), EncryptionContext: context };
    const encrypt = (who, KeyId) => send(kmsClient(world.kms, who), 'Encrypt', { ...input, KeyId });
    for (const who of [coffer.operator, coffer.enclave]) await assert.rejects(encrypt(who, coffer.keyId), { name: 'AccessDeniedException' });
    const own = await encrypt(coffer.enclave, world.kms.createKey());
    const forged = { ...made[0], ciphertext_b64: Buffer.from(own.CiphertextBlob).toString('base64'), key_id: own.KeyId };
    for (const [state_keys, code] of [
      [[forged], 'state_refused'],
      [[{ ...made[0], tag: `0x${'ab'.repeat(32)}` }], 'state_refused'],
      [[{ ...made[0], epoch: 2n }], 'kms'],
    ]) {
      await assert.rejects(enclave.call('provision', { ...params, state_keys }), (error) => {
        assert.equal(error.code, code, error.message);
        return true;
      });
      assert.equal((await enclave.status()).phase, 'PHASE_UNPROVISIONED');
    }
    coffer.enclave.policies.pop();
    assert.deepEqual(await enclave.call('provision', { ...params, state_keys: made }), { address });
    await enclave.boundary.load(enclave.storage);
    assert.equal((await enclave.call('balance', { orchestrator_id: ID })).balance_wei, 7n);
    await assert.rejects(enclave.call('provision', { ...params, state_keys: made }), { code: 'already_provisioned' });
  });
});
