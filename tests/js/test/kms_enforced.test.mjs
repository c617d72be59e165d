// The policies of deploy/kms, as filled in, enforced by the local KMS and asked by the AWS SDK: who can do what with
// Coffer's key, and who cannot.
import assert from 'node:assert/strict';
import test from 'node:test';
import { pcr3Of } from '../../../deploy/kms/lib/fill.mjs';
import { kmsClient, send } from '../lib/kms/client.mjs';
import { setUpCofferKey } from '../lib/kms/coffer_key.mjs';
import { TestEnclave } from '../lib/kms/enclave.mjs';
import { LocalKms } from '../lib/kms/local_kms.mjs';

const IMAGE = 'c0'.repeat(48);
const NEXT_IMAGE = 'c1'.repeat(48);
const ADDRESS = `0x${'ab'.repeat(20)}`;
const KEY = Buffer.from('4f'.repeat(32), 'hex');
const SIGNING = { 'coffer:purpose': 'signing-key' };
const stateContext = (epoch, address = ADDRESS) => ({ 'coffer:purpose': 'state-key', 'coffer:address': address, 'coffer:epoch': String(epoch) });
const EVERYTHING = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

const enclave = new TestEnclave();
const kms = await LocalKms.start({ root: enclave.root });
const coffer = setUpCofferKey(kms, { images: [IMAGE], signingContext: SIGNING, address: ADDRESS });
const KeyId = coffer.keyId;
// One whose own policies allow everything, as an administrator of the account has it.
const mighty = kms.addPrincipal('arn:aws:iam::111122223333:role/mighty', { policies: [EVERYTHING] });
test.after(async () => {
  await kms.stop();
  enclave.close();
});

const as = (principal) => {
  const client = kmsClient(kms, principal);
  return (name, input) => send(client, name, input);
};
const [admin, operator, host, anybody] = [coffer.admin, coffer.operator, coffer.enclave, mighty].map(as);
const attested = (pcrs = {}) => enclave.recipient({ pcrs: { 0: IMAGE, ...pcrs } });
const denied = (promise) => assert.rejects(promise, { name: 'AccessDeniedException' });

const encrypted = async (context = SIGNING) => (await operator('Encrypt', { KeyId, Plaintext: KEY, EncryptionContext: context })).CiphertextBlob;

test('the way of a signing key: the operator encrypts it, an enclave of the image opens it', async () => {
  const opened = await host('Decrypt', { CiphertextBlob: await encrypted(), EncryptionContext: SIGNING, Recipient: attested() });
  assert.deepEqual(enclave.open(opened.CiphertextForRecipient), KEY);
  assert.equal(opened.KeyId, KeyId);
  const made = await host('GenerateDataKey', { KeyId, KeySpec: 'AES_256', EncryptionContext: SIGNING, Recipient: attested() });
  const again = await host('Decrypt', { CiphertextBlob: made.CiphertextBlob, EncryptionContext: SIGNING, Recipient: attested() });
  assert.deepEqual(enclave.open(again.CiphertextForRecipient), enclave.open(made.CiphertextForRecipient));
});

test('nobody else opens it: another image, a debug enclave, no enclave, another role', async () => {
  const input = { CiphertextBlob: await encrypted(), EncryptionContext: SIGNING };
  await denied(host('Decrypt', { ...input, Recipient: attested({ 0: NEXT_IMAGE }) }));
  await denied(host('Decrypt', { ...input, Recipient: attested({ 0: '00'.repeat(48) }) }));
  await denied(host('Decrypt', input));
  for (const who of [admin, operator, anybody]) {
    await denied(who('Decrypt', { ...input, Recipient: attested() }));
    await denied(who('Decrypt', input));
    await denied(who('GenerateDataKey', { KeyId, KeySpec: 'AES_256', EncryptionContext: SIGNING }));
  }
  await denied(host('GenerateDataKey', { KeyId, KeySpec: 'AES_256', EncryptionContext: SIGNING }));
});

test('the encryption context has to be that of its purpose', async () => {
  await denied(operator('Encrypt', { KeyId, Plaintext: KEY }));
  await denied(operator('Encrypt', { KeyId, Plaintext: KEY, EncryptionContext: stateContext(1) }));
  await denied(host('GenerateDataKey', { KeyId, KeySpec: 'AES_256', Recipient: attested() }));
  await denied(host('GenerateDataKey', { KeyId, KeySpec: 'AES_256', Recipient: attested(), EncryptionContext: { 'coffer:purpose': 'other' } }));
  // Both purposes are allowed to an enclave, but a ciphertext opens only with its own context.
  const mixed = { CiphertextBlob: await encrypted(), EncryptionContext: stateContext(1), Recipient: attested() };
  await assert.rejects(host('Decrypt', mixed), { name: 'InvalidCiphertextException' });
});

test('state keys: made and opened by an enclave of the image, for this address', async () => {
  const make = (EncryptionContext, Recipient) => host('GenerateDataKey', { KeyId, KeySpec: 'AES_256', EncryptionContext, Recipient });
  const made = await make(stateContext(1), attested());
  const open = (EncryptionContext, Recipient = attested()) =>
    host('Decrypt', { CiphertextBlob: made.CiphertextBlob, EncryptionContext, Recipient: Recipient ?? undefined });
  const opened = await open(stateContext(1));
  assert.deepEqual(enclave.open(opened.CiphertextForRecipient), enclave.open(made.CiphertextForRecipient));
  await assert.rejects(open(stateContext(2)), { name: 'InvalidCiphertextException' });
  await denied(open(stateContext(1, `0x${'cd'.repeat(20)}`)));
  await denied(open(stateContext(1), attested({ 0: NEXT_IMAGE })));
  await denied(open(stateContext(1), null));
  await denied(make(stateContext(1), attested({ 0: NEXT_IMAGE })));
  await denied(make(stateContext(1, `0x${'cd'.repeat(20)}`), attested()));
});

test('randomness for an enclave of the image only', async () => {
  assert.ok((await host('GenerateRandom', { NumberOfBytes: 32, Recipient: attested() })).CiphertextForRecipient);
  await denied(host('GenerateRandom', { NumberOfBytes: 32 }));
  await denied(host('GenerateRandom', { NumberOfBytes: 32, Recipient: attested({ 0: NEXT_IMAGE }) }));
});

test('the administrator changes the policy, and nobody else; a roll-out lets both images in', async () => {
  const Policy = (await admin('GetKeyPolicy', { KeyId })).Policy;
  for (const who of [operator, host, anybody]) await denied(who('PutKeyPolicy', { KeyId, Policy }));
  const input = { CiphertextBlob: await encrypted(), EncryptionContext: SIGNING };
  const opens = async (image) => (await host('Decrypt', { ...input, Recipient: attested({ 0: image }) })).CiphertextForRecipient;
  const set = (images) => setUpCofferKey(kms, { images, signingContext: SIGNING, address: ADDRESS });
  set([IMAGE, NEXT_IMAGE]);
  assert.ok(await opens(IMAGE));
  assert.ok(await opens(NEXT_IMAGE));
  set([NEXT_IMAGE]);
  assert.ok(await opens(NEXT_IMAGE));
  await denied(opens(IMAGE));
  await admin('PutKeyPolicy', { KeyId, Policy });
  await denied(opens(NEXT_IMAGE));
  set([IMAGE]);
});

test('a statement that somebody adds later opens nothing', async () => {
  const input = { CiphertextBlob: await encrypted(), EncryptionContext: SIGNING };
  const { Policy } = await admin('GetKeyPolicy', { KeyId });
  const open = (Principal) => {
    const policy = JSON.parse(Policy);
    policy.Statement.push({ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' });
    return admin('PutKeyPolicy', { KeyId, Policy: JSON.stringify(policy) });
  };
  for (const principal of ['*', { AWS: mighty.arn }, { AWS: 'arn:aws:iam::111122223333:root' }]) {
    await open(principal);
    await anybody('Encrypt', { KeyId, Plaintext: KEY });
    await denied(anybody('Decrypt', input));
    await denied(anybody('Decrypt', { ...input, Recipient: attested({ 0: NEXT_IMAGE }) }));
    await denied(anybody('GenerateDataKey', { KeyId, KeySpec: 'AES_256' }));
  }
  await admin('PutKeyPolicy', { KeyId, Policy });
  await denied(anybody('Encrypt', { KeyId, Plaintext: KEY }));
});

test('bound to the role and to the signer of the image', async () => {
  const [signer, other] = ['88'.repeat(48), '99'.repeat(48)];
  const bound = setUpCofferKey(kms, { images: [IMAGE], bindRole: true, signers: [signer], alias: 'alias/bound' });
  const { CiphertextBlob } = await operator('Encrypt', { KeyId: bound.keyId, Plaintext: KEY });
  const open = (pcrs) => host('Decrypt', { CiphertextBlob, Recipient: attested(pcrs) });
  const right = { 3: pcr3Of(coffer.enclave.arn), 8: signer };
  assert.deepEqual(enclave.open((await open(right)).CiphertextForRecipient), KEY);
  await denied(open({ ...right, 3: pcr3Of('arn:aws:iam::111122223333:role/another') }));
  await denied(open({ ...right, 8: other }));
  await denied(open({ 8: signer }));
});
