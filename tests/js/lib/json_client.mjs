// The length-prefixed JSON protocol as its public clients speak it: a connection a request, or one
// connection that is kept and pipelined. Integers of answers are bigints.
import net from 'node:net';
import { frame, socketOptions } from './boundary.mjs';
import { parseExact, writeExact } from './exact_json.mjs';

/** An error answer. */
export class JsonError extends Error {
  constructor({ message, code, rule }) {
    super(message);
    Object.assign(this, { code, rule });
  }
}

/** The payload of a request, without its length. */
export const encodeCall = (method, params = {}) => Buffer.from(writeExact({ method, params }));

/** The result of an answer's payload; throws a JsonError for an error. */
export function decodeAnswer(payload) {
  const answer = parseExact(payload.toString('utf8'));
  const names = Object.keys(answer);
  if (names.length !== 1 || (names[0] !== 'result' && names[0] !== 'error')) {
    throw new Error(`neither a result nor an error: ${payload}`);
  }
  if (names[0] === 'error') throw new JsonError(answer.error);
  return answer.result;
}

/** One connection. Answers come in the order of their requests. */
export class JsonConnection {
  #waiting = []; // from #next on
  #next = 0;
  #pieces = [];
  #received = 0; // bytes in #pieces

  static connect(endpoint) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ ...socketOptions(endpoint), noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new JsonConnection(socket));
      });
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('data', (data) => this.#take(data));
    socket.on('error', () => {});
    socket.once('close', () => {
      for (const { reject } of this.#waiting.splice(0).slice(this.#next)) {
        reject(new Error('the enclave closed the connection'));
      }
      this.#next = 0;
    });
  }

  /** The result of one request. */
  async call(method, params) {
    return decodeAnswer(await this.send(encodeCall(method, params)));
  }

  /** The answer's payload for a payload made elsewhere. */
  send(payload) {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error('the connection is closed'));
      this.#waiting.push({ resolve, reject });
      this.socket.write(frame(payload));
    });
  }

  close() {
    this.socket.destroy();
    return this.closed;
  }

  #take(data) {
    this.#pieces.push(data);
    this.#received += data.length;
    if (this.#received < 4) return;
    // Joined only when there is a whole frame, so that a large one costs no squares.
    if (this.#pieces[0].length < 4) this.#pieces = [Buffer.concat(this.#pieces)];
    if (this.#received < 4 + this.#pieces[0].readUInt32BE(0)) return;
    let bytes = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      const end = 4 + bytes.readUInt32BE(0);
      this.#answer(bytes.subarray(4, end));
      bytes = bytes.subarray(end);
    }
    this.#pieces = [bytes];
    this.#received = bytes.length;
  }

  #answer(payload) {
    const waiting = this.#waiting[this.#next];
    this.#waiting[this.#next++] = undefined;
    if (this.#next >= 1024) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    if (waiting === undefined) this.socket.destroy(new Error('an answer that nobody asked for'));
    waiting?.resolve(payload);
  }
}

/** A connection a request, as the old clients do it: whoever answers may close after it. */
export async function callOnce(endpoint, method, params) {
  const connection = await JsonConnection.connect(endpoint);
  try {
    return await connection.call(method, params);
  } finally {
    await connection.close();
  }
}

/**
 * Sends `count` requests over one connection, at most `window` unanswered. `request(i)` gives a
 * payload, `answered(i, payload)` takes the answer's.
 */
export async function pipeline(connection, count, { window = 256, request, answered }) {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const i = next++;
      answered(i, await connection.send(request(i)));
    }
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, lane));
}
