// A transparency log in JavaScript, to stand in for the enclave's: it can grow, be forked, be served.
import { createHash } from 'node:crypto';
import http from 'node:http';
import { History, Signer, checkpointText, leafHash, tilesOf } from '../../conformance/tlog.mjs';

export class JsLog {
  constructor(origin, seed, label = 'log') {
    this.origin = origin;
    this.seed = seed;
    this.label = label;
    this.signer = new Signer(origin, 1, createHash('sha256').update(`${seed} key`).digest());
    this.entries = [];
    this.hashes = [];
    this.history = new History(this.hashes);
  }

  grow(size) {
    while (this.entries.length < size) {
      const entry = Buffer.from(`${this.label} ${this.seed} ${this.entries.length}`);
      this.entries.push(entry);
      this.hashes.push(leafHash(entry));
    }
    return this;
  }

  /** The same log up to `at`, another one after it, with the same key. */
  fork(at, label = 'fork') {
    const other = new JsLog(this.origin, this.seed, label);
    other.entries.push(...this.entries.slice(0, at));
    other.hashes.push(...this.hashes.slice(0, at));
    return other;
  }

  root(size) {
    return this.history.root(size);
  }

  text(size) {
    return checkpointText(this.origin, size, this.root(size));
  }

  note(size, signer = this.signer) {
    return `${this.text(size)}\n${signer.sign(this.text(size))}`;
  }

  proof(first, second) {
    return first === 0 || first >= second ? [] : this.history.consistency(first, second);
  }

  /** The body of add-checkpoint. */
  addCheckpoint(old, size, { proof = this.proof(old, size), note = this.note(size) } = {}) {
    return `old ${old}\n${proof.map((h) => `${h.toString('base64')}\n`).join('')}\n${note}`;
  }
}

/** A web server on 127.0.0.1: `handle(path, query)` gives {status, body} or a body. */
export async function serve(handle) {
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://x');
    Promise.resolve(handle(url.pathname, url.searchParams)).then((answer) => {
      const { status = 200, body = answer } = answer?.status ? answer : {};
      response.writeHead(answer === undefined ? 404 : status);
      response.end(answer === undefined ? 'not found' : body);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

/** What a web server has of a log that has published `size` leaves. */
export function publishedFiles(log, size) {
  const files = tilesOf(log.history, log.entries, size);
  files.set('checkpoint', Buffer.from(log.note(size)));
  return files;
}
