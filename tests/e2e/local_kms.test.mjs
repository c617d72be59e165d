// The local KMS as a program of its own, asked by the AWS SDK with the attestation document of a real enclave: the
// key is released to the measured image, and to no other; what it signs with stays after a restart.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { withEnclave } from '../js/lib/enclave.mjs';
import { kmsClient, send } from '../js/lib/kms/client.mjs';
import { developmentImage } from '../js/lib/kms/coffer_key.mjs';
import { readBer } from '../js/lib/kms/enclave.mjs';
import { Program, ROOT, programPath, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';

const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
const READY = path.join(folder, 'ready.json');
const ROOT_FILES = path.join(folder, 'root');
const IMAGE = developmentImage(programPath('coffer-enclave'));

function localKms(...args) {
  const common = ['--state', path.join(folder, 'kms.json'), '--ready-file', READY, '--root', path.join(ROOT_FILES, 'coffer-dev-root.pem')];
  return new Program({
    name: 'local_kms',
    file: process.execPath,
    args: [path.join(ROOT, 'tests/js/local_kms.mjs'), ...common, ...args],
    log: path.join(folder, 'kms.log'),
  });
}

/** Starts it, and gives what its ready file says, with what a client needs besides. */
async function started(program) {
  program.start();
  const ready = await until('the local KMS', () => {
    program.check();
    return fs.existsSync(READY) && JSON.parse(fs.readFileSync(READY, 'utf8'));
  });
  return { ...ready, hostName: ready.host_name, ca: fs.readFileSync(ready.ca_file, 'utf8') };
}

/** A Recipient with a fresh document of the enclave. */
async function recipientOf(enclave) {
  const { document_b64: document } = await enclave.call('attestation', { public_key: 'rsa-2048' });
  return { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: Buffer.from(document, 'base64') };
}

test('a development enclave of the right image, of another, and after a restart', async () => {
  const made = await runProgram('coffer', ['dev-root', '--out', ROOT_FILES]);
  assert.equal(made.code, 0, made.stderr);
  const dev = { profile: 'signer', attestor: 'dev', 'dev-root': path.join(ROOT_FILES, 'coffer-dev-root.key') };
  await withEnclave({ flags: dev }, async (enclave) => {
    const program = localKms('--pcr0', IMAGE);
    const first = await started(program);
    assert.match(program.text(), /NOT FOR PRODUCTION/);
    assert.equal(fs.statSync(READY).mode & 0o777, 0o600);
    const { CiphertextBlob } = await send(kmsClient(first, first.operator), 'Encrypt', { KeyId: first.alias, Plaintext: Buffer.alloc(32, 7) });
    const open = async (kms) => send(kmsClient(kms, kms.enclave), 'Decrypt', { CiphertextBlob, Recipient: await recipientOf(enclave) });
    const opened = await open(first);
    assert.deepEqual([opened.KeyId, opened.Plaintext], [first.key_id, undefined]);
    assert.equal(readBer(Buffer.from(opened.CiphertextForRecipient)).length, 1);
    assert.equal(await program.stop(), 0);

    const other = createHash('sha384').update('another image').digest('hex');
    const strict = localKms('--pcr0', other);
    const second = await started(strict);
    assert.equal(second.ca, first.ca, 'who trusted it does so still');
    assert.deepEqual(second.enclave.secret_access_key, first.enclave.secret_access_key);
    await assert.rejects(open(second), { name: 'AccessDeniedException', message: new RegExp(`PCR0 is ${IMAGE}`) });
    await strict.stop();

    const faulty = localKms('--pcr0', IMAGE, '--fault', 'throttle:1,expired-certificate');
    await assert.rejects(open(await started(faulty)), /certificate has expired/);
    assert.equal(await faulty.stop(), 0);
    const late = localKms('--pcr0', IMAGE, '--fault', 'throttle:1');
    const last = await started(late);
    await assert.rejects(open(last), { name: 'ThrottlingException' });
    assert.ok((await open(last)).CiphertextForRecipient);
    await late.stop();
  });
});

test('mistakes on the command line are sentences', async () => {
  for (const [args, message] of [
    [['--pcr0', 'AB'], /--pcr0 is 'AB'; give 96 hexadecimal digits/],
    [['--fault', 'nonsense'], /there is no fault 'nonsense'/],
    [['--listen', '8443'], /--listen is '8443'; give HOST:PORT/],
    [['--nothing', '1'], /unknown argument/],
  ]) {
    const program = localKms(...args);
    program.start();
    assert.notEqual((await program.ended()).code, 0);
    assert.match(program.lastRun(), message);
  }
});
