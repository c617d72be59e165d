// `coffer checkpoint publish` against a real chain and a host that the test plays.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { Wallet, parseEther } from 'ethers';
import { devKey, startAnvil } from '../js/lib/chain.mjs';
import { Program, freePort, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';
import { deployRegistry, signStatement, statementDigest } from '../js/lib/registry.mjs';
import { JsLog, publishedFiles, serve } from '../js/lib/tlog_log.mjs';

const seed = testSeed('checkpoint publish');
const folder = temporaryFolder();
let node, registry;
before(async () => {
  node = await startAnvil();
  registry = await deployRegistry(node);
});
after(async () => {
  await node?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

let count = 0;
const secret = () => createHash('sha256').update(`${seed} ${++count}`).digest('hex');
function file(content, mode = 0o600) {
  const name = path.join(folder, `file-${++count}`);
  fs.writeFileSync(name, content, { mode });
  return name;
}

/** A host with a log: signs `size` leaves, has published `published`. */
class Host {
  constructor() {
    this.audit = new Wallet(`0x${secret()}`);
    this.log = new JsLog(`coffer/${this.audit.address.toLowerCase()}`, secret()).grow(400);
    this.size = 10;
    this.published = 10;
    this.overrides = {};
    this.requests = [];
  }

  async start() {
    this.server = await serve((pathname, query) => this.answer(pathname, query));
    return this;
  }

  answer(pathname, query) {
    this.requests.push(pathname);
    if (this.down) return { status: 500, body: 'down' };
    if (pathname === '/api/transparency/tee-core/audit/checkpoint') return this.statement(query);
    if (pathname.startsWith('/log/')) {
      return publishedFiles(this.shown ?? this.log, this.published).get(pathname.slice(5));
    }
    return undefined;
  }

  statement(query) {
    const statement = {
      audit: this.audit.address,
      size: this.size,
      root: this.log.root(this.size),
      chainId: Number(query.get('chain_id')),
      registry: query.get('contract_address'),
    };
    const answer = {
      audit_address: statement.audit,
      chain_id: statement.chainId,
      contract_address: statement.registry,
      seq: statement.size,
      merkle_root: `0x${statement.root.toString('hex')}`,
      message_hash: statementDigest(statement),
      signature: signStatement(this.audit, { ...statement, ...this.overrides.signed }),
      ...this.overrides.answer,
    };
    return this.overrides.raw ?? JSON.stringify(answer);
  }

  async latest() {
    const { size, root } = await registry.latest(this.audit.address);
    return [Number(size), root.slice(2)];
  }

  expected(size = this.size) {
    return [size, this.log.root(size).toString('hex')];
  }
}

const ARGUMENTS = (host, extra) => [
  'checkpoint',
  'publish',
  '--url',
  host.server.url,
  '--rpc',
  node.url,
  '--registry',
  registry.target,
  ...extra,
];
const keyFile = () => file(`${devKey(3)}\n`);
const payer = new Wallet(devKey(3)).address;
const publish = (host, extra = ['--key-file', keyFile()], options = {}) =>
  runProgram('coffer', ARGUMENTS(host, extra), { timeoutMs: 60_000, ...options });

async function withHost(body) {
  const host = await new Host().start();
  try {
    await body(host);
  } finally {
    await host.server.close();
  }
}
async function succeeds(run, pattern) {
  const result = await run;
  assert.equal(result.code, 0, result.stderr + result.stdout);
  assert.match(result.stdout, pattern);
  return result;
}
async function fails(run, code, pattern) {
  const result = await run;
  assert.equal(result.code, code, `${result.stdout}${result.stderr}`);
  assert.match(result.stderr + result.stdout, pattern);
  return result;
}
/** Asserts that no transaction was sent meanwhile. */
async function sendsNothing(body) {
  const before_ = await node.provider.getTransactionCount(payer);
  await body();
  assert.equal(await node.provider.getTransactionCount(payer), before_);
}

test('the first head, nothing to do, and growth with a proof out of the tiles', () =>
  withHost(async (host) => {
    const first = await succeeds(publish(host), /^submitted size 10, root 0x[0-9a-f]{64} after size 0: tx 0x[0-9a-f]{64}, block \d+, gas \d+, fee 0\.\d+ ETH\n$/);
    assert.ok(!first.stderr.includes('error'), first.stderr);
    assert.deepEqual(await host.latest(), host.expected());
    await sendsNothing(() => succeeds(publish(host), /^nothing to do: the registry has size 10/));
    // The log has published further than what was signed, across a tile's border.
    for (const [size, published] of [[11, 11], [250, 255], [256, 256], [257, 300], [390, 400]]) {
      Object.assign(host, { size, published });
      await succeeds(publish(host), new RegExp(`^submitted size ${size},`));
      assert.deepEqual(await host.latest(), host.expected());
    }
    const receipt = await node.provider.getTransactionReceipt(/tx (0x\w+)/.exec(first.stdout)[1]);
    assert.equal(receipt.from, payer);
    assert.equal(/gas (\d+)/.exec(first.stdout)[1], String(receipt.gasUsed));
  }));

test('a head that is not published yet is waited for', () =>
  withHost(async (host) => {
    await succeeds(publish(host), /^submitted size 10,/);
    host.size = 30;
    const timer = setTimeout(() => (host.published = 31), 700);
    await succeeds(publish(host), /^submitted size 30,/);
    clearTimeout(timer);
  }));

test('a dry run needs no key and sends nothing', () =>
  withHost(async (host) => {
    await sendsNothing(async () => {
      await succeeds(publish(host, ['--dry-run']), /^would submit size 10, .* after size 0 with 0 proof hashes, at most \d+ gas/);
      await succeeds(publish(host, ['--dry-run', '--key-file', keyFile()]), /^would submit size 10/);
    });
    assert.deepEqual(await host.latest(), [0, '0'.repeat(64)]);
  }));

test('a log that went back, or has two histories, is an alarm', () =>
  withHost(async (host) => {
    Object.assign(host, { size: 20, published: 20 });
    await succeeds(publish(host), /^submitted size 20,/);
    await sendsNothing(async () => {
      Object.assign(host, { size: 15, published: 15 });
      await fails(publish(host), 3, /size 15 and the registry accepted 20 before: the log went back/);
      const honest = host.log;
      host.log = honest.fork(12).grow(400);
      Object.assign(host, { size: 40, published: 40 });
      await fails(publish(host), 3, /two histories/);
      host.shown = honest; // the honest tiles under a forked head
      await fails(publish(host), 3, /two histories/);
      host.shown = undefined;
    });
    // The same size with another root is proof, and the registry keeps it.
    host.size = 20;
    await fails(publish(host), 3, /^EQUIVOCATION: the log signed another root .* the registry has the proof now: tx 0x/);
    assert.equal((await registry.latest(host.audit.address)).equivocated, true);
    await sendsNothing(() => fails(publish(host), 3, /two histories were signed, and the registry has the proof/));
  }));

test('another enclave than the one asked for is not published', () =>
  withHost(async (host) => {
    await sendsNothing(() =>
      fails(publish(host, ['--key-file', keyFile(), '--audit-address', payer]), 3, /is it another enclave/),
    );
  }));

test('what a lying or broken host says is refused before anything is sent', () =>
  withHost(async (host) => {
    const other = new Wallet(`0x${secret()}`).address;
    const rows = [
      [{ raw: 'hello' }, /JSON|json|invalid|not/],
      [{ raw: '[]' }, /no object/],
      [{ raw: '{}' }, /audit_address is missing/],
      [{ signed: { chainId: 1 } }, /sign/],
      [{ signed: { registry: other } }, /sign/],
      [{ signed: { size: 11 } }, /sign/],
      [{ answer: { seq: 11 } }, /sign/],
      [{ answer: { audit_address: other } }, /sign/],
      [{ answer: { contract_address: other } }, /contract_address is not the registry/],
      [{ answer: { chain_id: 1 } }, /chain_id is 1, asked was 31337/],
      [{ answer: { merkle_root: '0x12' } }, /merkle_root/],
      [{ answer: { signature: '0x12' } }, /signature/],
      [{ answer: { seq: -1 } }, /seq is not a number/],
      [{ answer: { seq: 1.5 } }, /seq is not a number/],
    ];
    await sendsNothing(async () => {
      for (const [overrides, pattern] of rows) {
        host.overrides = overrides;
        const { stderr } = await fails(publish(host), 1, pattern);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
      }
      host.overrides = {};
      host.down = true;
      await fails(publish(host), 1, /the signed checkpoint of http/);
    });
  }));

test('numbers in strings, as programs in JavaScript write them, are read too', () =>
  withHost(async (host) => {
    host.overrides = { answer: { seq: '10', chain_id: '31337' } };
    await succeeds(publish(host), /^submitted size 10,/);
  }));

test('keys: hex, a keystore, the environment; wrong ones are refused without a trace of them', () =>
  withHost(async (host) => {
    const wallet = new Wallet(devKey(4));
    const password = randomBytes(8).toString('hex');
    const keystore = file(wallet.encryptSync(password, { scrypt: { N: 1024 } }));
    await succeeds(
      publish(host, ['--key-file', keystore, '--password-file', file(`${password}\n`)]),
      /^submitted size 10,/,
    );
    host.size = host.published = 12;
    const tx = (await succeeds(publish(host, [], { env: { COFFER_PUBLISH_KEY: devKey(5) } }), /^submitted size 12,/)).stdout;
    const receipt = await node.provider.getTransactionReceipt(/tx (0x\w+)/.exec(tx)[1]);
    assert.equal(receipt.from, new Wallet(devKey(5)).address);

    const poor = `0x${secret()}`;
    host.size = host.published = 14;
    const rows = [
      [[], 2, /--key-file: is needed/],
      [['--key-file', keystore], 2, /give --password-file/],
      [['--key-file', keystore, '--password-file', file('wrong')], 2, /password/],
      [['--key-file', file(devKey(3), 0o644)], 2, /chmod 600/],
      [['--key-file', file('0x1234')], 2, /64 hex digits/],
      [['--key-file', file('')], 2, /is empty/],
      [['--key-file', path.join(folder, 'none')], 2, /does not exist/],
      [['--key-file', file(poor)], 1, /cannot pay for the gas: it has 0 ETH/],
    ];
    for (const [args, code, pattern] of rows) {
      const { stderr } = await fails(publish(host, args), code, pattern);
      assert.ok(!stderr.includes(poor.slice(2)) && !stderr.includes(password), stderr);
    }
    await fails(
      publish(host, ['--key-file', keyFile()], { env: { COFFER_PUBLISH_KEY: devKey(5) } }),
      2,
      /which\?/,
    );
  }));

test('the chain: another id, no registry there, fees above the ceiling, nobody there', () =>
  withHost(async (host) => {
    const key = ['--key-file', keyFile()];
    await sendsNothing(async () => {
      await fails(publish(host, [...key, '--chain-id', '1']), 1, /is on chain 31337, not on 1/);
      await fails(publish(host, [...key, '--max-fee-gwei', '0.000000001']), 1, /base fee/);
      const args = ARGUMENTS(host, key);
      const replaced = (name, value) => args.with(args.indexOf(name) + 1, value);
      await fails(
        runProgram('coffer', replaced('--registry', payer)),
        1,
        /there is no CheckpointRegistry at 0x/,
      );
      const port = await freePort();
      await fails(
        runProgram('coffer', replaced('--rpc', `http://127.0.0.1:${port}/secret-api-key`), { timeoutMs: 60_000 }),
        1,
        /eth_chainId at http:\/\/127\.0\.0\.1:\d+\/\*\*\*/,
      );
      for (const [name, value] of [
        ['--registry', '0x12'],
        ['--rpc', 'ftp://x'],
        ['--url', 'nowhere'],
      ]) {
        await fails(runProgram('coffer', replaced(name, value)), 2, new RegExp(name));
      }
      for (const extra of [
        ['--interval', 'soon'],
        ['--max-fee-gwei', '-1'],
        ['--max-fee-gwei', '0.0000000001'],
        ['--audit-address', 'me'],
        ['--watch', '--once'],
      ]) {
        await fails(publish(host, [...key, ...extra]), 2, new RegExp(extra[0]));
      }
    });
    const help = await runProgram('coffer', ['checkpoint', 'publish', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Example: coffer checkpoint publish --url/);
  }));

test('--watch follows the log through outages and ends cleanly', () =>
  withHost(async (host) => {
    const watcher = new Program({
      name: 'coffer',
      log: path.join(folder, 'watch.log'),
      args: ARGUMENTS(host, ['--key-file', keyFile(), '--watch', '--interval', '1s']),
    });
    try {
      watcher.start();
      const reaches = (size) =>
        until(`size ${size} on chain`, async () => {
          watcher.check();
          return watcher.text().includes(`submitted size ${size},`);
        });
      await reaches(10);
      Object.assign(host, { size: 60, published: 60 });
      await reaches(60);
      host.down = true;
      Object.assign(host, { size: 300, published: 310 });
      await until('a failure in the log', () => /not submitted/.test(watcher.text()));
      host.down = false;
      await reaches(300);
      assert.match(watcher.text(), /not submitted why=/);
      assert.deepEqual(await host.latest(), host.expected());
      assert.equal(await watcher.stop(), 0);
      assert.match(watcher.text(), /watching host=http[^\n]* from=0x/);
      assert.match(watcher.text(), /stopped looks=\d+ submitted=3 failures=[1-9]\d* alarms=0 gas=\d+/);
      assert.ok(!watcher.text().includes(devKey(3).slice(2)));
    } finally {
      await watcher.kill();
    }
  }));

test('a transaction that is stuck goes out again with higher fees, under the same nonce', () =>
  withHost(async (host) => {
    const nonce = await node.provider.getTransactionCount(payer);
    await node.setAutomine(false);
    try {
      const run = publish(host, ['--key-file', keyFile(), '--stuck-after', '1s']);
      const inPool = async () => Object.values((await node.rpc('txpool_content')).pending)[0]?.[nonce];
      const first = await until('the transaction', inPool);
      const second = await until('its replacement', async () => {
        const now = await inPool();
        return now.hash !== first.hash && now;
      });
      assert.ok(BigInt(second.maxFeePerGas) * 8n >= BigInt(first.maxFeePerGas) * 9n);
      await node.mine();
      const { stdout } = await succeeds(run, /^submitted size 10,/);
      assert.ok((await node.provider.getTransactionReceipt(/tx (0x\w+)/.exec(stdout)[1])).status === 1);
      assert.equal(await node.provider.getTransactionCount(payer), nonce + 1);
    } finally {
      await node.setAutomine(true);
    }
  }));

test('stopped while a transaction is under way, it says which', () =>
  withHost(async (host) => {
    await node.setAutomine(false);
    const watcher = new Program({
      name: 'coffer',
      log: path.join(folder, 'interrupted.log'),
      args: ARGUMENTS(host, ['--key-file', keyFile(), '--watch']),
    });
    try {
      watcher.start();
      const pool = () => node.rpc('txpool_content');
      const sent = await until('the transaction', async () =>
        Object.values(Object.values((await pool()).pending)[0] ?? {})[0],
      );
      assert.equal(await watcher.stop(), 0);
      assert.match(watcher.text(), new RegExp(`stopped while transaction ${sent.hash} is under way`));
      await node.mine();
      assert.equal((await node.receipt(sent.hash)).status, 1);
    } finally {
      await watcher.kill();
      await node.setAutomine(true);
    }
  }));

test('a long proof and an account with a fortune make no difference', () =>
  withHost(async (host) => {
    await node.setBalance(payer, parseEther('100000'));
    host.log.grow(5000);
    Object.assign(host, { size: 4097, published: 4097 });
    await succeeds(publish(host), /^submitted size 4097,/);
    Object.assign(host, { size: 4999, published: 5000 });
    await succeeds(publish(host), /^submitted size 4999,/);
    assert.deepEqual(await host.latest(), host.expected());
  }));
