// The keys of a local KMS, in one JSON file: in the clear, which is why it is for tests only. And what they
// encrypt: AES-256-GCM, bound to the key and to the encryption context.
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { invalidCiphertext, notFound } from './errors.mjs';

const VERSION = 0x01;
const ID_BYTES = 16;
const IV_BYTES = 12;
const TAG_BYTES = 16;

function prefixed(text) {
  const bytes = Buffer.from(text);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return [size, bytes];
}

// Sorted, so that the order in which a client names the pairs does not count; with lengths, so that no two
// contexts have the same bytes.
function associatedData(header, context) {
  const names = Object.keys(context).sort();
  return Buffer.concat([header, ...names.flatMap((name) => [...prefixed(name), ...prefixed(context[name])])]);
}

const idBytes = (id) => Buffer.from(id.replaceAll('-', ''), 'hex');

/** The CiphertextBlob of `plaintext`. */
export function encrypt(key, plaintext, context) {
  const header = Buffer.concat([Buffer.from([VERSION]), idBytes(key.id)]);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key.material, 'base64'), iv);
  cipher.setAAD(associatedData(header, context));
  return Buffer.concat([header, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Keys, aliases, principals and the server's authority; written whole, mode 0600, after every change. */
export class KeyStore {
  #file;
  #state;

  /** `file` absent: nothing is kept. */
  constructor({ file, region, account }) {
    this.#file = file;
    this.#state = { format: 1, region, account, keys: [], aliases: {}, principals: [] };
    if (file !== undefined && fs.existsSync(file)) this.#load(file, region, account);
  }

  #load(file, region, account) {
    const state = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (state.format !== 1) throw new Error(`${file} is no state of a local KMS`);
    if (state.region !== region || state.account !== account) {
      throw new Error(`${file} is of account ${state.account} in ${state.region}, not of ${account} in ${region}`);
    }
    this.#state = state;
  }

  save() {
    if (this.#file === undefined) return;
    fs.mkdirSync(path.dirname(path.resolve(this.#file)), { recursive: true });
    fs.writeFileSync(`${this.#file}.new`, `${JSON.stringify(this.#state, null, 1)}\n`, { mode: 0o600 });
    fs.renameSync(`${this.#file}.new`, this.#file);
  }

  get region() {
    return this.#state.region;
  }

  get account() {
    return this.#state.account;
  }

  /** {pem, key} of the authority of the server's certificate: clients that trust it do so after a restart. */
  get authority() {
    return this.#state.authority;
  }

  set authority(saved) {
    this.#state.authority = saved;
    this.save();
  }

  get principals() {
    return this.#state.principals;
  }

  get keys() {
    return this.#state.keys;
  }

  arnOf(key) {
    return `arn:aws:kms:${this.region}:${this.account}:key/${key.id}`;
  }

  create({ policy, description = '', alias }) {
    const key = { id: randomUUID(), material: randomBytes(32).toString('base64'), policy, description, created: Date.now() };
    this.#state.keys.push(key);
    if (alias !== undefined) this.#state.aliases[alias] = key.id;
    this.save();
    return key;
  }

  /** By id, ARN, alias or the alias's ARN; undefined when there is none. */
  find(name) {
    const prefix = `arn:aws:kms:${this.region}:${this.account}:`;
    const local = name.startsWith(prefix) ? name.slice(prefix.length).replace(/^key\//, '') : name;
    const id = local.startsWith('alias/') ? this.#state.aliases[local] : local;
    return this.#state.keys.find((key) => key.id === id);
  }

  get(name) {
    const key = this.find(name);
    if (key !== undefined) return key;
    throw notFound(name.includes('alias/') ? `Alias ${name} is not found.` : `Key '${name}' does not exist`);
  }

  /** The key that a blob names; any blob that is none of ours is an InvalidCiphertextException. */
  keyOf(blob) {
    const minimum = 1 + ID_BYTES + IV_BYTES + TAG_BYTES;
    const id = blob.subarray(1, 1 + ID_BYTES);
    const key = this.#state.keys.find((one) => idBytes(one.id).equals(id));
    if (blob.length < minimum || blob[0] !== VERSION || key === undefined) throw invalidCiphertext();
    return key;
  }

  decrypt(blob, context) {
    const key = this.keyOf(blob);
    const header = blob.subarray(0, 1 + ID_BYTES);
    const iv = blob.subarray(header.length, header.length + IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key.material, 'base64'), iv);
    decipher.setAAD(associatedData(header, context));
    decipher.setAuthTag(blob.subarray(-TAG_BYTES));
    try {
      const content = blob.subarray(header.length + IV_BYTES, -TAG_BYTES);
      return Buffer.concat([decipher.update(content), decipher.final()]);
    } catch {
      throw invalidCiphertext();
    }
  }
}
