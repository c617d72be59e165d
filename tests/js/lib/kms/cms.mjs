// CiphertextForRecipient as KMS makes it: a CMS EnvelopedData (RFC 5652) in BER with indefinite lengths, the
// content key encrypted with RSAES-OAEP (RFC 3560) for a recipient who is named by a key identifier.
import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from 'node:crypto';
import * as der from './der.mjs';

const OID = {
  data: '1.2.840.113549.1.7.1',
  envelopedData: '1.2.840.113549.1.7.3',
  rsaesOaep: '1.2.840.113549.1.1.7',
  mgf1: '1.2.840.113549.1.1.8',
  sha256: '2.16.840.1.101.3.4.2.1',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
};

const SHA256 = der.sequence(der.oid(OID.sha256), der.nothing());
const OAEP_SHA256 = der.sequence(
  der.oid(OID.rsaesOaep),
  der.sequence(
    der.element(der.context(0), SHA256),
    der.element(der.context(1), der.sequence(der.oid(OID.mgf1), SHA256)),
  ),
);

function recipientInfo(publicKey, contentKey) {
  const encrypted = publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
    contentKey,
  );
  const identifier = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest();
  return der.sequence(
    der.integer(2),
    der.element(der.implicit(0), identifier),
    OAEP_SHA256,
    der.octets(encrypted),
  );
}

function chunks(bytes, size) {
  const pieces = [];
  for (let i = 0; i < bytes.length; i += size) pieces.push(bytes.subarray(i, i + size));
  return pieces;
}

/** `plaintext` for the holder of `publicKey` (an RSA KeyObject). `chunkBytes`: of the content's pieces. */
export function envelop(plaintext, publicKey, { chunkBytes = 1000 } = {}) {
  const contentKey = randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', contentKey, iv);
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const encryptedContent = der.indefinite(
    der.SEQUENCE,
    der.oid(OID.data),
    der.sequence(der.oid(OID.aes256Cbc), der.octets(iv)),
    der.indefinite(der.context(0), ...chunks(content, chunkBytes).map(der.octets)),
  );
  const enveloped = der.indefinite(
    der.SEQUENCE,
    der.integer(2),
    der.set(recipientInfo(publicKey, contentKey)),
    encryptedContent,
  );
  return der.indefinite(der.SEQUENCE, der.oid(OID.envelopedData), der.indefinite(der.context(0), enveloped));
}
