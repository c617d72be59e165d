// The enclave in a virtual machine, reached over a real AF_VSOCK (CID 1 loops back in there): credits
// from a journal, payouts on a local chain, the machine unplugged in between. Skipped, with the
// reason, where no such machine can be had.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { withChain } from '../js/lib/e2e.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { mainJob } from '../js/lib/machine_job.mjs';
import { programPath, temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { LoopbackMachine, whyNoLoopback } from '../js/lib/vm.mjs';

const seed = testSeed('vm_loopback');
const skip = whyNoLoopback() ?? false;

async function withFolder(body) {
  const folder = temporaryFolder('coffer-vm-');
  try {
    await body(folder);
  } finally {
    if (!process.env.COFFER_KEEP) fs.rmSync(folder, { recursive: true, force: true });
  }
}

test('journal to paid over AF_VSOCK, with the machine unplugged twice', { skip, timeout: 900_000 }, () =>
  withFolder(async (folder) => {
    const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
    const machine = await LoopbackMachine.make();
    const options = {
      seed,
      count: 8,
      machine,
      journal: writer.file,
      host: { 'payouts.max-tickets': 3 },
    };
    await withChain(options, async (world) => {
      await mainJob(world, writer, new Random(seed));
      const console = world.stack.enclave.text();
      assert.match(console, /enclave: listening endpoint=vsock:\/\//);
      assert.match(console, /bridge: listening .* to=vsock:\/\/1:5000/);
    });
  }),
);

test('the unit tests that need a vsock that loops back', { skip, timeout: 300_000 }, async (t) => {
  if (!fs.existsSync(path.join(path.dirname(programPath('coffer-init')), 'unit_runtime_test')))
    return t.skip('unit_runtime_test is not built');
  return withFolder(async (folder) => {
    const machine = await LoopbackMachine.make();
    const program = machine.running('unit_runtime_test', {
      folder,
      log: path.join(folder, 'console.log'),
      args: ['--gtest_filter=*Vsock*LoopsBack*', '--gtest_color=no'],
    });
    program.start();
    await program.ended(240_000);
    const console = program.text();
    assert.match(console, /\[ {2}PASSED {2}\] [1-9]\d* test/, console);
    assert.doesNotMatch(console, /SKIPPED|FAILED/, console);
    assert.match(console, /ended with exit code 0/, console);
  });
});
