// The Google Benchmark programs, and the figures made of them.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { median } from './figures.mjs';
import { isBuilt, programPath } from './programs.mjs';

const NANOSECONDS = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** Runs one program: Map of benchmark name -> its repetitions, times in ns. */
export function runProgram(name, { repeats, seconds, filter, folder }) {
  const out = path.join(folder, `${name}.json`);
  const args = [
    `--benchmark_repetitions=${repeats}`,
    `--benchmark_min_time=${seconds}`,
    `--benchmark_out=${out}`,
    '--benchmark_out_format=json',
    `--benchmark_filter=${filter}`,
  ];
  const done = spawnSync(programPath(name), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, COFFER_BENCH_DIR: folder },
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`${name} failed:\n${done.stderr}`);
  const results = new Map();
  for (const entry of JSON.parse(fs.readFileSync(out, 'utf8')).benchmarks) {
    if (entry.run_type !== 'iteration') continue;
    const key = entry.name.replace(/\/(iterations:\d+|repeats:\d+|real_time)/g, '');
    if (!results.has(key)) results.set(key, []);
    const [ns, cpuNs] = [entry.real_time, entry.cpu_time].map((time) => time * NANOSECONDS[entry.time_unit]);
    results.get(key).push({ ...entry, ns, cpuNs });
  }
  return results;
}

/** All programs that are built: a function (benchmark, field) -> samples. */
export function runMicro({ repeats, quick, large, folder, say }) {
  const all = new Map();
  for (const program of ['machine', 'sealing', 'signing', 'credit_signature', 'ledger', 'journal', 'audit']) {
    if (!isBuilt(`bench_${program}`)) continue;
    say(`micro-benchmarks: ${program}`);
    const options = { repeats, seconds: quick ? 0.05 : 0.3, filter: large ? '.' : '-.*ids:10000000.*', folder };
    for (const [name, runs] of runProgram(`bench_${program}`, options)) all.set(name, runs);
  }
  return (name, field) => (all.get(name) ?? []).map((run) => run[field]);
}

const nsAnItem = (rates) => rates.map((rate) => 1e9 / rate);

export function addMicroFigures(figures, of) {
  const us = (name) => of(name, 'ns').map((ns) => ns / 1000);
  for (const bytes of [4096, 1 << 20]) {
    const size = bytes === 4096 ? '4 KB' : '1 MB';
    const lower = { higherIsBetter: false };
    figures.add('machine', `fdatasync, ${size} appended`, 'us', us(`BM_FdatasyncAppended/${bytes}`), lower);
    figures.add('machine', `fdatasync, ${size} preallocated`, 'us', us(`BM_FdatasyncPreallocated/${bytes}`), lower);
  }
  figures.add('machine', 'framed echo, unix, 256 bytes', 'us', us('BM_EchoUnix'), { higherIsBetter: false });
  figures.add('machine', 'framed echo, tcp, 256 bytes', 'us', us('BM_EchoTcp'), { higherIsBetter: false });

  const raw = { name: 'libsecp256k1 sign_recoverable', samples: of('BM_LimitSignRecoverable', 'items_per_second') };
  for (const n of [1, 20, 100]) {
    figures.add('signing', `tickets signed, ${n} a transaction`, '/s', of(`BM_SignTickets/${n}`, 'items_per_second'), { limit: raw });
  }
  const verify = { name: 'libsecp256k1 verify', samples: of('BM_LimitVerify', 'items_per_second') };
  const target = verify.samples.length > 0 ? 0.9 * median(verify.samples) : undefined;
  const checked = of('BM_CheckCreditSignature', 'items_per_second');
  figures.add('signing', 'credits with a signature each, checked, one core', '/s', checked, { limit: verify, target });
  figures.add('signing', 'keys recovered from signatures, by libsecp256k1', '/s', of('BM_LimitRecover', 'items_per_second'), { limit: verify });
  // 1,000 credits a batch, from the request's bytes to the bytes to seal; to cost what they cost without a signature.
  const credits = (mode) => of(`BM_ApplyEvents/mode:${mode}/ids:1000000`, 'items_per_second');
  const unsigned = { name: 'the same, unsigned', samples: credits(0) };
  const asUnsigned = unsigned.samples.length > 0 ? median(unsigned.samples) : undefined;
  figures.add('signing', 'credits with one signature a batch, applied, one core', '/s', credits(3), { limit: unsigned, target: asUnsigned });
  figures.add('signing', 'credits without a signature, applied, one core', '/s', unsigned.samples, { limit: verify });
  const megabytes = (name) => of(name, 'bytes_per_second').map((rate) => rate / 1e6);
  for (const bytes of [4096, 1 << 20]) {
    const size = bytes === 4096 ? '4 KB' : '1 MB';
    const limit = { name: 'AES-256-GCM alone', samples: megabytes(`BM_LimitAesGcm/${bytes}`) };
    figures.add('sealing', `seal ${size}`, 'MB/s', megabytes(`BM_Seal/${bytes}`), { limit });
    figures.add('sealing', `open ${size}`, 'MB/s', megabytes(`BM_Open/${bytes}`), { limit });
  }
  figures.add('sealing', 'keccak-256 of 400 bytes', 'ns', of('BM_Keccak256/400', 'ns'), { higherIsBetter: false });

  for (const [size, name] of [[1000, '1,000'], [100_000_000, '100 million']]) {
    const lower = { higherIsBetter: false };
    figures.add('audit', `a leaf more, at ${name}`, 'ns', of(`BM_AppendLeaf/${size}`, 'ns'), lower);
    figures.add('audit', `inclusion proof from tiles, of ${name}`, 'us', us(`BM_InclusionFromTiles/${size}`), lower);
    figures.add('audit', `consistency proof from tiles, of ${name}`, 'us', us(`BM_ConsistencyFromTiles/${size}`), lower);
  }

  const parts = ['BM_LimitParse', 'BM_LimitSha256TwiceAnEvent', 'BM_LimitHashTableInsert/1000000'].map((name) =>
    nsAnItem(of(name, 'items_per_second')),
  );
  const sum = parts[0].map((_, i) => parts.reduce((total, part) => total + part[i], 0));
  const limit = { name: 'protobuf + 2 SHA-256 + table insert', samples: sum };
  const names = ['hot accounts', 'fresh accounts', 'duplicates'];
  const atSize = names.map(() => new Map());
  for (const ids of [10_000, 1_000_000, 10_000_000]) {
    names.forEach((name, mode) => {
      const samples = nsAnItem(of(`BM_ApplyEvents/mode:${mode}/ids:${ids}`, 'items_per_second'));
      atSize[mode].set(ids, samples);
      figures.add('ledger', `a credit at ${ids.toLocaleString('en-US')} ids, ${name}`, 'ns', samples, { limit, higherIsBetter: false });
    });
  }
  names.forEach((name, mode) => figures.addCurve('ledger', `a credit, ${name}`, 'remembered ids', 'ns', atSize[mode]));
  figures.add('ledger', 'memory of an id at 1,800,000', 'bytes', of('BM_MemoryOfAnId/1800000', 'bytes_each'), { limit: { name: 'its two fingerprints', samples: [24] }, higherIsBetter: false, target: 20 });
  figures.add('ledger', 'memory of an id at 1,000,000', 'bytes', of('BM_MemoryOfAnId/1000000', 'bytes_each'), { limit: { name: 'its two fingerprints', samples: [24] }, higherIsBetter: false, target: 20 });
  figures.add('ledger', 'memory of an account', 'bytes', of('BM_MemoryOfAnAccount/1000000', 'bytes_each'), { limit: { name: 'name, address, six sums', samples: [13 + 20 + 96] }, higherIsBetter: false, target: 150 });
  figures.add('ledger', 'snapshot of 1,000,000 ids written', 'ms', of('BM_SnapshotWrite', 'ns').map((ns) => ns / 1e6), { higherIsBetter: false });
  figures.add('ledger', 'snapshot of 1,000,000 ids restored', 'ms', of('BM_SnapshotRestore', 'ns').map((ns) => ns / 1e6), { higherIsBetter: false });
  figures.add('host', 'a journal line parsed, with its id', 'ns', of('Parse', 'ns'), { higherIsBetter: false });
}
