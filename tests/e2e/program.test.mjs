// How the two programs behave as programs: help, configuration, secrets, refusals, core dumps.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { Wallet } from 'ethers';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { freePort, runProgram, temporaryFolder } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const seed = testSeed('program');
const RECIPIENTS = makeRecipients(seed, 3);
const KEY = `0x${randomBytes(32).toString('hex')}`;
const ENCLAVE = [
  '--insecure-dev-key',
  '--chain-id',
  '31337',
  '--ticket-broker',
  '0x00000000000000000000000000000000000000b1',
];
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

const hostArguments = (extra = []) => ['--data-dir', path.join(folder, 'host'), ...extra];
const LONG_TOKEN = randomBytes(24).toString('hex');

for (const program of ['coffer-enclave', 'coffer-host']) {
  test(`${program} --help and --version say what there is and end with 0`, async () => {
    const help = await runProgram(program, ['--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(program));
    assert.match(help.stdout, /--check-config/);
    assert.match(help.stdout, /--config/);
    for (const line of help.stdout.split('\n')) assert.ok(line.length <= 200, line);
    const version = await runProgram(program, ['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /\d+\.\d+\.\d+/);
  });

  test(`${program} refuses a flag that is not there, and a value of the wrong kind`, async () => {
    const unknown = await runProgram(program, ['--no-such-flag', '1']);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /no-such-flag/);
    const file = path.join(folder, 'bad.toml');
    fs.writeFileSync(file, 'no-such-key = 1\n');
    const inFile = await runProgram(program, ['--config', file]);
    assert.equal(inFile.code, 2);
    assert.match(inFile.stderr, /bad\.toml/);
    fs.writeFileSync(file, 'x = = 1\n');
    assert.equal((await runProgram(program, ['--config', file])).code, 2);
    assert.equal((await runProgram(program, ['--config', `${file}.not`])).code, 2);
  });
}

test('--check-config shows what is in force and where it came from, with secrets masked', async () => {
  const file = path.join(folder, 'host.toml');
  fs.writeFileSync(file, `[http]\nadmin-token = "${LONG_TOKEN}"\nconnections = 77\n`);
  const result = await runProgram(
    'coffer-host',
    hostArguments(['--check-config', '--config', file, '--http.timeout', '7s']),
    { env: { COFFER_HTTP_CONNECTIONS: '88', COFFER_HTTP_VIEWER_TOKEN: `${LONG_TOKEN}v` } },
  );
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /http\.timeout = 7s .*flag/);
  assert.match(result.stdout, /http\.connections = 88 .*environment/); // stronger than the file
  assert.match(result.stdout, /http\.admin-token = \(set, masked\).*host\.toml/);
  assert.doesNotMatch(result.stdout + result.stderr, new RegExp(LONG_TOKEN));
  const enclave = await runProgram('coffer-enclave', [...ENCLAVE, '--check-config'], {
    env: { SIGNER_PRIVATE_KEY: KEY },
  });
  assert.equal(enclave.code, 0, enclave.stderr);
  assert.match(enclave.stdout, /chain-id = 31337/);
  assert.doesNotMatch(enclave.stdout + enclave.stderr, new RegExp(KEY.slice(2)));
});

test('the host listens on other addresses than loopback only with both tokens', async () => {
  const port = await freePort();
  const listen = ['--http.listen', `tcp://0.0.0.0:${port}`];
  for (const tokens of [
    {},
    { COFFER_HTTP_ADMIN_TOKEN: LONG_TOKEN },
    { COFFER_HTTP_VIEWER_TOKEN: LONG_TOKEN },
  ]) {
    const result = await runProgram('coffer-host', hostArguments(listen), { env: tokens });
    assert.equal(result.code, 2);
    assert.match(result.stderr, /http\.listen/);
    assert.match(result.stderr, /token/);
    assert.doesNotMatch(result.stderr, new RegExp(LONG_TOKEN));
  }
  const both = await runProgram('coffer-host', hostArguments([...listen, '--check-config']), {
    env: { COFFER_HTTP_ADMIN_TOKEN: LONG_TOKEN, COFFER_HTTP_VIEWER_TOKEN: `${LONG_TOKEN}v` },
  });
  assert.equal(both.code, 0, both.stderr);
});

const BAD_KEYS = [
  ['no key at all', {}, [], /SIGNER_PRIVATE_KEY/],
  ['63 digits', { SIGNER_PRIVATE_KEY: KEY.slice(0, -1) }, [], /64 hex digits/],
  ['no hex', { SIGNER_PRIVATE_KEY: `0x${'g'.repeat(64)}` }, [], /64 hex digits/],
  ['zero', { SIGNER_PRIVATE_KEY: `0x${'0'.repeat(64)}` }, [], /key/],
  ['the order of the curve', {
    SIGNER_PRIVATE_KEY: '0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
  }, [], /key/],
];

for (const [name, env, args, sentence] of BAD_KEYS) {
  test(`the enclave refuses a key: ${name}`, async () => {
    const result = await runProgram('coffer-enclave', [...ENCLAVE, ...args], { env });
    assert.equal(result.code, 2);
    assert.match(result.stderr, sentence);
    if (env.SIGNER_PRIVATE_KEY)
      assert.ok(!result.stderr.includes(env.SIGNER_PRIVATE_KEY.slice(2)), 'the key is in the error');
  });
}

test('the enclave takes no key without --insecure-dev-key, and no key file that others can read', async () => {
  const without = await runProgram('coffer-enclave', ENCLAVE.slice(1), {
    env: { SIGNER_PRIVATE_KEY: KEY },
  });
  assert.equal(without.code, 2);
  assert.match(without.stderr, /insecure-dev-key/);
  const file = path.join(folder, 'key');
  fs.writeFileSync(file, `${KEY}\n`, { mode: 0o644 });
  fs.chmodSync(file, 0o644);
  const open = await runProgram('coffer-enclave', [...ENCLAVE, '--key-file', file]);
  assert.equal(open.code, 2);
  assert.match(open.stderr, /600/);
  assert.ok(!open.stderr.includes(KEY.slice(2)));
});

test('a port that is taken is said in a sentence', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    await stack.start();
    const result = await runProgram(
      'coffer-host',
      hostArguments(['--http.listen', `tcp://127.0.0.1:${stack.port}`]),
    );
    assert.equal(result.code, 1);
    assert.match(result.stderr, /in use/);
  }));

test('no secret is in a log, in the environment, in the command line or in a core dump', () =>
  withStack({ recipients: RECIPIENTS, enclave: { 'log.level': 'debug' }, host: { 'log.level': 'debug' } },
    async (stack) => {
      await stack.start();
      await stack.api.credit([{ id: 'x', account: 'orch-1', amount_wei: '5' }]);
      await stack.api.raw('GET', '/api/tee/status', undefined, { token: `${stack.adminToken}x` });
      await stack.enclave.kill();
      stack.enclave.start();
      await stack.ready();
      const secrets = [
        stack.key.slice(2),
        stack.key.slice(2).toUpperCase(),
        Buffer.from(stack.key.slice(2), 'hex').toString('base64'),
        stack.adminToken,
        stack.viewerToken,
      ];
      const places = { 'enclave.log': stack.enclave.text(), 'host.log': stack.host.text() };
      for (const program of [stack.enclave, stack.host]) {
        const read = (name) => fs.readFileSync(`/proc/${program.pid}/${name}`, 'latin1');
        // A process that may not be dumped shows these to root alone.
        places[`${program.name} command line`] = read('cmdline');
        places[`${program.name} environment`] = read('environ');
      }
      for (const [place, text] of Object.entries(places)) {
        for (const [index, secret] of secrets.entries())
          assert.ok(!text.includes(secret), `secret ${index} is in the ${place}`);
      }
      const limits = fs.readFileSync(`/proc/${stack.enclave.pid}/limits`, 'utf8');
      assert.match(limits, /Max core file size\s+0\s+0/);
      await stack.stop();
      assert.ok(!stack.enclave.text().includes(stack.key.slice(2)));
      // Nothing of it is in what the host keeps, either.
      for (const name of fs.readdirSync(stack.dataDir, { recursive: true })) {
        const file = path.join(stack.dataDir, name);
        if (!fs.statSync(file).isFile()) continue;
        const bytes = fs.readFileSync(file);
        assert.ok(!bytes.includes(Buffer.from(stack.key.slice(2), 'hex')), name);
        assert.ok(!bytes.includes(stack.key.slice(2)), name);
      }
    }));

test('the loud banner, the address and the effective configuration are in the log', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    await stack.start();
    assert.match(stack.enclave.text(), /INSECURE: the signing key came from outside/);
    assert.ok(stack.enclave.text().includes(new Wallet(stack.key).address));
    assert.match(stack.enclave.text(), /chain-id = 31337/);
    assert.match(stack.host.text(), /http\.admin-token = \(set, masked\)/);
    assert.equal((await stack.api.status()).address, stack.address);
  }));

test('either process may come first, and the other is waited for', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    stack.host.start();
    await new Promise((resolve) => setTimeout(resolve, 700));
    const waiting = await stack.api.raw('GET', '/readyz');
    assert.equal(waiting.status, 503);
    assert.match(waiting.body.reasons.join(), /enclave/);
    stack.enclave.start();
    await stack.ready();
    await stack.enclave.kill();
    stack.enclave.start();
    await stack.ready();
  }));
