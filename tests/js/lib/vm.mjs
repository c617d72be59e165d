// coffer-enclave in a virtual machine, for a Stack: `machine.endpoint` is where the host reaches it and
// `machine.program` the machine as a Program, so that killing it is pulling the plug.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Program, ROOT, freePort, programPath } from './program.mjs';

const CACHE = path.join(ROOT, '.cache/vm');
const KERNEL = path.join(CACHE, 'kernel');
const QEMU = '/usr/bin/qemu-system-x86_64';
const DEV_KEY = '/etc/coffer/dev-key';
/** Listening on every CID of the machine, as an image does. */
const LISTEN = 'vsock://4294967295:5000';

function run(command, ...args) {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${path.basename(command)}: ${String(error.stderr || error.message).trim()}`);
  }
}

/** Why the machine with a looping vsock can't be used here, or undefined; fetches the kernel once. */
export function whyNoLoopback() {
  if (process.arch !== 'x64') return `the virtual machines are for x86-64, and this is ${process.arch}`;
  if (!fs.existsSync(QEMU)) return `${QEMU} is not there: ./dev setup installs qemu-system-x86`;
  try {
    run(path.join(ROOT, 'deploy/nitro/kernel'), KERNEL, '--any');
  } catch (error) {
    return `no kernel: ${error.message}`;
  }
  return undefined;
}

/**
 * What a kernel under software emulation has to be told: how fast its clock runs. Measuring it fails now
 * and then, because the emulator is stopped in the middle.
 */
export function emulatedClock() {
  const match = /^cpu MHz\s*:\s*([\d.]+)/m.exec(fs.readFileSync('/proc/cpuinfo', 'utf8'));
  const khz = Math.round(Number(match?.[1] ?? 2000) * 1000);
  const jiffiesPerSecond = 250; // CONFIG_HZ of Debian's kernels
  return `tsc_early_khz=${khz} lpj=${Math.round((khz * 1000) / jiffiesPerSecond)}`;
}

export const SMALL_MACHINE = [
  ...['-cpu', 'max,-cx16', '-smp', '1', '-m', '512', '-nodefaults', '-no-user-config', '-no-reboot'],
  ...['-display', 'none', '-serial', 'stdio'],
];

/**
 * A machine whose vsock loops back (CID 1), with Debian's own QEMU: coffer-enclave and `coffer bridge`
 * inside talk AF_VSOCK to each other, and a forwarded port leads to the bridge.
 */
export class LoopbackMachine {
  static async make() {
    const machine = new LoopbackMachine();
    machine.port = await freePort();
    machine.endpoint = `tcp://127.0.0.1:${machine.port}`;
    return machine;
  }

  program({ folder, log, key, flags }) {
    const keyFile = path.join(folder, 'machine.key');
    fs.writeFileSync(keyFile, key, { mode: 0o600 });
    return this.running('coffer-enclave', {
      folder,
      log,
      files: [['600', keyFile, DEV_KEY]],
      args: ['--listen', LISTEN, '--key-file', DEV_KEY, ...flags],
    });
  }

  /** A machine that runs one of our programs; `files` are [mode, file, path in there]. */
  running(name, { folder, log, files = [], args }) {
    const ramdisk = path.join(folder, 'ramdisk.gz');
    run(
      path.join(ROOT, 'tests/vm/loopback_ramdisk'),
      ...[ramdisk, path.dirname(programPath(name)), KERNEL, name],
      ...files.flatMap((file) => ['--file', ...file]),
      ...['--', ...args],
    );
    return new Program({
      name: `${name} in a machine`,
      file: QEMU,
      log,
      args: [
        ...['-M', 'microvm,accel=tcg', ...SMALL_MACHINE],
        ...['-kernel', path.join(KERNEL, 'vmlinuz'), '-initrd', ramdisk],
        ...['-append', `console=ttyS0 panic=-1 reboot=k quiet ${emulatedClock()}`],
        ...['-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${this.port}-10.0.2.15:5001`],
        ...['-device', 'virtio-net-device,netdev=net'],
      ],
    });
  }
}
