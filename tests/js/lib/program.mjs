// Programs under test as real processes: started, watched, killed, with everything they say kept in
// a file.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { patient } from './patience.mjs';

const SETPRIV = '/usr/bin/setpriv';
const EXIT_TIMEOUT_MS = 30_000;
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
// A signal ends us as it would without this line, but by way of 'exit'.
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
]) {
  process.once(signal, () => process.exit(128 + number));
}

/** The path of one of our programs: in COFFER_BIN, or in the dev build. */
export function programPath(name) {
  const file = path.join(process.env.COFFER_BIN ?? path.join(ROOT, 'build/dev/bin'), name);
  if (!fs.existsSync(file)) {
    throw new Error(`${file} is not there; build it (./dev build) or set COFFER_BIN to its folder`);
  }
  return file;
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
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

/** A new folder with a short path, so that unix sockets fit into it. */
export function temporaryFolder(prefix = 'coffer-e2e-') {
  return fs.mkdtempSync(path.join(os.tmpdir(), prefix));
}

/**
 * Waits until `condition` gives something true and returns it; throws with `what` otherwise, after
 * `timeoutMs` (patient). An error marked `final` ends the wait.
 */
export async function until(what, condition, { timeoutMs = 30_000, everyMs = 25 } = {}) {
  const most = patient(timeoutMs);
  const deadline = Date.now() + most;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      if (error.final) throw error;
      last = error;
    }
    if (Date.now() > deadline) {
      const why = last === undefined ? '' : `; last error: ${last.message}`;
      throw new Error(`${what} did not come true within ${most} ms${why}`);
    }
    await sleep(everyMs);
  }
}

/** One program that can be started again and again; all runs append to one log. */
export class Program {
  child;
  starts = 0;

  /**
   * `wrap`: a command that runs the program in its own place, such as nsenter. `file`: a program that is
   * none of ours, by its path.
   */
  constructor({ name, args, env = {}, log, wrap = [], file }) {
    Object.assign(this, { name, args, env, log, wrap, file });
  }

  get pid() {
    return this.child?.pid;
  }

  get running() {
    return (
      this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
    );
  }

  /** Starts it; it dies with us, even if we are killed. */
  start(extraArgs = []) {
    if (this.running) throw new Error(`${this.name} runs already`);
    const command = [this.file ?? programPath(this.name), ...this.args, ...extraArgs];
    if (fs.existsSync(SETPRIV)) command.unshift(SETPRIV, '--pdeathsig', 'KILL');
    command.unshift(...this.wrap);
    const out = fs.openSync(this.log, 'a');
    fs.writeSync(out, `---- start ${++this.starts} of ${this.name}\n`);
    const child = spawn(command[0], command.slice(1), {
      stdio: ['ignore', out, out],
      env: { PATH: process.env.PATH, HOME: process.env.HOME ?? '/', ...this.env },
    });
    fs.closeSync(out);
    running.add(child);
    child.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: null, error }));
      child.once('exit', (code, signal) => resolve({ code, signal }));
    }).finally(() => running.delete(child));
    this.child = child;
    return this;
  }

  /** Waits for its end: {code, signal}. */
  async ended(timeoutMs = EXIT_TIMEOUT_MS) {
    const most = patient(timeoutMs);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} did not end within ${most} ms\n${this.tail()}`)),
        most,
      );
    });
    try {
      return await Promise.race([this.child.exited, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGKILL: no chance to tidy up. */
  async kill() {
    if (!this.running) return;
    this.child.kill('SIGKILL');
    await this.ended();
  }

  /** SIGTERM, and the exit code. */
  async stop() {
    if (!this.running) return (await this.child?.exited)?.code ?? null;
    this.child.kill('SIGTERM');
    return (await this.ended()).code;
  }

  signal(name) {
    this.child.kill(name);
  }

  text() {
    return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '';
  }

  /** What it said since its last start. */
  lastRun() {
    const text = this.text();
    return text.slice(text.lastIndexOf('---- start '));
  }

  /** The last lines of the log, for error messages; without the options that a program says at its start. */
  tail(lines = 25) {
    const said = this.text().trimEnd().split('\n').filter((line) => !/^[\w.-]+ = .*  # /.test(line));
    return [...said.slice(-lines), ...this.threads()].join('\n');
  }

  /** Where each thread is in the kernel while it runs: tells a disk that hangs (state D) from a lost wake-up. */
  threads() {
    if (!this.running) return [];
    const read = (file) => {
      try {
        return fs.readFileSync(file, 'utf8').trim();
      } catch {
        return '?'; // it has ended, or may not be looked at
      }
    };
    const tasks = `/proc/${this.pid}/task`;
    const list = fs.existsSync(tasks) ? fs.readdirSync(tasks) : [];
    return list.map((task) => {
      const [comm, wchan, stat] = ['comm', 'wchan', 'stat'].map((name) => read(`${tasks}/${task}/${name}`));
      return `thread ${comm}: state ${/\) (\w)/.exec(stat)?.[1] ?? '?'}, in ${wchan}`;
    });
  }

  /** Throws if it has ended by itself. */
  check() {
    if (this.child !== undefined && !this.running) {
      const how = this.child.signalCode ?? `exit code ${this.child.exitCode}`;
      const error = new Error(`${this.name} ended by itself (${how}):\n${this.tail()}`);
      throw Object.assign(error, { final: true });
    }
  }
}

/**
 * Sets a resource limit of a running program (its soft one), as prlimit(1) names it; gives the
 * function that takes it back.
 */
export function limit(program, resource, value) {
  const prlimit = (...args) =>
    execFileSync('prlimit', ['--pid', String(program.pid), ...args], { stdio: 'pipe' }).toString();
  const before = prlimit(`--${resource}`, '--noheadings', '--raw', '-o', 'SOFT').trim();
  prlimit(`--${resource}=${value}:`);
  return () => program.running && prlimit(`--${resource}=${before}:`);
}

/** Runs a program to its end: {code, signal, stdout, stderr}. */
export function runProgram(name, args, { env = {}, timeoutMs = 20_000 } = {}) {
  const most = patient(timeoutMs);
  return new Promise((resolve, reject) => {
    const child = spawn(programPath(name), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: process.env.HOME ?? '/', ...env },
    });
    running.add(child);
    const result = { stdout: '', stderr: '' };
    child.stdout.on('data', (data) => (result.stdout += data));
    child.stderr.on('data', (data) => (result.stderr += data));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new Error(
          `${name} ${args.join(' ')} still ran after ${most} ms:\n${result.stderr.slice(-2000)}`,
        ),
      );
    }, most);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, ...result });
    });
  });
}
