// The pinned releases of docs/measurements.md, as far as a key's policy needs them: each one's PCR0, and whether
// it is still allowed. `coffer measurements` checks the file whole; here whatever is not in its form is refused.
import fs from 'node:fs';

const PCR = /^[0-9a-f]{96}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

function release(value, file) {
  const { name, version, pcr0, from, until } = value ?? {};
  const what = `${file}: release ${name} ${version}`;
  if (typeof name !== 'string' || typeof version !== 'string') throw new Error(`${file}: a release without name or version`);
  if (!PCR.test(pcr0 ?? '')) throw new Error(`${what}: pcr0 must be 96 hexadecimal digits, lower case`);
  if (/^0+$/.test(pcr0)) throw new Error(`${what}: pcr0 is zero, which is a debug enclave`);
  if (!TIME.test(from ?? '')) throw new Error(`${what}: from must be a time such as 2026-11-01T00:00:00Z`);
  if (until !== undefined && !TIME.test(until)) throw new Error(`${what}: until must be a time such as 2026-11-01T00:00:00Z`);
  return { title: `${name} ${version}`, pcr0, from: Date.parse(from), until: until === undefined ? Infinity : Date.parse(until) };
}

/** {title, pcr0, from, until} of each release in `file`; times in milliseconds since 1970. */
export function readReleases(file) {
  const found = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (found?.format !== 1 || found.platform !== 'nitro' || !Array.isArray(found.releases)) {
    throw new Error(`${file} is no list of measurements (format 1, platform nitro)`);
  }
  return found.releases.map((one) => release(one, file));
}

/**
 * Those that the policy should let in at `at`: all that are not retired. One that is allowed only later is
 * among them: the key's policy has to know an image before it is deployed.
 */
export const current = (releases, at) => releases.filter((one) => one.until > at);
