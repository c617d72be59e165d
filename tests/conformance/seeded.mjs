// Randomness from a seed, for the programs beside this that print vectors.
import { createHash } from 'node:crypto';

/** A counter hashed with the seed: the same cases for the same seed, on every machine. `name` tells one program's from another's. */
export function seeded(name, seed) {
  let counter = 0;
  let pool = Buffer.alloc(0);
  function randomBytes(n) {
    const parts = [pool];
    for (let have = pool.length; have < n; have += 32) {
      parts.push(createHash('sha256').update(`${name}:${seed}:${counter++}`).digest());
    }
    const bytes = Buffer.concat(parts);
    pool = bytes.subarray(n);
    return bytes.subarray(0, n);
  }
  const below = (n) => Number(BigInt('0x' + randomBytes(6).toString('hex')) % BigInt(n));
  const hex = (n) => '0x' + randomBytes(n).toString('hex');
  // Every bit length is as likely as another.
  function uint(bits) {
    const length = below(bits + 1);
    if (length === 0) return 0n;
    return (BigInt(hex(32)) & ((1n << BigInt(length)) - 1n)) | (1n << BigInt(length - 1));
  }
  return { randomBytes, below, hex, uint };
}
