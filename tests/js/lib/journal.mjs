// A ledger journal as the backend writes it, with what is owed after it, counted apart from its
// text.
import { createHash } from 'node:crypto';
import { Random } from './random.mjs';

// Without the npm packages, as on an installed system that is measured with such a journal, addresses have no checksum.
const getAddress = await import('ethers').then(
  (ethers) => ethers.getAddress,
  (error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return (address) => address;
  },
);

const WEI_DECIMALS = 18;
const START_MS = Date.UTC(2026, 0, 5, 10);
const RECENT_LINES = 1000;

// How often each kind of line comes, in order; what is left over are plain credits.
const RATES = { set_balance: 0.02, zero: 0.01, duplicate: 0.005 };

const REASONS = ['workload', 'workload', 'workload', 'bonus', 'settlement', 'geprüft – "ok"'];

/** Orchestrator ids and payout addresses of a seed, as a Map in order. */
export function makeRegistry(seed, accounts) {
  const width = Math.max(4, String(accounts).length);
  const registry = new Map();
  for (let i = 1; i <= accounts; i++) {
    const digest = createHash('sha256')
      .update(`coffer journal recipient ${seed}/${i}`)
      .digest('hex');
    registry.set(`orch-${String(i).padStart(width, '0')}`, getAddress(`0x${digest.slice(0, 40)}`));
  }
  return registry;
}

// A decimal number as significand and number of decimals: its value in wei needs no parsing of what
// was written.
const toWei = ({ significand, decimals }) => significand * 10n ** BigInt(WEI_DECIMALS - decimals);

function plainText({ significand, decimals }) {
  const negative = significand < 0n;
  const digits = String(negative ? -significand : significand).padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals);
  return `${negative ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

// One digit before the point, as decimal libraries write small numbers: 1.25E-9.
function exponentText({ significand, decimals }, letter) {
  const negative = significand < 0n;
  const digits = String(negative ? -significand : significand);
  const exponent = digits.length - 1 - decimals;
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const sign = exponent < 0 ? '-' : '+';
  const power =
    letter === 'e' ? String(Math.abs(exponent)).padStart(2, '0') : String(Math.abs(exponent));
  return `${negative ? '-' : ''}${digits[0]}${fraction}${letter}${sign}${power}`;
}

// The amount as JSON text: mostly a decimal string, sometimes with an exponent, sometimes a bare
// number.
function amountJson(random, amount) {
  const form = random.uint32() % 100;
  if (form < 6) return `"${exponentText(amount, 'E')}"`;
  if (form < 12) return `"${exponentText(amount, 'e')}"`;
  if (form < 15 && String(amount.significand).length <= 15) return exponentText(amount, 'e');
  if (form < 18 && String(amount.significand).length <= 15) return plainText(amount);
  return `"${plainText(amount)}"`;
}

// Below a hundredth of an ether, with 3 to 18 decimals, never zero.
function randomAmount(random) {
  const decimals = 3 + random.below(WEI_DECIMALS - 2);
  const limit = 1 + random.below(decimals - 2);
  return { significand: BigInt(random.digits(limit)) + 1n, decimals };
}

/** Writes the lines one at a time and keeps what they amount to. */
class Generator {
  counts = { credit: 0, correction: 0, zero: 0, set_balance: 0, duplicate: 0 };
  creditedWei = 0n;
  adjustedWei = 0n;

  constructor({ seed, accounts, correctionRate }) {
    this.registry = makeRegistry(seed, accounts);
    this.ids = [...this.registry.keys()];
    this.owed = new Map(this.ids.map((id) => [id, 0n]));
    this.random = new Random(`coffer journal ${seed}`);
    this.correctionRate = correctionRate;
    this.micros = 0;
    this.recent = [];
  }

  next() {
    const line = this.#anyKind();
    this.recent[
      this.recent.length < RECENT_LINES ? this.recent.length : this.random.below(RECENT_LINES)
    ] = line;
    return line;
  }

  #anyKind() {
    const { random } = this;
    let lot = random.uint32() / 2 ** 32;
    if ((lot -= RATES.set_balance) < 0) return this.#setBalance(this.#pickId());
    if ((lot -= RATES.zero) < 0) return this.#zero(this.#pickId());
    if ((lot -= RATES.duplicate) < 0 && this.recent.length > 0) return this.#duplicate();
    const id = this.#pickId();
    if ((lot -= this.correctionRate) < 0 && this.owed.get(id) > 0n) return this.#correction(id);
    return this.#credit(id);
  }

  // A few orchestrators do most of the work.
  #pickId() {
    const share = this.random.uint32() / 2 ** 32;
    return this.ids[Math.floor(share * share * this.ids.length)];
  }

  #credit(id) {
    const amount = randomAmount(this.random);
    this.counts.credit++;
    this.creditedWei += toWei(amount);
    return this.#applied(id, amount, this.random.pick(REASONS));
  }

  // Takes back at most what is owed at this line, sometimes all of it.
  #correction(id) {
    const owed = this.owed.get(id);
    const part = this.random.chance(0.05)
      ? owed
      : (owed * BigInt(1 + this.random.below(999))) / 1000n;
    const amount = { significand: -(part === 0n ? owed : part), decimals: WEI_DECIMALS };
    this.counts.correction++;
    this.adjustedWei += toWei(amount);
    return this.#applied(id, amount, 'correction');
  }

  #applied(id, amount, reason) {
    this.owed.set(id, this.owed.get(id) + toWei(amount));
    return this.#line('credit', id, amountJson(this.random, amount), reason);
  }

  #zero(id) {
    this.counts.zero++;
    return this.#line(
      'credit',
      id,
      this.random.pick(['"0"', '"0.0"', '"0E-18"', '"0.000000000000000000"', '0']),
      'workload',
    );
  }

  #setBalance(id) {
    this.counts.set_balance++;
    const amount = this.random.chance(0.5) ? '"0"' : `"${plainText(randomAmount(this.random))}"`;
    return this.#line('set_balance', id, amount, 'payout');
  }

  // The same bytes are the same event: it counts once.
  #duplicate() {
    this.counts.duplicate++;
    return this.random.pick(this.recent);
  }

  // `balance` is the backend's opinion, here and there a wrong one; nobody may rely on it.
  #line(event, id, amount, reason) {
    const { random } = this;
    const fields = [
      `"timestamp":"${this.#timestamp()}"`,
      `"event":"${event}"`,
      `"orchestrator_id":"${id}"`,
      `"amount":${amount}`,
    ];
    const balance = random.chance(0.01) ? 10n ** 20n : this.owed.get(id);
    if (!random.chance(0.05))
      fields.push(`"balance":"${plainText({ significand: balance, decimals: WEI_DECIMALS })}"`);
    if (!random.chance(0.2)) fields.push(`"delta":${amount}`);
    if (!random.chance(0.1)) fields.push(`"reason":${JSON.stringify(reason)}`);
    if (!random.chance(0.3))
      fields.push(`"metadata":{"workload_id":"w-${random.below(1_000_000)}"}`);
    return `{${fields.join(',')}}\n`;
  }

  // Every line has a time of its own, so that no two are the same by chance.
  #timestamp() {
    this.micros += 1 + this.random.below(40_000_000);
    const seconds = new Date(START_MS + Math.floor(this.micros / 1000)).toISOString().slice(0, 19);
    return `${seconds}.${String(this.micros % 1_000_000).padStart(6, '0')}+00:00`;
  }

  expected() {
    const orchestrators = {};
    for (const [id, wei] of this.owed)
      orchestrators[id] = { recipient: this.registry.get(id), wei: wei.toString() };
    return {
      counts: this.counts,
      credited_wei: this.creditedWei.toString(),
      adjusted_wei: this.adjustedWei.toString(),
      total_wei: (this.creditedWei + this.adjustedWei).toString(),
      orchestrators,
    };
  }
}

/**
 * Generates a journal of `lines` lines for `accounts` orchestrators; the same arguments give the
 * same bytes.
 *
 * `write` gets the lines in pieces of text. Returns {registry, expected}: the registry file's
 * content, and exact wei owed per orchestrator and in sum, with the number of lines of each kind. A
 * correction never exceeds what is owed when it comes, provided that nothing was paid out before
 * it; correctionRate 0 leaves corrections out.
 */
export function generateJournal({ lines, accounts, seed, correctionRate = 0.01 }, write) {
  const generator = new Generator({ seed, accounts, correctionRate });
  let piece = '';
  for (let i = 0; i < lines; i++) {
    piece += generator.next();
    if (piece.length > 1 << 20) {
      write(piece);
      piece = '';
    }
  }
  write(piece);
  return {
    registry: { orchestrators: Object.fromEntries(generator.registry) },
    expected: { seed: String(seed), lines, accounts, ...generator.expected() },
  };
}
