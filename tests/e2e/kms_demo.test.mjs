// ./dev demo --kms in small: it ends well, and says that its KMS is none.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { patient } from '../js/lib/patience.mjs';
import { Program, ROOT, temporaryFolder } from '../js/lib/program.mjs';

test('the demo with keys from the local KMS', { timeout: patient(180_000) }, async () => {
  const folder = temporaryFolder();
  test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const demo = new Program({
    name: 'demo',
    file: process.execPath,
    args: [path.join(ROOT, 'tests/demo/demo.mjs'), '--kms', '--lines', '400', '--accounts', '8'],
    env: process.env.COFFER_BIN ? { COFFER_BIN: process.env.COFFER_BIN } : {},
    log: path.join(folder, 'demo.log'),
  });
  demo.start();
  assert.deepEqual(await demo.ended(170_000), { code: 0, signal: null }, demo.tail());
  const text = demo.text();
  assert.match(text, /a LOCAL STAND-IN for AWS KMS/);
  assert.match(text, /done: the state is sealed under epoch 2/);
  assert.match(text, /RIGHT: each of 8 recipients/);
});
