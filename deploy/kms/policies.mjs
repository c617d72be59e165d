#!/usr/bin/env node
// Makes the policies of Coffer's KMS key from the pinned measurements, and checks a key's policy: that nobody but
// an enclave of a pinned image gets anything out of it. See docs/kms.md. Needs node 18.3 or newer and nothing else.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checkKeyPolicy } from './lib/check.mjs';
import { TEMPLATES, contextConditions, fill, pcr3Of } from './lib/fill.mjs';
import { current, readReleases } from './lib/measurements.mjs';
import { readStrictJson } from './lib/strict_json.mjs';

const USAGE = `Policies of Coffer's KMS key.

  policies.mjs fill --measurements FILE --enclave-role ARN --operator ARN --admin ARN --out FOLDER
    writes ${Object.keys(TEMPLATES).join(', ')},
    and checks what it wrote
    --measurements FILE      the pinned releases (coffer measurements); those not retired are let in
    --at TIME                as of this time, such as 2026-11-01T00:00:00Z; default: now
    --enclave-role ARN       the role of the enclave's instance: the only one that may decrypt
    --operator ARN           who encrypts the signing key out of band, and can do no more
    --admin ARN              who changes the policy; must not be the enclave's role
    --bind-role              only enclaves whose instance really has that role (PCR3)
    --pcr8 HEX               only images signed by this certificate (PCR8); may be repeated
    --signing-context K=V    the encryption context of the signing key; may be repeated
    --address 0xADDR         state keys of this signing address only
    --key-arn ARN            the key, for the policies of roles; default: left as \${KEY_ARN} for Terraform

  policies.mjs check --policy FILE [options]
    says who can get at what the key encrypts, and exits with 1 unless all of them are enclaves of pinned images
    --policy FILE            as 'aws kms get-key-policy --policy-name default --query Policy --output text' prints it
    --grants FILE            as 'aws kms list-grants' prints it: a grant asks for no attestation
    --measurements FILE      images that are pinned, no others and none left out; --at TIME as above
    --enclave-role ARN       nobody else may decrypt
    --admin ARN              nobody else may change the policy
    --json                   findings, readers and changers as JSON

Exit codes: 0 all well, 1 findings, 2 a bad argument or file

Examples
  deploy/kms/policies.mjs fill --measurements deploy/measurements/coffer.json --out kms-policies \\
      --enclave-role arn:aws:iam::111122223333:role/coffer-enclave --operator arn:aws:iam::111122223333:role/coffer-operator \\
      --admin arn:aws:iam::111122223333:role/coffer-admin --signing-context coffer:purpose=signing-key
  aws kms get-key-policy --key-id alias/coffer --policy-name default --query Policy --output text > policy.json
  deploy/kms/policies.mjs check --policy policy.json --measurements deploy/measurements/coffer.json \\
      --enclave-role arn:aws:iam::111122223333:role/coffer-enclave --admin arn:aws:iam::111122223333:role/coffer-admin`;

const text = { type: 'string' };
const flag = { type: 'boolean' };
const COMMON = { measurements: text, at: text, 'enclave-role': text, admin: text, help: { ...flag, short: 'h' } };
const OPTIONS = {
  fill: {
    ...COMMON,
    out: text,
    operator: text,
    'bind-role': flag,
    pcr8: { ...text, multiple: true },
    'signing-context': { ...text, multiple: true },
    address: text,
    'key-arn': text,
  },
  check: { ...COMMON, policy: text, grants: text, json: flag },
};

const PATTERNS = {
  'enclave-role': /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  operator: /^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/,
  admin: /^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+$/,
  pcr8: /^(?!0{96})[0-9a-f]{96}$/,
  'signing-context': /^[^=]{1,128}=.{1,256}$/s,
  address: /^0x[0-9a-fA-F]{40}$/,
  'key-arn': /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
  at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
};

function need(values, names) {
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length > 0) throw new Error(`--${missing.join(', --')} missing; see --help`);
}

function checkForms(values) {
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    for (const value of [values[name] ?? []].flat()) {
      if (!pattern.test(value)) throw new Error(`--${name} '${value}' is not in its form; see --help`);
    }
  }
}

function readExpected(values) {
  const at = values.at === undefined ? Date.now() : Date.parse(values.at);
  return {
    at,
    enclaveRole: values['enclave-role'],
    admin: values.admin,
    account: values['enclave-role']?.split(':')[4],
    releases: values.measurements === undefined ? undefined : readReleases(values.measurements),
  };
}

function templateValues(values, expected) {
  const images = [...new Set(current(expected.releases, expected.at).map((one) => one.pcr0))];
  if (images.length === 0) throw new Error(`${values.measurements} has no release that is allowed: there is no image to let in`);
  const pairs = (values['signing-context'] ?? []).map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]);
  return {
    ADMIN: values.admin,
    OPERATOR: values.operator,
    ENCLAVE_ROLE: values['enclave-role'],
    PCR0: images,
    PCR3: values['bind-role'] ? pcr3Of(values['enclave-role']) : undefined,
    PCR8: values.pcr8,
    SIGNING_CONTEXT: contextConditions(Object.fromEntries(pairs)),
    ADDRESS: values.address?.toLowerCase(),
    KEY_ARN: values['key-arn'] ?? '${KEY_ARN}',
  };
}

function say({ findings, readers, changers }) {
  const lines = readers.map(({ principal, action, attested, images }) => {
    const how = attested ? `from ${images.length} attested image${images.length === 1 ? '' : 's'} only` : 'WITHOUT ATTESTATION';
    return `may use   ${principal}  ${action}  ${how}`;
  });
  for (const line of new Set(lines)) console.log(line);
  for (const one of changers) console.log(`may change the policy   ${one}`);
  for (const one of findings) console.log(`finding   ${one.code}: ${one.text}`);
  const sound = findings.length === 0;
  console.log(sound ? 'sound: only enclaves of pinned images get anything out of this key' : `NOT SOUND: ${findings.length} findings`);
  return sound ? 0 : 1;
}

function runFill(values) {
  need(values, ['measurements', 'enclave-role', 'operator', 'admin', 'out']);
  const expected = readExpected(values);
  const filled = templateValues(values, expected);
  const policies = Object.keys(TEMPLATES).map((name) => [name, fill(name, filled)]);
  const judged = checkKeyPolicy(policies.find(([name]) => name === 'key-policy.json')[1], expected);
  if (judged.findings.length > 0) return say(judged);
  fs.mkdirSync(values.out, { recursive: true });
  for (const [name, policy] of policies) fs.writeFileSync(path.join(values.out, name), `${JSON.stringify(policy, null, 2)}\n`);
  for (const [name, what] of Object.entries(TEMPLATES)) console.log(`wrote     ${path.join(values.out, name)}: ${what}`);
  return say(judged);
}

function runCheck(values) {
  need(values, ['policy']);
  const grants = values.grants === undefined ? undefined : readStrictJson(values.grants);
  const judged = checkKeyPolicy(readStrictJson(values.policy), { ...readExpected(values), grants });
  if (!values.json) return say(judged);
  console.log(JSON.stringify(judged, null, 2));
  return judged.findings.length === 0 ? 0 : 1;
}

function main(args) {
  const [verb, ...rest] = args;
  if (args.length === 0 || args.includes('--help') || args.includes('-h')) return void console.log(USAGE) ?? 0;
  if (!Object.hasOwn(OPTIONS, verb)) throw new Error(`no verb '${verb}'; see --help`);
  const { values } = parseArgs({ args: rest, options: OPTIONS[verb], strict: true });
  checkForms(values);
  return verb === 'fill' ? runFill(values) : runCheck(values);
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 2;
}
