// One coffer-enclave as a real process, spoken to without a host: by JSON, by protobuf, and with a
// storage in memory where it needs one.
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { Wallet } from 'ethers';
import { BoundaryClient, MemoryStorage } from './boundary.mjs';
import { flags } from './coffer.mjs';
import { JsonConnection, callOnce } from './json_client.mjs';
import { Program, freePort, temporaryFolder, until } from './program.mjs';

export const BROKER = '0xa8bB618B1520E284046F3dFc448851A1Ff26e41B';
export const CHAIN_ID = 42161n;

/** What an authority and a signer with a policy cannot do without. */
export const POLICY = { 'chain-id': CHAIN_ID, 'ticket-broker': BROKER };

export class Enclave {
  /**
   * `flags` are those of the command line besides --listen and the key. `storage` (true): sealed
   * records are kept in memory by a protobuf client of ours. `tcp`: listens on a port and not on a
   * unix socket. `key`: null for an enclave that starts without one. `file`: another program.
   */
  static async make({ flags: options = {}, key, storage = false, tcp = false, file } = {}) {
    const enclave = new Enclave();
    enclave.file = file;
    enclave.folder = temporaryFolder();
    enclave.key = key === undefined ? `0x${randomBytes(32).toString('hex')}` : key;
    enclave.address = enclave.key === null ? undefined : new Wallet(enclave.key).address;
    enclave.endpoint = tcp
      ? `tcp://127.0.0.1:${await freePort()}`
      : `unix://${path.join(enclave.folder, 'enclave.sock')}`;
    if (storage) enclave.storage = new MemoryStorage();
    enclave.setFlags(options);
    return enclave;
  }

  setFlags(options) {
    this.program = new Program({
      name: 'coffer-enclave',
      file: this.file,
      log: path.join(this.folder, 'enclave.log'),
      env: this.key === null ? {} : { SIGNER_PRIVATE_KEY: this.key },
      args: flags({ 'insecure-dev-key': this.key === null ? undefined : true, listen: this.endpoint, ...options }),
    });
  }

  /** Started, and with a storage loaded. A state that is refused is thrown as a BoundaryError. */
  async start() {
    this.program.start();
    this.boundary = await until('the enclave', () => {
      this.program.check();
      return BoundaryClient.connect(this.endpoint);
    });
    if (this.storage && this.key !== null) await this.boundary.load(this.storage);
    return this;
  }

  async kill() {
    this.boundary?.close();
    await this.program.kill();
  }

  async restart(options) {
    await this.kill();
    if (options !== undefined) this.setFlags(options);
    return this.start();
  }

  /** One request by JSON, on a connection of its own. */
  call(method, params) {
    return callOnce(this.endpoint, method, params);
  }

  connect() {
    return JsonConnection.connect(this.endpoint);
  }

  status() {
    return this.boundary.call('status', { want_ledger_root: true });
  }

  async close() {
    await this.kill();
    if (!process.env.COFFER_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs `body` with a started enclave and ends it; a failure carries the end of its log. */
export async function withEnclave(options, body) {
  const enclave = await Enclave.make(options);
  try {
    await enclave.start();
    await body(enclave);
  } catch (error) {
    error.message += `\n-- enclave (${enclave.program.log})\n${enclave.program.tail()}`;
    throw error;
  } finally {
    await enclave.close();
  }
}
