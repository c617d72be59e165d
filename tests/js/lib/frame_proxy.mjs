// Between a host and an enclave, frame by frame: so that something can happen when a certain one is on its way.
import fs from 'node:fs';
import net from 'node:net';
import { decodeFrame, socketOptions } from './boundary.mjs';

const MAX_WAITING_BYTES = 64 << 20;

export class FrameProxy {
  /** Called before a frame goes on, awaited: {fromHost, frame}. What it gives is called when the frame has gone, awaited too. */
  onFrame = undefined;
  #sockets = new Set();

  /** `listen`: the path of a unix socket; `to`: the enclave's endpoint. */
  static async start({ listen, to }) {
    const proxy = new FrameProxy();
    proxy.endpoint = `unix://${listen}`;
    fs.rmSync(listen, { force: true });
    proxy.server = net.createServer((host) => {
      const enclave = net.connect(socketOptions(to));
      proxy.#pass(host, enclave, true);
      proxy.#pass(enclave, host, false);
    });
    await new Promise((resolve) => proxy.server.listen(listen, resolve));
    return proxy;
  }

  #pass(from, to, fromHost) {
    this.#sockets.add(from);
    let received = Buffer.alloc(0);
    let turn = Promise.resolve();
    let waiting = 0;
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.on('data', (data) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) {
        const end = 4 + received.readUInt32BE(0);
        const whole = received.subarray(0, end);
        received = received.subarray(end);
        waiting += whole.length;
        if (waiting > MAX_WAITING_BYTES) from.destroy();
        turn = turn.then(() => this.#forward(whole, to, fromHost)).then(() => (waiting -= whole.length));
      }
    });
  }

  async #forward(whole, to, fromHost) {
    if (to.destroyed || this.onFrame === undefined) return void (to.destroyed || to.write(whole));
    const frame = decodeFrame(whole.subarray(4), { fromClient: fromHost });
    const gone = await this.onFrame({ fromHost, frame });
    if (to.destroyed) return;
    await new Promise((resolve) => to.write(whole, resolve));
    await gone?.();
  }

  close() {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
