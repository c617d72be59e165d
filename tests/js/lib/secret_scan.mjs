// Looks for secrets where they may not be: in the memory of a process, in its dumps, in files. A secret is looked for in
// every form in which a program may have it by mistake: bytes in both orders and their halves, hex, base64.
import fs from 'node:fs';
import path from 'node:path';

const READ_BYTES = 4 << 20;
const HALF_BYTES = 16;

/** Base64 has the bytes of a secret at three alignments, with characters at its ends that depend on what is around it. */
function base64Forms(bytes, encoding) {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString(encoding).replace(/=+$/, '');
    const first = Math.ceil((8 * shift) / 6);
    const last = Math.floor((8 * (shift + bytes.length)) / 6);
    return [`${encoding} at ${shift}`, Buffer.from(text.slice(first, last))];
  });
}

/**
 * [form, what to look for] of some secret bytes. DER (SEC1, PKCS #8) holds a key's bytes as they are, and PEM is base64 of
 * that. Backwards: big numbers lie in memory with their lowest bytes first. Halves: what was overwritten in part.
 */
export function formsOf(bytes) {
  const backwards = Buffer.from(bytes).reverse();
  const hex = bytes.toString('hex');
  return [
    ['first half', bytes.subarray(0, HALF_BYTES)],
    ['second half', bytes.subarray(-HALF_BYTES)],
    ['backwards, first half', backwards.subarray(0, HALF_BYTES)],
    ['backwards, second half', backwards.subarray(-HALF_BYTES)],
    ['hex', Buffer.from(hex)],
    ['HEX', Buffer.from(hex.toUpperCase())],
    ...base64Forms(bytes, 'base64'),
    ...base64Forms(bytes, 'base64url'),
  ];
}

/** What is looked for: {name, form, bytes}, of secrets {name: Buffer}. */
export function needlesOf(secrets) {
  return Object.entries(secrets).flatMap(([name, bytes]) =>
    formsOf(Buffer.from(bytes)).map(([form, needle]) => ({ name, form, bytes: needle })),
  );
}

function* placesIn(haystack, needles) {
  for (const { name, form, bytes } of needles)
    for (let at = haystack.indexOf(bytes); at >= 0; at = haystack.indexOf(bytes, at + 1)) yield { name, form, at };
}

const longest = (needles) => Math.max(...needles.map(({ bytes }) => bytes.length));

// `read(buffer, offset)` gives how many bytes it read from there. Pieces overlap, so that nothing hides at their edges.
function* search(read, from, to, needles) {
  const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, to - from));
  const overlap = longest(needles) - 1;
  for (let offset = from; offset < to; ) {
    const got = read(piece.subarray(0, Math.min(piece.length, to - offset)), offset);
    if (got <= 0) return;
    for (const { at, ...found } of placesIn(piece.subarray(0, got), needles)) yield { ...found, at: offset + at };
    if (offset + got >= to) return;
    offset += Math.max(1, got - overlap);
  }
}

const unique = (hits) => [...new Map(hits.map((hit) => [`${hit.where} ${hit.at} ${hit.name} ${hit.form}`, hit])).values()];

/** Where in a file: [{name, form, at, where}]. */
export function scanFile(file, needles) {
  const handle = fs.openSync(file, 'r');
  try {
    const read = (buffer, offset) => fs.readSync(handle, buffer, 0, buffer.length, offset);
    const size = fs.fstatSync(handle).size;
    const hits = [...search(read, 0, size, needles)].map((hit) => ({ ...hit, where: file }));
    return unique(hits);
  } finally {
    fs.closeSync(handle);
  }
}

/** Every file below a folder, and the names of all of them; sockets and pipes hold nothing. `except`: paths. */
export function scanFolder(folder, needles, { except = [], tries = 20 } = {}) {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => path.join(one.parentPath ?? one.path, one.name));
  const looked = files.filter((file) => !except.includes(file));
  const names = [...placesIn(Buffer.from(files.join('\n')), needles)].map((hit) => ({ ...hit, where: 'names of files' }));
  try {
    return { files: looked, hits: [...names, ...looked.flatMap((file) => scanFile(file, needles))] };
  } catch (error) {
    // A file got its name meanwhile, or another took its place: all of it again.
    if (error.code !== 'ENOENT' || tries <= 1) throw error;
    return scanFolder(folder, needles, { except, tries: tries - 1 });
  }
}

/** The mappings of a process that hold anything of its own: {from, to, name, flags, kB: {Rss, Locked, Swap ...}}. */
export function mappingsOf(pid) {
  const mappings = [];
  for (const line of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/.exec(line);
    const field = /^(\w+):\s+(\d+) kB$/.exec(line);
    const flags = /^VmFlags: (.*?) *$/.exec(line);
    if (head) {
      const [, from, to, mode, name] = head;
      mappings.push({ from: parseInt(from, 16), to: parseInt(to, 16), mode, name, flags: [], kB: {} });
    } else if (field) {
      mappings.at(-1).kB[field[1]] = Number(field[2]);
    } else if (flags) {
      mappings.at(-1).flags = flags[1].split(' ');
    }
  }
  return mappings.filter(({ mode, kB }) => mode[0] === 'r' && kB.Anonymous + kB.Swap > 0);
}

/** Why the memory of other processes can't be read here, or false. */
export const cannotTrace = () => process.getuid() !== 0 && "only root reads another process's memory";

/** Memory of SecretBytes: locked, in no dump, in no child. */
export const isSecretMemory = ({ flags }) => ['lo', 'dd', 'wf'].every((flag) => flags.includes(flag));

/**
 * Where in the memory of a process: [{name, form, at, where, mapping}]. It is stopped meanwhile, as nothing that moves can be
 * searched. Needs the right to trace it.
 */
export function scanProcess(pid, needles) {
  process.kill(pid, 'SIGSTOP');
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  try {
    const hits = [];
    for (const mapping of mappingsOf(pid)) {
      const read = (buffer, offset) => fs.readSync(memory, buffer, 0, buffer.length, offset);
      const where = `${mapping.name || 'anonymous memory'} ${mapping.from.toString(16)} [${mapping.flags.join(' ')}]`;
      for (const hit of search(read, mapping.from, mapping.to, needles)) hits.push({ ...hit, where, mapping });
    }
    return unique(hits);
  } finally {
    fs.closeSync(memory);
    process.kill(pid, 'SIGCONT');
  }
}

/** Hits as sentences, without a secret. */
export const told = (hits) => hits.map(({ name, form, at, where }) => `${name} (${form}) in ${where} at ${at.toString(16)}`);
