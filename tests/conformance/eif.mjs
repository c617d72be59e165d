// Enclave images by a second hand: built, signed and measured from the published format alone
// (aws/aws-nitro-enclaves-image-format; RFC 8949 for CBOR, RFC 9052 for COSE), without any of Coffer's code.
import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';

export const TYPES = { kernel: 1, cmdline: 2, ramdisk: 3, signature: 4, metadata: 5 };
const SLOTS = 32;

const sha384 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha384')).digest();
/** A register of zeros, extended once with what was measured. */
const extended = (...parts) => sha384(Buffer.alloc(48), sha384(...parts)).toString('hex');

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});
export function crc32(...parts) {
  let crc = 0xffffffff;
  for (const part of parts) for (const byte of part) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => Buffer.from([n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
const u64 = (n) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(n));
  return out;
};

/**
 * The image of `sections`, [{type, data}] in their order. `change(header)` may spoil the header before the
 * checksum is put in.
 */
export function buildEif(sections, { version = 4, flags = 0, memory = 1 << 30, cpus = 2, change = () => {} } = {}) {
  const offsets = [];
  let end = 548;
  for (const { data } of sections) {
    offsets.push(end);
    end += 12 + data.length;
  }
  const slots = (values) => Buffer.concat(Array.from({ length: SLOTS }, (_, i) => u64(values[i] ?? 0)));
  const header = Buffer.concat([
    Buffer.from('.eif'), u16(version), u16(flags), u64(memory), u64(cpus), u16(0), u16(sections.length),
    slots(offsets), slots(sections.map(({ data }) => data.length)), u32(0),
  ]);
  change(header);
  const body = Buffer.concat(
    sections.flatMap(({ type, data }) => [u16(TYPES[type]), u16(0), u64(data.length), data]),
  );
  return Buffer.concat([header, u32(crc32(header, body)), body]);
}

/** PCR0, 1, 2 of the sections, and PCR8 when the PEM of a signing certificate is given. */
export function measure(sections, certificate) {
  const of = (type) => sections.filter((section) => section.type === type).map(({ data }) => data);
  const boot = [...of('kernel'), ...of('cmdline')];
  const [first, ...others] = of('ramdisk');
  const pcrs = {
    pcr0: extended(...boot, first, ...others),
    pcr1: extended(...boot, first),
    pcr2: extended(...others),
  };
  if (certificate) pcrs.pcr8 = extended(new X509Certificate(certificate).raw);
  return pcrs;
}

function head(major, n) {
  if (n < 24) return Buffer.from([(major << 5) | n]);
  if (n < 256) return Buffer.from([(major << 5) | 24, n]);
  return Buffer.concat([Buffer.from([(major << 5) | 25]), u16(n)]);
}
/** CBOR of whole numbers, texts, Buffers, arrays and Maps of fewer than 65,536 elements. */
export function cbor(value) {
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  return Buffer.concat([head(5, value.size), ...[...value].flatMap(([k, v]) => [cbor(k), cbor(v)])]);
}

/** COSE_Sign1 with ES384, untagged, over `payload`. */
export function coseSign1(payload, key) {
  const protectedHeader = cbor(new Map([[1, -35]]));
  const signed = cbor(['Signature1', protectedHeader, Buffer.alloc(0), payload]);
  const signature = sign('sha384', signed, { key: createPrivateKey(key), dsaEncoding: 'ieee-p1363' });
  return cbor([protectedHeader, new Map(), payload, signature]);
}

/**
 * The data of a signature section over PCR0 (hex). AWS's builder writes byte strings as arrays of small
 * integers; `plain` writes them as byte strings.
 */
export function signatureSection(pcr0, certificate, key, { plain = false } = {}) {
  const bytes = (buffer) => (plain ? buffer : [...buffer]);
  const payload = cbor(new Map([['register_index', 0], ['register_value', bytes(Buffer.from(pcr0, 'hex'))]]));
  const message = coseSign1(payload, key);
  return cbor([
    new Map([['signing_certificate', bytes(Buffer.from(certificate))], ['signature', bytes(message)]]),
  ]);
}
