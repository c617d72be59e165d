// A KMS on this machine with the key of a Coffer in it, and what enclaves and hosts are started with that have
// their keys from there and from nowhere else.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { programPath, runProgram, temporaryFolder } from '../program.mjs';
import { kmsClient, send } from './client.mjs';
import { developmentImage, setUpCofferKey } from './coffer_key.mjs';
import { LocalKms } from './local_kms.mjs';

/** What signing keys are encrypted with, as docs/kms.md recommends. */
export const SIGNING_CONTEXT = { 'coffer:purpose': 'signing-key' };

const RELEASING = ['Decrypt', 'GenerateDataKey'];

export class KmsWorld {
  #files = 0;
  #ownsFolder;

  /**
   * `images`: PCR0 of those that are let in, by default that of coffer-enclave; `folder`: where its files are, by
   * default one that goes away with it; the rest are options of LocalKms. No request is taken twice unless
   * `refuseReplays` is false.
   */
  static async make({ images, folder, ...options } = {}) {
    const world = new KmsWorld();
    world.folder = folder ?? temporaryFolder('coffer-kms-');
    world.#ownsFolder = folder === undefined;
    const made = await runProgram('coffer', ['dev-root', '--out', path.join(world.folder, 'root')]);
    assert.equal(made.code, 0, made.stderr);
    world.rootKey = path.join(world.folder, 'root/coffer-dev-root.key');
    world.rootFile = path.join(world.folder, 'root/coffer-dev-root.pem');
    const root = fs.readFileSync(world.rootFile, 'utf8');
    world.image = developmentImage(programPath('coffer-enclave'));
    world.kms = await LocalKms.start({ root, refuseReplays: true, ...options });
    world.caFile = path.join(world.folder, 'kms-ca.pem');
    fs.writeFileSync(world.caFile, world.kms.authority.pem);
    world.letIn(images ?? [world.image]);
    return world;
  }

  /** Replaces the key's policy by deploy/kms's for these images (PCR0 in hex). */
  letIn(images) {
    this.coffer = setUpCofferKey(this.kms, { images, signingContext: SIGNING_CONTEXT });
  }

  get calls() {
    return this.kms.calls;
  }

  /** How many keys were given out. */
  get released() {
    return this.calls.filter(({ action, outcome }) => RELEASING.includes(action) && outcome === 'ok').length;
  }

  /** What the operator's AWS SDK makes of a plaintext (bytes, or a text): the ciphertext. */
  async encrypt(plaintext, context = SIGNING_CONTEXT) {
    const input = { KeyId: this.coffer.alias, Plaintext: Buffer.from(plaintext), EncryptionContext: context };
    return Buffer.from((await send(kmsClient(this.kms, this.coffer.operator), 'Encrypt', input)).CiphertextBlob);
  }

  /** A file with the ciphertext of a signing key (hex, with 0x), encrypted as `form`: 'raw' or 'text'. */
  async ciphertextFile(key, form = 'raw') {
    const file = path.join(this.folder, `signing-${++this.#files}.ciphertext`);
    fs.writeFileSync(file, await this.encrypt(form === 'raw' ? Buffer.from(key.slice(2), 'hex') : `${key}\n`));
    return file;
  }

  /** The credentials of a principal as AWS's programs read them from the environment. */
  environment(principal = this.coffer.enclave) {
    return {
      AWS_REGION: this.kms.store.region,
      AWS_ACCESS_KEY_ID: principal.access_key_id,
      AWS_SECRET_ACCESS_KEY: principal.secret_access_key,
      ...(principal.session_token ? { AWS_SESSION_TOKEN: principal.session_token } : {}),
      AWS_EC2_METADATA_DISABLED: 'true',
    };
  }

  /** Flags of a coffer-enclave that starts without a key. */
  get enclaveFlags() {
    return {
      'insecure-dev-key': undefined,
      attestor: 'dev',
      'dev-root': this.rootKey,
      'kms-endpoint-override': `tcp://127.0.0.1:${this.kms.port}`,
      'insecure-kms-ca': this.caFile,
    };
  }

  /**
   * Options of a Stack (lib/coffer.mjs) whose host gives its enclave the key: that of `ciphertext` (a file), or
   * one that KMS generates. `enclave`, `host`, `hostEnv` and the rest win.
   */
  stack({ ciphertext, enclave, host, hostEnv, ...options } = {}) {
    const source = ciphertext === undefined ? { 'kms.generate-key-id': this.coffer.alias } : { 'kms.ciphertext-file': ciphertext };
    const context = Object.entries(SIGNING_CONTEXT).map((pair) => pair.join('='));
    return {
      ...options,
      enclaveEnv: {},
      enclave: { ...this.enclaveFlags, ...enclave },
      host: {
        'kms.provision': true,
        'kms.credentials': 'environment',
        'kms.encryption-context': context.join(','),
        ...source,
        ...host,
      },
      hostEnv: hostEnv ?? this.environment(),
    };
  }

  async close() {
    await this.kms.stop();
    if (this.#ownsFolder && !process.env.COFFER_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One world for a test file, which ends with it. */
export async function useKmsWorld(test, options) {
  const world = await KmsWorld.make(options);
  test.after(() => world.close());
  return world;
}
