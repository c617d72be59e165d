// Where the key and the AWS credentials are while everything runs: the key in the enclave's memory and nowhere else.
// Looked at after each of provision, sign, seal, rotate, restart: memory of both processes, files, logs, a core dump.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { parseEther } from 'ethers';
import { withChain } from '../js/lib/e2e.mjs';
import { KmsWorld } from '../js/lib/kms/world.mjs';
import { cannotReadMemory, findInMemory } from '../js/lib/memory.mjs';
import { runProgram, temporaryFolder } from '../js/lib/program.mjs';

const folder = temporaryFolder();
let world;
test.before(async () => {
  world = await KmsWorld.start(folder);
});
test.after(async () => {
  await world.stop();
  fs.rmSync(folder, { recursive: true, force: true });
});

const KEY = randomBytes(32);
const FORMS = {
  'the key': KEY,
  'its hex': KEY.toString('hex'),
  'its hex in upper case': KEY.toString('hex').toUpperCase(),
  'its base64': KEY.toString('base64').slice(0, 42), // the last digits depend on what follows
  'its DER': Buffer.concat([Buffer.from('0420', 'hex'), KEY]),
};

/** The option `kms`, with the credentials in a profile: an environment is memory, and stays. */
async function options() {
  const { enclave, host, env } = await world.forStack(`0x${KEY.toString('hex')}`);
  const profile = path.join(folder, 'credentials');
  const lines = Object.entries(env).map(([name, value]) => `${name.toLowerCase()} = ${value}`);
  fs.writeFileSync(profile, `[default]\n${lines.join('\n')}\n`, { mode: 0o600 });
  const where = { AWS_SHARED_CREDENTIALS_FILE: profile, AWS_CONFIG_FILE: '/dev/null' };
  return { enclave, host: { ...host, 'kms.credentials': 'profile' }, env: where };
}

function readAll(at) {
  return fs.readdirSync(at, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(at, entry.name);
    return entry.isDirectory() ? readAll(file) : entry.isFile() ? [{ file, bytes: fs.readFileSync(file) }] : [];
  });
}

/** Looks everywhere, and names what was found where. */
function look(stack, when, secrets) {
  const host = findInMemory(stack.host.pid, { ...FORMS, ...secrets, 'what must be there': stack.adminToken });
  assert.deepEqual(host.found.filter((one) => !one.startsWith('what must be')), [], `${when}: in the host's memory`);
  assert.ok(host.bytes > 1e6, 'the memory was read');
  const { 'the key': raw, 'its DER': der, ...texts } = FORMS;
  // A session token is no secret without its key (enclave_core/kms/client.h), and is not wiped in the enclave.
  const enclave = findInMemory(stack.enclave.pid, { ...texts, 'the AWS secret': secrets['the AWS secret'] });
  assert.deepEqual(enclave.found, [], `${when}: in the enclave's memory`);
  assert.notEqual(findInMemory(stack.enclave.pid, { raw, der }).found.length, 0, 'the enclave has its key');
  for (const { file, bytes } of readAll(stack.folder)) {
    for (const [name, secret] of Object.entries({ ...FORMS, ...secrets })) {
      assert.ok(!bytes.includes(secret), `${when}: ${name} is in ${file}`);
    }
  }
}

/**
 * A core dump that is forced from outside: the programs themselves forbid them, and keep secrets on pages that are
 * left out of dumps (madvise, MADV_DONTDUMP).
 */
function dumpOf(pid) {
  const done = spawnSync('gcore', ['-o', path.join(folder, 'core'), String(pid)]);
  const file = path.join(folder, `core.${pid}`);
  return done.status === 0 && fs.existsSync(file) ? fs.readFileSync(file) : undefined;
}

test('the key is in the enclave and nowhere else, the AWS secret nowhere', { skip: cannotReadMemory() ?? false }, async (t) => {
  const kms = await options();
  const { secret_access_key: secret, session_token: token } = world.coffer.enclave;
  const secrets = { 'the AWS secret': secret, 'the AWS token': token };
  const debug = { 'log.level': 'debug' };
  const chain = { seed: 'kms_secrets', key: `0x${KEY.toString('hex')}`, kms, host: debug, enclave: debug };
  await withChain(chain, async ({ stack, ids, credit }) => {
    await stack.start();
    look(stack, 'provisioned', secrets);
    await credit(ids[0], parseEther('1'));
    look(stack, 'sealed', secrets);
    await stack.payEverybody();
    look(stack, 'signed', secrets);
    const args = ['rotate', 'state-key', '--host-url', stack.api.base];
    const rotated = await runProgram('coffer', args, { env: { COFFER_TOKEN: stack.adminToken }, timeoutMs: 60_000 });
    assert.equal(rotated.code, 0, rotated.stdout + rotated.stderr);
    look(stack, 'rotated', secrets);
    await stack.enclave.kill();
    stack.enclave.start();
    await stack.ready();
    look(stack, 'restarted', secrets);
    for (const program of [stack.enclave, stack.host]) {
      const core = dumpOf(program.pid);
      if (core === undefined) {
        t.diagnostic('gcore is not there, or may not attach: no core dump was forced');
        continue;
      }
      assert.ok(core.includes(program === stack.host ? stack.adminToken : 'coffer-enclave'), 'the dump was read');
      for (const [what, each] of Object.entries({ ...FORMS, 'the AWS secret': secret })) {
        assert.ok(!core.includes(each), `${what} is in a core dump of ${program.name}`);
      }
    }
  });
});
