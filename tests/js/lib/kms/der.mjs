// An encoder of BER and DER (X.690), as far as certificates and CMS envelopes need one. Everything is a
// Buffer that holds one whole element.

function length(bytes) {
  if (bytes < 0x80) return Buffer.from([bytes]);
  const hex = bytes.toString(16);
  const digits = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits]);
}

/** One element with a definite length. */
export function element(tag, ...contents) {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** One constructed element with an indefinite length, ended by end-of-contents: BER, never DER. */
export function indefinite(tag, ...contents) {
  return Buffer.concat([Buffer.from([tag, 0x80]), ...contents, Buffer.from([0, 0])]);
}

export const SEQUENCE = 0x30;
export const SET = 0x31;
export const OCTET_STRING = 0x04;
/** Context tag `n`, constructed. */
export const context = (n) => 0xa0 | n;
/** Context tag `n`, primitive (IMPLICIT). */
export const implicit = (n) => 0x80 | n;

export const sequence = (...contents) => element(SEQUENCE, ...contents);
export const set = (...contents) => element(SET, ...contents);
export const octets = (bytes) => element(OCTET_STRING, bytes);
export const bits = (bytes, unused = 0) => element(0x03, Buffer.from([unused]), bytes);
export const nothing = () => element(0x05);
export const boolean = (value) => element(0x01, Buffer.from([value ? 0xff : 0]));
export const utf8 = (text) => element(0x0c, Buffer.from(text));

/** A non-negative INTEGER, of a small number or of big-endian bytes. */
export function integer(value) {
  let bytes = typeof value === 'number' ? Buffer.from(hexOf(value), 'hex') : Buffer.from(value);
  while (bytes.length > 1 && bytes[0] === 0) bytes = bytes.subarray(1);
  return element(0x02, ...(bytes[0] & 0x80 ? [Buffer.from([0])] : []), bytes);
}

function hexOf(number) {
  const hex = number.toString(16);
  return hex.length % 2 ? `0${hex}` : hex;
}

/** An OBJECT IDENTIFIER of its dotted form. */
export function oid(dotted) {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift(0x80 | (left & 0x7f));
    }
    bytes.push(...groups);
  }
  return element(0x06, Buffer.from(bytes));
}

/** UTCTime of milliseconds since 1970, in whole seconds; for certificates until 2049 (RFC 5280, 4.1.2.5). */
export function utcTime(ms) {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$/, '').replace(/[-:T]/g, '');
  return element(0x17, Buffer.from(`${digits.slice(2)}Z`));
}
