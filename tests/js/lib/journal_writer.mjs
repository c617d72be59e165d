// A journal that somebody appends to while it is read, and what must become of each line.
import { createHash } from 'node:crypto';
import fs from 'node:fs';

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** One credit line as the backend writes it. */
export function creditLine(id, amount, extra = {}) {
  const value = typeof amount === 'string' ? amount : ethText(amount);
  const fields = { event: 'credit', orchestrator_id: id, amount: value, ...extra };
  return `${JSON.stringify(fields)}\n`;
}

/** Wei as a decimal number of ether, all 18 decimals. */
export function ethText(wei) {
  const digits = String(wei < 0n ? -wei : wei).padStart(19, '0');
  return `${wei < 0n ? '-' : ''}${digits.slice(0, -18)}.${digits.slice(-18)}`;
}

/**
 * Appends lines and remembers what is owed after them. A line is `applied` once (the same bytes
 * again change nothing), `skipped` by rule, or `dead`.
 */
export class JournalWriter {
  owed = new Map();
  dead = []; // {sha256, length, reason}
  #seen = new Set();

  constructor(file) {
    this.file = file;
    fs.writeFileSync(file, '');
  }

  append(bytes) {
    fs.appendFileSync(this.file, bytes);
  }

  /** A line that must be applied, once. */
  applied(line, id, wei) {
    this.append(line);
    this.expect(line, id, wei);
    return line;
  }

  /** Only the expectation, when the bytes get there in another way. */
  expect(line, id, wei) {
    const digest = sha256(line);
    if (this.#seen.has(digest)) return;
    this.#seen.add(digest);
    this.owed.set(id, (this.owed.get(id) ?? 0n) + wei);
  }

  credit(id, wei, extra) {
    return this.applied(creditLine(id, wei, extra), id, wei);
  }

  skipped(line) {
    this.append(line);
  }

  /** A line that must end in the dead letters, for this reason if one is given. */
  refused(line, reason) {
    this.append(line);
    this.expectDead(line, reason);
  }

  expectDead(line, reason) {
    const bytes = Buffer.from(line);
    this.dead.push({ sha256: sha256(bytes), length: bytes.length, reason });
  }
}
