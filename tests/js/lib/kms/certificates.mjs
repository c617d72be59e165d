// Certificates for the local KMS: an authority of its own, and servers' certificates of any name and any
// validity. They are encoded here, because the openssl command does not make expired ones.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import net from 'node:net';
import * as der from './der.mjs';

const HOUR_MS = 3600e3;
const YEAR_MS = 365 * 24 * HOUR_MS;
const ECDSA_WITH_SHA256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));
const COMMON_NAME = '2.5.4.3';
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

const name = (text) => der.sequence(der.set(der.sequence(der.oid(COMMON_NAME), der.utf8(text))));

function extension(id, critical, value) {
  return der.sequence(der.oid(id), ...(critical ? [der.boolean(true)] : []), der.octets(value));
}

function pem(bytes) {
  const lines = bytes.toString('base64').match(/.{1,64}/g).join('\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

// RFC 5280, 4.2.1.2: the SHA-1 of the key's bits, which are the end of an EC key's SubjectPublicKeyInfo.
function keyIdentifier(spki) {
  return createHash('sha1').update(spki.subarray(-65)).digest();
}

function subjectAlternativeNames(names) {
  const address = (text) => Buffer.from(text.split('.').map(Number));
  return der.sequence(
    ...names.map((one) =>
      net.isIPv4(one) ? der.element(der.implicit(7), address(one)) : der.element(der.implicit(2), Buffer.from(one)),
    ),
  );
}

function issue({ subject, issuer, spki, signer, signerSpki, from, until, extensions }) {
  const all = [
    ...extensions,
    extension('2.5.29.14', false, der.octets(keyIdentifier(spki))),
    extension('2.5.29.35', false, der.sequence(der.element(der.implicit(0), keyIdentifier(signerSpki)))),
  ];
  const body = der.sequence(
    der.element(der.context(0), der.integer(2)),
    der.integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    name(issuer),
    der.sequence(der.utcTime(from), der.utcTime(until)),
    name(subject),
    spki,
    der.element(der.context(3), der.sequence(...all)),
  );
  return pem(der.sequence(body, ECDSA_WITH_SHA256, der.bits(sign('sha256', body, signer))));
}

function withSpki(privateKey) {
  return { privateKey, spki: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
}
const newKey = () => withSpki(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey);
const exportKey = (key) => key.export({ type: 'pkcs8', format: 'pem' });

/** An authority: `pem` is what clients trust, `issue` makes servers' certificates. */
export class Authority {
  #key;

  /** `saved`: what `save` gave once; none: a new one. */
  constructor({ subject = 'Coffer local KMS, for tests only', saved } = {}) {
    this.subject = subject;
    this.#key = saved === undefined ? newKey() : withSpki(createPrivateKey(saved.key));
    this.pem = saved?.pem ?? this.#issueItself();
  }

  /** {pem, key}: the secret of it is in the clear. */
  save() {
    return { pem: this.pem, key: exportKey(this.#key.privateKey) };
  }

  #issueItself() {
    const now = Date.now();
    return issue({
      subject: this.subject,
      issuer: this.subject,
      spki: this.#key.spki,
      signer: this.#key.privateKey,
      signerSpki: this.#key.spki,
      from: now - HOUR_MS,
      until: now + YEAR_MS,
      extensions: [
        extension('2.5.29.19', true, der.sequence(der.boolean(true), der.integer(0))),
        extension('2.5.29.15', true, der.bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
      ],
    });
  }

  /** {cert, key}, both PEM, for `names` (DNS names, IPv4 addresses), valid from and until (ms since 1970). */
  issue(names, { from = Date.now() - HOUR_MS, until = Date.now() + YEAR_MS } = {}) {
    const key = newKey();
    const cert = issue({
      subject: names[0],
      issuer: this.subject,
      spki: key.spki,
      signer: this.#key.privateKey,
      signerSpki: this.#key.spki,
      from,
      until,
      extensions: [
        extension('2.5.29.19', true, der.sequence()),
        extension('2.5.29.15', true, der.bits(Buffer.from([0x80]), 7)), // digitalSignature
        extension('2.5.29.37', false, der.sequence(der.oid(SERVER_AUTHENTICATION))),
        extension('2.5.29.17', false, subjectAlternativeNames(names)),
      ],
    });
    return { cert, key: exportKey(key.privateKey) };
  }
}
