// A second verifier and maker of Nitro attestation documents, which shares no code with Coffer's:
// cborg reads and writes the CBOR, node's crypto the certificates and signatures, and the openssl
// command issues certificates.
import { execFileSync } from 'node:child_process';
import { X509Certificate, createPrivateKey, sign, verify } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { decode, encode } from 'cborg';

const REQUIRED = ['module_id', 'digest', 'timestamp', 'pcrs', 'certificate', 'cabundle'];
const OPTIONAL = ['public_key', 'user_data', 'nonce'];
const ES384_HEADER = Buffer.from('a1013822', 'hex');

const strict = (bytes) => decode(bytes, { useMaps: true, rejectDuplicateMapKeys: true });
const signedBytes = (header, payload) => encode(['Signature1', header, new Uint8Array(0), payload]);

function check(condition, why) {
  if (!condition) throw new Error(why);
}

function checkChain(chain, at) {
  for (const [i, certificate] of chain.entries()) {
    check(Date.parse(certificate.validFrom) <= at, `certificate ${i} is not valid yet`);
    check(at <= Date.parse(certificate.validTo), `certificate ${i} has expired`);
    if (i === 0) continue;
    check(certificate.checkIssued(chain[i - 1]), `certificate ${i} is not issued by the one before`);
    check(certificate.verify(chain[i - 1].publicKey), `certificate ${i} is not signed by the one before`);
    check(chain[i - 1].ca, `certificate ${i - 1} is no CA`);
  }
  check(!chain.at(-1).ca, 'the last certificate is a CA');
}

/** The document of `bytes`, or an Error. `root`: PEM; `at`: milliseconds; `pcr0`, `nonce`: Buffers. */
export function verifyNitro(bytes, { root, at, pcr0, nonce, debug = false }) {
  const parts = strict(bytes[0] === 0xd2 ? bytes.subarray(1) : bytes);
  check(Array.isArray(parts) && parts.length === 4, 'not a COSE_Sign1');
  const [header, unprotected, payload, signature] = parts;
  check(unprotected instanceof Map && unprotected.size === 0, 'an unprotected header');
  check(ES384_HEADER.equals(Buffer.from(header)), 'another algorithm');
  check(signature instanceof Uint8Array && signature.length === 96, 'no signature');
  const document = strict(payload);
  check(document instanceof Map, 'the payload is no map');
  for (const name of REQUIRED) check(document.has(name), `${name} is missing`);
  for (const name of document.keys()) {
    check(REQUIRED.includes(name) || OPTIONAL.includes(name), `${name} is unknown`);
  }
  const bundle = document.get('cabundle').map((der) => new X509Certificate(der));
  check(bundle[0].raw.equals(new X509Certificate(root).raw), 'another root');
  const chain = [...bundle, new X509Certificate(document.get('certificate'))];
  checkChain(chain, Number(document.get('timestamp')));
  checkChain(chain, at);
  const key = { key: chain.at(-1).publicKey, dsaEncoding: 'ieee-p1363' };
  check(verify('sha384', signedBytes(header, payload), key, signature), 'a wrong signature');
  const pcrs = document.get('pcrs');
  check(debug || [0, 1, 2].every((index) => pcrs.get(index).some((byte) => byte !== 0)), 'debug mode');
  check(pcr0 === undefined || pcr0.equals(Buffer.from(pcrs.get(0))), 'another image');
  check(nonce === undefined || nonce.equals(Buffer.from(document.get('nonce') ?? [])), 'another nonce');
  return document;
}

const EXTENSIONS = {
  root: 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign',
  region: 'basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign',
  instance: 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign',
  enclave: 'basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature',
};

/** Certificates from a root of the test's own down to an enclave's: {names: {pem, der, key}}. */
export function makeChain(folder) {
  return issue(folder, {}, Object.keys(EXTENSIONS));
}

/** An enclave's certificate under a root that `coffer dev-root` made, by its secret file: {root, enclave}. */
export function makeDevelopmentChain(folder, secretFile) {
  const secret = fs.readFileSync(secretFile, 'utf8');
  const pem = /-----BEGIN CERT[^]*/.exec(secret)[0];
  fs.writeFileSync(path.join(folder, 'root.key'), secret, { mode: 0o600 });
  fs.writeFileSync(path.join(folder, 'root.pem'), pem);
  return issue(folder, { root: { pem, der: new X509Certificate(pem).raw } }, ['enclave']);
}

// Each name's certificate by the one before it.
function issue(folder, chain, names) {
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });
  let [issuer] = Object.keys(chain);
  for (const name of names) {
    const extensions = EXTENSIONS[name];
    fs.writeFileSync(path.join(folder, `${name}.ext`), extensions);
    openssl('ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', `${name}.key`);
    openssl('req', '-new', '-key', `${name}.key`, '-sha384', '-subj', `/CN=${name}.test`, '-out', `${name}.csr`);
    const signer = issuer ? ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial'] : ['-signkey', `${name}.key`];
    openssl('x509', '-req', '-in', `${name}.csr`, '-sha384', '-days', '1', '-extfile', `${name}.ext`, ...signer, '-out', `${name}.pem`);
    const pem = fs.readFileSync(path.join(folder, `${name}.pem`), 'utf8');
    const key = createPrivateKey(fs.readFileSync(path.join(folder, `${name}.key`)));
    chain[name] = { pem, key, der: new X509Certificate(pem).raw };
    issuer = name;
  }
  return chain;
}

/** The fields of a document under `chain`, as a Map that can be altered. */
export function makeFields(chain, { nonce = null, userData = null, publicKey = null, at = Date.now() } = {}) {
  const pcrs = new Map(Array.from({ length: 16 }, (_, i) => [i, Buffer.alloc(48, i < 5 ? 0xa0 + i : 0)]));
  return new Map([
    ['module_id', 'i-test-enc-test'],
    ['digest', 'SHA384'],
    ['timestamp', at],
    ['pcrs', pcrs],
    ['certificate', chain.enclave.der],
    ['cabundle', Object.values(chain).slice(0, -1).map(({ der }) => der)],
    ['public_key', publicKey],
    ['user_data', userData === null ? null : Buffer.from(userData)],
    ['nonce', nonce],
  ]);
}

/** A COSE_Sign1 over `payload` (bytes, or a Map to be encoded). */
export function signPayload(payload, key, { header = ES384_HEADER } = {}) {
  const bytes = payload instanceof Map ? encode(payload, { mapSorter: () => 0 }) : payload;
  const signature = sign('sha384', signedBytes(header, bytes), { key, dsaEncoding: 'ieee-p1363' });
  return Buffer.from(encode([header, new Map(), bytes, signature]));
}
