// coffer-enclave and coffer-host as two real processes around one data folder, and their HTTP API.
import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { Wallet } from 'ethers';
import { patient } from './patience.mjs';
import { Program, freePort, temporaryFolder, until } from './program.mjs';

const HTTP_TIMEOUT_MS = 30_000;

/** An answer of the HTTP API that is not 2xx. */
export class HttpError extends Error {
  constructor(method, where, status, body) {
    super(`${method} ${where}: ${status} ${JSON.stringify(body)}`);
    Object.assign(this, { status, body });
  }
}

/** The host's API with one token. */
export class Api {
  constructor(port, token) {
    this.base = `http://127.0.0.1:${port}`;
    this.token = token;
  }

  /** {status, body, headers}; the body parsed when it is JSON. Throws only without any answer. */
  async raw(method, where, body, { token = this.token, headers = {} } = {}) {
    const ask = () => fetch(this.base + where, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(patient(HTTP_TIMEOUT_MS)),
    });
    // A kept connection may be closed by the server just as it is used again (RFC 9112, 9.3.1).
    const closed = (error) => ['UND_ERR_SOCKET', 'ECONNRESET'].includes(error.cause?.code);
    const response = await ask().catch((error) => {
      if (method !== 'GET' || !closed(error)) throw error;
      return ask();
    });
    const text = await response.text();
    let parsed = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Metrics are text.
    }
    return { status: response.status, body: parsed, headers: response.headers };
  }

  async #call(method, where, body) {
    const answer = await this.raw(method, where, body);
    if (answer.status < 200 || answer.status > 299) {
      throw new HttpError(method, where, answer.status, answer.body);
    }
    return answer.body;
  }

  get(where) {
    return this.#call('GET', where);
  }

  post(where, body) {
    return this.#call('POST', where, body);
  }

  status() {
    return this.get('/api/tee/status');
  }

  async #pages(where, name) {
    const list = [];
    for (let from = 0; from !== null; ) {
      const page = await this.get(`${where}from=${from}`);
      list.push(...page[name]);
      from = page.next;
    }
    return list;
  }

  /** All accounts by id, their amounts as bigints. */
  async accounts() {
    const list = await this.#pages('/api/ledger/accounts?limit=5000&', 'accounts');
    return new Map(list.map((account) => [account.id, withBigInts(account)]));
  }

  payouts() {
    return this.#pages('/api/payouts?limit=1000&', 'payouts');
  }

  /** Sends credits; each {id, account, amount_wei}. */
  credit(events) {
    return this.post('/api/ledger/events', events);
  }

  /** The value of a metric (the sum over its labels), 0 when it is not there. */
  async metric(name) {
    const { status, body } = await this.raw('GET', '/metrics');
    // Else a request that was turned away would look like a metric of 0.
    if (status !== 200) throw new Error(`/metrics was answered ${status}`);
    return String(body)
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

const AMOUNTS = ['available', 'reserved', 'credited', 'adjusted_up', 'adjusted_down', 'paid'];

function withBigInts(account) {
  const copy = { ...account };
  for (const name of AMOUNTS) copy[name] = BigInt(account[name]);
  return copy;
}

/** Flags from {name: value}: true is --name, false --no-name, undefined is left out. */
export function flags(options) {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => {
      if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
      return [`--${name}`, String(value)];
    });
}

/**
 * An enclave and a host with a folder of their own. Options: `chain` (a Coffer of lib/chain.mjs, or
 * none: nobody is paid), `key`, `recipients` (the registry, id -> address), `journal` (a path),
 * `enclave` and `host` (flags that win over those chosen here), `enclaveEnv` (instead of the key),
 * `hostEnv`, `machine` (a virtual machine of lib/vm.mjs that the enclave runs in), `enclaveFile` (a program
 * to run as the enclave).
 */
export class Stack {
  static async make(options = {}) {
    const stack = new Stack();
    stack.folder = options.folder ?? temporaryFolder();
    fs.mkdirSync(stack.folder, { recursive: true });
    stack.ownsFolder = options.folder === undefined;
    stack.key = options.key ?? new Wallet(`0x${randomBytes(32).toString('hex')}`).privateKey;
    stack.address = new Wallet(stack.key).address;
    stack.chain = options.chain;
    stack.viewerToken = randomBytes(24).toString('hex');
    stack.adminToken = randomBytes(24).toString('hex');
    stack.port = await freePort();
    stack.api = new Api(stack.port, stack.adminToken);
    stack.endpoint =
      options.machine?.endpoint ?? `unix://${path.join(stack.folder, 'enclave.sock')}`;
    stack.dataDir = options.dataDir ?? path.join(stack.folder, 'data');
    stack.registry = path.join(stack.folder, 'registry.json');
    stack.journal = options.journal;
    stack.writeRegistry(options.recipients ?? {});
    stack.#makePrograms(options);
    return stack;
  }

  #makePrograms(options) {
    const broker = this.chain?.addresses.broker ?? '0x00000000000000000000000000000000000000b1';
    const enclaveFlags = {
      'chain-id': this.chain?.node.chainId ?? 31337,
      'ticket-broker': broker,
      ...options.enclave,
    };
    const log = path.join(this.folder, 'enclave.log');
    this.enclave =
      options.machine?.program({ folder: this.folder, log, key: this.key, flags: flags(enclaveFlags) }) ??
      new Program({
        name: 'coffer-enclave',
        log,
        file: options.enclaveFile,
        env: options.enclaveEnv ?? { SIGNER_PRIVATE_KEY: this.key },
        args: flags({ 'insecure-dev-key': true, listen: this.endpoint, ...enclaveFlags }),
      });
    this.host = new Program({
      name: 'coffer-host',
      log: path.join(this.folder, 'host.log'),
      env: {
        COFFER_HTTP_VIEWER_TOKEN: this.viewerToken,
        COFFER_HTTP_ADMIN_TOKEN: this.adminToken,
        ...options.hostEnv,
      },
      args: flags({
        enclave: this.endpoint,
        'data-dir': this.dataDir,
        'http.listen': `tcp://127.0.0.1:${this.port}`,
        'registry.path': this.registry,
        'journal.path': this.journal,
        ...(this.chain ? chainFlags(this.chain) : {}),
        ...options.host,
      }),
    });
  }

  writeRegistry(recipients) {
    const text = `${JSON.stringify({ orchestrators: recipients }, null, 1)}\n`;
    fs.writeFileSync(`${this.registry}.new`, text);
    fs.renameSync(`${this.registry}.new`, this.registry);
  }

  async start(timeoutMs) {
    this.enclave.start();
    this.host.start();
    await this.ready(timeoutMs);
    return this;
  }

  /** Waits until the host says that it can do its work. */
  async ready(timeoutMs = 30_000) {
    let reasons = '';
    try {
      await until(
        'readiness',
        async () => {
          this.host.check();
          this.enclave.check();
          const answer = await this.api.raw('GET', '/readyz');
          reasons = answer.body.reasons?.join('; ') ?? '';
          return answer.status === 200;
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(
        `${error.message} (${reasons})\n-- host\n${this.host.tail()}\n-- enclave\n${this.enclave.tail()}`,
      );
    }
  }

  /** Waits until all of the journal is dealt with. */
  caughtUp(timeoutMs = 60_000) {
    return until(
      'the end of the journal',
      async () => {
        this.host.check();
        const size = fs.statSync(this.journal).size;
        const journal = await this.api.get('/api/journal');
        return journal.caught_up && journal.lag_bytes === 0 && journal.offset >= size;
      },
      { timeoutMs },
    );
  }

  /**
   * Asks for payouts until nothing is owed any more (or `done(status)` says so); `onStatus` sees the
   * status on the way. A process that is down in between is waited for.
   */
  async payEverybody({ timeoutMs = 60_000, everyMs = 100, done = nothingOwed, onStatus } = {}) {
    let asked = 0;
    let driver;
    const finished = async () => {
      const status = await this.api.status();
      await onStatus?.(status);
      if (done(status)) return true;
      driver = (await this.api.get('/api/payouts?limit=1')).driver;
      if (Date.now() - asked > 500 && BigInt(status.totals.available) > 0n) {
        asked = Date.now();
        await this.api.post('/api/payouts/run');
      }
      return false;
    };
    try {
      await until('everybody paid', finished, { timeoutMs, everyMs });
    } catch (error) {
      error.message += `\n-- driver ${JSON.stringify(driver)}`;
      throw error;
    }
  }

  /** SIGTERM to both; their exit codes. */
  async stop() {
    const host = await this.host.stop();
    return { host, enclave: await this.enclave.stop() };
  }

  /** Ends everything and removes the folder, unless it was given or COFFER_KEEP is set. */
  async close() {
    await Promise.all([this.host.kill(), this.enclave.kill()]);
    if (this.ownsFolder && !process.env.COFFER_KEEP) {
      fs.rmSync(this.folder, { recursive: true, force: true });
    }
  }

  deadLetters() {
    const file = path.join(this.dataDir, 'journal/dead-letters.jsonl');
    if (!fs.existsSync(file)) return [];
    return fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }
}

const nothingOwed = ({ totals, open_payouts: open }) =>
  open === 0 && BigInt(totals.available) === 0n && BigInt(totals.reserved) === 0n;

// What the host needs to pay on a local chain: only when asked, quick looks, one confirmation.
function chainFlags(chain) {
  return {
    'chain.urls': chain.node.url,
    'chain.id': chain.node.chainId,
    'chain.ticket-broker': chain.addresses.broker,
    'chain.confirmations': 1,
    'payouts.interval': '0s',
    'payouts.tick': '50ms',
    'payouts.retry-after': '300ms',
  };
}
