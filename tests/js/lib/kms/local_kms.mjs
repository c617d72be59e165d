// A stand-in for AWS KMS, for tests and the demo and never for production: it speaks KMS's API over TLS,
// verifies signatures, policies and attestation documents as KMS does, and keeps its keys in the clear.
import { randomBytes, randomUUID } from 'node:crypto';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountPolicy, act } from './actions.mjs';
import { Authority } from './certificates.mjs';
import { KmsError } from './errors.mjs';
import { CERTIFICATE_FAULTS, Faults } from './faults.mjs';
import { KeyStore } from './keys.mjs';
import { parsePolicy } from './policy.mjs';
import { authenticate } from './sigv4.mjs';

const CONTENT_TYPE = 'application/x-amz-json-1.1';
const MAX_BODY_BYTES = 64 * 1024;
const MAX_REMEMBERED = 10_000;
const FRESHNESS_MS = 5 * 60e3;
const HOUR_MS = 3600e3;

/** An access key of `arn`, as IAM would give it out. `policies`: the principal's own, as objects. */
export function newPrincipal(arn, { policies = [], temporary = false } = {}) {
  const id = randomBytes(16).toString('hex').toUpperCase().slice(0, 16);
  return {
    arn,
    access_key_id: `${temporary ? 'ASIA' : 'AKIA'}${id}`,
    secret_access_key: randomBytes(30).toString('base64'),
    ...(temporary ? { session_token: randomBytes(48).toString('base64') } : {}),
    policies,
  };
}

export class LocalKms {
  #server;
  #certificates;
  #seen = new Set();
  #sockets = new Set();

  /**
   * Options: `state` (a file; none: nothing is kept), `region`, `account`, `root` (PEM: the root of attestation
   * documents), `freshnessMs`, `refuseReplays` (AWS takes the same signed request again within its five minutes;
   * with this, it is refused), `chunkBytes` (of an envelope's pieces), `host`, `port`.
   */
  constructor(options = {}) {
    const defaults = { region: 'us-east-2', account: '111122223333', host: '127.0.0.1', port: 0 };
    this.options = { ...defaults, freshnessMs: FRESHNESS_MS, ...options };
    const { state, region, account } = this.options;
    this.store = new KeyStore({ file: state, region, account });
    this.authority = new Authority({ saved: this.store.authority });
    this.store.authority = this.authority.save();
    this.faults = new Faults(() => this.#chooseCertificate());
    /** What was asked and how it ended, newest last: {action, arn, attested, outcome}. No secrets. */
    this.calls = [];
    /**
     * Awaited, when set, before a request is judged and before its answer goes out: the place to kill somebody.
     * The first has the request's headers and body besides.
     */
    this.onRequest = undefined;
    this.onAnswer = undefined;
  }

  static async start(options) {
    const kms = new LocalKms(options);
    await kms.#listen();
    return kms;
  }

  /** The name that KMS has in this region, for which the certificate is too. */
  get hostName() {
    return `kms.${this.options.region}.amazonaws.com`;
  }

  get port() {
    return this.#server.address().port;
  }

  get endpoint() {
    return `https://${this.options.host}:${this.port}`;
  }

  #makeCertificates() {
    const { authority } = this;
    const names = [this.hostName, 'localhost', '127.0.0.1'];
    this.#certificates = {
      good: authority.issue(names),
      'expired-certificate': authority.issue(names, { from: Date.now() - 2 * HOUR_MS, until: Date.now() - HOUR_MS }),
      'other-host-certificate': authority.issue(['kms.example.org']),
      'unknown-authority': new Authority({ subject: 'Somebody else' }).issue(names),
    };
  }

  #chooseCertificate() {
    const fault = CERTIFICATE_FAULTS.find((name) => this.faults.has(name));
    this.#server?.setSecureContext({ ...this.#certificates[fault ?? 'good'], minVersion: 'TLSv1.2' });
  }

  async #listen() {
    this.#makeCertificates();
    const { host, port } = this.options;
    this.#server = https.createServer({ ...this.#certificates.good, minVersion: 'TLSv1.2' }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    // A client that does not trust us hangs up in the handshake: its right.
    this.#server.on('tlsClientError', () => {});
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    this.#chooseCertificate();
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A principal with an access key of its own. */
  addPrincipal(arn, options) {
    const principal = newPrincipal(arn, options);
    this.store.principals.push(principal);
    this.store.save();
    return principal;
  }

  /** The ARN of a new key. `policy`: an object; none: the account's own. */
  createKey({ policy, alias, description } = {}) {
    const text = policy === undefined ? accountPolicy(this.store.account) : JSON.stringify(policy);
    parsePolicy(text);
    return this.store.arnOf(this.store.create({ policy: text, alias, description }));
  }

  /** Replaces the policy of a key; the key's ARN. */
  putPolicy(keyId, policy) {
    const text = JSON.stringify(policy);
    parsePolicy(text);
    const key = this.store.get(keyId);
    key.policy = text;
    this.store.save();
    return this.store.arnOf(key);
  }

  async #serve(request, response) {
    const body = await readBody(request);
    const call = { action: actionOf(request), arn: undefined, attested: false, outcome: 'ok' };
    this.calls.push(call);
    if (this.calls.length > MAX_REMEMBERED) this.calls.shift();
    await this.onRequest?.(call, { headers: request.headers, body });
    const answer = this.#answer(request, body, call);
    await this.onAnswer?.(call);
    const delay = this.faults.take('delay');
    if (delay !== undefined) await sleep(delay.value);
    this.#send(request.socket, response, answer);
  }

  #answer(request, body, call) {
    try {
      return { status: 200, body: this.#act(request, body, call) };
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      call.outcome = error.name;
      return { status: error.status, body: error.body };
    }
  }

  #act(request, body, call) {
    if (body === undefined) throw new KmsError('SerializationException', 'The request is too long.', 413);
    if (request.method !== 'POST' || request.url !== '/') throw new KmsError('UnknownOperationException', undefined, 404);
    const { faults, store, options } = this;
    if (faults.take('throttle')) throw new KmsError('ThrottlingException', 'Rate exceeded');
    if (faults.take('internal')) throw new KmsError('KMSInternalException', undefined, 500);
    const principal = this.#authenticate(request, body);
    call.arn = principal.arn;
    if (request.headers['content-type'] !== CONTENT_TYPE) throw new KmsError('UnknownOperationException');
    const parsed = parseBody(body);
    call.attested = parsed.Recipient !== undefined;
    return act({ store, principal, request: parsed, options, faults, action: call.action });
  }

  #authenticate(request, body) {
    const headers = new Map(Object.entries(request.headers));
    const findPrincipal = (id) => this.store.principals.find((one) => one.access_key_id === id);
    const { principal, signature } = authenticate({ method: request.method, headers, body }, { findPrincipal, region: this.store.region });
    if (!this.options.refuseReplays) return principal;
    if (this.#seen.has(signature)) throw new KmsError('InvalidSignatureException', 'This request was sent before: a replay.');
    this.#seen.add(signature);
    return principal;
  }

  // Where a socket is destroyed, the TCP connection goes and TLS is told nothing.
  #send(socket, response, { status, body }) {
    const text = this.faults.take('not-json') ? '<html>' : body === undefined ? '' : JSON.stringify(body);
    if (this.faults.take('cut')) return void socket.destroy();
    const half = (end) => {
      const head = `HTTP/1.1 ${status} OK\r\ncontent-type: ${CONTENT_TYPE}\r\ncontent-length: ${text.length}\r\n\r\n`;
      socket.write(head + text.slice(0, text.length / 2), end);
    };
    if (this.faults.take('truncate')) return void half(() => socket.destroy());
    if (this.faults.take('truncate-cleanly')) return void half(() => socket.end());
    response.writeHead(status, {
      'content-type': CONTENT_TYPE,
      'content-length': Buffer.byteLength(text),
      'x-amzn-requestid': randomUUID(),
    });
    response.end(text);
  }
}

const actionOf = (request) => /^TrentService\.(\w{1,64})$/.exec(request.headers['x-amz-target'] ?? '')?.[1] ?? '';

async function readBody(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function parseBody(body) {
  try {
    const parsed = JSON.parse(body.toString('utf8'));
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed)) return parsed;
  } catch {
    // Said below.
  }
  throw new KmsError('SerializationException', 'The body is no JSON object.');
}
