// Random numbers that can be repeated: SHA-256 of a seed and a counter. Nothing here is secret.
import { createHash, randomBytes } from 'node:crypto';

/** The same seed gives the same sequence, on every machine. */
export class Random {
  #seed;
  #counter = 0;
  #words = [];

  constructor(seed) {
    this.#seed = String(seed);
  }

  /** A number from 0 to 2^32 - 1. */
  uint32() {
    if (this.#words.length === 0) {
      const block = createHash('sha256').update(`${this.#seed}/${this.#counter++}`).digest();
      for (let i = 0; i < 32; i += 4) this.#words.push(block.readUInt32LE(i));
    }
    return this.#words.pop();
  }

  /**
   * A whole number from 0 to `bound` - 1, for a bound up to 2^32 (the bias is below one in 2^32 /
   * bound).
   */
  below(bound) {
    return Math.floor((this.uint32() / 2 ** 32) * bound);
  }

  chance(probability) {
    return this.uint32() < probability * 2 ** 32;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** `digits` random decimal digits. */
  digits(digits) {
    let text = '';
    while (text.length < digits) text += String(this.uint32() % 1_000_000_000).padStart(9, '0');
    return text.slice(0, digits);
  }
}

/** COFFER_TEST_SEED, or a fresh seed; printed either way, so that a failure can be repeated. */
export function testSeed(name) {
  const seed = process.env.COFFER_TEST_SEED ?? randomBytes(8).toString('hex');
  console.log(`${name}: COFFER_TEST_SEED=${seed}`);
  return seed;
}
