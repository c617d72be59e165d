// A JSON-RPC node between the host and a real one, that misbehaves as it is told: `mode` is one of
//   pass     as it comes
//   down     nobody listens
//   slow     answers after `delayMs`
//   behind   answers as the node did `blocks` blocks ago
//   busy     HTTP 429, with Retry-After
//   hang     takes the question and never answers
//   nonsense HTTP 200 and no JSON
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const hex = (number) => `0x${Math.max(0, number).toString(16)}`;
// Where each method that asks about a block names it.
const TAG_AT = { eth_call: 1, eth_getBalance: 1, eth_getTransactionCount: 1, eth_getBlockByNumber: 0 };

export class RpcProxy {
  mode = 'pass';
  delayMs = 700;
  blocks = 5;
  asked = 0;
  #sockets = new Set();

  static async start(target) {
    const proxy = new RpcProxy();
    proxy.target = target;
    await proxy.#listen(0);
    return proxy;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async #listen(port) {
    this.server = http.createServer((request, response) => void this.#handle(request, response));
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
  }

  async set(mode) {
    if (this.mode === 'down' && mode !== 'down') await this.#listen(this.port);
    if (this.mode !== 'down' && mode === 'down') await this.close();
    this.mode = mode;
  }

  async close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #handle(request, response) {
    this.asked++;
    let body = '';
    for await (const piece of request) body += piece;
    try {
      if (this.mode === 'hang') return;
      if (this.mode === 'busy') {
        response.writeHead(429, { 'retry-after': '1' }).end('slow down');
        return;
      }
      if (this.mode === 'nonsense') {
        response.writeHead(200, { 'content-type': 'application/json' }).end('<html>');
        return;
      }
      if (this.mode === 'slow') await sleep(this.delayMs);
      const answer = this.mode === 'behind' ? await this.#behind(body) : await this.#ask(body);
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    } catch {
      response.destroy(); // the node itself is not there
    }
  }

  async #ask(body) {
    const answer = await fetch(this.target, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    return answer.text();
  }

  async #behind(body) {
    const number = JSON.parse(await this.#ask('{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'));
    const head = Number(number.result) - this.blocks;
    const parsed = JSON.parse(body);
    const calls = Array.isArray(parsed) ? parsed : [parsed];
    for (const call of calls) {
      const at = TAG_AT[call.method];
      if (at !== undefined && /^(latest|pending)$/.test(call.params[at])) call.params[at] = hex(head);
      if (call.method === 'eth_getLogs') call.params[0].toBlock = hex(head);
    }
    const answers = JSON.parse(await this.#ask(JSON.stringify(calls)));
    for (const answer of answers) {
      const { result } = answer;
      const receipt = result?.transactionHash !== undefined && result.blockNumber !== undefined;
      if (receipt && Number(result.blockNumber) > head) answer.result = null;
    }
    return JSON.stringify(Array.isArray(parsed) ? answers : answers[0]);
  }
}
