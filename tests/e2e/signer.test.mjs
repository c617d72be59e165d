// Which signer the host works with: an enclave elsewhere that must have the expected address, one
// that it starts itself with a key of the machine, or none; and what it tells about it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { Wallet, encryptKeystoreJsonSync } from 'ethers';
import { Api } from '../js/lib/coffer.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { Program, freePort, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const RECIPIENTS = makeRecipients(testSeed('signer'), 1);
const BROKER = '0x00000000000000000000000000000000000000b1';
const CHILD = { COFFER_ENCLAVE_CHAIN_ID: '31337', COFFER_ENCLAVE_TICKET_BROKER: BROKER };

/** A host alone, in a folder of its own. */
async function withHost({ env = {}, args = [] }, body) {
  const folder = temporaryFolder();
  const port = await freePort();
  const host = new Program({
    name: 'coffer-host',
    log: path.join(folder, 'host.log'),
    env,
    args: ['--data-dir', path.join(folder, 'data'), '--http.listen', `tcp://127.0.0.1:${port}`, ...args],
  });
  try {
    await body({ host, folder, api: new Api(port) });
  } catch (error) {
    error.message += `\n-- host\n${host.tail(40)}`;
    throw error;
  } finally {
    await host.kill();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const ready = (host, api) =>
  until('readiness', async () => {
    host.check();
    return (await api.raw('GET', '/readyz')).status === 200;
  });

const childOf = (host) =>
  Number(/local enclave started.*pid=(\d+)/.exec(host.lastRun())?.[1] ?? Number.NaN);

const alive = (pid) => {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

const wallet = () => new Wallet(`0x${randomBytes(32).toString('hex')}`);

test('a keystore made by ethers serves in mode local, and its secrets are nowhere to be seen', () => {
  const owner = wallet();
  const password = `p-${randomBytes(12).toString('hex')}`;
  const folder = temporaryFolder();
  const file = path.join(folder, 'keystore.json');
  const account = { address: owner.address, privateKey: owner.privateKey };
  fs.writeFileSync(file, encryptKeystoreJsonSync(account, password, { scrypt: { N: 4096, r: 8, p: 1 } }));
  const env = { ...CHILD, PAYMENT_KEYSTORE_PATH: file, PAYMENT_KEYSTORE_PASSWORD: password };
  return withHost({ env }, async ({ host, api }) => {
    host.start();
    await ready(host, api);
    const status = await api.status();
    assert.equal(status.mode, 'local');
    assert.equal(status.address, owner.address);
    assert.match(host.text(), /INSECURE: the signing key comes from this machine/);
    const child = childOf(host);
    assert.ok(alive(child));
    for (const pid of [host.pid, child]) {
      for (const name of ['cmdline', 'environ']) {
        const text = fs.readFileSync(`/proc/${pid}/${name}`, 'latin1');
        for (const secret of [owner.privateKey.slice(2), password])
          assert.ok(!text.includes(secret), `${name} of ${pid}`);
      }
    }
    assert.ok(!host.text().includes(owner.privateKey.slice(2)) && !host.text().includes(password));
    // The state survives both.
    assert.equal(await host.stop(), 0);
    assert.ok(!alive(child), 'the child is stopped with its host');
    host.start();
    await ready(host, api);
    assert.equal((await api.status()).address, owner.address);
    assert.ok((await api.status()).stored_sequence >= 1);
  }).finally(() => fs.rmSync(folder, { recursive: true, force: true }));
});

test('a private key serves, too; the enclave dies with a host that is killed, and takes it along', () => {
  const owner = wallet();
  return withHost({ env: { ...CHILD, PAYMENT_PRIVATE_KEY: owner.privateKey } }, async ({ host, api }) => {
    host.start();
    await ready(host, api);
    assert.equal((await api.status()).address, owner.address);
    let child = childOf(host);
    await host.kill();
    await until('the child gone', () => !alive(child));
    host.start();
    await ready(host, api);
    child = childOf(host);
    process.kill(child, 'SIGKILL');
    assert.equal((await host.ended()).code, 3);
    assert.match(host.lastRun(), /the local enclave ended by signal 9/);
  });
});

test('mode local says what is wrong', async () => {
  const run = (env, args = []) =>
    runProgram('coffer-host', ['--data-dir', temporaryFolder(), ...args], { env: { ...CHILD, ...env } });
  const key = wallet().privateKey;
  const bad = await run({ PAYMENT_PRIVATE_KEY: `${key}0` });
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /PAYMENT_PRIVATE_KEY must be 64 hex digits/);
  assert.ok(!bad.stderr.includes(key.slice(2)));
  const gone = await run({ PAYMENT_KEYSTORE_PATH: '/nowhere.json', PAYMENT_KEYSTORE_PASSWORD: 'x' });
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /PAYMENT_KEYSTORE_PATH: \/nowhere.json/);
  const program = await run({ PAYMENT_PRIVATE_KEY: key }, ['--local-enclave', '/nowhere']);
  assert.equal(program.code, 1);
  assert.match(program.stderr, /--local-enclave/);
});

test('another address than expected stops the start; the expected one does not', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    stack.enclave.start();
    stack.host.env.PAYMENTS_SIGNER_EXPECTED_ADDRESS = wallet().address;
    stack.host.start();
    assert.equal((await stack.host.ended()).code, 3);
    assert.match(stack.host.text(), /expected/);
    assert.ok(stack.host.text().includes(stack.address));
    stack.host.env.PAYMENTS_SIGNER_EXPECTED_ADDRESS = stack.address;
    stack.host.start();
    await stack.ready();
    assert.equal((await stack.api.status()).mode, 'remote');
  }));

test('an endpoint from the environment serves, and local keys beside it are ignored', () =>
  withStack({ recipients: RECIPIENTS, host: { enclave: undefined } }, async (stack) => {
    const key = wallet().privateKey;
    Object.assign(stack.host.env, {
      PAYMENTS_SIGNER_ENDPOINT: stack.endpoint,
      PAYMENTS_SIGNER_TIMEOUT_SECONDS: '12',
      PAYMENT_PRIVATE_KEY: key,
    });
    await stack.start();
    assert.equal((await stack.api.status()).address, stack.address);
    assert.match(stack.host.text(), /enclave-timeout = 12s/);
    assert.match(stack.host.text(), /ignored, because the signer is the enclave.*PAYMENT_PRIVATE_KEY/);
    assert.ok(!stack.host.text().includes(key.slice(2)));
  }));

test('/api/tee/attestation: bad nonces are 400, no document is 503 with a reason', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    await stack.start();
    for (const nonce of ['0x1', '0xzz', `0x${'a'.repeat(66)}`])
      assert.equal((await stack.api.raw('GET', `/api/tee/attestation?nonce=${nonce}`)).status, 400);
    const none = await stack.api.raw('GET', '/api/tee/attestation?nonce=0x0102');
    assert.equal(none.status, 503);
    assert.ok(none.body.error.message.length > 10);
    const nobody = await stack.api.raw('GET', '/api/tee/attestation', undefined, { token: '' });
    assert.equal(nobody.status, 401);
  }));

test('a signer that keeps no balances serves calls, and no journal', () =>
  withStack({ recipients: RECIPIENTS, enclave: { profile: 'signer' } }, async (stack) => {
    await stack.start();
    assert.equal((await stack.api.status()).profile, 'signer');
    assert.equal(await stack.host.stop(), 0);
    const journal = path.join(stack.folder, 'journal.jsonl');
    fs.writeFileSync(journal, '');
    stack.host.start(['--journal.path', journal]);
    assert.equal((await stack.host.ended()).code, 3);
    assert.match(stack.host.lastRun(), /--profile signer and keeps no balances, so --journal.path/);
  }));

test('without a signer the host serves its API and says so', () =>
  withHost({ args: ['--enclave', 'none'] }, async ({ host, api }) => {
    host.start();
    await ready(host, api);
    assert.deepEqual(await api.status(), { mode: 'none', address: null, attestation_available: false });
    assert.match(host.text(), /no signer/);
    assert.equal((await api.raw('GET', '/api/ledger/accounts')).status, 503);
    assert.equal(await host.stop(), 0);
  }));
