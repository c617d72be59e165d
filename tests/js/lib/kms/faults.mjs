// What can go wrong with a KMS, on demand: each fault is armed for a number of times or until it is cleared.
import { generateKeyPairSync } from 'node:crypto';

/** name -> what it does. Those of the certificate hold for new connections, the others for answers. */
export const FAULTS = {
  'expired-certificate': 'the certificate expired an hour ago',
  'other-host-certificate': "a valid certificate of the same authority, of another host's name",
  'unknown-authority': 'the right name, from an authority that nobody trusts',
  plaintext: 'the plaintext in the clear, although a Recipient was sent',
  'null-plaintext': 'Plaintext is there and null beside CiphertextForRecipient, as KMS may have it',
  'other-key': 'an envelope for a key that is not the Recipient\'s',
  'altered-envelope': 'one bit of the envelope is another',
  throttle: 'ThrottlingException',
  internal: 'KMSInternalException, with status 500',
  delay: 'the answer comes late, by as many milliseconds as its value says',
  cut: 'the connection ends without an answer',
  truncate: 'half of the answer, then the TCP connection ends without a word of TLS (no close_notify)',
  'truncate-cleanly': 'half of the answer, then TLS is closed as it should be',
  'not-json': 'an answer that is no JSON',
};
export const CERTIFICATE_FAULTS = ['expired-certificate', 'other-host-certificate', 'unknown-authority'];

export class Faults {
  #armed = new Map();
  #onChange;
  #otherKey;

  constructor(onChange = () => {}) {
    this.#onChange = onChange;
  }

  /** `times`: for how many answers; `value`: milliseconds of delay. */
  arm(name, { times = Infinity, value = 0 } = {}) {
    if (!Object.hasOwn(FAULTS, name)) throw new Error(`there is no fault '${name}'; there are ${Object.keys(FAULTS).join(', ')}`);
    this.#armed.set(name, { times, value });
    this.#onChange();
  }

  clear() {
    this.#armed.clear();
    this.#onChange();
  }

  has(name) {
    return this.#armed.has(name);
  }

  /** Whether it happens now: {value}, or undefined; one less of its times is left. */
  take(name) {
    const armed = this.#armed.get(name);
    if (armed === undefined) return undefined;
    armed.times -= 1;
    if (armed.times <= 0) this.#armed.delete(name);
    return armed;
  }

  otherPublicKey() {
    this.#otherKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    return this.#otherKey;
  }

  /** Arms what a text such as "throttle:2,delay=500" says: NAME, NAME:TIMES, NAME=VALUE, NAME=VALUE:TIMES. */
  armAll(text) {
    for (const one of text.split(',')) {
      const [, name, value, times] = /^([a-z-]+)(?:=(\d{1,7}))?(?::(\d{1,7}))?$/.exec(one) ?? [];
      if (name === undefined) throw new Error(`'${one}' is no fault; give NAME, NAME:TIMES or NAME=VALUE:TIMES`);
      this.arm(name, { times: times === undefined ? Infinity : Number(times), value: Number(value ?? 0) });
    }
  }
}
