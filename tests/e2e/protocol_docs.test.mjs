// docs/protocol.md: every example is sent to a real enclave, and the answer is the one that is shown.
// "..." in an answer stands for anything; "$name" in a request for that member of the last answer
// that had it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { BROKER, CHAIN_ID, withEnclave } from '../js/lib/enclave.mjs';
import { parseExact, writeExact } from '../js/lib/exact_json.mjs';

const KEY = `0x${'01'.repeat(32)}`;
const PROFILES = {
  'Signer profile: methods': { profile: 'signer' },
  'Authority profile: methods': {
    profile: 'authority',
    storage: 'none',
    'chain-id': CHAIN_ID,
    'ticket-broker': BROKER,
  },
};

/** [{part, method, request, answer}] in the order of the document. */
function readExamples() {
  const text = fs.readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const examples = [];
  let part;
  let method;
  let request;
  const pattern = /^## (.*)$|^### (.*)$|^```json (request|answer)\n([^]*?)^```$/gm;
  for (const [, section, heading, kind, body] of text.matchAll(pattern)) {
    if (section !== undefined) part = section;
    if (heading !== undefined) method = heading;
    if (kind === 'request') request = body;
    if (kind === 'answer') examples.push({ part, method, request, answer: body });
  }
  return examples;
}

/** Throws unless `actual` is what the document shows. */
function assertMatches(actual, shown, at) {
  if (shown === '...') return assert.notEqual(actual, undefined, `${at} is not there`);
  if (typeof shown !== 'object' || shown === null) return assert.deepEqual(actual, shown, at);
  assert.equal(Array.isArray(actual), Array.isArray(shown), at);
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(shown).sort(), at);
  for (const [name, value] of Object.entries(shown)) assertMatches(actual[name], value, `${at}.${name}`);
}

const examples = readExamples();

test('the document has examples of both profiles', () => {
  for (const part of Object.keys(PROFILES)) {
    const methods = new Set(examples.filter((one) => one.part === part).map(({ method }) => method));
    assert.ok(methods.size >= 10, `${part} has examples of ${[...methods]}`);
  }
  for (const { part, method, request } of examples) {
    assert.ok(part in PROFILES, `an example under '${part}'`);
    assert.equal(parseExact(request).method, method);
  }
});

for (const [part, flags] of Object.entries(PROFILES)) {
  test(`${part}: every example is answered as it says`, () =>
    withEnclave({ key: KEY, flags }, async (enclave) => {
      const connection = await enclave.connect();
      const known = {};
      for (const { method, request, answer } of examples.filter((one) => one.part === part)) {
        const filled = request.replace(/"\$(\w+)"/g, (_, name) => {
          assert.ok(name in known, `${method}: no answer had a ${name}`);
          return writeExact(known[name]);
        });
        const actual = parseExact((await connection.send(Buffer.from(filled))).toString());
        assertMatches(actual, parseExact(answer), method);
        Object.assign(known, actual.result);
      }
      await connection.close();
    }));
}
