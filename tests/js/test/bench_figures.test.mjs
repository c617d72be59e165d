// The figures that ./dev bench makes of what its programs print.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Figures, render } from '../../../bench/lib/figures.mjs';
import { addPayouts } from '../../../bench/lib/payouts.mjs';

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
