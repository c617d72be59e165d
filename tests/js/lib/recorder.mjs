// A relay before a server's unix socket that remembers what its clients have sent.
import net from 'node:net';
import { socketOptions } from './boundary.mjs';

export class Recorder {
  #pieces = [];
  #sockets = new Set();

  /** Listens at `file`, and passes everything on to `endpoint`. */
  static async start(file, endpoint) {
    const recorder = new Recorder();
    recorder.endpoint = `unix://${file}`;
    recorder.server = net.createServer((client) => {
      const server = net.connect(socketOptions(endpoint));
      for (const [from, to] of [[client, server], [server, client]]) {
        recorder.#sockets.add(from);
        from.on('error', () => to.destroy());
        from.once('close', () => recorder.#sockets.delete(from));
        from.pipe(to);
      }
      client.on('data', (data) => recorder.#pieces.push(data));
    });
    await new Promise((resolve, reject) => {
      recorder.server.once('error', reject);
      recorder.server.listen(file, resolve);
    });
    return recorder;
  }

  /** Everything that was sent so far. */
  get sent() {
    return Buffer.concat(this.#pieces);
  }

  forget() {
    this.#pieces = [];
  }

  close() {
    this.#sockets.forEach((socket) => socket.destroy());
    return new Promise((resolve) => this.server.close(resolve));
  }
}
