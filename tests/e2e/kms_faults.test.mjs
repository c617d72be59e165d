// What can go wrong between an enclave and KMS, with real processes: no key is released, the enclave's answer, the
// host's log and /readyz say which fault it was, and once it is over the enclave has its key without anybody's doing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { BoundaryClient } from '../js/lib/boundary.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { stepsOf } from '../js/lib/fault_world.mjs';
import { callOnce } from '../js/lib/json_client.mjs';
import { kmsClient, send } from '../js/lib/kms/client.mjs';
import { developmentImage } from '../js/lib/kms/coffer_key.mjs';
import { TestEnclave } from '../js/lib/kms/enclave.mjs';
import { SIGNING_CONTEXT, useKmsWorld } from '../js/lib/kms/world.mjs';
import { makeDevelopmentChain } from '../js/lib/nitro.mjs';
import { patient } from '../js/lib/patience.mjs';
import { programPath, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const PATIENCE_MS = 90_000; // on a machine that does much else
const RECIPIENTS = makeRecipients(testSeed('kms_faults'), 1);
const [ID] = Object.keys(RECIPIENTS);
const world = await useKmsWorld(test);
const { faults } = world.kms;
const newKey = () => `0x${randomBytes(32).toString('hex')}`;
const keysOf = (stack) => fs.readdirSync(path.join(stack.dataDir, 'keys')).filter((name) => name !== 'LOCK').sort();

test.afterEach(() => {
  faults.clear();
  world.kms.onRequest = undefined;
  world.letIn([world.image]);
});

/** Waits until /readyz gives this reason; gives the whole of it. */
function notReady(stack, pattern) {
  let last;
  return until(`not ready because of ${pattern}`, async () => {
    const { status, body } = await stack.api.raw('GET', '/readyz');
    last = body.reasons.join('; ');
    return status === 503 && pattern.test(last) && last;
  }, { timeoutMs: PATIENCE_MS }).catch((error) => {
    throw new Error(`${error.message}; the last reason was: ${last}`);
  });
}

/** The enclave has no key, by both protocols. */
async function hasNoKey(stack) {
  const client = await BoundaryClient.connect(stack.endpoint);
  const { phase, address } = await client.call('status');
  assert.equal(phase, 'PHASE_UNPROVISIONED');
  assert.equal(address.length, 0);
  await client.close();
  await assert.rejects(callOnce(stack.endpoint, 'address'), { code: 'not_provisioned' });
}

/**
 * The enclave is started again while something is wrong: it says so, everywhere, and has no key; `mend` makes it
 * good, and it goes on with what it had. `log`: what the enclave's log says, where that is another sentence.
 */
async function failsAndRecovers(stack, reason, mend, { log = reason } = {}) {
  await stack.enclave.kill();
  stack.enclave.start();
  const said = await notReady(stack, reason);
  await until('the enclave\'s log', () => log.test(stack.enclave.lastRun()));
  assert.match(stack.host.lastRun(), reason);
  await hasNoKey(stack);
  assert.equal(await stack.api.metric('coffer_kms_provisioned'), 0);
  await mend();
  await stack.ready(PATIENCE_MS);
  const { address, totals } = await stack.api.status();
  assert.deepEqual([address, totals.available], [stack.address, '7']);
  return said;
}

async function withFaultStack(options, body) {
  const key = newKey();
  const all = { key, recipients: RECIPIENTS, ...options };
  await withStack(world.stack({ ciphertext: await world.ciphertextFile(key), ...all }), async (stack) => {
    await stack.start(PATIENCE_MS);
    await stack.api.credit([{ id: 'kept', account: ID, amount_wei: '7' }]);
    await body(stack);
  });
}

// name of the fault -> what is said of it. Those of a certificate are seen before anything is sent.
const CERTIFICATES = {
  'expired-certificate': /KMS at kms\.us-east-2\.amazonaws\.com: its certificate has expired/,
  'other-host-certificate': /KMS at kms\.us-east-2\.amazonaws\.com: its certificate is another host's/,
  'unknown-authority': /its certificate's issuer is unknown: it is not under the CA given for it/,
};
const ANSWERS = {
  cut: /the connection was cut: it ended without TLS saying so/,
  truncate: /the connection was cut: it ended without TLS saying so/,
  'truncate-cleanly': /the HTTP response was cut off: the connection ended before it was whole/,
  'not-json': /KMS's answer is no JSON/,
  plaintext: /KMS's answer has a Plaintext, although it was to be encrypted to this enclave/,
  'other-key': /KMS's envelope \(CMS\): does not open with the key that was attested/,
  'altered-envelope': /KMS's envelope \(CMS\): does not open with the key that was attested/,
  throttle: /ThrottlingException: Rate exceeded/,
  internal: /KMSInternalException/,
};

test('each fault of the connection and of the answer', { timeout: patient(300_000) }, (t) =>
  withFaultStack({}, async (stack) => {
    const step = stepsOf(t);
    for (const [fault, reason] of Object.entries({ ...CERTIFICATES, ...ANSWERS })) {
      await step(fault, async () => {
        faults.arm(fault);
        const before = world.calls.length;
        const said = await failsAndRecovers(stack, new RegExp(`the signing key: .*${reason.source}`), () => {
          if (fault in CERTIFICATES) assert.equal(world.calls.length, before, 'no request was sent to such a server');
          faults.clear();
        });
        console.log(`kms_faults: ${fault}: ${said}`);
      });
    }
  }));

test('a fault at the state key: the signing key alone is not used', () =>
  withFaultStack({}, async (stack) => {
    let asked = 0;
    world.kms.onRequest = ({ action }) => {
      if (action === 'Decrypt' && ++asked % 2 === 0) faults.arm('other-key', { times: 1 });
    };
    await failsAndRecovers(stack, /the state key of epoch 1: KMS's envelope \(CMS\): does not open/, () => {
      world.kms.onRequest = undefined;
      faults.clear();
    });
  }));

test('a state key\'s file that is another\'s, or altered', () =>
  withFaultStack({}, async (stack) => {
    const file = path.join(stack.dataDir, 'keys/state-1.json');
    const right = fs.readFileSync(file, 'utf8');
    const put = (text) => async () => {
      await stack.host.kill();
      fs.writeFileSync(file, text);
      stack.host.start();
    };
    let foreign;
    await withFaultStack({}, async (other) => {
      foreign = fs.readFileSync(path.join(other.dataDir, 'keys/state-1.json'), 'utf8');
    });
    const altered = right.replace(/("tag": *"(?:0x)?)([^"]{4})/, (_, before, digits) => before + (digits === '0000' ? '1111' : '0000'));
    assert.notEqual(altered, right);
    for (const [text, reason] of [
      [foreign, /kms kms: the state key of epoch 1: InvalidCiphertextException/],
      [altered, /kms refused: the enclave refused its key: the state key of epoch 1 was not made by an enclave with this signing key/],
    ]) {
      await put(text)();
      await stack.ready(PATIENCE_MS); // it has its keys still
      await failsAndRecovers(stack, reason, put(right), { log: /the state key of epoch 1/ });
    }
  }));

test('while a key is generated: what is half made is not kept, and the next one is whole', () =>
  withStack(world.stack({ recipients: RECIPIENTS }), async (stack) => {
    let asked = 0;
    world.kms.onRequest = () => ++asked % 2 === 0 && faults.arm('altered-envelope', { times: 1 });
    stack.enclave.start();
    stack.host.start();
    await notReady(stack, /the state key of epoch 1: KMS's envelope \(CMS\): does not open/);
    await hasNoKey(stack);
    assert.deepEqual(keysOf(stack), []);
    world.kms.onRequest = undefined;
    faults.clear();
    await stack.ready(PATIENCE_MS);
    assert.deepEqual(keysOf(stack), ['signing.ciphertext', 'signing.json', 'state-1.json']);
  }));

test('an answer that comes too late, for the host and for the enclave', { timeout: patient(120_000) }, () =>
  withFaultStack({ host: { 'kms.timeout': '5s' } }, async (stack) => {
    faults.arm('delay', { value: 21_500, times: 1 });
    const log = /the signing key: tcp:\/\/127\.0\.0\.1:\d+: no answer came in time/;
    await failsAndRecovers(stack, /kms no_answer: /, () => {}, { log });
  }));

/** A relay to KMS, as the host runs one, that alters a byte of the answer `at` bytes after its begin: {port, close}. */
async function alteringRelay(at) {
  const sockets = new Set();
  const server = net.createServer((client) => {
    const upstream = net.connect(world.kms.port, '127.0.0.1');
    let passed = 0;
    client.pipe(upstream);
    upstream.on('data', (bytes) => {
      const altered = Buffer.from(bytes);
      if (at >= passed && at < passed + bytes.length) altered[at - passed] ^= 1;
      passed += bytes.length;
      client.write(altered);
    });
    upstream.on('end', () => client.end());
    for (const one of [client, upstream]) sockets.add(one.on('error', () => {}));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    sockets.forEach((socket) => socket.destroy());
    server.close();
  };
  return { port: server.address().port, close };
}

test('a host that alters what it carries: in the handshake, in the answer', () =>
  withFaultStack({}, async (stack) => {
    const at = stack.enclave.args.indexOf('--kms-endpoint-override') + 1;
    const right = stack.enclave.args[at];
    for (const [byte, reason] of [
      [200, /KMS at kms\.us-east-2\.amazonaws\.com: the TLS handshake was refused: /],
      [1800, /KMS at kms\.us-east-2\.amazonaws\.com: the TLS stream is broken: .*bad record mac/],
    ]) {
      const relay = await alteringRelay(byte);
      stack.enclave.args[at] = `tcp://127.0.0.1:${relay.port}`;
      await failsAndRecovers(stack, reason, async () => {
        await stack.enclave.kill();
        stack.enclave.args[at] = right;
        stack.enclave.start();
      });
      relay.close();
    }
  }));

test('KMS is not there at all', () =>
  withFaultStack({}, async (stack) => {
    const at = stack.enclave.args.indexOf('--kms-endpoint-override') + 1;
    const right = stack.enclave.args[at];
    stack.enclave.args[at] = 'unix:///nonexistent/kms.sock';
    await failsAndRecovers(stack, /the signing key: unix:\/\/\/nonexistent\/kms\.sock: .*No such file/, async () => {
      await stack.enclave.kill();
      stack.enclave.args[at] = right;
      stack.enclave.start();
    });
  }));

test('an altered image gets no key, and gets it when the administrator lets it in', async () => {
  const altered = path.join(world.folder, 'coffer-enclave-altered');
  fs.copyFileSync(programPath('coffer-enclave'), altered);
  fs.appendFileSync(altered, '\0'); // works as before, and is measured as another
  const image = developmentImage(altered);
  await withFaultStack({}, async (stack) => {
    stack.enclave.file = altered;
    const before = world.released;
    const why = new RegExp(`the signing key: AccessDeniedException: .*coffer-enclave is not authorized to perform: kms:Decrypt .*PCR0 is ${image}`);
    await failsAndRecovers(stack, why, () => {
      assert.equal(world.released, before);
      world.letIn([world.image, image]);
    });
    // The next release is in, and the former one out.
    world.letIn([image]);
    stack.enclave.file = undefined;
    await failsAndRecovers(stack, new RegExp(`AccessDeniedException: .*PCR0 is ${world.image}`), () => world.letIn([world.image]));
  });
});

test('credentials of a role that the policy does not know', () =>
  withFaultStack({}, async (stack) => {
    const stranger = world.kms.addPrincipal(`arn:aws:iam::${world.kms.store.account}:role/stranger`);
    const right = stack.host.env;
    await stack.host.kill();
    stack.host.env = { ...right, ...world.environment(stranger), AWS_SESSION_TOKEN: '' };
    stack.host.start();
    await stack.ready(PATIENCE_MS); // it has its key still
    await failsAndRecovers(stack, /AccessDeniedException: User: \S*role\/stranger is not authorized/, async () => {
      await stack.host.kill();
      stack.host.env = right;
      stack.host.start();
    });
    assert.ok(!stack.host.text().includes(stranger.secret_access_key));
    assert.ok(!stack.enclave.text().includes(stranger.secret_access_key));
  }));

/** The request that `before` made, sent once more by somebody who saw it: {status, body}. */
function sendAgain({ headers, body }) {
  return new Promise((resolve, reject) => {
    const to = { method: 'POST', headers, ca: world.kms.authority.pem, servername: world.kms.hostName, agent: false };
    const request = https.request(world.kms.endpoint, to, async (response) => {
      let text = '';
      for await (const piece of response) text += piece;
      resolve({ status: response.statusCode, body: JSON.parse(text) });
    });
    request.once('error', reject);
    request.end(body);
  });
}

test('a replayed request gives nothing away', async () => {
  let seen;
  world.kms.onRequest = ({ action }, request) => {
    if (action === 'Decrypt') seen ??= request;
  };
  await withFaultStack({}, async () => {
    world.kms.onRequest = undefined;
    const refused = await sendAgain(seen);
    assert.equal(refused.status, 400);
    assert.deepEqual([refused.body.__type, /a replay/.test(refused.body.message)], ['InvalidSignatureException', true]);
    // As AWS has it, which takes it again for five minutes: the answer is for the attested key alone.
    world.kms.options.refuseReplays = false;
    const taken = await sendAgain(seen);
    world.kms.options.refuseReplays = true;
    assert.equal(taken.status, 200);
    assert.equal(taken.body.Plaintext, undefined);
    assert.ok(taken.body.CiphertextForRecipient.length > 0);
    // Its document in a request of the host's own: likewise, and only while it is fresh.
    const asked = JSON.parse(seen.body);
    const input = {
      CiphertextBlob: Buffer.from(asked.CiphertextBlob, 'base64'),
      EncryptionContext: asked.EncryptionContext,
      Recipient: { ...asked.Recipient, AttestationDocument: Buffer.from(asked.Recipient.AttestationDocument, 'base64') },
    };
    const host = kmsClient(world.kms, world.coffer.enclave);
    assert.equal((await send(host, 'Decrypt', input)).Plaintext, undefined);
    const fresh = world.kms.options.freshnessMs;
    world.kms.options.freshnessMs = 1;
    await sleep(20);
    await assert.rejects(send(host, 'Decrypt', input), { name: 'ValidationException', message: /has expired/ });
    world.kms.options.freshnessMs = fresh;
  });
});

test('a host with all that it has: the credentials, the ciphertext, documents of any image', async () => {
  const key = newKey();
  const input = { CiphertextBlob: await world.encrypt(Buffer.from(key.slice(2), 'hex')), EncryptionContext: SIGNING_CONTEXT };
  const host = kmsClient(world.kms, world.coffer.enclave);
  const ask = (Recipient) => send(host, 'Decrypt', { ...input, Recipient });
  const enclave = new TestEnclave({ chain: makeDevelopmentChain(world.folder, world.rootKey) });
  const stranger = new TestEnclave();
  try {
    const zero = '00'.repeat(48);
    await assert.rejects(ask(undefined), { name: 'AccessDeniedException', message: /has no Recipient/ });
    const debug = { 0: zero, 1: zero, 2: zero };
    await assert.rejects(ask(enclave.recipient({ pcrs: debug })), { name: 'AccessDeniedException', message: /debug mode: its PCR0 is zero/ });
    await assert.rejects(ask(enclave.recipient({ pcrs: { 0: 'c0'.repeat(48) } })), { name: 'AccessDeniedException', message: /PCR0 is c0c0/ });
    await assert.rejects(ask(stranger.recipient({ pcrs: { 0: world.image } })), { name: 'ValidationException', message: /another root/ });
    await assert.rejects(send(host, 'Decrypt', { CiphertextBlob: input.CiphertextBlob, Recipient: enclave.recipient({ pcrs: { 0: world.image } }) }), {
      name: 'AccessDeniedException',
    });
    // Only who holds the root of the documents is believed; of a Nitro enclave's that is AWS.
    const { CiphertextForRecipient: envelope } = await ask(enclave.recipient({ pcrs: { 0: world.image } }));
    assert.deepEqual(enclave.open(envelope), Buffer.from(key.slice(2), 'hex'));
  } finally {
    stranger.close();
  }
});
