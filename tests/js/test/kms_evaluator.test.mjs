// How the local KMS reads policies, case by case, as IAM's user guide has it ("Policy evaluation logic", "IAM JSON
// policy elements: Condition operators").
import assert from 'node:assert/strict';
import test from 'node:test';
import { allowed, parsePolicy } from '../lib/kms/policy.mjs';

const ARN = 'arn:aws:iam::111122223333:role/app/worker';
const SESSION = 'arn:aws:sts::111122223333:assumed-role/worker/session';
const ROOT = 'arn:aws:iam::111122223333:root';
const KEY = 'arn:aws:kms:us-east-2:111122223333:key/1234';

const allow = (more) => ({ Effect: 'Allow', Principal: { AWS: ARN }, Action: 'kms:Decrypt', Resource: '*', ...more });
const deny = (more) => allow({ Effect: 'Deny', ...more });
const policy = (...Statement) => parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement }));
const own = (...Statement) => parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement }), { isKeyPolicy: false });
const mine = (more) => ({ Effect: 'Allow', Action: 'kms:Decrypt', Resource: KEY, ...more });

function asks(keyPolicy, { arn = ARN, action = 'kms:Decrypt', context = {}, identityPolicies = [] } = {}) {
  return allowed({ keyPolicy, identityPolicies }, { arn, action, resource: KEY, context: new Map(Object.entries(context)) });
}

const CASES = [
  ['named', [allow()], {}, true],
  ['nobody', [allow({ Action: 'kms:Encrypt' })], {}, false],
  ['a session of the role, whose ARN has no path', [allow()], { arn: SESSION }, true],
  ['another role', [allow()], { arn: `${ARN}2` }, false],
  ['an action in another case', [allow({ Action: 'KMS:DECRYPT' })], {}, true],
  ['a wildcard in the action', [allow({ Action: 'kms:Dec*' })], {}, true],
  ['one character', [allow({ Action: 'kms:?ecrypt' })], {}, true],
  ['a point is no wildcard', [allow({ Action: 'kms.Decrypt' })], {}, false],
  ['all actions but', [allow({ Action: undefined, NotAction: 'kms:Encrypt' })], {}, true],
  ['all actions but this', [allow({ Action: undefined, NotAction: ['kms:Decrypt'] })], {}, false],
  ['everybody', [allow({ Principal: '*' })], { arn: 'arn:aws:iam::111122223333:user/other' }, true],
  ['all principals but', [allow({ Principal: undefined, NotPrincipal: { AWS: ROOT.replace('root', 'user/x') } })], {}, true],
  ['all principals but this', [allow({ Principal: undefined, NotPrincipal: { AWS: ARN } })], {}, false],
  ['a service', [allow({ Principal: { Service: 'ec2.amazonaws.com' } })], {}, false],
  ['the account, and no policy of its own', [allow({ Principal: { AWS: ROOT } })], {}, false],
  ['the account, and a policy of its own', [allow({ Principal: { AWS: ROOT } })], { identityPolicies: [own(mine())] }, true],
  ['the account by its number', [allow({ Principal: { AWS: '111122223333' } })], { identityPolicies: [own(mine())] }, true],
  ['another account', [allow({ Principal: { AWS: '999999999999' } })], { identityPolicies: [own(mine())] }, false],
  ['a policy of its own alone', [allow({ Action: 'kms:Encrypt' })], { identityPolicies: [own(mine())] }, false],
  ['its own policy is for another key', [allow({ Principal: { AWS: ROOT } })], { identityPolicies: [own(mine({ Resource: `${KEY}5` }))] }, false],
  ['a Deny wins', [allow(), deny()], {}, false],
  ['a Deny of the account wins', [allow(), deny({ Principal: { AWS: ROOT } })], {}, false],
  ['a Deny in its own policy wins', [allow()], { identityPolicies: [own(mine({ Effect: 'Deny' }))] }, false],
  ['a Deny for another action does not', [allow(), deny({ Action: 'kms:Encrypt' })], {}, true],
  ['a Deny for somebody else does not', [allow(), deny({ Principal: { AWS: `${ARN}2` } })], {}, true],
];
for (const [what, statements, request, expected] of CASES) {
  test(what, () => assert.equal(asks(policy(...statements), request), expected));
}

// [operator, what is wanted, what is there (undefined: nothing), holds]
const CONDITIONS = [
  ['StringEquals', 'a', ['a'], true], ['StringEquals', 'a', ['A'], false], ['StringEquals', ['b', 'a'], ['a'], true], ['StringEquals', 'a', undefined, false],
  ['StringEquals', [], ['a'], false], ['StringEquals', 'a*', ['ab'], false], ['StringEqualsIgnoreCase', 'aB', ['Ab'], true],
  ['StringNotEquals', 'a', ['b'], true], ['StringNotEquals', ['a', 'b'], ['b'], false], ['StringNotEquals', 'a', undefined, true],
  ['StringNotEqualsIgnoreCase', 'a', ['A'], false], ['StringLike', 'a*', ['ab'], true], ['StringLike', 'a?', ['abc'], false], ['StringLike', '*', undefined, false],
  ['StringNotLike', 'a*', ['ab'], false], ['StringNotLike', 'a*', undefined, true], ['ArnLike', 'arn:*:x', ['arn:b:x'], true], ['ArnNotEquals', 'arn:a', ['arn:b'], true],
  ['StringEqualsIfExists', 'a', undefined, true], ['StringEqualsIfExists', 'a', ['b'], false], ['StringNotEqualsIfExists', 'a', undefined, true],
  ['Bool', 'true', ['true'], true], ['Bool', true, ['true'], true], ['Bool', 'true', ['false'], false],
  ['Null', 'true', undefined, true], ['Null', 'true', ['a'], false], ['Null', 'false', ['a'], true], ['Null', false, undefined, false],
  ['ForAnyValue:StringEquals', 'a', ['b', 'a'], true], ['ForAnyValue:StringEquals', 'a', undefined, false],
  ['ForAllValues:StringEquals', 'a', ['a', 'b'], false], ['ForAllValues:StringEquals', ['a', 'b'], ['a'], true], ['ForAllValues:StringEquals', 'a', undefined, true],
];
for (const [operator, wanted, found, holds] of CONDITIONS) {
  test(`${operator} ${JSON.stringify(wanted)} of ${JSON.stringify(found)}`, () => {
    const context = found === undefined ? {} : { 'some:key': found };
    assert.equal(asks(policy(allow({ Condition: { [operator]: { 'Some:Key': wanted } } })), { context }), holds);
  });
}

test('conditions are all needed', () => {
  const both = { StringEquals: { a: '1', b: '2' }, StringLike: { c: '*' } };
  const asked = (context) => asks(policy(allow({ Condition: both })), { context });
  assert.equal(asked({ a: ['1'], b: ['2'], c: ['3'] }), true);
  for (const missing of ['a', 'b', 'c']) {
    const context = { a: ['1'], b: ['2'], c: ['3'] };
    delete context[missing];
    assert.equal(asked(context), false, missing);
  }
});

test('what is no policy is refused', () => {
  const refused = (value, message) => assert.throws(() => parsePolicy(JSON.stringify(value)), (error) => {
    assert.equal(error.name, 'MalformedPolicyDocumentException');
    assert.match(error.message, message);
    return true;
  });
  const of = (statement) => ({ Version: '2012-10-17', Statement: [statement] });
  refused({ Version: '2008-10-17', Statement: [allow()] }, /Version/);
  refused({ Version: '2012-10-17', Statement: [] }, /no statement/);
  refused(of(allow({ Effect: 'allow' })), /Effect/);
  refused(of(allow({ NotAction: 'kms:Encrypt' })), /Action/);
  refused(of(allow({ Resource: undefined })), /Resource/);
  refused(of(allow({ Principal: undefined })), /Principal/);
  refused(of(allow({ Condition: { StringAlmost: { a: 'b' } } })), /StringAlmost is unknown/);
  assert.throws(() => parsePolicy('['), /not JSON/);
});
