// Prints random requests, one JSON object a line, with the Authorization header that the AWS SDK's signer gives each. The C++
// test beside this file signs the same with enclave_core/kms.
//
//   node sigv4_vectors.mjs SEED [CASES]
//
// Bytes are hexadecimal, so that nothing is lost between two readers of JSON.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../js/package.json', import.meta.url));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { SignatureV4 } = await load('@smithy/signature-v4');
const { Sha256 } = await load('@aws-crypto/sha256-js');

const seed = process.argv[2] ?? '1';
const cases = Number(process.argv[3] ?? '1000');

// A counter hashed with the seed: the same cases for the same seed, on every machine.
let counter = 0;
let pool = Buffer.alloc(0);
function randomBytes(n) {
  while (pool.length < n) pool = Buffer.concat([pool, createHash('sha256').update(`sigv4:${seed}:${counter++}`).digest()]);
  const bytes = pool.subarray(0, n);
  pool = pool.subarray(n);
  return bytes;
}
const below = (n) => randomBytes(4).readUInt32BE() % n;
const flag = () => below(2) === 1;
const pick = (list) => list[below(list.length)];
const text = (alphabet, least, most) => Array.from({ length: least + below(most - least + 1) }, () => pick(alphabet)).join('');
const hex = (value) => Buffer.from(value).toString('hex');

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
// Everything that an encoder could get wrong: reserved and unreserved, percent signs, two to four bytes of UTF-8.
const ANYTHING = [...VISIBLE, ...VISIBLE, ' ', '%20', '%2F', '\u00e9', '\u1234', '\u{1f511}'];
const HEADER = [...VISIBLE, ' ', ' ', ' ', '\t', '\u00e9'];

function randomPath() {
  const segments = Array.from({ length: below(6) }, () =>
    pick(['', '.', '..', 'a', text(ANYTHING.filter((c) => !'/?#'.includes(c)), 1, 12)]));
  return '/' + segments.join('/') + (flag() ? '/' : '');
}
function randomQuery() {
  const query = {};
  for (let i = below(5); i > 0; --i) {
    const value = () => text(ANYTHING, 0, 10);
    query[text(ANYTHING, 1, 6)] = below(4) === 0 ? Array.from({ length: 1 + below(4) }, value) : value();
  }
  return query;
}
const randomCase = (name) => [...name].map((c) => (flag() ? c.toUpperCase() : c)).join('');
function randomHeaders() {
  const headers = { [randomCase('host')]: `${text(LETTERS, 1, 20)}.amazonaws.com` };
  const names = new Set();
  for (let i = below(6); i > 0; --i) names.add(pick(['x-', 'my-', 'x-amz-', 'content-']) + text([...LETTERS, '-'], 1, 12));
  for (const name of names) headers[randomCase(name)] = text(HEADER, 0, 30);
  return headers;
}

for (let i = 0; i < cases; ++i) {
  const credentials = {
    accessKeyId: text(LETTERS, 16, 32).toUpperCase(),
    secretAccessKey: text(VISIBLE, 16, 60),
    ...(flag() ? { sessionToken: text([...LETTERS, '/', '+', '='], 1, 300) } : {}),
  };
  const region = `${text(LETTERS, 2, 8)}-${1 + below(9)}`;
  const service = flag() ? 'kms' : text(LETTERS, 1, 12);
  const seconds = 1_400_000_000 + below(1_000_000_000);
  const body = below(3) === 0 ? '' : randomBytes(below(200));
  const query = randomQuery();
  const path = randomPath();
  const method = pick(['GET', 'POST', 'PUT', 'DELETE']);
  const signer = new SignatureV4({ credentials, region, service, sha256: Sha256, applyChecksum: flag() });
  const signed = await signer.sign(
    { method, protocol: 'https:', hostname: 'unused', path, query, headers: randomHeaders(), body },
    { signingDate: new Date(seconds * 1000) },
  );
  const { authorization, ...headers } = signed.headers;
  process.stdout.write(JSON.stringify({
    kind: 'signed',
    method,
    path: hex(path),
    query: Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [hex(name), hex(one)])),
    headers: Object.entries(headers)
      .filter(([name]) => !['x-amz-date', 'x-amz-security-token'].includes(name))
      .map(([name, value]) => [hex(name), hex(value)]),
    body: hex(body),
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: hex(credentials.secretAccessKey),
    sessionToken: credentials.sessionToken ?? '',
    region,
    service,
    seconds: String(seconds),
    date: headers['x-amz-date'],
    authorization,
  }) + '\n');
}
