// A real enclave and the local KMS: how a key gets in, and everything that keeps it out. The enclave's key goes
// through KMS's API, over TLS that ends in the enclave, with its own attestation document.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { Wallet } from 'ethers';
import { BoundaryClient, MemoryStorage } from '../js/lib/boundary.mjs';
import { Enclave } from '../js/lib/enclave.mjs';
import { kmsClient, send } from '../js/lib/kms/client.mjs';
import { developmentImage, setUpCofferKey } from '../js/lib/kms/coffer_key.mjs';
import { TestEnclave } from '../js/lib/kms/enclave.mjs';
import { LocalKms } from '../js/lib/kms/local_kms.mjs';
import { freePort, programPath, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';

const SIGNING = { 'coffer:purpose': 'signing-key' };
const IMAGE = developmentImage(programPath('coffer-enclave'));
const folder = temporaryFolder();
const stranger = new TestEnclave();
const CA_FILE = path.join(folder, 'ca.pem');
const ROOT_KEY = path.join(folder, 'coffer-dev-root.key');
let kms;
let coffer;

test.before(async () => {
  const made = await runProgram('coffer', ['dev-root', '--out', folder]);
  assert.equal(made.code, 0, made.stderr);
  kms = await LocalKms.start({ root: fs.readFileSync(path.join(folder, 'coffer-dev-root.pem'), 'utf8') });
  fs.writeFileSync(CA_FILE, kms.authority.pem);
});
test.beforeEach(() => {
  kms.faults.clear();
  coffer = setUpCofferKey(kms, { images: [IMAGE], signingContext: SIGNING });
});
test.after(async () => {
  await kms.stop();
  stranger.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

/** Runs `body` with an enclave that has no key; `more`: flags. */
async function withKeyless(more, body) {
  const flags = {
    'insecure-dev-key': undefined, attestor: 'dev', 'dev-root': ROOT_KEY,
    'kms-endpoint-override': `tcp://127.0.0.1:${kms.port}`, 'insecure-kms-ca': CA_FILE, ...more,
  };
  const enclave = await Enclave.make({ flags });
  try {
    await enclave.start();
    await body(enclave);
  } catch (error) {
    error.message += `\n-- enclave\n${enclave.program.tail()}`;
    throw error;
  } finally {
    await enclave.close();
  }
}
const SIGNER = { profile: 'signer', storage: 'none' };
const AUTHORITY = { profile: 'authority', 'chain-id': 31337, 'ticket-broker': `0x${'b1'.repeat(20)}` };

/** What goes with every request: the instance's credentials. */
const credentials = (principal = coffer.enclave) => ({
  region: 'us-east-2',
  aws_access_key_id: principal.access_key_id,
  aws_secret_access_key: principal.secret_access_key,
  aws_session_token: principal.session_token,
});

async function encrypted(plaintext, EncryptionContext = SIGNING) {
  const input = { KeyId: coffer.alias, Plaintext: plaintext, EncryptionContext };
  const { CiphertextBlob } = await send(kmsClient(kms, coffer.operator), 'Encrypt', input);
  return Buffer.from(CiphertextBlob).toString('base64');
}

const request = async (plaintext, more) => ({
  ...credentials(), ciphertext_b64: await encrypted(plaintext), encryption_context: SIGNING, ...more,
});

test('provision: a key in each of its forms; a second one is refused', async () => {
  const key = randomBytes(32);
  const hex = key.toString('hex');
  const { address } = new Wallet(`0x${hex}`);
  for (const plaintext of [key, Buffer.from(hex), Buffer.from(`0x${hex}`), Buffer.from(`0x${hex.toUpperCase()}\n`)]) {
    await withKeyless(SIGNER, async (enclave) => {
      await assert.rejects(enclave.call('address'), { code: 'not_provisioned' });
      const answer = await enclave.call('provision', await request(plaintext, { expected_address: address }));
      assert.equal(answer.address, address);
      assert.equal((await enclave.call('address')).address, address);
      assert.deepEqual(kms.calls.at(-1), { action: 'Decrypt', arn: coffer.enclave.arn, attested: true, outcome: 'ok' });
      await assert.rejects(enclave.call('provision', await request(plaintext)), { code: 'already_provisioned' });
    });
  }
});

test('generate: a key that was never outside comes back after a restart', async () => {
  let made;
  await withKeyless(SIGNER, async (enclave) => {
    made = await enclave.call('generate', { ...credentials(), key_id: coffer.alias, key_spec: 'AES-256', encryption_context: SIGNING });
    assert.equal(made.key_id, coffer.keyId);
    assert.equal((await enclave.call('address')).address, made.address);
  });
  await withKeyless(SIGNER, async (enclave) => {
    const again = { ...credentials(), ciphertext_b64: made.ciphertext_b64, encryption_context: SIGNING, expected_address: made.address };
    assert.equal((await enclave.call('provision', again)).address, made.address);
  });
});

test('state keys: made with the first state, needed for it from then on', async () => {
  const key = randomBytes(32);
  const storage = new MemoryStorage();
  let stateKeys;
  await withKeyless(AUTHORITY, async (enclave) => {
    const answer = await enclave.call('provision', await request(key));
    stateKeys = answer.new_state_keys;
    assert.equal(stateKeys.length, 1);
    assert.equal(stateKeys[0].key_id, coffer.keyId);
    await enclave.boundary.load(storage);
  });
  assert.ok(storage.last > 0n, 'a new state is sealed');
  const start = async (state_keys, body) =>
    withKeyless(AUTHORITY, async (enclave) => {
      const provisioned = enclave.call('provision', await request(key, { state_keys }));
      await body(provisioned, await BoundaryClient.connect(enclave.endpoint));
    });
  await start(stateKeys, async (provisioned, boundary) => {
    assert.equal((await provisioned).new_state_keys, undefined);
    await boundary.load(storage);
  });
  await start(undefined, async (provisioned, boundary) => {
    await provisioned;
    await assert.rejects(boundary.load(storage));
  });
  const [first] = stateKeys;
  await start([{ ...first, tag: first.tag.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')) }], (provisioned) =>
    assert.rejects(provisioned, { code: 'state_refused' }),
  );
});

/** The key epoch in the header of something sealed (enclave_core/sealing/record.h). */
const epochOf = (sealed) => Buffer.from(sealed).readUInt32BE(5);

test('rotation of the state key: a restart before and after the new one is adopted', async () => {
  const key = randomBytes(32);
  const storage = new MemoryStorage();
  const keys = [];
  const started = (body, given = keys) =>
    withKeyless(AUTHORITY, async (enclave) => {
      const answer = await enclave.call('provision', await request(key, given.length === 0 ? {} : { state_keys: given }));
      keys.push(...(answer.new_state_keys ?? []));
      await enclave.boundary.load(storage);
      await body(enclave, async () => Number((await enclave.status()).state_key_epoch));
    });
  await started(async (enclave, epoch) => {
    keys.push(await enclave.call('rotate_state_key', credentials()));
    assert.deepEqual([...keys.map((one) => Number(one.epoch)), await epoch()], [1, 2, 1], 'made, and not in use yet');
  });
  await started(async (enclave, epoch) => {
    assert.equal(await epoch(), 2, 'what was stored is in use after a restart');
    keys.push(await enclave.call('rotate_state_key', credentials()));
    await enclave.call('adopt_state_key', { epoch: 3 });
    assert.equal(await epoch(), 3);
    await until('the snapshot under the new key', () => storage.snapshot && epochOf(storage.snapshot.chunks[0]) === 3);
  });
  await started(async (enclave, epoch) => assert.equal(await epoch(), 3));
  await started(async (enclave, epoch) => assert.equal(await epoch(), 3), keys.slice(-1));
});

// [what, how KMS or the request is made wrong, the code, what is said]
const REFUSALS = [
  ['another image', () => setUpCofferKey(kms, { images: ['ab'.repeat(48)], signingContext: SIGNING }), 'kms', /AccessDeniedException.*PCR0 is/s],
  ['a document of another root', () => (kms.options.root = stranger.root), 'kms', /ValidationException.*another root/s],
  ['a document that is too old', () => (kms.options.freshnessMs = -1), 'kms', /ValidationException.*expired/s],
  ['an expired certificate', () => kms.faults.arm('expired-certificate'), 'unavailable', /certificate has expired/],
  ["another host's certificate", () => kms.faults.arm('other-host-certificate'), 'unavailable', /another host's/],
  ["an unknown authority's certificate", () => kms.faults.arm('unknown-authority'), 'unavailable', /issuer is unknown/],
  ['a truncated TLS stream', () => kms.faults.arm('truncate'), 'unavailable', /cut/],
  ['a truncated answer', () => kms.faults.arm('truncate-cleanly'), undefined, /cut off/],
  ['no answer', () => kms.faults.arm('cut'), 'unavailable', /cut/],
  ['a plaintext in the clear', () => kms.faults.arm('plaintext'), undefined, /Plaintext/],
  ['an envelope for another key', () => kms.faults.arm('other-key'), undefined, /does not open/],
  ['an altered envelope', () => kms.faults.arm('altered-envelope'), undefined, /does not open/],
  ['throttling', () => kms.faults.arm('throttle'), 'unavailable', /ThrottlingException/],
  ['an error of KMS', () => kms.faults.arm('internal'), 'unavailable', /KMSInternalException/],
  ['no JSON', () => kms.faults.arm('not-json'), undefined, /JSON/],
  ['another secret', () => ({ aws_secret_access_key: 'x'.repeat(40) }), 'kms', /InvalidSignatureException/],
  ['another token', () => ({ aws_session_token: 'another' }), 'kms', /UnrecognizedClientException/],
  ['another encryption context', () => ({ encryption_context: { ...SIGNING, more: 'x' } }), 'kms', /InvalidCiphertextException/],
  ['another address', () => ({ expected_address: `0x${'11'.repeat(20)}` }), 'kms', /another key's ciphertext/],
];

test('no key comes in, and the error says why', async () => {
  const key = randomBytes(32);
  const before = { ...kms.options };
  await withKeyless(SIGNER, async (enclave) => {
    for (const [what, spoil, code, message] of REFUSALS) {
      const params = await request(key);
      const changed = spoil();
      const wrong = typeof changed === 'object' && !('keyId' in changed) ? changed : {};
      await assert.rejects(enclave.call('provision', { ...params, ...wrong }), (error) => {
        assert.match(error.message, message, what);
        if (code !== undefined) assert.equal(error.code, code, `${what}: ${error.message}`);
        return true;
      });
      await assert.rejects(enclave.call('address'), { code: 'not_provisioned' }, what);
      kms.faults.clear();
      kms.options = { ...before };
      setUpCofferKey(kms, { images: [IMAGE], signingContext: SIGNING });
    }
    for (const plaintext of [Buffer.from('hello'), Buffer.alloc(32), Buffer.alloc(33, 1), Buffer.from(`0x${'zz'.repeat(32)}`)]) {
      await assert.rejects(enclave.call('provision', await request(plaintext)), { code: 'kms' });
    }
    const answer = await enclave.call('provision', await request(key));
    assert.equal(answer.address, new Wallet(`0x${key.toString('hex')}`).address, 'after all that, the right one');
  });
});

/** A proxy that keeps what the enclave sends: {port, sent, stop}. */
async function recorder(to) {
  const port = await freePort();
  const sent = [];
  const server = net.createServer((client) => {
    const upstream = net.connect(to, '127.0.0.1');
    client.on('data', (bytes) => sent.push(bytes));
    client.pipe(upstream).pipe(client);
    for (const one of [client, upstream]) one.on('error', () => {});
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { port, sent, stop: () => server.close() };
}

test('the host on the way sees no secret, and what it plays again is refused', async () => {
  const key = randomBytes(32);
  const proxy = await recorder(kms.port);
  try {
    await withKeyless({ ...SIGNER, 'kms-endpoint-override': `tcp://127.0.0.1:${proxy.port}` }, async (enclave) => {
      const params = await request(key);
      await enclave.call('provision', params);
      const seen = Buffer.concat(proxy.sent);
      assert.ok(seen.length > 1000);
      for (const secret of [params.aws_secret_access_key, params.aws_session_token, 'TrentService']) assert.ok(!seen.includes(secret));
      const calls = kms.calls.length;
      const again = net.connect(kms.port, '127.0.0.1', () => again.write(seen));
      await new Promise((resolve) => again.on('close', resolve).on('error', () => {}).on('data', () => {}));
      assert.equal(kms.calls.length, calls, 'a TLS connection that is played again asks for nothing');
      const log = enclave.program.text();
      const forms = [key.toString('hex'), key.toString('base64'), params.aws_secret_access_key, params.aws_session_token];
      for (const secret of forms) assert.ok(!log.includes(secret), 'a secret is in the log');
    });
  } finally {
    proxy.stop();
  }
});

test('a host that ends the enclave at KMS leaves nothing behind', async () => {
  const key = randomBytes(32);
  for (const when of ['onRequest', 'onAnswer']) {
    await withKeyless(SIGNER, async (enclave) => {
      kms[when] = () => enclave.program.kill();
      await assert.rejects(enclave.call('provision', await request(key)));
      kms[when] = undefined;
      await until('its end', () => !enclave.program.running);
      await enclave.start();
      await assert.rejects(enclave.call('address'), { code: 'not_provisioned' });
      assert.ok((await enclave.call('provision', await request(key))).address);
    });
  }
});
