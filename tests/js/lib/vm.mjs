// coffer-enclave in a virtual machine, for a Stack: `machine.endpoint` is where the host reaches it and
// `machine.program` the machine as a Program, so that killing it is pulling the plug.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Program, ROOT, freePort, programPath, temporaryFolder, until } from './program.mjs';

const CACHE = path.join(ROOT, '.cache/vm');
const KERNEL = path.join(CACHE, 'kernel');
const NITRO = path.join(CACHE, 'qemu');
const QEMU = '/usr/bin/qemu-system-x86_64';
const DEV_KEY = '/etc/coffer/dev-key';
/** Listening on every CID of the machine, as an image does. */
const LISTEN = 'vsock://4294967295:5000';

function run(command, ...args) {
  try {
    return execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  } catch (error) {
    throw new Error(`${path.basename(command)}: ${String(error.stderr || error.message).trim()}`);
  }
}

/** Why there is no kernel for a machine here, or undefined; fetches it once. */
export function whyNoKernel() {
  if (process.arch !== 'x64') return `the virtual machines are for x86-64, and this is ${process.arch}`;
  try {
    run(path.join(ROOT, 'deploy/nitro/kernel'), KERNEL, '--any');
  } catch (error) {
    return `no kernel: ${error.message}`;
  }
  return undefined;
}

/** Why the machine with a looping vsock can't be used here, or undefined. */
export function whyNoLoopback() {
  if (!fs.existsSync(QEMU)) return `${QEMU} is not there: ./dev setup installs qemu-system-x86`;
  return whyNoKernel();
}

/** Why the emulated Nitro machine can't be used here, or undefined. */
export function whyNoNitro() {
  if (!fs.existsSync(path.join(NITRO, 'qemu-system-x86_64')))
    return 'the QEMU with the machine nitro-enclave is not there: ./dev vm nitro builds it once';
  return whyNoKernel();
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
      args: ['--listen', LISTEN, '--insecure-dev-key', '--key-file', DEV_KEY, ...flags],
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

/**
 * Makes an image with deploy/nitro/build and gives what `coffer measure` says of it. `args` are
 * coffer-enclave's; `devKey` is a file; `cmdline` more for the kernel; `bin` a folder of programs; `wrap` a
 * command that runs it in its own way.
 */
export function buildImage({ out, bin, devKey, cmdline, args = [], wrap = [] }) {
  const command = [
    ...wrap,
    path.join(ROOT, 'deploy/nitro/build'),
    ...['--out', out, '--kernel', KERNEL, '--bin', bin ?? path.dirname(programPath('coffer-enclave'))],
    ...(devKey ? ['--dev-key', devKey] : []),
    ...(cmdline ? ['--cmdline', cmdline] : []),
    ...['--', ...args],
  ];
  run(...command);
  return JSON.parse(run(programPath('coffer'), 'measure', out, '--json'));
}

/** What the emulated Nitro Secure Module calls itself. */
export const MODULE_ID = 'i-0123456789abcdef0-enc0123456789abcdef';

/** The parent's part of a boot: answers the enclave's hello (port 9000), and counts. */
class HelloListener {
  hellos = [];

  listen(file) {
    this.server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (data) => {
        this.hellos.push(data.toString('hex'));
        socket.end(data);
      });
    });
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(file, resolve);
    });
  }
}

/**
 * Our image under QEMU's nitro-enclave machine: its own vsock with the parent at CID 3, and an emulated
 * Nitro Secure Module. Everything between it and us is tests/vm/vsock.
 */
export class NitroMachine {
  static async make() {
    const machine = new NitroMachine();
    machine.folder = temporaryFolder('coffer-nitro-');
    const at = (name) => path.join(machine.folder, name);
    machine.endpoint = `unix://${at('enclave.sock')}`;
    machine.image = at('coffer.eif');
    machine.hello = new HelloListener();
    await machine.hello.listen(at('hello.sock'));
    machine.backend = new Program({
      name: 'vsock_backend',
      log: at('vsock.log'),
      args: [
        ...['--qemu', at('qemu.sock'), '--cid', '4'],
        ...['--to-guest', `5000=${at('enclave.sock')}`, '--to-host', `9000=${at('hello.sock')}`],
      ],
    });
    machine.backend.start();
    await until('the vsock', () => machine.backend.check() ?? fs.existsSync(at('enclave.sock')));
    return machine;
  }

  program({ log, key, flags }) {
    const devKey = path.join(this.folder, 'dev.key');
    fs.writeFileSync(devKey, key, { mode: 0o600 });
    this.measured = buildImage({ out: this.image, devKey, cmdline: emulatedClock(), args: flags });
    return new Program({
      name: 'the image in a machine',
      file: path.join(NITRO, 'lib/ld-linux-x86-64.so.2'),
      log,
      args: [
        ...['--library-path', path.join(NITRO, 'lib'), path.join(NITRO, 'qemu-system-x86_64')],
        ...['-L', path.join(NITRO, 'firmware'), ...SMALL_MACHINE],
        ...['-M', `nitro-enclave,acpi=on,vsock=vsock,id=${MODULE_ID},accel=tcg`],
        ...['-chardev', `socket,id=vsock,path=${path.join(this.folder, 'qemu.sock')}`],
        ...['-kernel', this.image],
      ],
    });
  }

  async close() {
    await this.backend.kill();
    this.hello.server.close();
    if (!process.env.COFFER_KEEP) fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
