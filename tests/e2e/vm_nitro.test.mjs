// Our enclave image under QEMU's nitro-enclave machine: a real kernel, a real AF_VSOCK to the parent, an
// emulated Nitro Secure Module. Skipped until `./dev vm nitro` has built that QEMU.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { decode } from 'cborg';
import { withChain } from '../js/lib/e2e.mjs';
import { JournalWriter } from '../js/lib/journal_writer.mjs';
import { mainJob } from '../js/lib/machine_job.mjs';
import { runProgram, temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { MODULE_ID, NitroMachine, whyNoNitro } from '../js/lib/vm.mjs';

const seed = testSeed('vm_nitro');
const skip = whyNoNitro() ?? false;

const hex = (bytes) => Buffer.from(bytes).toString('hex');

/**
 * The document of the emulated module: what was asked for is in it, and the image that was predicted. The
 * emulation signs nothing, so the signature is not checked here, and the verifier must refuse it.
 */
async function checkDocument(stack, measured, folder) {
  const nonce = hex(randomBytes(32));
  const answer = await stack.api.get(`/api/tee/attestation?nonce=${nonce}`);
  assert.equal(answer.kind, 'nitro');
  assert.equal(answer.development, false);
  const bytes = Buffer.from(answer.document_b64, 'base64');
  const parts = decode(bytes, { useMaps: true });
  assert.equal(parts.length, 4);
  const document = decode(parts[2], { useMaps: true, allowIndefinite: true });
  for (const index of [0, 1, 2])
    assert.equal(hex(document.get('pcrs').get(index)), measured[`pcr${index}`], `PCR${index}`);
  assert.equal(hex(document.get('nonce')), nonce);
  const userData = Buffer.from(document.get('user_data')).toString();
  assert.ok(userData.startsWith(`payments-tee-core:${stack.address.toLowerCase()}:audit:0x`), userData);
  assert.ok(Math.abs(Number(document.get('timestamp')) - Date.now()) < 3_600_000);
  assert.equal(document.get('module_id'), MODULE_ID);

  const file = path.join(folder, 'document.bin');
  fs.writeFileSync(file, bytes);
  const verdict = await runProgram('coffer', [
    ...['verify', 'attestation', '--document', file, '--nonce', nonce, '--pcr0', measured.pcr0],
    ...['--address', stack.address],
  ]);
  assert.equal(verdict.code, 1, verdict.stdout + verdict.stderr);
  assert.match(verdict.stdout, /^failed +cose .*signature/m);
  assert.match(verdict.stdout, /NOT VERIFIED/);
}

test('our image boots, says hello, pays what a journal owes, and proves what it is', { skip, timeout: 900_000 }, async () => {
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
      await checkDocument(world.stack, machine.measured, folder);
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
