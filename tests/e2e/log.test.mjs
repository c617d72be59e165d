// The transparency log with real processes: what a partner sees over HTTP, with `coffer verify`, with
// witnesses and on chain, and what becomes of a host that lies.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { Wallet, hexlify, parseEther, toQuantity } from 'ethers';
import * as tlog from '../conformance/tlog.mjs';
import { startAnvil } from '../js/lib/chain.mjs';
import { makeRecipients, withChain, withStack } from '../js/lib/e2e.mjs';
import { addUp, allPublished, assertLogAgrees, auditApi, publicGet, readHead, readLog } from '../js/lib/log.mjs';
import { Program, freePort, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';
import { deployRegistry } from '../js/lib/registry.mjs';

const seed = testSeed('log');
const random = new Random(seed);
const RECIPIENTS = makeRecipients(seed, 5);
const IDS = Object.keys(RECIPIENTS);
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

let events = 0;
const creditSome = async (stack, count = 1 + random.below(20)) => {
  const batch = Array.from({ length: count }, () => ({
    id: `log-${++events}`,
    account: random.pick(IDS),
    amount_wei: String(1 + random.below(1_000_000)),
  }));
  await stack.api.credit(batch);
  return batch;
};

/** `coffer verify log` of a stack over HTTP (or of a folder): {code, checks by name, report}. */
async function verify(args, env = {}) {
  const { code, stdout, stderr } = await runProgram('coffer', ['verify', 'log', '--json', ...args], { env, timeoutMs: 60_000 });
  let report;
  try {
    report = JSON.parse(stdout);
  } catch {
    assert.fail(`no report (exit code ${code}): ${stdout}\n${stderr}`);
  }
  return { code, report, checks: new Map(report.checks.map((check) => [check.name, check])) };
}

const stateFile = () => path.join(folder, `seen-${++events}`);

const withLog = (options, body) =>
  withStack({ recipients: RECIPIENTS, ...options }, async (stack) => {
    await stack.start();
    await body(stack);
  });

test('every leaf, proof and receipt, read by another implementation', () =>
  withLog({}, async (stack) => {
    for (let i = 0; i < 3; i++) await creditSome(stack, 150);
    const log = await assertLogAgrees(stack.api, await stack.api.accounts());
    assert.ok(log.size > 450, 'more than one tile');
    assert.equal(log.origin, `coffer/${stack.address.toLowerCase()}`);
    for (let i = 0; i < 10; i++) {
      const index = random.below(log.size);
      const proof = await auditApi(stack.api, `/audit/proof?leaf_index=${index}`);
      assert.deepEqual(proof.proof, log.history.inclusion(index, log.size).map((h) => hexlify(h)));
      const first = 1 + random.below(log.size);
      const second = first + random.below(log.size - first + 1);
      const consistency = await auditApi(stack.api, `/audit/consistency?first=${first}&second=${second}`);
      assert.deepEqual(consistency.proof, log.history.consistency(first, second).map((h) => hexlify(h)));
    }
    const page = await auditApi(stack.api, '/log?limit=3&offset=2');
    assert.deepEqual(page.entries.map((e) => Number((e.audit_entry ?? e).leaf_index)), [2, 3, 4]);
    const { body: text } = await publicGet(stack.api, '/api/transparency/tee-core/receipt?event_id=log-7&format=file');
    const receipt = tlog.readReceipt(text);
    assert.ok(receipt.leaf.equals(log.leaves[receipt.index]));
    assert.equal(tlog.decodeLeaf(receipt.leaf).fields.event_id.toString(), 'log-7');
  }));

test('reason and metadata stay with the host, and the leaf binds them', () =>
  withLog({}, async (stack) => {
    const about = { reason: 'Über "Mai"\n', metadata: { jobs: 3, list: [null, { a: 'x' }] } };
    await stack.api.credit([{ id: 'about', account: IDS[0], amount_wei: '5', ...about }, { id: 'bare', account: IDS[0], amount_wei: '5' }]);
    const log = await assertLogAgrees(stack.api, await stack.api.accounts());
    const { audit_entry: entry } = await auditApi(stack.api, '/audit/proof?event_id=about');
    const { status, body } = await stack.api.raw('GET', `/api/ledger/contents/${entry.content_hash}`, undefined, { token: stack.viewerToken });
    assert.equal(status, 200);
    assert.deepEqual(body, about);
    const text = fs.readFileSync(path.join(stack.dataDir, 'contents', entry.content_hash.slice(2, 4), `${entry.content_hash.slice(2)}.json`));
    assert.equal(`0x${createHash('sha256').update(text).digest('hex')}`, entry.content_hash);
    assert.equal((await publicGet(stack.api, `/api/ledger/contents/${entry.content_hash}`)).status, 401, 'not for everybody');
    assert.equal((await stack.api.raw('GET', `/api/ledger/contents/0x${'00'.repeat(32)}`)).status, 404);
    assert.equal(tlog.decodeLeaf(log.leaves.at(-1)).fields.content_hash, undefined);
    for (const wrong of [{ reason: 5 }, { metadata: 'x' }, { reason: 'x'.repeat(70_000) }]) {
      const answer = await stack.api.raw('POST', '/api/ledger/events', { id: 'wrong', account: IDS[0], amount_wei: '5', ...wrong });
      assert.equal(answer.status, 400, JSON.stringify(answer.body));
    }
  }));

test('coffer verify accepts an honest host, its balances and a receipt', () =>
  withLog({}, async (stack) => {
    await creditSome(stack, 300);
    const { log_key: key } = await allPublished(stack.api);
    const state = stateFile();
    const args = ['--url', stack.api.base, '--key', key, '--state', state, '--full', '--address', stack.address];
    const first = await verify([...args, '--api', stack.api.base], { COFFER_TOKEN: stack.viewerToken });
    assert.equal(first.code, 0, JSON.stringify(first.report, null, 1));
    await creditSome(stack, 300);
    await allPublished(stack.api);
    const second = await verify(args);
    assert.equal(second.code, 0, JSON.stringify(second.report, null, 1));
    assert.equal(second.checks.get('consistency').outcome, 'passed', JSON.stringify(second.report, null, 1));
    const [account] = (await stack.api.accounts()).values();
    const right = await verify([...args, '--account', account.id, '--balance', String(account.available)]);
    assert.equal(right.code, 0, JSON.stringify(right.report, null, 1));
    const wrong = await verify([...args, '--account', account.id, '--balance', String(account.available + 1n)]);
    assert.equal(wrong.code, 1);
    const file = path.join(folder, 'one.tlog-proof');
    const { body } = await publicGet(stack.api, `/api/transparency/tee-core/receipt?event_id=log-${events - 5}&format=file`);
    fs.writeFileSync(file, body);
    const receipt = await runProgram('coffer', ['verify', 'receipt', file, '--key', key]);
    assert.equal(receipt.code, 0, receipt.stdout + receipt.stderr);
    assert.match(receipt.stdout, /credit/);
    fs.writeFileSync(file, body.replace(/^index (\d+)$/m, (_, n) => `index ${Number(n) + 1}`));
    assert.equal((await runProgram('coffer', ['verify', 'receipt', file, '--key', key])).code, 1);
  }));

test('SIGKILL of either process, snapshots on the way: one log, no gap, no fork, no leaf twice', () =>
  withLog({ enclave: { 'snapshot-interval': '4KiB' }, host: { 'store.segment-bytes': '1MiB' } }, async (stack) => {
    let before = await readLog(stack.api, (await allPublished(stack.api)).log_key);
    for (let round = 0; round < 8; round++) {
      const load = Promise.allSettled(Array.from({ length: 6 }, () => creditSome(stack, 40)));
      await new Promise((resolve) => setTimeout(resolve, random.below(120)));
      const both = round % 3 === 2;
      if (round % 3 === 0 || both) await stack.enclave.kill();
      if (round % 3 === 1 || both) await stack.host.kill();
      await load;
      if (round % 3 === 0 || both) stack.enclave.start();
      if (round % 3 === 1 || both) stack.host.start();
      await stack.ready();
      const now = await assertLogAgrees(stack.api, await stack.api.accounts());
      assert.ok(now.size >= before.size, 'the log never gets shorter');
      assert.equal(hexlify(now.history.root(before.size)), hexlify(before.root), 'what was signed is still there');
      before = now;
    }
    assert.equal(before.leaves.filter((leaf) => leaf[1] === 1).length, 1, 'one genesis');
  }));

test('a log that was lost is made again from the records, or from a mirror', () =>
  withLog({}, async (stack) => {
    await creditSome(stack, 300);
    const before = await readLog(stack.api, (await allPublished(stack.api)).log_key);
    const mirror = path.join(folder, 'mirror');
    const copied = await runProgram('coffer', ['log', 'mirror', '--url', stack.api.base, '--dir', mirror, '--key', (await auditApi(stack.api, '/audit/status')).log_key]);
    assert.equal(copied.code, 0, copied.stderr);
    const kept = await verify(['--dir', mirror, '--key', (await auditApi(stack.api, '/audit/status')).log_key, '--full', '--state', stateFile()]);
    assert.equal(kept.code, 0, JSON.stringify(kept.report, null, 1));
    await stack.host.kill();
    fs.rmSync(path.join(stack.dataDir, 'log'), { recursive: true });
    stack.host.start();
    await stack.ready();
    await creditSome(stack, 10);
    const after = await assertLogAgrees(stack.api, await stack.api.accounts());
    assert.equal(hexlify(after.history.root(before.size)), hexlify(before.root));
  }));

test('a tile that was altered, or is gone, is no proof and is named', () =>
  withLog({}, async (stack) => {
    await creditSome(stack, 600);
    const { log_key: key } = await allPublished(stack.api);
    const tile = path.join(stack.dataDir, 'log/tile/0/000');
    const bytes = fs.readFileSync(tile);
    bytes[5 * 32] ^= 1;
    fs.writeFileSync(tile, bytes);
    const proof = await publicGet(stack.api, '/api/transparency/tee-core/audit/proof?leaf_index=4');
    assert.ok(proof.status >= 500, JSON.stringify(proof.body));
    // The host does not give it out; whoever has the folder sees what it is.
    assert.equal((await publicGet(stack.api, '/log/tile/0/000')).status, 500);
    const withheld = await verify(['--url', stack.api.base, '--key', key, '--full', '--state', stateFile()]);
    assert.equal(withheld.code, 2, JSON.stringify(withheld.report, null, 1));
    const altered = await verify(['--dir', path.join(stack.dataDir, 'log'), '--key', key, '--full', '--state', stateFile()]);
    assert.equal(altered.code, 1, JSON.stringify(altered.report, null, 1));
    assert.match(JSON.stringify(altered.report), /tile\/0\/000/);
    fs.rmSync(tile);
    const gone = await verify(['--dir', path.join(stack.dataDir, 'log'), '--key', key, '--full', '--state', stateFile()]);
    assert.notEqual(gone.code, 0, JSON.stringify(gone.report, null, 1));
    assert.match(JSON.stringify(gone.report), /tile\/0\/000 is missing/);
  }));

/** Stops a stack, puts back the data folder and the enclave of an earlier moment, and goes on. */
async function rollBack(stack, saved) {
  await stack.host.kill();
  await stack.enclave.kill();
  fs.rmSync(stack.dataDir, { recursive: true });
  fs.cpSync(saved, stack.dataDir, { recursive: true });
  stack.enclave.start();
  stack.host.start();
  await stack.ready();
}

async function save(stack, name) {
  const to = path.join(folder, name);
  await stack.host.stop();
  fs.cpSync(stack.dataDir, to, { recursive: true });
  stack.host.start();
  await stack.ready();
  return to;
}

test('a host that rolls the enclave back shows two histories, and whoever kept a checkpoint sees it', () =>
  withLog({}, async (stack) => {
    await creditSome(stack, 20);
    await allPublished(stack.api);
    const saved = await save(stack, 'saved-seen');
    await creditSome(stack, 20);
    const { log_key: key } = await allPublished(stack.api);
    const args = ['--url', stack.api.base, '--key', key, '--state', stateFile()];
    assert.equal((await verify(args)).code, 0);
    await rollBack(stack, saved);
    await allPublished(stack.api);
    const shorter = await verify(args);
    assert.equal(shorter.code, 1);
    assert.match(JSON.stringify(shorter.report), /cut back|rolled back/);
    await creditSome(stack, 60);
    await allPublished(stack.api);
    const forked = await verify(args);
    assert.equal(forked.code, 1);
    assert.match(JSON.stringify(forked.report), /two histories/);
  }));

class Witness extends Program {
  static async make(name, key) {
    const port = await freePort();
    const state = path.join(folder, name);
    const args = ['witness', '--listen', `tcp://127.0.0.1:${port}`, '--state', state, '--name', `witness.example/${name}`, '--log', key, '--generate'];
    const witness = new Witness({ name: 'coffer', log: `${state}.log`, args });
    Object.assign(witness, { url: `http://127.0.0.1:${port}`, nick: name });
    witness.start();
    await until('the witness', async () => {
      witness.check();
      return (await fetch(`${witness.url}/healthz`)).ok;
    });
    return witness;
  }
  vkey() {
    return /witness <name> (\S+\+[0-9a-f]{8}\+\S+) /.exec(this.text())[1];
  }
  line() {
    return `witness ${this.nick} ${this.vkey()} ${this.url}`;
  }
}

test('two witnesses cosign, a third is dead; a second history gets no cosignature', async () => {
  const key = new Wallet(`0x${'5a'.repeat(32)}`).privateKey;
  // The log's key follows from the signing key, so a first run tells it.
  let logKey;
  await withLog({ key }, async (stack) => {
    logKey = (await allPublished(stack.api)).log_key;
  });
  const witnesses = [await Witness.make('w1', logKey), await Witness.make('w2', logKey)];
  try {
    const dead = new tlog.Signer('witness.example/dead', 4, Buffer.alloc(32, 7));
    const policy = path.join(folder, 'policy');
    fs.writeFileSync(
      policy,
      `log ${logKey}\n${witnesses.map((w) => w.line()).join('\n')}\nwitness dead ${dead.vkey()} http://127.0.0.1:${await freePort()}\n` +
        'group two 2 w1 w2 dead\nquorum two\n',
    );
    await withLog({ key, host: { 'witnesses.policy': policy, 'witnesses.timeout': '2s' } }, async (stack) => {
      await creditSome(stack, 20);
      await allPublished(stack.api);
      const { note } = await readHead(stack.api);
      for (const witness of witnesses) {
        assert.ok(tlog.verifies(tlog.readNote(note), tlog.readVkey(witness.vkey())), `${witness.nick} cosigned`);
      }
      const args = ['--url', stack.api.base, '--policy', policy, '--full'];
      const good = await verify([...args, '--state', stateFile()]);
      assert.equal(good.code, 0, JSON.stringify(good.report, null, 1));
      const saved = await save(stack, 'saved-witnessed');
      await creditSome(stack, 20);
      await allPublished(stack.api);
      await rollBack(stack, saved);
      await creditSome(stack, 40);
      const fork = await allPublished(stack.api);
      const head = await readHead(stack.api);
      assert.equal(head.size, Number(fork.audit_seq));
      for (const witness of witnesses) {
        assert.ok(!tlog.verifies(tlog.readNote(head.note), tlog.readVkey(witness.vkey())), `${witness.nick} cosigned a fork`);
      }
      const bad = await verify([...args, '--state', stateFile()]);
      assert.equal(bad.code, 1);
      assert.equal(bad.checks.get('witnesses').outcome, 'failed');
      assert.equal(bad.checks.get('signature')?.outcome ?? 'passed', 'passed', 'it is the log\'s own head all the same');
    });
  } finally {
    for (const witness of witnesses) await witness.kill();
  }
});

test('on chain: published by anybody, and a second history is no extension of what is there', async () => {
  const node = await startAnvil();
  try {
    const registry = String((await deployRegistry(node)).target);
    const publisher = Wallet.createRandom();
    await node.rpc('anvil_setBalance', publisher.address, toQuantity(parseEther('1')));
    await withLog({}, async (stack) => {
      const publish = () =>
        runProgram(
          'coffer',
          ['checkpoint', 'publish', '--url', stack.api.base, '--rpc', node.url, '--registry', registry, '--once'],
          { env: { COFFER_PUBLISH_KEY: publisher.privateKey }, timeoutMs: 60_000 },
        );
      await creditSome(stack, 20);
      await allPublished(stack.api);
      const first = await publish();
      assert.equal(first.code, 0, first.stderr + first.stdout);
      const saved = await save(stack, 'saved-chain');
      await creditSome(stack, 20);
      const { log_key: key } = await allPublished(stack.api);
      const second = await publish();
      assert.equal(second.code, 0, second.stderr + second.stdout);
      const { audit_address: auditAddress } = await auditApi(stack.api, '/audit/status');
      const args = ['--url', stack.api.base, '--key', key, '--rpc', node.url, '--registry', registry, '--audit-address', auditAddress];
      const good = await verify([...args, '--state', stateFile()]);
      assert.equal(good.code, 0, JSON.stringify(good.report, null, 1));
      await rollBack(stack, saved);
      await creditSome(stack, 50);
      await allPublished(stack.api);
      const forked = await verify([...args, '--state', stateFile()]);
      assert.equal(forked.code, 1, JSON.stringify(forked.report, null, 1));
      assert.notEqual((await publish()).code, 0, 'a fork is not accepted');
    });
  } finally {
    await node.stop();
  }
});

test('after payouts the log tells of every ticket and payment', () =>
  withChain({ seed, count: 3 }, async ({ stack, ids, credit }) => {
    await stack.start();
    for (const id of ids) await credit(id, parseEther('0.01'));
    await stack.payEverybody();
    const log = await assertLogAgrees(stack.api, await stack.api.accounts());
    const kinds = log.leaves.map((leaf) => leaf[1]);
    for (const [kind, count] of [[6, 3], [8, 3], [9, 3]]) {
      assert.equal(kinds.filter((one) => one === kind).length, count, `leaves of kind ${kind}`);
    }
    const [payout] = await stack.api.payouts();
    const proof = await auditApi(stack.api, `/audit/proof?payout_id=${payout.id}`);
    assert.equal(Number(proof.audit_entry.payout_id), payout.id);
    assert.equal(addUp(log.leaves).accounts.size, 3);
  }));

test('strangers are limited by address, and no token is asked for', () =>
  withLog({ host: { 'http.public-rate': 5, 'http.public-burst': 10 } }, async (stack) => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => publicGet(stack.api, '/log/checkpoint')));
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 20, `${refused.length} of 40`);
    assert.ok(refused[0].headers.get('retry-after'));
  }));
