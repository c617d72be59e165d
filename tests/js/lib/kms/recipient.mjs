// The Recipient of a request: an attestation document, judged as KMS does, that says which image asks and for
// which key the answer is encrypted.
import { createPublicKey } from 'node:crypto';
import { verifyNitro } from '../nitro.mjs';
import { accessDenied, validation } from './errors.mjs';
import { bytesOf } from './fields.mjs';

const ALGORITHM = 'RSAES_OAEP_SHA_256';
const MAX_DOCUMENT_BYTES = 16384 + 1024;
const CLOCK_AHEAD_MS = 60e3;

const hex = (bytes) => Buffer.from(bytes).toString('hex');

function publicKeyOf(document) {
  const der = document.get('public_key');
  if (!(der instanceof Uint8Array) || der.length === 0) throw validation('The attestation document has no public key.');
  let key;
  try {
    key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    throw validation("The attestation document's public key is no SubjectPublicKeyInfo.");
  }
  if (key.asymmetricKeyType !== 'rsa' || key.asymmetricKeyDetails.modulusLength !== 2048) {
    throw validation("The attestation document's public key is no RSA key of 2048 bits.");
  }
  return key;
}

function checkFresh(document, { now, freshnessMs }) {
  const at = Number(document.get('timestamp'));
  if (now - at > freshnessMs) {
    throw validation(`The attestation document has expired: it is ${Math.round((now - at) / 1000)} s old.`);
  }
  if (at - now > CLOCK_AHEAD_MS) throw validation('The attestation document is from the future.');
}

function verified(bytes, { root, now }) {
  try {
    return verifyNitro(bytes, { root, at: now, debug: true });
  } catch (error) {
    throw validation(`The attestation document was not accepted: ${error.message}.`);
  }
}

/**
 * {publicKey, pcrs: Map of index to hex} of a request's Recipient, or a KmsError. `root`: PEM of the only root
 * that documents may stand on; `freshnessMs`: how old one may be.
 */
export function readRecipient(recipient, { root, freshnessMs, now = Date.now() }) {
  if (recipient === null || typeof recipient !== 'object') throw validation('Recipient must be a structure.');
  if (recipient.KeyEncryptionAlgorithm !== ALGORITHM) throw validation(`KeyEncryptionAlgorithm must be ${ALGORITHM}.`);
  if (root === undefined) throw validation('No root for attestation documents was given to this local KMS.');
  const bytes = bytesOf(recipient, 'AttestationDocument', { min: 1, max: MAX_DOCUMENT_BYTES });
  const document = verified(bytes, { root, now });
  checkFresh(document, { now, freshnessMs });
  const pcrs = new Map([...document.get('pcrs')].map(([index, value]) => [Number(index), hex(value)]));
  for (const index of [0, 1, 2]) {
    if (!/[1-9a-f]/.test(pcrs.get(index) ?? '')) {
      throw accessDenied(`The attestation document is of an enclave in debug mode: its PCR${index} is zero.`);
    }
  }
  return { publicKey: publicKeyOf(document), pcrs };
}
