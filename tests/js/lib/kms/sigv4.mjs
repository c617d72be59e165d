// The other side of AWS Signature Version 4 (IAM user guide, "Signature Version 4 for API requests"):
// whether a request was signed by somebody whose secret we know, just now. Written with node's crypto
// alone, so that a signer's mistake is not repeated here.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { KmsError } from './errors.mjs';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const WINDOW_MS = 5 * 60e3;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

const incomplete = (message) => new KmsError('IncompleteSignatureException', message);
const invalid = (message) => new KmsError('InvalidSignatureException', message);

// `Credential=..., SignedHeaders=..., Signature=...`
function parseAuthorization(value) {
  if (!value.startsWith(`${ALGORITHM} `)) throw incomplete(`Authorization does not begin with ${ALGORITHM}.`);
  const fields = new Map();
  for (const part of value.slice(ALGORITHM.length + 1).split(',')) {
    const [, name, content] = /^\s*([A-Za-z]+)=(\S+)\s*$/.exec(part) ?? [];
    if (name === undefined || fields.has(name)) throw incomplete('Authorization is not a list of names and values.');
    fields.set(name, content);
  }
  for (const name of ['Credential', 'SignedHeaders', 'Signature']) {
    if (!fields.has(name)) throw incomplete(`Authorization header requires '${name}' parameter.`);
  }
  const scope = fields.get('Credential').split('/');
  if (scope.length !== 5) throw incomplete('Credential must have five parts.');
  const [accessKeyId, date, region, service, terminator] = scope;
  return {
    accessKeyId,
    date,
    region,
    service,
    terminator,
    signedHeaders: fields.get('SignedHeaders').split(';'),
    signature: fields.get('Signature'),
  };
}

// 20150830T123600Z as milliseconds since 1970.
function parseTime(text) {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (found === null) throw incomplete("Authorization header requires existence of a valid 'X-Amz-Date' header.");
  const [, year, month, day, hour, minute, second] = found.map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

// KMS has one address, `/` without a query: whoever asks for another has been refused before.
function canonicalRequest({ method, headers, body }, signedHeaders) {
  const lines = signedHeaders.map((name) => `${name}:${headers.get(name).trim().replace(/ +/g, ' ')}\n`);
  return [method, '/', '', lines.join(''), signedHeaders.join(';'), sha256(body)].join('\n');
}

// Host and every x-amz-* header have to be signed, sorted and once.
function checkSignedHeaders(signedHeaders, headers) {
  const wanted = [...headers.keys()].filter((name) => name === 'host' || name.startsWith('x-amz-'));
  for (const name of ['host', 'x-amz-date', 'x-amz-target', ...wanted]) {
    if (!signedHeaders.includes(name)) throw invalid(`The header ${name} must be signed.`);
  }
  signedHeaders.forEach((name, i) => {
    if (!headers.has(name)) throw invalid(`The header ${name} is signed and not there.`);
    if (i > 0 && signedHeaders[i - 1] >= name) throw invalid('SignedHeaders is not sorted.');
  });
}

function checkTime(at, text, now) {
  const clock = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  if (at < now - WINDOW_MS) throw invalid(`Signature expired: ${text} is now earlier than ${clock} - 5 min.`);
  if (at > now + WINDOW_MS) throw invalid(`Signature not yet current: ${text} is still later than ${clock} + 5 min.`);
}

function signatureOf(secret, scope, text) {
  const key = ['date', 'region', 'service', 'terminator'].reduce(
    (last, part) => hmac(last, scope[part]),
    Buffer.from(`AWS4${secret}`),
  );
  return hmac(key, text);
}

function checkToken(principal, token, now) {
  const unknown = () =>
    new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.');
  if ((principal.session_token ?? '') !== (token ?? '')) throw unknown();
  if (principal.expires !== undefined && Date.parse(principal.expires) <= now) {
    throw new KmsError('ExpiredTokenException', 'The security token included in the request is expired');
  }
}

/**
 * Who signed `request` to `/` {method, headers: Map (names in lower case), body}, or a KmsError.
 * `findPrincipal(accessKeyId)`: {secret_access_key, session_token?, expires?}, or undefined. Returns {principal,
 * signature}; the signature is the request's own name, by which a repetition is known.
 */
export function authenticate(request, { findPrincipal, region, now = Date.now() }) {
  const { headers } = request;
  if (!headers.has('authorization')) {
    throw new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const authorization = parseAuthorization(headers.get('authorization'));
  const time = headers.get('x-amz-date');
  const at = parseTime(time);
  const { date, region: scopeRegion, service, terminator } = authorization;
  if (date !== time.slice(0, 8)) throw invalid(`Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: ${time}.`);
  if (scopeRegion !== region) throw invalid(`Credential should be scoped to a valid region, not '${scopeRegion}'.`);
  if (service !== 'kms') throw invalid("Credential should be scoped to correct service: 'kms'.");
  if (terminator !== 'aws4_request') throw invalid("Credential should be scoped with a valid terminator: 'aws4_request'.");
  checkSignedHeaders(authorization.signedHeaders, headers);
  const principal = findPrincipal(authorization.accessKeyId);
  if (principal === undefined) {
    throw new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.');
  }
  const scope = `${date}/${scopeRegion}/${service}/${terminator}`;
  const text = [ALGORITHM, time, scope, sha256(canonicalRequest(request, authorization.signedHeaders))].join('\n');
  const expected = signatureOf(principal.secret_access_key, authorization, text);
  const given = /^[0-9a-f]{64}$/.test(authorization.signature) ? Buffer.from(authorization.signature, 'hex') : Buffer.alloc(32);
  if (!timingSafeEqual(expected, given)) {
    throw invalid(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
    );
  }
  checkTime(at, time, now);
  checkToken(principal, headers.get('x-amz-security-token'), now);
  return { principal, signature: authorization.signature };
}
