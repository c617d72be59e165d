// `coffer verify log`, `coffer verify receipt` and `coffer log mirror`, the real programs, against logs that
// tests/conformance/tlog.mjs makes from the specifications alone, served by web servers that are honest or not.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { History, Signer, checkpointText, encodeLeaf, formatReceipt, leafHash, sha256, tilesOf } from '../conformance/tlog.mjs';
import { makeChain, makeFields, signPayload } from '../js/lib/nitro.mjs';
import { freePort, runProgram, temporaryFolder } from '../js/lib/program.mjs';
import { Random, testSeed } from '../js/lib/random.mjs';

const ADDRESS = '0x1111111111111111111111111111111111111111';
const ORIGIN = `coffer/${ADDRESS}`;
const LOG = new Signer(ORIGIN, 1, Buffer.alloc(32, 'k'));
const WITNESS = new Signer('witness.example/w', 4, Buffer.alloc(32, 'w'));
const random = new Random(testSeed('verify_log'));
const root = temporaryFolder();
test.after(() => fs.rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => path.join(root, `f${++folders}`);

const big = (value, bytes) => {
  const out = Buffer.alloc(bytes);
  let rest = BigInt.asUintN(8 * bytes, BigInt(value));
  for (let i = bytes - 1; i >= 0; --i, rest >>= 8n) out[i] = Number(rest & 255n);
  return out;
};
const recipientOf = (id) => sha256(Buffer.from(id)).subarray(0, 20);

/** Leaves that add up: accounts, credits of random amounts, and a payout now and then. */
function makeLeaves(count) {
  const leaves = [];
  const accounts = new Map();
  const add = (kind, fields) => leaves.push(encodeLeaf(kind, leaves.length, 1700000000000 + leaves.length, fields));
  const change = (kind, id, available, reserved, paid, fields) => {
    const account = accounts.get(id);
    account.available += available;
    account.reserved += reserved;
    account.paid += paid;
    const balances = [available, account.available, account.reserved, account.paid].map((wei) => big(wei, 16));
    add(kind, { account: Buffer.from(id), recipient: recipientOf(id), balances: Buffer.concat(balances), ...fields });
  };
  add(1, { recipient: Buffer.from(ADDRESS.slice(2), 'hex'), content_hash: sha256(Buffer.from('policy')) });
  for (const id of ['orch-1', 'orch-2', 'orch-3']) {
    accounts.set(id, { available: 0n, reserved: 0n, paid: 0n });
    add(2, { account: Buffer.from(id), recipient: recipientOf(id) });
  }
  for (let payout = 0; leaves.length < count; ) {
    const id = random.pick([...accounts.keys()]);
    change(3, id, BigInt(random.uint32()), 0n, 0n, { event_id: Buffer.from(`ledger:${leaves.length}`) });
    if (!random.chance(0.1) || leaves.length + 3 > count) continue;
    const wei = accounts.get(id).available / 2n;
    const which = { payout: big(++payout, 8), item: big(0, 4) };
    const transaction = { tx_hash: sha256(Buffer.from(`tx ${payout}`)) };
    change(6, id, -wei, wei, 0n, which);
    add(7, { payout: which.payout, ...transaction });
    change(9, id, 0n, -wei, wei, { ...which, ...transaction, amount: big(wei, 16), hosts_word: Buffer.alloc(0) });
  }
  return { leaves, accounts };
}

/** The files of a log of the first `size` leaves, with its signed head. */
function filesOf(leaves, size = leaves.length, signer = LOG, witnesses = [WITNESS]) {
  const history = new History(leaves.map(leafHash));
  const files = tilesOf(history, leaves, size);
  const text = checkpointText(ORIGIN, size, history.root(size));
  files.set('checkpoint', Buffer.from(`${text}\n${signer.sign(text)}${witnesses.map((w) => w.cosign(text, 1700000000)).join('')}`));
  return files;
}

function writeFiles(files, folder) {
  for (const [name, content] of files) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), content);
  }
}

/** Serves `site.files` below /some/prefix/log/, as `site.answer` may decide otherwise. */
async function withSite(files, body) {
  const site = { files, answer: () => false, requests: 0, sockets: 0 };
  const server = http.createServer((request, response) => {
    ++site.requests;
    if (site.answer(request, response)) return;
    const content = site.files.get(request.url.replace('/some/prefix/log/', ''));
    response.statusCode = content === undefined ? 404 : 200;
    response.end(content);
  });
  server.on('connection', () => ++site.sockets);
  const port = await freePort();
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  site.url = `http://127.0.0.1:${port}/some/prefix`;
  try {
    await body(site);
  } finally {
    server.closeAllConnections?.();
    server.close();
  }
}

const policyFile = path.join(root, 'policy');
fs.writeFileSync(policyFile, `log ${LOG.vkey()}\nwitness w ${WITNESS.vkey()}\nquorum w\n`);

/** Runs `coffer` and reads its JSON: {code, report, check(name)}. */
async function run(args, state) {
  const result = await runProgram('coffer', [...args, '--json', ...(state ? ['--state', state] : [])], { env: { HOME: root } });
  const report = result.stdout ? JSON.parse(result.stdout) : undefined;
  return { ...result, report, check: (name) => report.checks.find((one) => one.name === name) };
}
const verify = (args, state) => run(['verify', 'log', '--policy', policyFile, ...args], state);

/** Runs `body` with the options for a development document that names `key` as the log's. */
async function withAttestation(key, body) {
  const folder = newFolder();
  fs.mkdirSync(folder);
  const chain = makeChain(folder);
  const fields = makeFields(chain, { userData: `payments-signer:${ADDRESS};log=${key}` });
  fs.writeFileSync(path.join(folder, 'document'), signPayload(fields, chain.enclave.key));
  const pcr0 = fields.get('pcrs').get(0).toString('hex');
  await body(['--attestation', path.join(folder, 'document'), '--root', path.join(folder, 'root.pem'), '--pcr0', pcr0]);
}

const { leaves, accounts } = makeLeaves(1500);
const honest = filesOf(leaves);

test('an honest log is verified, from a folder and over HTTP, and its balances are those of the leaves', async () => {
  const folder = newFolder();
  writeFiles(honest, folder);
  const { available, reserved } = accounts.get('orch-1');
  const owed = ['--account', 'orch-1', '--balance', String(available + reserved), '--address', ADDRESS];
  await withSite(honest, async (site) => {
    for (const where of [['--dir', folder], ['--url', site.url], ['--url', `${site.url}/`]]) {
      const result = await verify([...where, ...owed], newFolder());
      assert.equal(result.code, 0, JSON.stringify(result, null, 1));
      assert.equal(result.report.verified, true);
      assert.equal(result.report.log.size, 1500);
      assert.equal(result.report.account.available, String(available));
      assert.equal(result.check('attestation').outcome, 'skipped');
      assert.equal(result.check('witnesses').outcome, 'passed');
    }
    assert.ok(site.sockets <= 20, `${site.sockets} connections for ${site.requests} requests`);
  });
});

test('balances that are claimed are compared to the wei', async () => {
  const folder = newFolder();
  writeFiles(honest, folder);
  const claims = [...accounts].map(([id, a]) => ({ id, available: String(a.available), reserved: '0', paid: String(a.paid) }));
  const file = path.join(root, 'accounts.json');
  fs.writeFileSync(file, claims.map((claim) => `${JSON.stringify(claim)}\n`).join(''));
  assert.equal((await verify(['--dir', folder, '--accounts', file], newFolder())).code, 0);
  // The same from an API in two pages, with one wei too much in the second.
  const pages = (wrong) => ({
    '/api/ledger/accounts?from=0&limit=2000': { accounts: claims.slice(0, 2), next: 2 },
    '/api/ledger/accounts?from=2&limit=2000': {
      accounts: [{ ...claims[2], available: String(BigInt(claims[2].available) + wrong) }],
      next: null,
    },
  });
  for (const wrong of [0n, 1n]) {
    await withSite(new Map(), async (site) => {
      site.answer = (request, response) => {
        response.end(JSON.stringify(pages(wrong)[request.url.replace('/some/prefix', '')]));
        return true;
      };
      const result = await verify(['--dir', folder, '--api', site.url], newFolder());
      assert.equal(result.code, wrong === 0n ? 0 : 1, JSON.stringify(result));
      if (wrong === 1n) assert.match(result.check('claims').sentence, /orch-3 is claimed to have \d+ wei available/);
    });
  }
});

test('a server that lies is caught, with the sentence that says how', async () => {
  const altered = (name, at) => {
    const content = Buffer.from(honest.get(name));
    content[at] ^= 1;
    return new Map([...honest, [name, content]]);
  };
  const without = (name) => new Map([...honest].filter(([path]) => path !== name));
  const other = leaves.slice(0, 1200).map((leaf, i) => (i === 600 ? Buffer.concat([leaf.subarray(0, 19), Buffer.from([leaf[19] ^ 1]), leaf.subarray(20)]) : leaf));
  const twice = [...leaves];
  const once = leaves.findIndex((leaf) => leaf[1] >= 3 && leaf[1] <= 5);
  twice[1499] = Buffer.concat([leaves[once].subarray(0, 4), big(1499, 8), leaves[once].subarray(12)]);
  const lies = [
    ['an altered leaf', altered('tile/entries/002', 21), 'tiles', /leaf 512 was altered/],
    ['an altered tile', altered('tile/0/003', 32), 'tiles', /tile tile\/0\/003 was altered: its hash number 1 /],
    ['a missing tile', without('tile/0/003'), 'tiles', /tile tile\/0\/003 is missing/],
    ['a missing bundle', without('tile/entries/000'), 'tiles', /tile tile\/entries\/000 is missing/],
    ['another key', filesOf(leaves, 1500, new Signer(ORIGIN, 1, Buffer.alloc(32, 'x'))), 'signature', /somebody else signed it/],
    ['no witness', filesOf(leaves, 1500, LOG, []), 'witnesses', /./],
    ['a log cut back', filesOf(leaves, 700), 'consistency', /the log was cut back from 1000 to 700 leaves/],
    ['another past', filesOf(other), 'consistency', /two histories: the first 1000 leaves/],
    ['an event twice', filesOf(twice), 'events', new RegExp(`leaf ${once} and leaf 1499 are the same event`)],
  ];
  const seen = newFolder();
  await withSite(filesOf(leaves, 1000), async (site) => {
    assert.equal((await verify(['--url', site.url], seen)).code, 0);
    for (const [name, files, check, says] of lies) {
      site.files = files;
      const before = fs.readFileSync(seen);
      const result = await verify(['--url', site.url, '--full'], seen);
      assert.equal(result.code, 1, `${name}: ${JSON.stringify(result, null, 1)}`);
      assert.equal(result.check(check).outcome, 'failed', name);
      assert.match(result.check(check).sentence, says, name);
      assert.deepEqual(fs.readFileSync(seen), before, `${name}: what was seen is kept`);
    }
    assert.ok(fs.readdirSync(root).some((file) => file.includes('.evidence-')), 'both heads are kept');
    site.files = honest;
    const result = await verify(['--url', site.url, '--full'], seen);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.match(result.check('consistency').sentence, /grew from 1000 leaves, which were seen before, to 1500/);
  });
});

test('two servers that tell two histories are caught by whoever looks at both', async () => {
  const state = newFolder();
  const fork = leaves.map((leaf, i) => (i === 1400 ? Buffer.concat([leaf.subarray(0, 19), Buffer.from([leaf[19] ^ 1]), leaf.subarray(20)]) : leaf));
  await withSite(honest, (one) =>
    withSite(filesOf(fork), async (two) => {
      assert.equal((await verify(['--url', one.url], state)).code, 0);
      const result = await verify(['--url', two.url], state);
      assert.equal(result.code, 1);
      assert.match(result.check('consistency').sentence, /two histories: .* signed two different trees of size 1500/);
    }),
  );
});

test('a copy that is only older than what was seen is no verdict', async () => {
  const state = newFolder();
  const [now, older] = [newFolder(), newFolder()];
  writeFiles(honest, now);
  writeFiles(filesOf(leaves, 1200), older);
  assert.equal((await verify(['--dir', now], state)).code, 0);
  const result = await verify(['--dir', older], state);
  assert.equal(result.code, 2, JSON.stringify(result));
  assert.match(result.check('consistency').sentence, /this copy, of 1200 leaves, is older than the head of 1500/);
});

test('what cannot be asked is no verdict', async () => {
  const state = newFolder();
  await withSite(honest, async (site) => {
    const answers = {
      'an error': (request, response) => (response.statusCode = 500) && response.end(),
      'a redirect': (request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'no end': (request, response) => response.writeHead(200, { 'content-length': '10' }).write('a'),
      'a closed connection': (request) => request.socket.destroy(),
    };
    for (const [name, answer] of Object.entries(answers)) {
      site.answer = (request, response) => (answer(request, response), true);
      const result = await verify(['--url', site.url, '--timeout', '0.5'], state);
      assert.equal(result.code, 2, `${name}: ${JSON.stringify(result)}`);
      assert.equal(result.report.verified, null);
    }
    // A body without end is given up, not read into memory.
    site.answer = (request, response) => {
      const more = () => response.destroyed || response.write(Buffer.alloc(1 << 16), more);
      more();
      return true;
    };
    assert.equal((await verify(['--url', site.url], state)).code, 2);
    // Asked to come back later, it does.
    let turned = 0;
    site.answer = (request, response) => ++turned <= 2 && (response.writeHead(429, { 'retry-after': '0' }).end(), true);
    assert.equal((await verify(['--url', site.url], state)).code, 0);
  });
  assert.equal((await verify(['--url', `http://127.0.0.1:${await freePort()}`], state)).code, 2);
  for (const args of [[], ['--dir', '/nowhere'], ['--url', 'ftp://x'], ['--url', 'http://x', '--key', 'what']]) {
    assert.equal((await runProgram('coffer', ['verify', 'log', ...args])).code, 2, args.join(' '));
  }
});

test('chunk extensions and trailers without end are given up, not read into memory', async () => {
  const starts = { extension: '1;', trailer: '0\r\na: ', extensions: '' };
  for (const [name, start] of Object.entries(starts)) {
    const more = name === 'extensions' ? Buffer.from(`1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(60)) : Buffer.alloc(1 << 16, 'a');
    let sent = 0;
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('close', () => (sent += socket.bytesWritten));
      const pour = (error) => error || socket.destroyed || socket.write(more, pour);
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${start}`, pour));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const result = await verify(['--url', `http://127.0.0.1:${server.address().port}`, '--timeout', '5'], newFolder());
      assert.equal(result.code, 2, `${name}: ${JSON.stringify(result)}`);
      assert.match(result.check('checkpoint').sentence, /chunk extensions or trailers|is not HTTP/, name);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.ok(sent < 32 << 20, `${name}: ${sent} bytes were taken`);
  }
});

test('the first key is trusted once, and says so', async () => {
  await withSite(honest, async (site) => {
    const state = newFolder();
    site.answer = (request, response) =>
      request.url.endsWith('/audit/status') && (response.end(JSON.stringify({ log_key: LOG.vkey() })), true);
    for (const says of [/TRUSTED ON FIRST USE/, /trusted on first use/]) {
      const result = await run(['verify', 'log', '--url', site.url], state);
      assert.equal(result.code, 0, JSON.stringify(result));
      assert.match(result.check('signature').sentence, says);
    }
    const unknown = await run(['verify', 'log', '--dir', root], newFolder());
    assert.equal(unknown.code, 1, 'a folder without a checkpoint');
  });
});

test('a mirror is whole or has no head, goes on where it was, and can be verified and served', async () => {
  const folder = newFolder();
  const state = newFolder();
  const mirror = (url) => run(['log', 'mirror', '--url', url, '--dir', folder, '--policy', policyFile], state);
  await withSite(filesOf(leaves, 1000), async (site) => {
    site.answer = (request, response) => request.url.endsWith('tile/entries/002') && (request.socket.destroy(), true);
    let result = await mirror(site.url);
    assert.equal(result.code, 2, JSON.stringify(result));
    assert.ok(!fs.existsSync(path.join(folder, 'checkpoint')));
    site.answer = () => false;
    result = await mirror(site.url);
    assert.equal(result.code, 0, JSON.stringify(result));
    site.files = honest;
    const before = site.requests;
    assert.equal((await mirror(site.url)).code, 0);
    assert.ok(site.requests - before < 20, 'what is there is not downloaded again');
    // Another history leaves the copy as it is.
    const fork = leaves.map((leaf, i) => (i === 3 ? Buffer.concat([leaf.subarray(0, 19), Buffer.from([leaf[19] ^ 1]), leaf.subarray(20)]) : leaf));
    site.files = filesOf(fork);
    result = await mirror(site.url);
    assert.equal(result.code, 1);
    assert.match(result.check('consistency').sentence, /two histories/);
  });
  for (const [name, content] of honest) assert.deepEqual(fs.readFileSync(path.join(folder, name)), content, name);
  assert.equal((await verify(['--dir', folder, '--full'], newFolder())).code, 0);
});

test("a log whose key an enclave's attestation names, and one whose key it does not", async () => {
  const folder = newFolder();
  writeFiles(honest, folder);
  await withAttestation(LOG.vkey(), async (args) => {
    const result = await verify(['--dir', folder, ...args], newFolder());
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.match(result.check('attestation').sentence, /DEVELOPMENT DOCUMENT.*names the log's key/);
    assert.equal((await verify(['--dir', folder, ...args.slice(0, 4)], newFolder())).code, 2, 'of which image?');
  });
  await withAttestation(new Signer(ORIGIN, 1, Buffer.alloc(32, 'x')).vkey(), async (args) => {
    const state = newFolder();
    const result = await verify(['--dir', folder, ...args], state);
    assert.equal(result.code, 1);
    assert.equal(result.check('attestation').outcome, 'failed');
    assert.equal(fs.existsSync(state), false, 'nothing is remembered');
  });
});

test('a receipt is verified offline and told in words', async () => {
  const history = new History(leaves.map(leafHash));
  const index = leaves.findIndex((leaf) => leaf[1] === 3);
  const receipt = { leaf: leaves[index], attestation: '', index, proof: history.inclusion(index, 1500), note: honest.get('checkpoint').toString() };
  const file = path.join(root, 'credit.tlog-proof');
  fs.writeFileSync(file, formatReceipt(receipt));
  const result = await run(['verify', 'receipt', file, '--policy', policyFile]);
  assert.equal(result.code, 0, JSON.stringify(result));
  assert.equal(result.report.leaf.kind, 'credit');
  const { stdout } = await runProgram('coffer', ['verify', 'receipt', file, '--key', LOG.vkey()]);
  assert.match(stdout, new RegExp(`leaf ${index}: orch-\\d \\(0x[0-9a-fA-F]{40}\\) was credited \\d+ wei by the event ledger:${index}`));
  assert.match(stdout, /as the host's clock claims/);
  const others = ['orch-1', 'orch-2', 'orch-3'].filter((id) => id !== result.report.leaf.account);
  assert.equal((await run(['verify', 'receipt', file, '--policy', policyFile, '--account', others[0]])).code, 1);
  await withAttestation(LOG.vkey(), async (args) => {
    const attested = await run(['verify', 'receipt', file, '--policy', policyFile, ...args]);
    assert.equal(attested.code, 0, JSON.stringify(attested));
    assert.equal(attested.check('attestation').outcome, 'passed');
  });
  await withAttestation(new Signer(ORIGIN, 1, Buffer.alloc(32, 'x')).vkey(), async (args) => {
    const another = await run(['verify', 'receipt', file, '--policy', policyFile, ...args]);
    assert.equal(another.code, 1);
    assert.match(another.check('attestation').sentence, /log: coffer\/0x1{40}\+/);
  });
  fs.writeFileSync(file, formatReceipt({ ...receipt, leaf: leaves[index + 1] }));
  const forged = await run(['verify', 'receipt', file, '--policy', policyFile]);
  assert.equal(forged.code, 1);
  assert.equal(forged.check('inclusion').outcome, 'failed');
  assert.equal((await runProgram('coffer', ['verify', 'receipt', file], { env: { HOME: newFolder() } })).code, 2);
});
