// Where ./dev bench and an installed `coffer bench` look for programs, and where they leave what they measured.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { layoutOf } from '../../../bench/lib/layout.mjs';
import { ROOT } from '../lib/program.mjs';

test('a source tree has its programs and results below build/, wherever the harness is started', () => {
  for (const cwd of [ROOT, '/somewhere/else']) {
    const { installed, command, programs, results } = layoutOf(ROOT, cwd);
    assert.deepEqual([installed, command], [false, './dev bench']);
    assert.deepEqual([programs, results], [path.join(ROOT, 'build/release/bin'), path.join(ROOT, 'build/bench')]);
  }
});

test('an installed system has its programs in PREFIX/bin, and leaves results where it is started', () => {
  const { installed, command, programs, results } = layoutOf('/opt/coffer/share/coffer', '/home/me', () => false);
  assert.deepEqual([installed, command], [true, 'coffer bench']);
  assert.deepEqual([programs, results], ['/opt/coffer/bin', '/home/me/coffer-bench-results']);
});
