// A minimal HTTP/1.1 client on one kept-alive connection: what it costs itself is little and steady.
import net from 'node:net';

export class HttpConnection {
  #buffer = Buffer.alloc(0);
  #waiting = null;

  static connect(port, { token } = {}) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new HttpConnection(socket, token)));
    });
  }

  constructor(socket, token) {
    this.socket = socket;
    this.authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    socket.on('data', (piece) => this.#data(piece));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the host closed the connection')));
  }

  request(method, path, body = '') {
    const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${this.authorization}`;
    const content = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.socket.write(`${head}${content}\r\n${body}`);
    });
  }

  close() {
    this.socket.destroy();
  }

  #fail(error) {
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  #data(piece) {
    this.#buffer = this.#buffer.length === 0 ? piece : Buffer.concat([this.#buffer, piece]);
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#buffer.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#buffer.length < end + 4 + length) return;
    const answer = { status: Number(head.slice(9, 12)), body: this.#buffer.toString('utf8', end + 4, end + 4 + length) };
    this.#buffer = this.#buffer.subarray(end + 4 + length);
    const { resolve } = this.#waiting;
    this.#waiting = null;
    resolve(answer);
  }
}

/** Sends request after request for `seconds`; the sorted latencies in microseconds. */
export async function closedLoop(port, seconds, makeRequest) {
  const connection = await HttpConnection.connect(port);
  const latencies = [];
  const start = process.hrtime.bigint();
  const warm = start + BigInt(Math.round(seconds * 0.2e9));
  const end = start + BigInt(Math.round(seconds * 1.2e9));
  for (;;) {
    const sent = process.hrtime.bigint();
    if (sent >= end) break;
    const { method, path, body } = makeRequest();
    const answer = await connection.request(method, path, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    if (sent >= warm) latencies.push(Number(process.hrtime.bigint() - sent) / 1000);
  }
  connection.close();
  return latencies.sort((a, b) => a - b);
}

export const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
