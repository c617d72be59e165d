// `coffer witness` as processes, with an independent implementation as the logs and as the reader of
// its cosignatures.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNote, readVkey, verifies } from '../conformance/tlog.mjs';
import { Program, freePort, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { JsLog } from '../js/lib/tlog_log.mjs';

const seed = testSeed('witness');
const random = new Random(seed);
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const NAME = 'witness.example/w1';
let count = 0;
const newLog = (origin = `log.example/${count}`) => new JsLog(origin, `${seed} ${++count}`);

class Witness extends Program {
  static async make(logs, extra = ['--generate']) {
    const state = path.join(folder, `state-${++count}`);
    const port = await freePort();
    const witness = new Witness({
      name: 'coffer',
      log: `${state}.log`,
      args: [
        'witness',
        '--listen',
        `tcp://127.0.0.1:${port}`,
        '--state',
        state,
        '--name',
        NAME,
        ...logs.flatMap((log) => ['--log', log.signer.vkey()]),
        ...extra,
      ],
    });
    return Object.assign(witness, { state, url: `http://127.0.0.1:${port}` });
  }

  async run() {
    this.start();
    await until('the witness', async () => {
      this.check();
      return (await fetch(`${this.url}/healthz`)).ok;
    }, { everyMs: 5 });
    return this;
  }

  /** The key that it shows for policies. */
  key() {
    return readVkey(/witness <name> (\S+\+[0-9a-f]{8}\+\S+) /.exec(this.text())[1]);
  }

  async post(body) {
    const response = await fetch(`${this.url}/add-checkpoint`, { method: 'POST', body });
    const type = response.headers.get('content-type');
    return { status: response.status, type, body: await response.text() };
  }

  /** Asserts that it cosigns, with a cosignature that the other implementation accepts. */
  async cosigns(log, old, size) {
    const answer = await this.post(log.addCheckpoint(old, size));
    assert.equal(answer.status, 200, `${old} -> ${size}: ${answer.body}`);
    const key = this.key();
    const note = readNote(`${log.text(size)}\n${answer.body}`);
    assert.equal(note.signatures.length, 1);
    assert.ok(verifies(note, key), 'the cosignature holds');
    assert.ok(!verifies({ ...note, text: log.text(size).replace('\n', 'x\n') }, key));
    const stamp = Number(note.signatures[0].bytes.readBigUInt64BE(0));
    assert.ok(Math.abs(stamp - Date.now() / 1000) < 60, `time ${stamp}`);
    return answer;
  }

  async refuses(status, body, pattern = /./) {
    const answer = await this.post(body);
    assert.equal(answer.status, status, answer.body);
    assert.match(answer.body, pattern);
    return answer;
  }

  async conflict(body, size) {
    const answer = await this.refuses(409, body);
    assert.equal(answer.type, 'text/x.tlog.size');
    if (size !== undefined) assert.equal(answer.body, `${size}\n`);
    return Number(answer.body);
  }
}

async function withWitness(logs, body, extra) {
  const witness = await Witness.make(logs, extra);
  try {
    await witness.run();
    await body(witness);
  } catch (error) {
    error.message += `\n-- witness\n${witness.tail()}`;
    throw error;
  } finally {
    await witness.kill();
  }
}

test('growth is cosigned, from any size to any other', async () => {
  const log = newLog().grow(700);
  await withWitness([log], async (witness) => {
    let old = 0;
    for (const size of [1, 2, 3, 7, 8, 9, 100, 255, 256, 257, 600, 700]) {
      await witness.cosigns(log, old, size);
      old = size;
    }
    await witness.cosigns(log, 700, 700);
    const metrics = await (await fetch(`${witness.url}/metrics`)).text();
    assert.match(metrics, /coffer_witness_requests_total\{status="200"\} 1[0-9]/);
    assert.match(metrics, /coffer_witness_log_size\{log="log\.example\/\d+"\} 700/);
    assert.match(witness.text(), /nothing is stored of this log/);
    assert.equal(await witness.stop(), 0);
    assert.match(witness.text(), /shutting down[^]*stopped/);
  });
});

test('forks, rollbacks, wrong proofs, unknown logs and strangers are refused', async () => {
  const [log, other] = [newLog().grow(60), newLog().grow(9)];
  const unknown = newLog().grow(5);
  const impostor = new JsLog(log.origin, `${seed} impostor`).grow(60);
  await withWitness([log, other], async (witness) => {
    await witness.cosigns(log, 0, 20);
    await witness.cosigns(other, 0, 9);
    await witness.conflict(log.addCheckpoint(0, 30), 20);
    await witness.conflict(log.addCheckpoint(10, 30), 20);
    await witness.conflict(log.addCheckpoint(30, 40), 20);
    await witness.conflict(log.addCheckpoint(10, 10), 20);
    await witness.conflict(log.addCheckpoint(5, 19), 20);
    const fork = log.fork(15).grow(60);
    await witness.refuses(422, fork.addCheckpoint(20, 40));
    await witness.refuses(422, log.addCheckpoint(20, 40, { proof: log.proof(19, 40) }));
    await witness.refuses(422, log.addCheckpoint(20, 40, { proof: [] }));
    await witness.refuses(422, log.addCheckpoint(20, 40, { note: fork.note(40) }));
    const same = await witness.refuses(409, fork.addCheckpoint(20, 20), /two histories/);
    assert.doesNotMatch(same.type, /size/);
    await witness.refuses(404, unknown.addCheckpoint(0, 5));
    await witness.refuses(403, log.addCheckpoint(20, 40, { note: log.note(40, impostor.signer) }));
    await witness.refuses(403, log.addCheckpoint(20, 40, { note: log.note(40, other.signer) }));
    for (const body of ['', 'x', 'old 20\n', 'old 20\n\n', 'old -1\n\nx', 'old 20\n!!\n\nx']) {
      await witness.refuses(400, body);
    }
    await witness.refuses(400, log.addCheckpoint(40, 30));
    await witness.refuses(400, log.addCheckpoint(20, 40).replace('\n\n', `\n${'A'.repeat(43)}=\n`.repeat(64) + '\n'));
    const large = await witness.post('x'.repeat(400_000)).catch(() => ({ status: 413 }));
    assert.equal(large.status, 413);
    assert.equal((await fetch(`${witness.url}/add-checkpoint`)).status, 405);
    assert.equal((await fetch(`${witness.url}/other`)).status, 404);
    // Nothing of that moved it.
    await witness.cosigns(log, 20, 60);
    await witness.conflict(other.addCheckpoint(0, 9), 9);
  });
});

test('what was cosigned is remembered over restarts, and logs can be added', async () => {
  const [log, later] = [newLog().grow(50), newLog().grow(4)];
  await withWitness([log], async (witness) => {
    await witness.cosigns(log, 0, 33);
    const key = witness.key();
    assert.equal(await witness.stop(), 0);
    witness.args.push('--log', later.signer.vkey());
    await witness.run();
    assert.deepEqual(witness.key(), key, 'the key is the same');
    await witness.conflict(log.addCheckpoint(0, 40), 33);
    await witness.refuses(422, log.fork(20).grow(50).addCheckpoint(33, 40));
    await witness.cosigns(log, 33, 50);
    await witness.cosigns(later, 0, 4);
  });
});

test('killed at any moment, it never goes back on what it cosigned', async () => {
  const log = newLog().grow(3000);
  await withWitness([log], async (witness) => {
    let cosigned = 0; // the largest size of which a cosignature came back
    for (let round = 0; round < 25; ++round) {
      // What it has is at least that: more when it was killed before its answer left.
      // So it may have something though no cosignature ever came back.
      const known = await witness.post(log.addCheckpoint(0, Math.max(cosigned, 1)));
      if (known.status === 200 && cosigned === 0) cosigned = 1;
      else assert.equal(known.status, 409, known.body);
      let has = known.status === 200 ? 1 : Number(known.body);
      assert.ok(has >= cosigned, `it has ${has}, and cosigned ${cosigned}`);
      if (has > 1) {
        const fork = log.fork(random.below(has - 1)).grow(has + 5);
        await witness.refuses(409, fork.addCheckpoint(has, has), /two histories/);
        await witness.refuses(422, fork.addCheckpoint(has, has + 5));
        await witness.conflict(log.addCheckpoint(has - 1, has - 1), has);
      }
      const end = sleep(random.below(60)).then(() => witness.kill());
      for (;;) {
        const size = Math.min(log.entries.length, has + 1 + random.below(4));
        const answer = await witness.post(log.addCheckpoint(has, size)).catch(() => undefined);
        if (answer === undefined) break;
        assert.equal(answer.status, 200, answer.body);
        has = cosigned = size;
      }
      await end;
      await witness.run();
    }
    assert.ok(cosigned > 25, `something was cosigned: ${cosigned}`);
    console.log(`witness: cosigned up to ${cosigned} over 25 kills`);
  });
});

test('a checkpoint that cannot be stored is not cosigned, and not believed afterwards', async () => {
  const log = newLog().grow(50);
  await withWitness([log], async (witness) => {
    await witness.cosigns(log, 0, 10);
    const stored = fs.readdirSync(witness.state).find((name) => name.endsWith('.checkpoint'));
    const inTheWay = path.join(witness.state, `${stored}.new`);
    fs.mkdirSync(inTheWay);
    await witness.refuses(500, log.addCheckpoint(10, 20), /cannot store/);
    assert.equal((await fetch(`${witness.url}/healthz`)).status, 503);
    await witness.refuses(500, log.addCheckpoint(10, 20), /cannot store/);
    fs.rmdirSync(inTheWay);
    await witness.conflict(log.addCheckpoint(20, 30), 10);
    await witness.cosigns(log, 10, 30);
    assert.equal((await fetch(`${witness.url}/healthz`)).status, 200);
  });
});

test('a damaged memory, a foreign key and a second witness are reasons not to start', async (t) => {
  const log = newLog().grow(50);
  const witness = await Witness.make([log]);
  t.after(() => witness.kill());
  const fails = async (pattern, args = witness.args, code = 1) => {
    const result = await runProgram('coffer', args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, pattern);
    assert.equal(result.stdout, '');
  };
  await fails(/key file .* does not exist/, witness.args.filter((arg) => arg !== '--generate'));
  await witness.run();
  await witness.cosigns(log, 0, 10);
  await fails(/another witness's that runs/);
  const secret = fs.readFileSync(path.join(witness.state, 'key'), 'utf8').trim();
  assert.equal(fs.statSync(path.join(witness.state, 'key')).mode & 0o777, 0o600);
  const [, base64] = /^PRIVATE\+KEY\+witness\.example\/w1\+[0-9a-f]{8}\+([A-Za-z0-9+/=]{40,})$/.exec(secret);
  assert.ok(!witness.text().includes(base64), 'the key is never printed');
  await witness.stop();

  fs.chmodSync(path.join(witness.state, 'key'), 0o640);
  await fails(/chmod 600/);
  fs.chmodSync(path.join(witness.state, 'key'), 0o600);
  await fails(/is not the key of witness.example\/w2/, witness.args.map((a) => (a === NAME ? 'witness.example/w2' : a)));
  fs.writeFileSync(path.join(witness.state, 'key'), `${secret.replace(/\+[0-9a-f]{8}\+/, '+00000000+')}\n`);
  await fails(/key ID is another/);
  fs.writeFileSync(path.join(witness.state, 'key'), `${secret}\n`);

  const stored = path.join(
    witness.state,
    fs.readdirSync(witness.state).find((name) => name.endsWith('.checkpoint')),
  );
  const good = fs.readFileSync(stored);
  for (const bad of [
    Buffer.alloc(0),
    good.subarray(0, -1),
    Buffer.concat([good, Buffer.from('\n')]),
    Buffer.from(good.toString().replace('\n10\n', '\n11\n')),
  ]) {
    fs.writeFileSync(stored, bad);
    await fails(/is damaged/);
  }
  fs.writeFileSync(stored, good);
  await witness.run();
  await witness.conflict(log.addCheckpoint(0, 50), 10);
});

test('its command line is checked, and its help has an example', async () => {
  const help = await runProgram('coffer', ['witness', '--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /Example: coffer witness --state/);
  const state = path.join(folder, 'unused');
  const good = ['witness', '--state', state, '--name', NAME, '--log', newLog().signer.vkey()];
  const rows = [
    [['witness'], /--state/],
    [[...good, '--listen', 'vsock://3:1'], /--listen: HTTP is served on tcp or unix/],
    [[...good, '--listen', 'nowhere'], /--listen/],
    [[...good, '--log', 'no-key'], /--log/],
    [good.map((a) => (a === NAME ? 'has space' : a)), /--name/],
  ];
  for (const [args, pattern] of rows) {
    const result = await runProgram('coffer', args);
    assert.equal(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, pattern);
  }
  assert.ok(!fs.existsSync(state));
});

test('what is insecure is said at the start', async () => {
  const log = newLog().grow(1);
  const witness = await Witness.make([log]);
  witness.args[witness.args.indexOf('--listen') + 1] = `tcp://0.0.0.0:${new URL(witness.url).port}`;
  try {
    await witness.run();
    assert.match(witness.text(), /INSECURE: other machines reach it without TLS/);
  } finally {
    await witness.kill();
  }
});
