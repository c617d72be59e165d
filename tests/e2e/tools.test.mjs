// `coffer bridge` in front of a real enclave, and `coffer call`.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { BoundaryClient } from '../js/lib/boundary.mjs';
import { makeRecipients, withStack } from '../js/lib/e2e.mjs';
import { Program, freePort, runProgram, temporaryFolder, until } from '../js/lib/program.mjs';
import { testSeed } from '../js/lib/random.mjs';

const RECIPIENTS = makeRecipients(testSeed('tools'), 1);
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true, force: true }));

async function withBridge(listen, to, body) {
  const bridge = new Program({
    name: 'coffer',
    log: path.join(folder, `bridge-${path.basename(listen)}.log`),
    args: ['bridge', '--listen', listen, '--to', to],
  });
  try {
    bridge.start();
    await until('the bridge', () => {
      bridge.check();
      return /listening/.test(bridge.text());
    });
    await body(bridge);
  } finally {
    await bridge.kill();
  }
}

test('an enclave behind tcp -> unix -> tcp bridges answers as it does without', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    await stack.start();
    const [inner, outer] = [await freePort(), path.join(folder, 'outer.sock')];
    await withBridge(`tcp://127.0.0.1:${inner}`, stack.endpoint, (first) =>
      withBridge(`unix://${outer}`, `tcp://127.0.0.1:${inner}`, async (second) => {
        const clients = await Promise.all(
          Array.from({ length: 20 }, () => BoundaryClient.connect(`unix://${outer}`)),
        );
        const answers = await Promise.all(
          clients.flatMap((client) => Array.from({ length: 20 }, () => client.call('status'))),
        );
        assert.equal(answers.length, 400);
        for (const answer of answers) {
          assert.equal(`0x${answer.address.toString('hex')}`, stack.address.toLowerCase());
        }
        for (const client of clients) await client.close();
        assert.match(second.text(), /INSECURE: the bridge passes bytes on as they are/);
        assert.equal(await second.stop(), 0);
        assert.match(second.text(), /stopped accepted=20 refused=0 failed=0 bytes_to=[1-9]\d* bytes_from=[1-9]/);
        assert.equal(await first.stop(), 0);
      }),
    );
  }));

test('a host whose enclave is behind a bridge does its work', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    const port = await freePort();
    await withBridge(`tcp://127.0.0.1:${port}`, stack.endpoint, async () => {
      stack.host.args[stack.host.args.indexOf(stack.endpoint)] = `tcp://127.0.0.1:${port}`;
      await stack.start();
      await stack.api.credit([{ id: 'b', account: 'orch-1', amount_wei: '7' }]);
      assert.equal((await stack.api.accounts()).get('orch-1').available, 7n);
    });
  }));

/** A server of the JSON protocol that answers each request with `answer(request text)`. */
async function withServer(answer, body) {
  const server = net.createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return;
      const text = answer(received.subarray(4).toString());
      if (text === undefined) return;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      socket.end(Buffer.concat([length, Buffer.from(text)]));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`tcp://127.0.0.1:${server.address().port}`);
  } finally {
    server.close();
  }
}

const call = (args, options) => runProgram('coffer', ['call', ...args], options);

test('coffer call sends what it is told, digit by digit, and prints the answer', async () => {
  const big = String(2n ** 256n - 1n);
  let seen;
  const answer = (request) => {
    seen = request;
    return `{"result":{"balance_wei":${big},"list":[1,{}]}}`;
  };
  await withServer(answer, async (endpoint) => {
    const result = await call(['credit', '--param', `amount_wei=${big}`, '--param', 'hash=0x12',
      '--param', 'deep={"a":[true]}', '--endpoint', endpoint]);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(seen, `{"method":"credit","params":{"amount_wei":${big},"hash":"0x12","deep":{"a":[true]}}}`);
    assert.equal(result.stdout,
      `{\n  "result": {\n    "balance_wei": ${big},\n    "list": [\n      1,\n      {}\n    ]\n  }\n}\n`);
    const json = await call(['m', '--json', '{"x": 1}'], { env: { PAYMENTS_SIGNER_ENDPOINT: endpoint } });
    assert.equal(json.code, 0, json.stderr);
    assert.equal(seen, '{"method":"m","params":{"x": 1}}');
  });
});

test('coffer call ends with 1 for an error and with 2 for no answer, and shows no secret', async () => {
  await withServer(() => '{"error":{"message":"no such account"}}', async (endpoint) => {
    const refused = await call(['balance', '--endpoint', endpoint]);
    assert.equal(refused.code, 1);
    assert.equal(refused.stdout, '');
    assert.match(refused.stderr, /balance: no such account/);
  });
  await withServer(() => undefined, async (endpoint) => {
    const silent = await call(['status', '--endpoint', endpoint, '--timeout', '300ms']);
    assert.equal(silent.code, 2);
    assert.match(silent.stderr, /no answer from .* within 300ms/);
  });
  const nobody = await call(['status', '--endpoint', `tcp://127.0.0.1:${await freePort()}`]);
  assert.equal(nobody.code, 2);
  assert.match(nobody.stderr, /refused/);
  const secret = 'hunter2hunter2';
  for (const args of [
    ['m', '--param', secret, '--endpoint', 'tcp://127.0.0.1:1'],
    ['m', '--json', `{"k":${secret}}`, '--endpoint', 'tcp://127.0.0.1:1'],
    ['m', '--endpoint', 'nowhere'],
    ['m'],
  ]) {
    const bad = await call(args);
    assert.equal(bad.code, 2, args.join(' '));
    assert.ok(!bad.stderr.includes(secret), bad.stderr);
  }
});

test('coffer call asks a real enclave, through a bridge, too', () =>
  withStack({ recipients: RECIPIENTS }, async (stack) => {
    await stack.start();
    const port = await freePort();
    await withBridge(`tcp://127.0.0.1:${port}`, stack.endpoint, async () => {
      for (const endpoint of [stack.endpoint, `tcp://127.0.0.1:${port}`]) {
        const address = await call(['address', '--endpoint', endpoint]);
        assert.equal(address.code, 0, address.stderr);
        assert.equal(JSON.parse(address.stdout).result.address, stack.address);
      }
      const unknown = await call(['no_such_method', '--endpoint', stack.endpoint]);
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /no_such_method/);
    });
  }));

test('bridge and call explain themselves', async () => {
  for (const name of ['bridge', 'call']) {
    const help = await runProgram('coffer', [name, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, new RegExp(`Example: coffer ${name}`));
  }
  assert.equal((await runProgram('coffer', ['bridge', '--listen', 'tcp://x', '--to', 'unix:///y'])).code, 2);
  assert.equal((await runProgram('coffer', ['bridge', '--listen', 'unix:///y'])).code, 2);
});

test('where vsock may not be opened, the error names the bridge', async (t) => {
  const result = await call(['status', '--endpoint', 'vsock://16:5000', '--timeout', '2s']);
  assert.equal(result.code, 2);
  if (!/no socket could be made/.test(result.stderr)) return t.skip(`vsock opens here: ${result.stderr.trim()}`);
  assert.match(result.stderr, /coffer bridge --listen tcp:\/\/127\.0\.0\.1:5001 --to vsock:\/\/16:5000/);
});
