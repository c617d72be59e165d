// How often the harness looks at a replay: seldom while it lasts, often when it is about to end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { pauseAfter } from '../../../bench/lib/journal.mjs';

test('the harness looks at a replay again after a quarter of what is left of it', () => {
  const after = (seconds, done) => pauseAfter([[0.01, 0], [seconds, done]], 1000);
  assert.equal(after(0.4, 500), 100); // as long again: 0.4 s
  assert.equal(after(0.9, 900), 25);
  assert.equal(after(4, 500), 250); // at most, so that there is something to plot
  assert.equal(after(2, 999), 10); // at least
  assert.equal(after(2, 1000), 10);
});

test('until something is done nobody knows how long it takes', () => {
  assert.equal(pauseAfter([[0.3, 0]], 1000), 10);
});
