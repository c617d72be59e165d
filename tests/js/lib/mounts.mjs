// File systems of a test's own: mounted in a mount namespace that a process of ours keeps alive, so
// that they are gone when the test is, however it ends. Root is not needed where users may make
// namespaces of their own; in most containers neither is allowed, and the reason is given.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryFolder, until } from './program.mjs';

const ROOT = process.getuid() === 0;
const own = (pid) => fs.readlinkSync(`/proc/${pid}/ns/mnt`);

export class Mounts {
  /** A namespace, or {why}: the sentence that says why there is none. */
  static async make() {
    const flags = ROOT ? ['-m'] : ['-rm'];
    try {
      execFileSync('unshare', [...flags, 'true'], { stdio: 'pipe' });
    } catch (error) {
      return { why: `no mount namespace can be made here: ${String(error.stderr ?? error).trim()}` };
    }
    const mounts = new Mounts();
    mounts.keeper = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...flags, 'sleep', 'infinity']);
    mounts.folder = temporaryFolder('coffer-disk-');
    await until('a mount namespace', () => own(mounts.keeper.pid) !== own('self'));
    return mounts;
  }

  /** The command that runs the rest of its arguments in the namespace. */
  get enter() {
    const { pid } = this.keeper;
    const user = ROOT ? [] : ['-U', '--preserve-credentials'];
    return ['nsenter', '-t', String(pid), ...user, '-m', '--'];
  }

  /** Runs a command in there; throws an error with its complaint. */
  run(...command) {
    const [program, ...args] = [...this.enter, ...command];
    try {
      return execFileSync(program, args, { stdio: 'pipe' }).toString();
    } catch (error) {
      throw new Error(`${command.join(' ')}: ${String(error.stderr ?? error).trim()}`);
    }
  }

  /** Where we see a path of the namespace. */
  seen(file) {
    return path.join(`/proc/${this.keeper.pid}/root`, file);
  }

  /** A tmpfs of so many MiB over the folder. */
  memoryDisk(megabytes) {
    this.run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', this.folder);
  }

  resize(megabytes) {
    this.#remount(`size=${megabytes}m`);
  }

  readOnly() {
    this.#remount('ro');
  }

  // Only this option: the others name users of another namespace, and would be refused.
  #remount(option) {
    this.run('mount', '--options-mode', 'ignore', '-o', `remount,${option}`, this.folder);
  }

  /** Ext4 in a file, over the folder: such a disk can fail. Needs root and a loop device. */
  blockDisk(megabytes) {
    this.image = path.join(temporaryFolder('coffer-image-'), 'disk');
    fs.writeFileSync(this.image, '');
    fs.truncateSync(this.image, megabytes << 20);
    execFileSync('mkfs.ext4', ['-q', this.image], { stdio: 'pipe' });
    this.run('mount', '-o', 'loop', this.image, this.folder);
  }

  /** What the kernel does when such a disk breaks: read-only at once, for everybody. */
  breakDown() {
    this.run('mount', '-o', 'remount,abort', this.folder);
  }

  /** Unmounted (nobody may use it), checked, and mounted again. */
  repair() {
    this.run('umount', this.folder);
    // 1: errors were corrected
    try {
      execFileSync('e2fsck', ['-fy', this.image], { stdio: 'pipe' });
    } catch (error) {
      if (error.status !== 1) throw error;
    }
    this.run('mount', '-o', 'loop', this.image, this.folder);
  }

  async close() {
    const gone = new Promise((resolve) => this.keeper.once('exit', resolve));
    this.keeper.kill('SIGKILL');
    await gone;
    fs.rmSync(this.folder, { recursive: true, force: true });
    if (this.image) fs.rmSync(path.dirname(this.image), { recursive: true, force: true });
  }
}

/** Writes until nothing more fits, and gives the file. */
export function fillUp(file) {
  const handle = fs.openSync(file, 'w');
  try {
    for (const size of [1 << 16, 4096]) {
      try {
        for (;;) fs.writeSync(handle, Buffer.alloc(size, 1));
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    fs.closeSync(handle);
  }
  return file;
}
