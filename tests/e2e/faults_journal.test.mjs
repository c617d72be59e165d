// The journal under load: rotated, moved away for a while, truncated, replaced, written to with
// garbage of any kind, while it is read and while either process is killed. What was a line once is
// owed once; what is no line is in the dead letters.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stepsOf, underLoad } from '../js/lib/fault_world.mjs';
import { patient } from '../js/lib/patience.mjs';
import { until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('faults_journal');

// Each is refused, whatever it is; none may hold up or change what is around it.
const GARBAGE = [
  () => 'no JSON at all\n',
  () => '{"event":"credit","orchestrator_id":"journal-1","amount":"1"\n',
  () => '{"event":"credit","orchestrator_id":"journal-1","amount":"-0.5.1"}\n',
  () => '{"event":"credit","orchestrator_id":"journal-1","amount":"1e400"}\n',
  () => `{"event":"credit","orchestrator_id":"journal-1","amount":"0.${'1'.repeat(30)}"}\n`,
  () => `{"event":"credit","orchestrator_id":"${'x'.repeat(3000)}","amount":"1"}\n`,
  () => `${'['.repeat(20_000)}\n`,
  () => `{"event":"credit","orchestrator_id":"journal-1","amount":"1","pad":"${'p'.repeat(2 << 20)}"}\n`,
  () => Buffer.concat([Buffer.from(randomBytes(500).filter((byte) => byte !== 10)), Buffer.from('\n')]),
];

test('a journal that changes under the reader', { timeout: patient(150_000) }, (t) =>
  underLoad({ name: 'faults_journal', seed }, async (world) => {
    const { stack, random, writer } = world;
    const step = stepsOf(t);
    const took = async (what) => console.log(`faults_journal: ${what}: ${await world.goesOn(what)} ms`);
    const old = () => `${writer.file}.${++world.rotated}`;
    world.rotated = 0;
    // Nothing may be half written into the file that is left.
    const rotate = (how) => world.journal.between(how);

    await step('garbage between the lines', async () => {
      const before = await world.metric('coffer_journal_dead_letters_total');
      const extra = [];
      for (let i = 0; i < 40; i++) {
        const line = Buffer.from(random.pick(GARBAGE)());
        extra.push(line);
        writer.expectDead(line);
      }
      await world.journal.between(() => writer.append(Buffer.concat(extra)));
      await world.counted('coffer_journal_dead_letters_total', before + extra.length - 1, 20_000);
      await took('garbage');
    });

    await step('rotated again and again, and its reader killed meanwhile', async () => {
      const before = await world.metric('coffer_journal_rotations_total');
      for (let i = 0; i < 4; i++) {
        await rotate(() => {
          fs.renameSync(writer.file, old());
          fs.writeFileSync(writer.file, '');
        });
        await sleep(random.below(700));
      }
      await world.counted('coffer_journal_rotations_total', before + 3, 40_000);
      await rotate(() => {
        fs.renameSync(writer.file, old());
        fs.writeFileSync(writer.file, '');
      });
      const victim = random.pick([stack.host, stack.enclave]);
      await victim.kill();
      victim.start();
      await stack.ready();
      await took(`rotated, ${victim.name} killed`);
    });

    await step('truncated after it was read, as by copytruncate', async () => {
      const before = await world.metric('coffer_journal_truncations_total');
      await rotate(async () => {
        await stack.caughtUp();
        fs.truncateSync(writer.file, 0);
      });
      await world.counted('coffer_journal_truncations_total', before);
      assert.match(stack.host.lastRun(), /the journal was truncated or written anew/);
      await took('truncated');
    });

    await step('replaced by another that begins with the same lines', async () => {
      await rotate(async () => {
        const bytes = fs.readFileSync(writer.file);
        fs.writeFileSync(`${writer.file}.copy`, bytes);
        fs.renameSync(`${writer.file}.copy`, writer.file);
      });
      await took('replaced');
    });

    await step('away for a while, and unreadable', async () => {
      await rotate(async () => {
        fs.renameSync(writer.file, `${writer.file}.away`);
        await sleep(1_200);
        assert.equal((await stack.api.raw('GET', '/healthz')).status, 200);
        fs.renameSync(`${writer.file}.away`, writer.file);
      });
      await took('back');
    });

    await step('all dead letters are there, once', async () => {
      const letters = await until('the dead letters', () => {
        const found = stack.deadLetters().filter(({ resolved }) => !resolved);
        return found.length >= writer.dead.length && found;
      });
      const digests = letters.map(({ sha256 }) => sha256);
      for (const { sha256 } of writer.dead) assert.ok(digests.includes(sha256), 'a dead letter is lost');
      assert.equal(digests.length, writer.dead.length);
    });
  }));
