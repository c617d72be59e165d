// The local KMS, held to the real client's reading of the protocol: the AWS SDK for JavaScript speaks to it, and
// what it encrypts to an enclave is opened by node's crypto and by openssl.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentialsOf, kmsClient, send } from '../lib/kms/client.mjs';
import { TestEnclave, readBer } from '../lib/kms/enclave.mjs';
import { LocalKms } from '../lib/kms/local_kms.mjs';
import { temporaryFolder } from '../lib/program.mjs';

const ACCOUNT = 'arn:aws:iam::111122223333';
const SESSION = 'arn:aws:sts::111122223333:assumed-role/enclave/i-0123456789abcdef0';
const IMAGE = 'a1'.repeat(48);
const SECRET = Buffer.from('0123456789abcdef0123456789abcdef');

const allow = (principal, actions, Condition) => ({
  Effect: 'Allow', Principal: { AWS: principal }, Action: actions, Resource: '*', ...(Condition ? { Condition } : {}),
});
const POLICY = {
  Version: '2012-10-17',
  Statement: [
    allow(`${ACCOUNT}:role/admin`, ['kms:PutKeyPolicy', 'kms:GetKeyPolicy', 'kms:DescribeKey']),
    allow(`${ACCOUNT}:user/clear`, ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey']),
    allow(`${ACCOUNT}:role/enclave`, ['kms:Decrypt', 'kms:GenerateDataKey'], {
      StringEqualsIgnoreCase: { 'kms:RecipientAttestation:ImageSha384': IMAGE.toUpperCase() },
    }),
  ],
};
const MAY_GENERATE_RANDOM = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['kms:GenerateRandom', 'kms:CreateKey'], Resource: '*' }],
};

const enclave = new TestEnclave();
const kms = await LocalKms.start({ root: enclave.root });
const people = {
  admin: kms.addPrincipal(`${ACCOUNT}:role/admin`),
  clear: kms.addPrincipal(`${ACCOUNT}:user/clear`, { policies: [MAY_GENERATE_RANDOM] }),
  enclave: kms.addPrincipal(SESSION, { temporary: true, policies: [MAY_GENERATE_RANDOM] }),
};
const KeyId = kms.createKey({ policy: POLICY, alias: 'alias/coffer' });
test.after(async () => {
  await kms.stop();
  enclave.close();
});

const as = Object.fromEntries(Object.entries(people).map(([name, one]) => [name, kmsClient(kms, one)]));
const refused = (promise, name, message = /./s) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.name, name, `${error.name}: ${error.message}`);
    assert.match(`${error.message} `, message);
    return true;
  });
const ciphertextOf = async (Plaintext, EncryptionContext) =>
  (await send(as.clear, 'Encrypt', { KeyId, Plaintext, EncryptionContext })).CiphertextBlob;

test.afterEach(() => kms.faults.clear());

test('Encrypt, Decrypt, GenerateDataKey, GenerateRandom in the clear', async () => {
  const encrypted = await send(as.clear, 'Encrypt', { KeyId: 'alias/coffer', Plaintext: SECRET });
  assert.equal(encrypted.KeyId, KeyId);
  assert.equal(encrypted.EncryptionAlgorithm, 'SYMMETRIC_DEFAULT');
  assert.ok(!Buffer.from(encrypted.CiphertextBlob).includes(SECRET.subarray(0, 8)));
  const opened = await send(as.clear, 'Decrypt', { CiphertextBlob: encrypted.CiphertextBlob });
  assert.deepEqual(Buffer.from(opened.Plaintext), SECRET);
  assert.equal(opened.KeyId, KeyId);
  assert.equal(opened.CiphertextForRecipient, undefined);
  assert.match(opened.KeyMaterialId, /^[0-9a-f]{64}$/);
  for (const [input, size] of [[{ KeySpec: 'AES_256' }, 32], [{ KeySpec: 'AES_128' }, 16], [{ NumberOfBytes: 1024 }, 1024]]) {
    const made = await send(as.clear, 'GenerateDataKey', { KeyId, ...input });
    assert.equal(made.Plaintext.length, size);
    const again = await send(as.clear, 'Decrypt', { CiphertextBlob: made.CiphertextBlob, KeyId });
    assert.deepEqual(again.Plaintext, made.Plaintext);
  }
  const [one, two] = await Promise.all([1, 2].map(() => send(as.clear, 'GenerateRandom', { NumberOfBytes: 24 })));
  assert.equal(one.Plaintext.length, 24);
  assert.notDeepEqual(one.Plaintext, two.Plaintext);
});

test('with a Recipient the plaintext is for the enclave alone', async () => {
  const recipient = () => enclave.recipient({ pcrs: { 0: IMAGE } });
  const CiphertextBlob = await ciphertextOf(SECRET);
  const opened = await send(as.enclave, 'Decrypt', { CiphertextBlob, Recipient: recipient() });
  assert.deepEqual([opened.Plaintext, opened.KeyMaterialId], [undefined, undefined]);
  assert.deepEqual(enclave.open(opened.CiphertextForRecipient), SECRET);
  assert.deepEqual(enclave.openWithOpenssl(opened.CiphertextForRecipient), SECRET);

  const made = await send(as.enclave, 'GenerateDataKey', { KeyId, KeySpec: 'AES_256', Recipient: recipient() });
  const plaintext = (await send(as.clear, 'Decrypt', { CiphertextBlob: made.CiphertextBlob })).Plaintext;
  assert.equal(made.Plaintext, undefined);
  assert.deepEqual(enclave.open(made.CiphertextForRecipient), Buffer.from(plaintext));

  const random = await send(as.enclave, 'GenerateRandom', { NumberOfBytes: 1024, Recipient: recipient() });
  assert.equal(random.Plaintext, undefined);
  assert.equal(enclave.openWithOpenssl(random.CiphertextForRecipient).length, 1024);
});

test('the envelope is BER with indefinite lengths, one recipient with a key identifier, OAEP and AES-256-CBC', async () => {
  const { CiphertextForRecipient: bytes } = await send(as.enclave, 'GenerateRandom', { NumberOfBytes: 1024, Recipient: enclave.recipient() });
  const [contentInfo] = readBer(Buffer.from(bytes));
  const [type, explicit] = contentInfo.children;
  const [version, recipients, encrypted] = explicit.children[0].children;
  for (const one of [contentInfo, explicit, explicit.children[0], encrypted, encrypted.children[2]]) assert.ok(one.indefinite);
  assert.equal(type.content.toString('hex'), '2a864886f70d010703');
  assert.deepEqual([...version.content], [2]);
  assert.equal(recipients.children.length, 1);
  const [recipientVersion, identifier, algorithm, key] = recipients.children[0].children;
  assert.deepEqual([...recipientVersion.content], [2]);
  assert.equal(identifier.tag, 0x80);
  assert.equal(algorithm.children[0].content.toString('hex'), '2a864886f70d010107');
  assert.equal(key.content.length, 256);
  assert.equal(encrypted.children[1].children[0].content.toString('hex'), '60864801650304012a');
  assert.ok(encrypted.children[2].children.length > 1, 'long contents come in pieces');
});

test('an encryption context has to be the same, in any order', async () => {
  const CiphertextBlob = await ciphertextOf(SECRET, { purpose: 'signing', at: 'a' });
  const open = (EncryptionContext) => send(as.clear, 'Decrypt', { CiphertextBlob, EncryptionContext });
  assert.deepEqual(Buffer.from((await open({ at: 'a', purpose: 'signing' })).Plaintext), SECRET);
  const wrong = [
    ...[undefined, {}, { purpose: 'signing' }, { purpose: 'signing', at: 'b' }, { purpose: 'signinga', t: '' }],
    ...[{ purpose: 'signing', at: 'a', more: 'b' }, { Purpose: 'signing', at: 'a' }],
  ];
  for (const context of wrong) await refused(open(context), 'InvalidCiphertextException');
});

test('altered ciphertexts do not open', async () => {
  const blob = Buffer.from(await ciphertextOf(SECRET));
  const open = (CiphertextBlob) => send(as.clear, 'Decrypt', { CiphertextBlob });
  for (let i = 0; i < blob.length; i += 7) {
    const altered = Buffer.from(blob);
    altered[i] ^= 1;
    await refused(open(altered), 'InvalidCiphertextException');
  }
  await refused(open(blob.subarray(0, -1)), 'InvalidCiphertextException');
  await refused(open(blob.subarray(0, 20)), 'InvalidCiphertextException');
  const other = kms.createKey({ policy: POLICY });
  await refused(send(as.clear, 'Decrypt', { CiphertextBlob: blob, KeyId: other }), 'IncorrectKeyException');
});

test('credentials: the wrong ones are refused, each with its name', async () => {
  const input = { NumberOfBytes: 8 };
  const good = credentialsOf(people.enclave);
  const random = (credentials, options) => send(kmsClient(kms, undefined, { credentials, ...options }), 'GenerateRandom', input);
  assert.equal((await random(good)).Plaintext.length, 8);
  await refused(random({ ...good, secretAccessKey: 'x'.repeat(40) }), 'InvalidSignatureException', /does not match/);
  await refused(random({ ...good, accessKeyId: 'AKIAAAAAAAAAAAAAAAAA' }), 'UnrecognizedClientException');
  await refused(random({ ...good, sessionToken: 'another' }), 'UnrecognizedClientException');
  await refused(random({ ...good, sessionToken: undefined }), 'UnrecognizedClientException');
  await refused(random(good, { region: 'eu-west-1' }), 'InvalidSignatureException', /region/);
  const [late, early] = [-6, 6].map((minutes) => ({ systemClockOffset: minutes * 60e3 }));
  await refused(random(good, late), 'InvalidSignatureException', /Signature expired/);
  await refused(random(good, early), 'InvalidSignatureException', /not yet current/);
  const gone = kms.addPrincipal(SESSION, { temporary: true });
  gone.expires = new Date(Date.now() - 1000).toISOString();
  await refused(random(credentialsOf(gone)), 'ExpiredTokenException');
});

/** One request as the SDK signs it, to be sent by hand: {headers, body}. */
async function signedRequest(principal, name, input) {
  let caught;
  const requestHandler = { handle: async ({ headers, body }) => Promise.reject((caught = { headers, body })) };
  await send(kmsClient(kms, principal, { requestHandler }), name, input).catch(() => {});
  return caught;
}

function post({ headers, body }, { to = kms, method = 'POST', path: where = '/' } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(
      { host: '127.0.0.1', port: to.port, path: where, method, headers, ca: to.authority.pem, servername: to.hostName, agent: false },
      (response) => {
        let text = '';
        response.on('data', (data) => (text += data));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, body: text === '' ? undefined : JSON.parse(text) }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

test('a signature is for these bytes and these headers', async () => {
  const signed = await signedRequest(people.clear, 'GenerateRandom', { NumberOfBytes: 8 });
  assert.equal((await post(signed)).status, 200);
  const without = (name) => Object.fromEntries(Object.entries(signed.headers).filter(([one]) => one !== name));
  const type = async (request, options) => (await post(request, options)).body.__type;
  assert.equal(await type({ ...signed, body: '{"NumberOfBytes":9}' }), 'InvalidSignatureException');
  assert.equal(await type({ ...signed, headers: { ...signed.headers, 'x-amz-target': 'TrentService.Decrypt' } }), 'InvalidSignatureException');
  assert.equal(await type({ ...signed, headers: { ...signed.headers, 'x-amz-extra': '1' } }), 'InvalidSignatureException');
  assert.equal(await type({ ...signed, headers: without('authorization') }), 'MissingAuthenticationTokenException');
  assert.equal(await type({ ...signed, headers: { ...signed.headers, authorization: 'Bearer 1' } }), 'IncompleteSignatureException');
  assert.equal(await type(signed, { path: '/other' }), 'UnknownOperationException');
});

test('a replayed request is refused only where that was asked for', async () => {
  const strict = await LocalKms.start({ refuseReplays: true });
  try {
    const principal = strict.addPrincipal(SESSION, { policies: [MAY_GENERATE_RANDOM] });
    const signed = await signedRequest(principal, 'GenerateRandom', { NumberOfBytes: 8 });
    assert.equal((await post(signed, { to: strict })).status, 200);
    const again = await post(signed, { to: strict });
    assert.equal(again.status, 400);
    assert.match(again.body.message, /replay/);
  } finally {
    await strict.stop();
  }
  const signed = await signedRequest(people.clear, 'GenerateRandom', { NumberOfBytes: 8 });
  assert.deepEqual([(await post(signed)).status, (await post(signed)).status], [200, 200]);
});

test('the policy decides: image, Recipient, role, action', async () => {
  const CiphertextBlob = await ciphertextOf(SECRET);
  const decrypt = (who, Recipient) => send(who, 'Decrypt', { CiphertextBlob, Recipient });
  const right = { pcrs: { 0: IMAGE } };
  assert.ok((await decrypt(as.enclave, enclave.recipient(right))).CiphertextForRecipient);
  await refused(decrypt(as.enclave), 'AccessDeniedException', /has no Recipient/);
  await refused(decrypt(as.enclave, enclave.recipient({ pcrs: { 0: 'a2'.repeat(48) } })), 'AccessDeniedException', /PCR0 is a2a2/);
  await refused(decrypt(as.enclave, enclave.recipient({ pcrs: { 0: '00'.repeat(48) } })), 'AccessDeniedException', /debug mode/);
  await refused(decrypt(as.admin, enclave.recipient(right)), 'AccessDeniedException');
  await refused(send(as.admin, 'Encrypt', { KeyId, Plaintext: SECRET }), 'AccessDeniedException', /kms:Encrypt/);
  await refused(send(as.enclave, 'Encrypt', { KeyId, Plaintext: SECRET }), 'AccessDeniedException');
  await refused(send(as.admin, 'GenerateRandom', { NumberOfBytes: 8 }), 'AccessDeniedException');
});

test('attestation documents: each way in which one can be wrong', async () => {
  const open = async (Recipient, name, message) =>
    refused(send(as.enclave, 'GenerateRandom', { NumberOfBytes: 8, Recipient }), name, message);
  const stranger = new TestEnclave();
  const small = new TestEnclave({ chain: enclave.chain, modulusLength: 1024 });
  const large = new TestEnclave({ chain: enclave.chain, modulusLength: 3072 });
  test.after(() => [stranger, small, large].forEach((one) => one.close()));
  const flipped = enclave.recipient();
  flipped.AttestationDocument[200] ^= 1;
  const cases = [
    [stranger.recipient(), /another root/],
    [flipped, /not accepted/],
    [{ ...enclave.recipient(), AttestationDocument: Buffer.from('hello') }, /not accepted/],
    [enclave.recipient({ at: Date.now() + 2 * 60e3 }), /from the future/],
    [enclave.recipient({ change: (fields) => fields.set('public_key', null) }), /no public key/],
    [enclave.recipient({ publicKey: Buffer.from('key') }), /SubjectPublicKeyInfo/],
    [small.recipient(), /2048 bits/],
    [large.recipient(), /2048 bits/],
    [{ ...enclave.recipient(), KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, /RSAES_OAEP_SHA_256/],
    [enclave.recipient({ change: (fields) => fields.get('pcrs').delete(0) }), undefined],
  ];
  for (const [recipient, message] of cases) {
    if (message !== undefined) await open(recipient, 'ValidationException', message);
    else await open(recipient, 'AccessDeniedException', /debug mode/);
  }
});

test('a document that is not fresh is refused', async () => {
  const impatient = await LocalKms.start({ root: enclave.root, freshnessMs: 200 });
  const principal = impatient.addPrincipal(SESSION, { policies: [MAY_GENERATE_RANDOM] });
  const who = kmsClient(impatient, principal);
  const Recipient = enclave.recipient();
  try {
    assert.ok((await send(who, 'GenerateRandom', { NumberOfBytes: 8, Recipient: enclave.recipient() })).CiphertextForRecipient);
    await sleep(300);
    await refused(send(who, 'GenerateRandom', { NumberOfBytes: 8, Recipient }), 'ValidationException', /has expired/);
  } finally {
    await impatient.stop();
  }
});

test('keys: made, described, their policy read and replaced', async () => {
  const described = (await send(as.admin, 'DescribeKey', { KeyId: 'alias/coffer' })).KeyMetadata;
  assert.deepEqual([described.Arn, described.KeyState, described.KeySpec], [KeyId, 'Enabled', 'SYMMETRIC_DEFAULT']);
  assert.ok(Math.abs(described.CreationDate - Date.now()) < 600e3);
  const { Policy } = await send(as.admin, 'GetKeyPolicy', { KeyId });
  assert.deepEqual(JSON.parse(Policy), POLICY);
  await refused(send(as.admin, 'PutKeyPolicy', { KeyId, Policy: '{' }), 'MalformedPolicyDocumentException');
  const locked = { ...POLICY, Statement: POLICY.Statement.slice(1) };
  await refused(send(as.admin, 'PutKeyPolicy', { KeyId, Policy: JSON.stringify(locked) }), 'MalformedPolicyDocumentException', /update the key policy/);
  const made = await send(as.clear, 'CreateKey', { Policy: JSON.stringify(POLICY), BypassPolicyLockoutSafetyCheck: true });
  await send(as.admin, 'PutKeyPolicy', { KeyId: made.KeyMetadata.KeyId, Policy: JSON.stringify({ ...POLICY, Statement: [POLICY.Statement[0]] }) });
  await refused(send(as.clear, 'Encrypt', { KeyId: made.KeyMetadata.KeyId, Plaintext: SECRET }), 'AccessDeniedException');
  await refused(send(as.admin, 'DescribeKey', { KeyId: 'alias/none' }), 'NotFoundException');
  await refused(send(as.admin, 'ListKeys', {}), 'UnknownOperationException');
});

test('the keys are in the file, of mode 0600, and open old ciphertexts after a restart', async () => {
  const folder = temporaryFolder();
  const state = path.join(folder, 'kms.json');
  const first = await LocalKms.start({ state });
  const user = first.addPrincipal(`${ACCOUNT}:user/clear`);
  const key = first.createKey({ policy: POLICY, alias: 'alias/kept' });
  const { CiphertextBlob } = await send(kmsClient(first, user), 'Encrypt', { KeyId: key, Plaintext: SECRET });
  await first.stop();
  assert.equal(fs.statSync(state).mode & 0o777, 0o600);
  const second = await LocalKms.start({ state });
  const opened = await send(kmsClient(second, user, { ca: first.authority.pem }), 'Decrypt', { CiphertextBlob, KeyId: 'alias/kept' });
  assert.deepEqual(Buffer.from(opened.Plaintext), SECRET);
  await second.stop();
  assert.throws(() => new LocalKms({ state, region: 'eu-west-1' }), /not of/);
  fs.rmSync(folder, { recursive: true });
});

test('faults of the connection: the client learns which', async () => {
  const random = () => send(as.enclave, 'GenerateRandom', { NumberOfBytes: 8 });
  const expected = {
    'expired-certificate': /certificate has expired/,
    'other-host-certificate': /Hostname\/IP does not match/,
    'unknown-authority': /unable to verify|unable to get local issuer/,
    cut: /socket hang up|ECONNRESET/,
    truncate: /aborted|ECONNRESET|socket hang up/,
    'truncate-cleanly': /aborted|ECONNRESET|socket hang up/,
  };
  for (const [name, message] of Object.entries(expected)) {
    kms.faults.clear();
    kms.faults.arm(name);
    await assert.rejects(random(), message, name);
  }
  kms.faults.clear();
  assert.equal((await random()).Plaintext.length, 8);
});

test('faults of the answer', async () => {
  const random = (options) => send(kmsClient(kms, people.enclave, options), 'GenerateRandom', { NumberOfBytes: 8, Recipient: enclave.recipient() });
  kms.faults.armAll('throttle:1');
  await refused(random(), 'ThrottlingException', /Rate exceeded/);
  assert.ok((await random()).CiphertextForRecipient);
  kms.faults.armAll('internal:2');
  assert.ok((await random({ maxAttempts: 3 })).CiphertextForRecipient, 'the SDK tries again by itself');
  kms.faults.armAll('plaintext:1');
  const clear = await random();
  assert.deepEqual([clear.Plaintext.length, clear.CiphertextForRecipient], [8, undefined]);
  kms.faults.armAll('null-plaintext:1');
  const raw = await post(await signedRequest(people.enclave, 'GenerateRandom', { NumberOfBytes: 8, Recipient: enclave.recipient() }));
  assert.equal(raw.body.Plaintext, null);
  assert.equal(enclave.open(Buffer.from(raw.body.CiphertextForRecipient, 'base64')).length, 8);
  kms.faults.armAll('other-key:1');
  const { CiphertextForRecipient: another } = await random();
  assert.throws(() => enclave.open(another));
  assert.throws(() => enclave.openWithOpenssl(another));
  kms.faults.armAll('delay=300:1');
  const before = Date.now();
  await random();
  assert.ok(Date.now() - before >= 290);
  kms.faults.armAll('not-json:1');
  await assert.rejects(random());
  assert.throws(() => kms.faults.armAll('nonsense'), /there is no fault 'nonsense'/);
});

test('what was asked is remembered, without secrets', async () => {
  await send(as.clear, 'GenerateRandom', { NumberOfBytes: 8 });
  assert.deepEqual(kms.calls.at(-1), { action: 'GenerateRandom', arn: `${ACCOUNT}:user/clear`, attested: false, outcome: 'ok' });
  await send(as.enclave, 'Decrypt', { CiphertextBlob: await ciphertextOf(SECRET) }).catch(() => {});
  assert.equal(kms.calls.at(-1).outcome, 'AccessDeniedException');
  const seen = [];
  kms.onRequest = async ({ action, arn }) => seen.push(['request', action, arn]);
  kms.onAnswer = async ({ action, arn }) => seen.push(['answer', action, arn]);
  await send(as.clear, 'GenerateRandom', { NumberOfBytes: 8 });
  kms.onRequest = kms.onAnswer = undefined;
  assert.deepEqual(seen, [['request', 'GenerateRandom', undefined], ['answer', 'GenerateRandom', `${ACCOUNT}:user/clear`]]);
  const long = await signedRequest(people.clear, 'GenerateRandom', { NumberOfBytes: 8 });
  const body = `{"NumberOfBytes":8,"x":"${'x'.repeat(70_000)}"}`;
  assert.equal((await post({ headers: { ...long.headers, 'content-length': body.length }, body })).status, 413);
});
