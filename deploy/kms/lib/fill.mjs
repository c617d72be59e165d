// Fills in the templates. "${NAME}" stands for a value, or a list; "${NAME?}" for one that may be missing: then
// the condition it stands in is left out, and a Deny that would have no condition any more is left out as well.
// An Allow never loses a condition that is not marked so.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../templates');
const PLACEHOLDER = /^\$\{([A-Z0-9_]+)(\??)\}$/;

/** template -> what it is for. */
export const TEMPLATES = {
  'key-policy.json': "the key's own policy",
  'admin-policy.json': "the administrators' role or user",
  'operator-policy.json': 'who encrypts the signing key, in the key ceremony',
  'enclave-policy.json': "the role of the enclave's instance",
  'enclave-trust.json': 'who may take that role: instances of EC2',
};

/** PCR3 of an enclave whose instance has this role (Nitro Enclaves user guide, "PCR3"). */
export function pcr3Of(roleArn) {
  return createHash('sha384').update(Buffer.alloc(48)).update(roleArn).digest('hex');
}

function valueOf(text, values) {
  const [, name, optional] = PLACEHOLDER.exec(text) ?? [];
  if (name === undefined) return text;
  if (values[name] === undefined && optional === '') throw new Error(`the templates need ${name}, which was not given`);
  return values[name];
}

// The pairs of one operator: "${NAME?}" as a condition's name stands for several pairs.
function fillPairs(pairs, values) {
  const filled = {};
  for (const [name, wanted] of Object.entries(pairs)) {
    if (PLACEHOLDER.test(name)) {
      Object.assign(filled, valueOf(name, values));
      continue;
    }
    const value = Array.isArray(wanted) ? wanted : valueOf(wanted, values);
    if (value !== undefined) filled[name] = value;
  }
  return filled;
}

function fillStatement(statement, values) {
  const filled = { ...statement };
  if (typeof statement.Principal?.AWS === 'string') filled.Principal = { AWS: valueOf(statement.Principal.AWS, values) };
  if (statement.Resource !== undefined) filled.Resource = valueOf(statement.Resource, values);
  if (statement.Condition === undefined) return filled;
  const operators = Object.entries(statement.Condition).map(([operator, pairs]) => [operator, fillPairs(pairs, values)]);
  const left = operators.filter(([, pairs]) => Object.keys(pairs).length > 0);
  if (left.length > 0) return { ...filled, Condition: Object.fromEntries(left) };
  if (statement.Effect === 'Deny') return undefined;
  delete filled.Condition;
  return filled;
}

/** The policy of a template. `values`: NAME -> text, list, or (SIGNING_CONTEXT) pairs of a condition. */
export function fill(template, values) {
  const policy = JSON.parse(fs.readFileSync(path.join(FOLDER, template), 'utf8'));
  const Statement = policy.Statement.map((one) => fillStatement(one, values)).filter((one) => one !== undefined);
  return { ...policy, Statement };
}

/** Condition pairs that ask for an encryption context, {name: value}; undefined when there is none. */
export function contextConditions(context) {
  const pairs = Object.entries(context ?? {}).map(([name, value]) => [`kms:EncryptionContext:${name}`, value]);
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
}
