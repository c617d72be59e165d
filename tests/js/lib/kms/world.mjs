// A local KMS for a whole stack: root of development documents, KMS, Coffer's key with the policies of deploy/kms,
// and what enclave and host have to be told so that the signing key comes from there.
import fs from 'node:fs';
import path from 'node:path';
import { programPath, runProgram } from '../program.mjs';
import { kmsClient, send } from './client.mjs';
import { developmentImage, setUpCofferKey } from './coffer_key.mjs';
import { LocalKms } from './local_kms.mjs';

const CONTEXT = { 'coffer:purpose': 'signing-key' };

export class KmsWorld {
  /** In `folder`, which exists. `options`: of LocalKms. */
  static async start(folder, options = {}) {
    const world = new KmsWorld();
    world.folder = folder;
    const made = await runProgram('coffer', ['dev-root', '--out', folder]);
    if (made.code !== 0) throw new Error(`coffer dev-root: ${made.stderr}`);
    const root = fs.readFileSync(path.join(folder, 'coffer-dev-root.pem'), 'utf8');
    world.kms = await LocalKms.start({ root, ...options });
    fs.writeFileSync(path.join(folder, 'kms-ca.pem'), world.kms.authority.pem);
    world.allow([developmentImage(programPath('coffer-enclave'))]);
    return world;
  }

  /** Lets these images in (PCR0, hex) and no others. */
  allow(images) {
    this.images = images;
    this.coffer = setUpCofferKey(this.kms, { images, signingContext: CONTEXT });
  }

  /** As the operator does it: the ciphertext of a signing key, 32 bytes. */
  async encrypt(plaintext) {
    const input = { KeyId: this.coffer.alias, Plaintext: plaintext, EncryptionContext: CONTEXT };
    return Buffer.from((await send(kmsClient(this.kms, this.coffer.operator), 'Encrypt', input)).CiphertextBlob);
  }

  /** The option `kms` of Stack.make, for a signing key (0x, hex); without one KMS makes it. */
  async forStack(key) {
    const file = path.join(this.folder, 'signing.ciphertext');
    if (key !== undefined) fs.writeFileSync(file, await this.encrypt(Buffer.from(key.slice(2), 'hex')));
    const { enclave } = this.coffer;
    const source = key === undefined ? { 'kms.generate-key-id': this.coffer.keyId } : { 'kms.ciphertext-file': file };
    return {
      enclave: {
        attestor: 'dev',
        'dev-root': path.join(this.folder, 'coffer-dev-root.key'),
        'kms-endpoint-override': `tcp://127.0.0.1:${this.kms.port}`,
        'insecure-kms-ca': path.join(this.folder, 'kms-ca.pem'),
      },
      host: {
        'kms.provision': true,
        'kms.region': this.kms.store.region,
        'kms.credentials': 'environment',
        'kms.encryption-context': Object.entries(CONTEXT).map((pair) => pair.join('=')).join(','),
        ...source,
      },
      env: {
        AWS_ACCESS_KEY_ID: enclave.access_key_id,
        AWS_SECRET_ACCESS_KEY: enclave.secret_access_key,
        AWS_SESSION_TOKEN: enclave.session_token,
      },
    };
  }

  stop() {
    return this.kms.stop();
  }
}
