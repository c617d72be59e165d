// coffer.boundary.v1 spoken directly to an enclave, and a storage that keeps what it seals: an
// independent second host, for tests.
import { createHash } from 'node:crypto';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const SOURCE = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const root = new protobuf.Root();
root.resolvePath = (_, target) => path.resolve(SOURCE, target);
root.loadSync('proto/boundary.proto', { keepCase: true });
const ClientFrame = root.lookupType('coffer.boundary.v1.ClientFrame');
const ServerFrame = root.lookupType('coffer.boundary.v1.ServerFrame');
export const ErrorCode = root.lookupEnum('coffer.boundary.v1.ErrorCode').values;

const PLAIN = { longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true };

/** Wei as the boundary carries them. */
export const wei = (amount) => ({
  high: String(BigInt(amount) >> 64n),
  low: String(BigInt(amount) & ((1n << 64n) - 1n)),
});

/** A Wei message, or nothing, as a bigint. */
export const fromWei = (message) =>
  message ? (BigInt(message.high) << 64n) + BigInt(message.low) : 0n;

/** The payload of a frame: `body` is {name: content}. */
export function encodeRequest(requestId, body) {
  return Buffer.from(
    ClientFrame.encode(ClientFrame.fromObject({ request_id: requestId, ...body })).finish(),
  );
}

/** What a frame's payload says, from a client or from an enclave: {body: its name, [its name]: content}. */
export function decodeFrame(payload, { fromClient }) {
  const type = fromClient ? ClientFrame : ServerFrame;
  return type.toObject(type.decode(payload), PLAIN);
}

/** A payload with its length in front. */
export function frame(payload) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(payload.length);
  return Buffer.concat([length, payload]);
}

/** net.connect options of unix:///PATH and tcp://HOST:PORT. */
export function socketOptions(endpoint) {
  const unix = /^unix:\/\/(\/.*)$/.exec(endpoint);
  if (unix) return { path: unix[1] };
  const tcp = /^tcp:\/\/(.*):(\d+)$/.exec(endpoint);
  if (!tcp) throw new Error(`'${endpoint}' is not unix:///PATH or tcp://HOST:PORT`);
  return { host: tcp[1], port: Number(tcp[2]) };
}

/** An error answer of the enclave. */
export class BoundaryError extends Error {
  constructor({ code, message }) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/**
 * Sealed bytes as a host would keep them, in memory: records by sequence, and the newest whole
 * snapshot.
 */
export class MemoryStorage {
  records = new Map();
  last = 0n;
  snapshot; // {sequence, chunks}
  #arriving;

  /** Keeps one Store message; what to say as Stored. */
  keep({ kind, sequence, chunk_index: index, chunk_count: count, sealed }) {
    const number = BigInt(sequence);
    if (kind === 'KIND_RECORD') {
      this.records.set(number, sealed);
      this.last = number;
      return { sequence };
    }
    if (index === 0) this.#arriving = { sequence: number, chunks: [] };
    this.#arriving.chunks.push(sealed);
    const stored = { snapshot_sequence: sequence, snapshot_chunks: index + 1 };
    if (index + 1 === count) this.snapshot = this.#arriving;
    return stored;
  }

  /** What a fresh enclave is loaded with, in order. */
  items() {
    const from = this.snapshot?.sequence ?? 0n;
    const after = [...this.records].filter(([sequence]) => sequence > from).sort(bySequence);
    return [...(this.snapshot?.chunks ?? []), ...after.map(([, sealed]) => sealed)];
  }

  attachment() {
    if (this.last === 0n) return {};
    const hash = createHash('sha256').update(this.records.get(this.last)).digest();
    return { last_sequence: String(this.last), last_hash: hash };
  }
}

const bySequence = ([a], [b]) => (a < b ? -1 : a > b ? 1 : 0);

/** One connection to an enclave. */
export class BoundaryClient {
  #waiting = new Map();
  #received = Buffer.alloc(0);
  #nextId = 1;
  #storage;

  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('data', (data) => this.#take(data));
    socket.on('error', () => {});
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values())
        reject(new Error('the enclave closed the connection'));
      this.#waiting.clear();
    });
  }

  static connect(endpoint) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(socketOptions(endpoint));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new BoundaryClient(socket));
      });
    });
  }

  /** Sends one request and gives the answer's body; a BoundaryError for an error. */
  call(name, content = {}) {
    return this.callRaw(this.#nextId, encodeRequest(this.#nextId++, { [name]: content }));
  }

  /** The same for a payload made elsewhere. */
  callRaw(requestId, payload) {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error('the connection is closed'));
      this.#waiting.set(String(requestId), { resolve, reject });
      this.socket.write(frame(payload));
    });
  }

  /** Gives a fresh enclave its state from `storage` and is its storage from then on. */
  async load(storage) {
    this.#storage = storage;
    const answers = [this.call('load_begin')];
    for (const sealed of storage.items()) answers.push(this.call('load_record', { sealed }));
    answers.push(this.call('load_end'));
    return (await Promise.all(answers)).at(-1);
  }

  /** Becomes the storage of a living enclave. */
  attach(storage) {
    this.#storage = storage;
    return this.call('attach_storage', storage.attachment());
  }

  // An answer of the JSON protocol, to the only one who waits.
  #json(answer) {
    const [id, waiting] = [...this.#waiting][0] ?? [];
    this.#waiting.delete(id);
    waiting?.resolve(answer);
  }

  close() {
    this.socket.destroy();
    return this.closed;
  }

  #take(data) {
    this.#received = Buffer.concat([this.#received, data]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32BE(0);
      if (this.#received.length < 4 + length) return;
      this.#frame(this.#received.subarray(4, 4 + length));
      this.#received = this.#received.subarray(4 + length);
    }
  }

  #frame(payload) {
    if (payload[0] === 0x7b) return this.#json(JSON.parse(payload.toString()));
    const answer = ServerFrame.toObject(ServerFrame.decode(payload), PLAIN);
    if (answer.body === 'store') {
      const stored = this.#storage?.keep(answer.store);
      if (stored) this.socket.write(frame(encodeRequest(0, { stored })));
      return;
    }
    const waiting = this.#waiting.get(answer.request_id);
    this.#waiting.delete(answer.request_id);
    if (answer.body === 'error') {
      (waiting ?? { reject: () => {} }).reject(new BoundaryError(answer.error));
    } else {
      waiting?.resolve(answer[answer.body]);
    }
  }
}
