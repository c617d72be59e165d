// The programs under test as real processes, what they cost, and where they keep their files.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { layoutOf } from './layout.mjs';
import { costOf } from './proc.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const LAYOUT = layoutOf(ROOT, process.cwd());
const KEY = `0x${'11'.repeat(32)}`; // signs nothing but benchmarks
const BROKER = '0xa8bb618b1520e284046f3dfc448851a1ff26e41b';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

export const PROGRAMS = process.env.COFFER_BIN ?? LAYOUT.programs;
export const programPath = (name) => path.join(PROGRAMS, name);
export const isBuilt = (name) => fs.existsSync(programPath(name));

/** A program that runs until it is stopped; its output goes to `log`. */
export class Process {
  constructor(name, args, { log, env = {} }) {
    const out = fs.openSync(log, 'a');
    this.name = name;
    this.log = log;
    this.child = spawn(programPath(name), args, {
      stdio: ['ignore', out, out],
      env: { ...process.env, ...env },
    });
    fs.closeSync(out);
    running.add(this.child);
    this.ended = new Promise((resolve) => this.child.once('exit', resolve)).finally(() =>
      running.delete(this.child),
    );
  }

  get alive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  cost() {
    return costOf(this.child.pid);
  }

  async stop(signal = 'SIGTERM') {
    if (this.alive) this.child.kill(signal);
    await this.ended;
  }
}

/** Waits until `condition` gives something true, looking again and again: every so many ms, a number or a function. */
export async function until(what, condition, { timeoutMs = 120_000, everyMs = 5, alive = [] } = {}) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    for (const process of alive) {
      if (!process.alive) {
        const tail = fs.readFileSync(process.log, 'utf8').split('\n').slice(-8).join('\n');
        throw new Error(`${process.name} ended while waiting for ${what}:\n${tail}`);
      }
    }
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs} ms`);
    await sleep(typeof everyMs === 'function' ? everyMs() : everyMs);
  }
}

let folders = 0;

/**
 * A new folder for one run. Those of the runs before it stay until the end (removeFolders): ext4 looks
 * at each inode that was freed in the last seconds when it needs a new one, and a run that begins
 * just after thousands of files were deleted pays for that (measured: half of its speed).
 */
export function freshFolder(base, name) {
  const folder = path.join(base, 'runs', `${name}-${++folders}`);
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

export const removeFolders = (base) => fs.rmSync(path.join(base, 'runs'), { recursive: true, force: true });

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A fresh enclave that listens on a unix socket in `folder`, with a policy. */
export function startEnclave(folder, extra = []) {
  return startBare(folder, ['--chain-id', '42161', '--ticket-broker', BROKER, ...extra]);
}

/** A signer without a policy: whatever is asked is signed. */
export const startSigner = (folder) => startBare(folder, ['--profile', 'signer']);

const SOCKET_BYTES = 107; // the longest path of a unix socket

/** A socket in `folder`, or in a folder of its own where that path is too long for one. */
function socketFor(folder) {
  const socket = path.join(folder, 'enclave.sock');
  if (Buffer.byteLength(socket) <= SOCKET_BYTES) return socket;
  const short = fs.mkdtempSync(path.join(os.tmpdir(), 'coffer-bench-'));
  process.on('exit', () => fs.rmSync(short, { recursive: true, force: true }));
  return path.join(short, 'enclave.sock');
}

async function startBare(folder, extra) {
  const socket = socketFor(folder);
  fs.rmSync(socket, { force: true });
  const args = ['--insecure-dev-key', '--listen', `unix://${socket}`];
  const enclave = new Process('coffer-enclave', [...args, ...extra], {
    log: path.join(folder, 'enclave.log'),
    env: { SIGNER_PRIVATE_KEY: KEY },
  });
  enclave.endpoint = `unix://${socket}`;
  await until('the enclave', () => fs.existsSync(socket), { alive: [enclave], everyMs: 1 });
  return enclave;
}

/** Runs coffer-bench against an enclave to its end: {case: {figures, stored_bytes, syncs}}. */
export async function runLoad(folder, enclave, options) {
  return runBench('coffer-bench', enclave, { store: path.join(folder, 'store'), ...options });
}

/** The same of any program that prints its cases. */
export async function runBench(name, enclave, options) {
  const args = ['--enclave', enclave.endpoint];
  for (const [name, value] of Object.entries(options)) {
    args.push(value === true ? `--${name}` : value === false ? `--no-${name}` : `--${name}=${value}`);
  }
  const child = spawn(programPath(name), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  let text = '';
  child.stdout.on('data', (piece) => (text += piece));
  const code = await new Promise((resolve) => child.once('close', resolve));
  running.delete(child);
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} failed`);
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  return Object.fromEntries(lines.map(({ case: one, ...rest }) => [one, rest]));
}

export function run(command, args) {
  const done = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : '';
}
