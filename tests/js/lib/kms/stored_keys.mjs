// What the ciphertexts beside a host's records hold, for whoever has KMS's own key.
import fs from 'node:fs';
import path from 'node:path';
import { Wallet } from 'ethers';

const addressOf = (secret) => new Wallet(`0x${secret.toString('hex')}`).address;

/** The signing keys by epoch: {address, secret (32 bytes), root}. The first one has no file of its own epoch. */
function openSigningKeys(kms, file, names, signingContext) {
  const plaintext = kms.store.decrypt(fs.readFileSync(file('signing.ciphertext')), signingContext);
  const first = plaintext.length === 32 ? plaintext : Buffer.from(plaintext.toString().trim().replace(/^0x/, ''), 'hex');
  const keys = [{ address: addressOf(first), secret: first }];
  for (const name of names) {
    const epoch = /^signing-(\d+)\.json$/.exec(name)?.[1];
    if (epoch === undefined) continue;
    const stored = JSON.parse(fs.readFileSync(file(name), 'utf8'));
    if (String(stored.epoch) !== epoch) throw new Error(`${name} is of epoch ${stored.epoch}`);
    const secret = kms.store.decrypt(Buffer.from(stored.ciphertext_b64, 'base64'), stored.encryption_context);
    if (addressOf(secret).toLowerCase() !== stored.address.toLowerCase()) throw new Error(`${name} holds another key than it says`);
    keys[Number(epoch)] = { address: addressOf(secret), secret, root: stored.root === true };
  }
  return keys;
}

/**
 * Opens everything in a host's folder of keys: {address (of the oldest signing key in use), signing (its 32 bytes), signingKeys
 * (all, by epoch), inUse (those of them that are not retired), state (the keys that go with those): Map epoch -> 32 bytes}. Throws where something is missing, is not to be opened with the context that it
 * must have, or is of another address.
 */
export function openStoredKeys(kms, dataDir, signingContext, keys = 'keys') {
  const file = (name) => path.join(dataDir, keys, name);
  const names = fs.readdirSync(file('')).sort();
  const signingKeys = openSigningKeys(kms, file, names, signingContext);
  const first = Math.max(0, signingKeys.findLastIndex((key) => key.root));
  const root = signingKeys[first];
  const inUse = signingKeys.slice(first);
  const state = new Map();
  for (const name of names) {
    const epoch = /^state-(\d+)\.json$/.exec(name)?.[1];
    if (epoch === undefined) continue;
    const stored = JSON.parse(fs.readFileSync(file(name), 'utf8'));
    if (String(stored.epoch) !== epoch) throw new Error(`${name} is of epoch ${stored.epoch}`);
    const address = (stored.address ?? signingKeys[0].address).toLowerCase();
    const context = { 'coffer:purpose': 'state-key', 'coffer:address': address, 'coffer:epoch': epoch };
    const plaintext = kms.store.decrypt(Buffer.from(stored.ciphertext_b64, 'base64'), context);
    if (inUse.some((key) => key.address.toLowerCase() === address)) state.set(Number(epoch), plaintext);
  }
  return { address: root.address, signing: root.secret, signingKeys, inUse, state };
}
