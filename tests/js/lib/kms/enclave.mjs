// The other end of a Recipient, for tests: an enclave that attests a key of its own and opens what KMS encrypts
// to it, by two ways that share nothing with the encoder: a reader of BER here, and the openssl command.
import { execFileSync } from 'node:child_process';
import { constants, createDecipheriv, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { makeChain, makeFields, signPayload } from '../nitro.mjs';
import { temporaryFolder } from '../program.mjs';

/** The elements of BER bytes: {tag, content, children}, indefinite lengths resolved. */
export function readBer(bytes) {
  const elements = [];
  let rest = bytes;
  while (rest.length > 0) {
    const [element, after] = readElement(rest);
    elements.push(element);
    rest = after;
  }
  return elements;
}

function readElement(bytes) {
  const [tag, first] = bytes;
  if (bytes.length < 2) throw new Error('an element is cut off');
  if (first === 0x80) return readIndefinite(tag, bytes.subarray(2));
  const digits = first < 0x80 ? 0 : first & 0x7f;
  const length = digits === 0 ? first : bytes.readUIntBE(2, digits);
  const content = bytes.subarray(2 + digits, 2 + digits + length);
  if (content.length !== length) throw new Error('an element is cut off');
  const children = tag & 0x20 ? readBer(content) : [];
  return [{ tag, content, children, indefinite: false }, bytes.subarray(2 + digits + length)];
}

function readIndefinite(tag, bytes) {
  const children = [];
  let rest = bytes;
  while (!(rest[0] === 0 && rest[1] === 0)) {
    const [child, after] = readElement(rest);
    children.push(child);
    rest = after;
  }
  return [{ tag, children, indefinite: true }, rest.subarray(2)];
}

/** The content of a CMS EnvelopedData for `privateKey`. */
export function openEnvelope(bytes, privateKey) {
  const [contentInfo, ...more] = readBer(bytes);
  if (more.length > 0) throw new Error('something follows the envelope');
  const [, explicit] = contentInfo.children;
  const [, recipients, encrypted] = explicit.children[0].children;
  const [, , , encryptedKey] = recipients.children[0].children;
  const [, algorithm, content] = encrypted.children;
  const key = privateDecrypt(
    { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
    encryptedKey.content,
  );
  const decipher = createDecipheriv('aes-256-cbc', key, algorithm.children[1].content);
  return Buffer.concat([...content.children.map((one) => decipher.update(one.content)), decipher.final()]);
}

export class TestEnclave {
  /** `chain`: of lib/nitro.mjs, whose root the local KMS trusts; none: a new one. */
  constructor({ chain, modulusLength = 2048 } = {}) {
    this.folder = temporaryFolder('coffer-kms-');
    this.chain = chain ?? makeChain(this.folder);
    this.key = generateKeyPairSync('rsa', { modulusLength });
  }

  /** PEM. */
  get root() {
    return this.chain.root.pem;
  }

  /** A document. `pcrs`: {index: hex}; `change(fields)` alters what is signed. */
  document({ pcrs = {}, at = Date.now(), publicKey, change = () => {} } = {}) {
    const spki = publicKey ?? this.key.publicKey.export({ type: 'spki', format: 'der' });
    const fields = makeFields(this.chain, { publicKey: spki, at });
    for (const [index, hex] of Object.entries(pcrs)) fields.get('pcrs').set(Number(index), Buffer.from(hex, 'hex'));
    change(fields);
    return signPayload(fields, this.chain.enclave.key);
  }

  /** A Recipient as the AWS SDK for JavaScript takes it. */
  recipient(options) {
    return { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: this.document(options) };
  }

  open(envelope) {
    return openEnvelope(Buffer.from(envelope), this.key.privateKey);
  }

  /** The same, by `openssl cms -decrypt`. */
  openWithOpenssl(envelope) {
    const [keyFile, file, out] = ['key.pem', 'envelope.der', 'plaintext'].map((name) => path.join(this.folder, name));
    fs.writeFileSync(keyFile, this.key.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    fs.writeFileSync(file, envelope);
    execFileSync('openssl', ['cms', '-decrypt', '-inform', 'DER', '-binary', '-in', file, '-inkey', keyFile, '-out', out], { stdio: 'pipe' });
    return fs.readFileSync(out);
  }

  close() {
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
