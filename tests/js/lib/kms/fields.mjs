// The fields of a request, read strictly.
import { validation } from './errors.mjs';

/** Bytes that came as base64, of a length within [min, max]. */
export function bytesOf(request, name, { min, max }) {
  const text = request[name];
  if (typeof text !== 'string') throw validation(`${name} must be base64.`);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw validation(`${name} is not base64.`);
  if (bytes.length < min || bytes.length > max) throw validation(`${name} must have from ${min} to ${max} bytes.`);
  return bytes;
}

export function textOf(request, name, { max = 2048 } = {}) {
  const text = request[name];
  if (typeof text !== 'string' || text.length === 0 || text.length > max) {
    throw validation(`${name} must be a text of 1 to ${max} characters.`);
  }
  return text;
}

export function integerOf(request, name, { min, max }) {
  const number = request[name];
  if (!Number.isInteger(number) || number < min || number > max) {
    throw validation(`${name} must be a whole number from ${min} to ${max}.`);
  }
  return number;
}

/** A map of texts; {} when absent. At most 8,192 characters in all (API reference, Encrypt). */
export function contextOf(request) {
  const context = request.EncryptionContext ?? {};
  const entries = typeof context === 'object' && !Array.isArray(context) ? Object.entries(context) : undefined;
  if (entries === undefined || entries.some(([name, value]) => name === '' || typeof value !== 'string')) {
    throw validation('EncryptionContext must be a map of texts.');
  }
  if (JSON.stringify(context).length > 8192) throw validation('EncryptionContext is too long.');
  return context;
}
