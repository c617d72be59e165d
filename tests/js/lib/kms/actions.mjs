// What the local KMS can do: one function an action, from a parsed request to an answer (KMS API reference).
import { createHash, randomBytes } from 'node:crypto';
import { envelop } from './cms.mjs';
import { KmsError, accessDenied, malformedPolicy, notFound, validation } from './errors.mjs';
import { bytesOf, contextOf, integerOf, textOf } from './fields.mjs';
import { encrypt } from './keys.mjs';
import { allowed, identityOf, parsePolicy } from './policy.mjs';
import { readRecipient } from './recipient.mjs';

const SYMMETRIC = 'SYMMETRIC_DEFAULT';
const SPEC_BYTES = { AES_256: 32, AES_128: 16 };
const MAX_POLICY_BYTES = 32768;

// What a policy's conditions can ask of a request.
function conditionKeys({ principal, account, encryptionContext = {}, recipient }) {
  const context = new Map([
    ['aws:principalarn', [identityOf(principal.arn)]],
    ['aws:principalaccount', [account]],
    ['aws:securetransport', ['true']],
    ['kms:calleraccount', [account]],
  ]);
  const pairs = Object.entries(encryptionContext);
  for (const [name, value] of pairs) context.set(`kms:encryptioncontext:${name.toLowerCase()}`, [value]);
  if (pairs.length > 0) context.set('kms:encryptioncontextkeys', pairs.map(([name]) => name));
  for (const [index, hex] of recipient?.pcrs ?? []) context.set(`kms:recipientattestation:pcr${index}`, [hex]);
  if (recipient !== undefined) context.set('kms:recipientattestation:imagesha384', [recipient.pcrs.get(0)]);
  return context;
}

function asked(recipient) {
  return recipient === undefined ? 'the request has no Recipient' : `the Recipient's PCR0 is ${recipient.pcrs.get(0)}`;
}

const ownPolicies = (principal) =>
  (principal.policies ?? []).map((policy) => parsePolicy(JSON.stringify(policy), { isKeyPolicy: false }));

/** One call: who makes it, of what, and with which proof. */
class Call {
  constructor({ store, principal, request, options, faults, action }) {
    Object.assign(this, { store, principal, request, options, faults, action });
    // Encrypt and the rest know no Recipient.
    const attests = ['Decrypt', 'GenerateDataKey', 'GenerateRandom'].includes(action);
    if (attests && request.Recipient !== undefined && request.Recipient !== null) {
      this.recipient = readRecipient(request.Recipient, options);
    }
    if (request.DryRun === true) this.dryRun = true;
  }

  /** Throws unless the caller may; `key` absent: an action of no key. */
  authorize(key, { encryptionContext } = {}) {
    const { principal, store, action, recipient } = this;
    const resource = key === undefined ? '*' : store.arnOf(key);
    const policies = {
      keyPolicy: key === undefined ? undefined : parsePolicy(key.policy),
      identityPolicies: ownPolicies(principal),
    };
    const context = conditionKeys({ principal, account: store.account, encryptionContext, recipient });
    if (!allowed(policies, { arn: principal.arn, action: `kms:${action}`, resource, context })) {
      throw accessDenied(
        `User: ${principal.arn} is not authorized to perform: kms:${action} (${asked(recipient)}) on resource: ${resource} because no policy allows it`,
      );
    }
    if (!this.dryRun) return;
    throw new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.');
  }

  /** The fields of an answer that hold a secret: for whoever asked, or only for the Recipient. */
  secret(plaintext) {
    const { recipient, faults } = this;
    if (recipient === undefined || faults.take('plaintext')) return { Plaintext: plaintext.toString('base64') };
    const key = faults.take('other-key') ? faults.otherPublicKey() : recipient.publicKey;
    const envelope = envelop(plaintext, key, { chunkBytes: this.options.chunkBytes });
    if (faults.take('altered-envelope')) envelope[envelope.length - 20] ^= 1;
    const nothing = faults.take('null-plaintext') ? { Plaintext: null } : {};
    return { ...nothing, CiphertextForRecipient: envelope.toString('base64') };
  }
}

// Which of a key's materials it was; not said to a Recipient.
function materialOf(call, key) {
  if (call.recipient !== undefined) return {};
  return { KeyMaterialId: createHash('sha256').update(key.id).digest('hex') };
}

function checkAlgorithm(request) {
  if ((request.EncryptionAlgorithm ?? SYMMETRIC) !== SYMMETRIC) throw validation(`EncryptionAlgorithm must be ${SYMMETRIC}.`);
}

function Encrypt(call) {
  const { request, store } = call;
  const key = store.get(textOf(request, 'KeyId'));
  checkAlgorithm(request);
  const plaintext = bytesOf(request, 'Plaintext', { min: 1, max: 4096 });
  const encryptionContext = contextOf(request);
  call.authorize(key, { encryptionContext });
  const blob = encrypt(key, plaintext, encryptionContext);
  return { CiphertextBlob: blob.toString('base64'), KeyId: store.arnOf(key), EncryptionAlgorithm: SYMMETRIC };
}

function Decrypt(call) {
  const { request, store } = call;
  const blob = bytesOf(request, 'CiphertextBlob', { min: 1, max: 6144 });
  checkAlgorithm(request);
  const encryptionContext = contextOf(request);
  const key = store.keyOf(blob);
  if (request.KeyId !== undefined && request.KeyId !== null && store.get(textOf(request, 'KeyId')) !== key) {
    throw new KmsError('IncorrectKeyException', 'The key ID in the request is not that of the key that encrypted this.');
  }
  call.authorize(key, { encryptionContext });
  const plaintext = store.decrypt(blob, encryptionContext);
  return { KeyId: store.arnOf(key), EncryptionAlgorithm: SYMMETRIC, ...call.secret(plaintext), ...materialOf(call, key) };
}

function dataKeyBytes(request) {
  const { KeySpec: spec, NumberOfBytes: number } = request;
  if ((spec === undefined) === (number === undefined)) throw validation('Please specify either number of bytes or key spec.');
  if (spec === undefined) return integerOf(request, 'NumberOfBytes', { min: 1, max: 1024 });
  if (!Object.hasOwn(SPEC_BYTES, spec)) throw validation('KeySpec must be AES_256 or AES_128.');
  return SPEC_BYTES[spec];
}

function GenerateDataKey(call) {
  const { request, store } = call;
  const key = store.get(textOf(request, 'KeyId'));
  const size = dataKeyBytes(request);
  const encryptionContext = contextOf(request);
  call.authorize(key, { encryptionContext });
  const plaintext = randomBytes(size);
  const blob = encrypt(key, plaintext, encryptionContext);
  return { CiphertextBlob: blob.toString('base64'), KeyId: store.arnOf(key), ...call.secret(plaintext), ...materialOf(call, key) };
}

function GenerateRandom(call) {
  const size = integerOf(call.request, 'NumberOfBytes', { min: 1, max: 1024 });
  call.authorize(undefined);
  return call.secret(randomBytes(size));
}

function metadata(store, key) {
  return {
    AWSAccountId: store.account,
    KeyId: key.id,
    Arn: store.arnOf(key),
    CreationDate: key.created / 1000,
    Enabled: true,
    Description: key.description,
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: 'Enabled',
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    KeySpec: SYMMETRIC,
    CustomerMasterKeySpec: SYMMETRIC,
    EncryptionAlgorithms: [SYMMETRIC],
    MultiRegion: false,
  };
}

// KMS's guard against a key that nobody can administer any more: the caller must be able to change the policy
// again (API reference, PutKeyPolicy, BypassPolicyLockoutSafetyCheck).
function checkLockout(call, policy) {
  if (call.request.BypassPolicyLockoutSafetyCheck === true) return;
  const { principal, store } = call;
  const policies = { keyPolicy: policy, identityPolicies: ownPolicies(principal) };
  const context = conditionKeys({ principal, account: store.account });
  if (!allowed(policies, { arn: principal.arn, action: 'kms:PutKeyPolicy', resource: '*', context })) {
    throw malformedPolicy('The new key policy will not allow you to update the key policy in the future.');
  }
}

function policyText(call) {
  const text = textOf(call.request, 'Policy', { max: MAX_POLICY_BYTES });
  checkLockout(call, parsePolicy(text));
  return text;
}

function CreateKey(call) {
  const { request, store } = call;
  call.authorize(undefined);
  if ((request.KeySpec ?? SYMMETRIC) !== SYMMETRIC) throw validation(`KeySpec must be ${SYMMETRIC}.`);
  if ((request.KeyUsage ?? 'ENCRYPT_DECRYPT') !== 'ENCRYPT_DECRYPT') throw validation('KeyUsage must be ENCRYPT_DECRYPT.');
  const policy = request.Policy === undefined ? accountPolicy(store.account) : policyText(call);
  const key = store.create({ policy, description: request.Description });
  return { KeyMetadata: metadata(store, key) };
}

/** What AWS gives to a key without a policy: the account decides, by the policies of its principals. */
export function accountPolicy(account) {
  const Principal = { AWS: `arn:aws:iam::${account}:root` };
  const Statement = [{ Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' }];
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

function ofKey(act) {
  return (call) => {
    const key = call.store.get(textOf(call.request, 'KeyId'));
    call.authorize(key);
    return act(call, key);
  };
}

const DescribeKey = ofKey((call, key) => ({ KeyMetadata: metadata(call.store, key) }));

function checkPolicyName(request) {
  if ((request.PolicyName ?? 'default') !== 'default') throw notFound('No such policy exists');
}

const GetKeyPolicy = ofKey((call, key) => {
  checkPolicyName(call.request);
  return { Policy: key.policy, PolicyName: 'default' };
});

const PutKeyPolicy = ofKey((call, key) => {
  checkPolicyName(call.request);
  key.policy = policyText(call);
  call.store.save();
  return undefined;
});

const ACTIONS = { Encrypt, Decrypt, GenerateDataKey, GenerateRandom, CreateKey, DescribeKey, GetKeyPolicy, PutKeyPolicy };

/** The answer to a request: an object, or undefined where KMS answers nothing. Refusals are KmsErrors. */
export function act(parameters) {
  if (!Object.hasOwn(ACTIONS, parameters.action)) throw new KmsError('UnknownOperationException');
  return ACTIONS[parameters.action](new Call(parameters));
}
