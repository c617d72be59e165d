// coffer-host beside an enclave, as it is shipped, and what is asked of it.
import path from 'node:path';
import { Process, freePort, isBuilt, until } from './programs.mjs';

export const hasHost = () => isBuilt('coffer-host');

export class Host {
  static async start(folder, enclave, { journal, registry }) {
    const host = new Host();
    host.port = await freePort();
    const args = ['--enclave', enclave.endpoint, '--data-dir', path.join(folder, 'data')];
    args.push('--http.listen', `tcp://127.0.0.1:${host.port}`);
    if (journal !== undefined) args.push('--journal.path', journal);
    if (registry !== undefined) args.push('--registry.path', registry);
    host.process = new Process('coffer-host', args, { log: path.join(folder, 'host.log') });
    return host;
  }

  async get(url) {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port}${url}`);
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { status: 0, body: '' }; // not listening yet
    }
  }

  async ready(alive) {
    await until('the host to be ready', async () => (await this.get('/readyz')).status === 200, {
      alive: [this.process, ...alive],
      everyMs: 2,
    });
  }

  async offset() {
    return Number(/^coffer_journal_offset_bytes(?:{[^}]*})? ([0-9.e+]+)/m.exec((await this.get('/metrics')).body)?.[1] ?? 0);
  }

  async status() {
    return JSON.parse((await this.get('/api/tee/status')).body);
  }
}

export async function stopBoth(run) {
  await run.host.process.stop();
  await run.enclave.stop();
}
