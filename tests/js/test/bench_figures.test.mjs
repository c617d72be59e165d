// The figures that ./dev bench makes of what its programs print.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Figures, render } from '../../../bench/lib/figures.mjs';
import { addPayouts } from '../../../bench/lib/payouts.mjs';
import { addRecovery, sizesFor } from '../../../bench/lib/recovery.mjs';
import { addState, sizesOf } from '../../../bench/lib/state.mjs';

const rowOf = (figures, name) => {
  const row = figures.rows.find((one) => one.figure === name);
  assert.ok(row !== undefined, `no figure '${name}' among ${figures.rows.map((one) => one.figure).join('; ')}`);
  return row;
};

const stage = (rate, p50, p99) => ({ per_second: rate, latency: { p50_us: p50, p99_us: p99, buckets: [[p50, 98], [p99, 2]] } });
const payoutRun = (rate) => ({
  rate: { prepared: stage(rate, 1, 2), settled: stage(2 * rate, 1, 2) },
  latency: { prepared: stage(1, 300, 900), settled: stage(1, 200, 800) },
});

test('payouts have rates of the pipelined runs, latencies of the others, and the limit of each repeat', () => {
  const figures = new Figures();
  addPayouts(figures, [1, 100], [[payoutRun(50), payoutRun(500)], [payoutRun(70), payoutRun(900)]], [1000, 2000]);
  const batch = rowOf(figures, 'tickets prepared, signed and durable, 100 a payout');
  assert.deepEqual([batch.samples, batch.limit.samples, batch.target], [[500, 900], [1000, 2000], 0.9 * 1500]);
  // One ticket is two signatures: nine tenths of their rate are out of reach.
  assert.equal(rowOf(figures, 'tickets prepared, signed and durable, 1 a payout').target, undefined);
  assert.deepEqual(rowOf(figures, 'tickets settled by receipts, durable, 1 a payout').samples, [100, 140]);
  assert.deepEqual(rowOf(figures, 'a payout of one ticket prepared, one at a time, p50').samples, [300, 300]);
  assert.deepEqual(rowOf(figures, 'a payout of 100 tickets settled, one at a time, p99').samples, [800, 800]);
  assert.equal(figures.histograms.length, 4);
  assert.equal(figures.histograms[0].count, 200);
  assert.doesNotMatch(render(figures.rows), /NaN|undefined/);
});

test('payouts without bench_signing have no limit and no target', () => {
  const figures = new Figures();
  addPayouts(figures, [20], [[payoutRun(50)]], [NaN]);
  const { limit, target } = rowOf(figures, 'tickets prepared, signed and durable, 20 a payout');
  assert.deepEqual([limit, target], [undefined, undefined]);
});

const stateRun = (scale) => ({
  cpuUs: 100 * scale, latencyUs: 300, recordBytes: 600, residentMb: 50 * scale, snapshotSeconds: 0.1 * scale, usualMs: 2, waitMs: 20 * scale,
});

test('the state has a figure a size, a curve, and the largest size against the smallest', () => {
  const figures = new Figures();
  const whole = new Map([[10_000, [stateRun(1), stateRun(1)]], [100_000, [stateRun(1.2), stateRun(1.4)]]]);
  const alone = new Map([[10_000, { ns: [2000, 4000], bytes: [236, 236] }], [100_000, { ns: [3000, 3300], bytes: [237, 237] }]]);
  addState(figures, [10_000, 100_000], alone, whole);
  const ratio = rowOf(figures, 'CPU of one more credit, trusted code alone, at 100,000 against 10,000');
  assert.deepEqual([ratio.samples, ratio.target, ratio.higherIsBetter], [[1, 1.1], 1.3, false]);
  assert.deepEqual(rowOf(figures, 'CPU of the enclave for one more credit, at 100,000 against 10,000').samples, [1.2, 1.4]);
  assert.deepEqual(rowOf(figures, 'enclave resident, at 10,000').samples, [50, 50]);
  const curve = figures.curves.find((one) => one.name === 'a snapshot, begun to stored');
  assert.deepEqual(curve.points.map(([x]) => x), [10_000, 100_000]);
  assert.ok(!figures.rows.some((row) => row.figure.startsWith('enclave resident') && row.target !== undefined));
});

test('the state without bench_state has the figures of the processes alone', () => {
  const figures = new Figures();
  addState(figures, [10_000], undefined, new Map([[10_000, [stateRun(1)]]]));
  assert.ok(!figures.rows.some((row) => row.figure.includes('trusted code')));
  assert.ok(rowOf(figures, 'record of one more credit, stored, at 10,000'));
});

test('sizes of the state are ten times apart, and the largest is for --large', () => {
  for (const options of [{ quick: true }, { quick: true, large: true }, {}, { large: true }]) {
    const sizes = sizesOf(options);
    assert.ok(sizes.every((size, i) => i === 0 || size === 10 * sizes[i - 1]), `${sizes}`);
    assert.equal(sizes.at(-1) >= 10_000_000, !options.quick && options.large === true);
  }
});

const GB = 1e9;

test('sizes of a recovery that do not fit are left out, with the reason', () => {
  const much = { memory: 1000 * GB, disk: 1000 * GB };
  assert.deepEqual(sizesFor({ large: true }, much), { sizes: [1e6, 1e7, 1e8], left: [] });
  assert.deepEqual(sizesFor({}, much).sizes, [1e6]);
  assert.deepEqual(sizesFor({ quick: true, large: true }, much).sizes, [1e5]);
  const { sizes, left } = sizesFor({ large: true }, { memory: 8 * GB, disk: 1000 * GB });
  assert.deepEqual(sizes, [1e6, 1e7]);
  assert.match(left.join(), /^100,000,000 events are left out: that takes \d+ GB of memory, and 8 GB are free$/);
  assert.match(sizesFor({ large: true }, { memory: 1000 * GB, disk: 2 * GB }).left[0], /^10,000,000 .* GB of disk, and 2 GB are free$/);
});

test('a recovery has rates against their targets, and its bytes as the limit', () => {
  const half = (seconds, bytes) => ({ restartSeconds: seconds + 1, seconds, bytes, rssBytes: 2e8, peakRssBytes: 3e8 });
  const runs = [{ accounts: 1e5, records: half(0.5, 4e8), snapshot: half(0.25, 1e8) }];
  const figures = new Figures();
  addRecovery(figures, 1e-9, 1e6, runs);
  const size = '1,000,000 events of 100,000 accounts';
  const events = rowOf(figures, `events a second from records only, ${size}`);
  assert.deepEqual([events.samples, events.target], [[2e6], 1e6]);
  const accounts = rowOf(figures, `accounts a second from a snapshot, ${size}`);
  assert.deepEqual([accounts.samples, accounts.target], [[4e5], 1e7]);
  const restart = rowOf(figures, `enclave started and loaded from records only, ${size}`);
  assert.deepEqual([restart.samples, restart.limit.samples], [[1.5], [0.4]]);
  const unknown = new Figures();
  addRecovery(unknown, undefined, 1e6, runs);
  assert.ok(unknown.rows.every((row) => row.limit === undefined));
});
