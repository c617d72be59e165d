// Our enclave image under QEMU's nitro-enclave machine: a real kernel, a real AF_VSOCK to the parent, an
// emulated Nitro Secure Module. Skipped until `./dev vm nitro` has built that QEMU.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { withChain } from '../js/lib/e2e.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { mainJob } from '../js/lib/machine_job.mjs';
import { temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { NitroMachine, whyNoNitro } from '../js/lib/vm.mjs';

const seed = testSeed('vm_nitro');
const skip = whyNoNitro() ?? false;

test('our image boots, says hello, and pays what a journal owes', { skip, timeout: 600_000 }, async () => {
  const folder = temporaryFolder('coffer-vm-');
  const writer = new JournalWriter(path.join(folder, 'journal.jsonl'));
  const machine = await NitroMachine.make();
  try {
    const options = {
      seed,
      count: 8,
      machine,
      journal: writer.file,
      host: { 'payouts.max-tickets': 3 },
    };
    await withChain(options, async (world) => {
      await mainJob(world, writer, new Random(seed));
      assert.deepEqual(machine.hello.hellos, ['b7', 'b7', 'b7'], 'one hello of each boot');
    });
  } catch (error) {
    error.message += `\n-- vsock\n${machine.backend.tail()}`;
    throw error;
  } finally {
    await machine.close();
    fs.rmSync(folder, { recursive: true, force: true });
  }
});
