// What a process has in its memory, looked at from outside: /proc/PID/mem, which root may read.
import fs from 'node:fs';

const PIECE = 4 * 1024 * 1024;

/** Why memory can't be read here, or undefined. */
export function cannotReadMemory() {
  return process.getuid() === 0 ? undefined : "only root reads another process's memory";
}

// [start, end) of everything that can be read and is no device.
function regionsOf(pid) {
  const lines = fs.readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n');
  return lines.flatMap((line) => {
    const [, start, end, readable, name] = /^([0-9a-f]+)-([0-9a-f]+) (.)\S* \S+ \S+ \d+\s*(.*)$/.exec(line);
    if (readable !== 'r' || /^\[v(var|syscall|var_vclock)/.test(name) || name.startsWith('/dev/')) return [];
    return [{ start: parseInt(start, 16), end: parseInt(end, 16), name }];
  });
}

function* piecesOf(pid) {
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(PIECE);
  try {
    for (const { start, end, name } of regionsOf(pid)) {
      // Each piece begins where the one before ended, less what a needle could be cut by.
      for (let at = start; at < end; at += PIECE - 4096) {
        let size = 0;
        try {
          size = fs.readSync(memory, buffer, 0, Math.min(PIECE, end - at), at);
        } catch {
          // Gone since, or a guard page.
        }
        yield { bytes: buffer.subarray(0, size), name };
        if (at + PIECE >= end) break;
      }
    }
  } finally {
    fs.closeSync(memory);
  }
}

/** The names of those `needles` {name: text or Buffer} that are in the process's memory, with where. */
export function findInMemory(pid, needles) {
  const found = new Set();
  let bytes = 0;
  for (const piece of piecesOf(pid)) {
    bytes += piece.bytes.length;
    for (const [name, needle] of Object.entries(needles)) {
      if (piece.bytes.includes(needle)) found.add(`${name} in ${piece.name || 'anonymous memory'}`);
    }
  }
  return { found: [...found], bytes };
}
