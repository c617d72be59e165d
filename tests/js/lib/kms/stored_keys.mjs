// What the ciphertexts beside a host's records hold, for whoever has KMS's own key.
import fs from 'node:fs';
import path from 'node:path';
import { Wallet } from 'ethers';

/**
 * Opens everything in a host's folder of keys: {address, signing (32 bytes), state: Map epoch -> 32 bytes}. Throws where something
 * is missing, is not to be opened with the context that it must have, or is of another address.
 */
export function openStoredKeys(kms, dataDir, signingContext, keys = 'keys') {
  const file = (name) => path.join(dataDir, keys, name);
  const plaintext = kms.store.decrypt(fs.readFileSync(file('signing.ciphertext')), signingContext);
  const signing = plaintext.length === 32 ? plaintext : Buffer.from(plaintext.toString().trim().replace(/^0x/, ''), 'hex');
  const address = new Wallet(`0x${signing.toString('hex')}`).address;
  const state = new Map();
  for (const name of fs.readdirSync(file('')).sort()) {
    const epoch = /^state-(\d+)\.json$/.exec(name)?.[1];
    if (epoch === undefined) continue;
    const stored = JSON.parse(fs.readFileSync(file(name), 'utf8'));
    if (String(stored.epoch) !== epoch) throw new Error(`${name} is of epoch ${stored.epoch}`);
    const context = { 'coffer:purpose': 'state-key', 'coffer:address': address.toLowerCase(), 'coffer:epoch': epoch };
    state.set(Number(epoch), kms.store.decrypt(Buffer.from(stored.ciphertext_b64, 'base64'), context));
  }
  return { address, signing, state };
}
