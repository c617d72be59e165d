// deploy/kms: the checker refuses what lets a key out, on written and on random policies; what is filled in passes
// it; and the Terraform module takes the files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { checkKeyPolicy } from '../../../deploy/kms/lib/check.mjs';
import { TEMPLATES, fill, pcr3Of } from '../../../deploy/kms/lib/fill.mjs';
import { allowed } from '../lib/kms/policy.mjs';
import { ACCOUNT, IMAGE, OTHER_IMAGE, randomPolicy, role } from '../lib/kms/random_policy.mjs';
import { ROOT, temporaryFolder } from '../lib/program.mjs';
import { Random, testSeed } from '../lib/random.mjs';

const SCRIPT = path.join(ROOT, 'deploy/kms/policies.mjs');
const [ENCLAVE, OPERATOR, ADMIN] = ['coffer-enclave', 'coffer-operator', 'coffer-admin'].map(role);
const folder = temporaryFolder();
test.after(() => fs.rmSync(folder, { recursive: true }));

const release = (version, pcr0, more = {}) => ({ name: 'coffer', version, pcr0, pcr1: pcr0, pcr2: pcr0, from: '2026-11-01T00:00:00Z', ...more });
let count = 0;
function write(value) {
  const file = path.join(folder, `${++count}.json`);
  fs.writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}
const pins = (...releases) => write({ format: 1, platform: 'nitro', releases });
function run(...args) {
  const { status, stdout, stderr } = spawnSync('node', [SCRIPT, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}
const ROLES = ['--enclave-role', ENCLAVE, '--operator', OPERATOR, '--admin', ADMIN];
const VALUES = { ADMIN, OPERATOR, ENCLAVE_ROLE: ENCLAVE, PCR0: [IMAGE], KEY_ARN: '${KEY_ARN}' };
const EXPECTED = { enclaveRole: ENCLAVE, admin: ADMIN, account: ACCOUNT, releases: [{ title: 'coffer 1', pcr0: IMAGE, from: 0, until: Infinity }] };
const good = () => fill('key-policy.json', VALUES);
const codes = (policy, expected = EXPECTED) => [...new Set(checkKeyPolicy(policy, expected).findings.map((one) => one.code))].sort();

test('what is filled in is sound, and written; a roll-out has both images', () => {
  const out = path.join(folder, 'filled');
  const measurements = pins(
    release('1', IMAGE, { until: '2026-12-08T00:00:00Z' }),
    release('2', OTHER_IMAGE, { from: '2026-12-01T00:00:00Z' }),
    release('0', 'ee'.repeat(48), { until: '2026-11-02T00:00:00Z' }),
  );
  const at = (time) => ['fill', '--measurements', measurements, ...ROLES, '--out', out, '--at', time];
  const more = ['--pcr8', '8'.repeat(96), '--signing-context', 'coffer:purpose=signing-key', '--address', `0x${'AB'.repeat(20)}`];
  const filled = run(...at('2026-11-20T00:00:00Z'), '--bind-role', ...more);
  assert.equal(filled.status, 0, filled.stderr + filled.stdout);
  assert.match(filled.stdout, /sound: only enclaves of pinned images/);
  assert.deepEqual(fs.readdirSync(out).sort(), Object.keys(TEMPLATES).sort());
  const policy = fs.readFileSync(path.join(out, 'key-policy.json'), 'utf8');
  const texts = [IMAGE, OTHER_IMAGE, pcr3Of(ENCLAVE), '8'.repeat(96), 'signing-key', `0x${'ab'.repeat(20)}`];
  for (const text of texts) assert.ok(policy.includes(text), text);
  assert.ok(!policy.includes('ee'.repeat(48)), 'a retired image is left out');
  assert.ok(!policy.includes('${'), 'nothing is left to fill in');
  const judge = ['check', '--policy', path.join(out, 'key-policy.json'), '--measurements', measurements, '--at'];
  const check = run(...judge, '2026-11-20T00:00:00Z', '--enclave-role', ENCLAVE, '--admin', ADMIN);
  assert.equal(check.status, 0, check.stdout);
  const later = run(...judge, '2026-12-09T00:00:00Z');
  assert.equal(later.status, 1);
  assert.match(later.stdout, /retired-image: coffer 1 is retired/);
  assert.equal(run(...at('2026-12-09T00:00:00Z')).status, 0);
  assert.ok(!fs.readFileSync(path.join(out, 'key-policy.json'), 'utf8').includes(IMAGE));
});

test('without the options nothing of them is in the policy', () => {
  const text = JSON.stringify(good());
  for (const name of ['PCR3', 'PCR8', 'coffer:address', '${', 'NobodyFromAnotherRole']) assert.ok(!text.includes(name), name);
  assert.deepEqual(codes(good()), []);
});

test("PCR3 is computed as the Nitro Enclaves user guide's example has it", () => {
  assert.equal(pcr3Of('arn:aws:iam::123456789012:role/Webserver'), '78fce75db17cd4e0a3fb8dad3ad128ca5e77edbb2b2c7f75329dccd99aa5f6ef4fc1f1a452e315b9e98f9e312e6921e6');
});

test('mistakes on the command line are sentences', () => {
  const measurements = pins(release('1', IMAGE));
  const fillWith = (...more) => run('fill', '--measurements', measurements, '--out', path.join(folder, 'never'), ...more);
  const cases = [
    [run('fill'), /--measurements, --enclave-role, --operator, --admin, --out missing/],
    [run('file'), /no verb 'file'/],
    [fillWith(...ROLES, '--pcr8', '0'.repeat(96)), /--pcr8 '0+' is not in its form/],
    [fillWith('--enclave-role', 'arn:aws:iam::111122223333:role/*', '--operator', OPERATOR, '--admin', ADMIN), /not in its form/],
    [fillWith('--enclave-role', ENCLAVE, '--operator', '*', '--admin', ADMIN), /not in its form/],
    [run('fill', ...ROLES, '--out', folder, '--measurements', pins()), /no release that is allowed/],
    [run('fill', ...ROLES, '--out', folder, '--measurements', pins(release('1', '0'.repeat(96)))), /debug enclave/],
    [run('fill', ...ROLES, '--out', folder, '--measurements', pins(release('1', 'AB'.repeat(48)))), /lower case/],
    [run('check', '--policy', write('{"Version": "2012-10-17", "Statement": [], "Statement": [{}]}')), /'Statement' is there twice/],
    [run('check', '--policy', write('{')), /is not JSON/],
  ];
  for (const [{ status, stderr }, message] of cases) {
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  }
  assert.equal(fs.existsSync(path.join(folder, 'never')), false);
  const self = fillWith('--enclave-role', ENCLAVE, '--operator', OPERATOR, '--admin', ENCLAVE);
  assert.equal(self.status, 1);
  assert.match(self.stdout, /reader-administers/);
  assert.equal(fs.existsSync(path.join(folder, 'never')), false, 'what is not sound is not written');
  for (const help of [run('--help'), run('fill', '--help')]) assert.match(help.stdout, /Examples/);
});

const OPEN = { Effect: 'Allow', Principal: { AWS: ENCLAVE }, Action: 'kms:Decrypt', Resource: '*' };
const byDefault = { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' };
const toAll = { ...OPEN, Action: undefined, NotAction: 'kms:Encrypt' };
const pinned = (operator, key, value) => ({ ...OPEN, Condition: { [operator]: { [key]: value } } });
const [SHA, PCR0] = ['kms:RecipientAttestation:ImageSha384', 'kms:RecipientAttestation:PCR0'];
// Without the Deny of the templates, which would save many of these.
const bare = (...statements) => ({ Version: '2012-10-17', Statement: [good().Statement[0], ...statements] });
const added = (statement) => ({ ...good(), Statement: [...good().Statement, statement] });
const GUARD = good().Statement.find((one) => one.Sid === 'NobodyWithoutTheMeasurement');

const JUDGED = [
  ['pinned by ImageSha384', bare(pinned('StringEquals', SHA, IMAGE)), []],
  ['pinned by PCR0, in upper case', bare(pinned('StringEqualsIgnoreCase', PCR0, [IMAGE.toUpperCase()])), []],
  ['pinned by a Deny for everybody', bare(OPEN, GUARD), []],
  ['not pinned', bare(OPEN), ['unattested']],
  ['pinned by an encryption context only', bare(pinned('StringEquals', 'kms:EncryptionContext:a', 'b')), ['unattested']],
  ['pinned by PCR8 only', bare(pinned('StringEquals', 'kms:RecipientAttestation:PCR8', IMAGE)), ['unattested']],
  ['there or not', bare(pinned('StringEqualsIfExists', SHA, IMAGE)), ['unattested']],
  ['all of none', bare(pinned('ForAllValues:StringEquals', SHA, IMAGE)), ['unattested']],
  ['any image at all', bare(pinned('Null', SHA, 'false')), ['unattested']],
  ['like anything', bare(pinned('StringLike', SHA, '*')), ['unattested']],
  ['every other image', bare(pinned('StringNotEquals', SHA, IMAGE)), ['unattested']],
  ['a wildcard as a value', bare(pinned('StringEquals', SHA, `${'a'.repeat(95)}*`)), ['bad-image', 'missing-image']],
  ['no value', bare(pinned('StringEquals', SHA, [])), ['bad-image', 'missing-image']],
  ['upper case where only lower case can match', bare(pinned('StringEquals', SHA, IMAGE.toUpperCase())), ['bad-image']],
  ['a debug enclave', bare(pinned('StringEquals', SHA, [IMAGE, '0'.repeat(96)])), ['debug-image']],
  ['an image that nobody pinned', bare(pinned('StringEquals', SHA, [IMAGE, OTHER_IMAGE])), ['unknown-image']],
  ['a pinned image left out', bare(pinned('StringEquals', SHA, OTHER_IMAGE)), ['missing-image', 'unknown-image']],
  ['the account, as AWS has it by default', added(byDefault), ['account', 'reader-administers', 'unexpected-administrator', 'wildcard-action']],
  ['everybody', bare({ ...OPEN, Principal: '*' }), ['unattested', 'wildcard-principal']],
  ['everybody, in the other way to write it', bare({ ...OPEN, Principal: { AWS: ['*'] } }), ['unattested', 'wildcard-principal']],
  ['everybody but', bare({ Effect: 'Allow', NotPrincipal: { AWS: ADMIN }, Action: 'kms:Decrypt', Resource: '*' }), ['unattested', 'wildcard-principal']],
  ['everything but', bare(toAll), ['reader-administers', 'unattested', 'unexpected-administrator', 'wildcard-action']],
  ['a wildcard that covers Decrypt, although pinned', bare({ ...pinned('StringEquals', SHA, IMAGE), Action: 'kms:D*' }), ['wildcard-action']],
  ['a wildcard that covers nothing of it', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Action: 'kms:Describe*' }), []],
  ['the administrator decrypts', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Principal: { AWS: ADMIN } }), ['reader-administers', 'unattested', 'unexpected-reader']],
  ['the host administers', added({ ...OPEN, Action: 'kms:PutKeyPolicy' }), ['reader-administers', 'unexpected-administrator']],
  ['by a grant', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Action: 'kms:CreateGrant' }), ['unattested']],
  ['under another key', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Action: ['kms:ReEncryptFrom'] }), ['unattested']],
  ['in another region', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Action: 'kms:ReplicateKey', Principal: { AWS: ADMIN } }), ['unattested', 'unexpected-reader']],
  ['another account', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Principal: { AWS: 'arn:aws:iam::999999999999:role/coffer-enclave' } }), ['other-account', 'unattested']],
  ['a service', bare(pinned('StringEquals', SHA, IMAGE), { ...OPEN, Principal: { Service: 'ec2.amazonaws.com' } }), ['odd-principal', 'unattested']],
  ['a Deny that spares somebody', bare(OPEN, { ...GUARD, Principal: { AWS: ENCLAVE } }), ['unattested']],
  ['a Deny with a second condition', bare(OPEN, { ...GUARD, Condition: { ...GUARD.Condition, Bool: { 'aws:SecureTransport': 'true' } } }), ['unattested']],
  ['a Deny for other actions', bare(OPEN, { ...GUARD, Action: 'kms:ReEncryptFrom' }), ['unattested']],
  ['nobody', bare(), ['no-reader']],
  ['no administrator', { ...good(), Statement: good().Statement.slice(1) }, ['no-administrator']],
  ['another version', { ...good(), Version: '2008-10-17' }, ['no-policy']],
];
for (const [what, policy, expected] of JUDGED) {
  test(`checked: ${what}`, () => assert.deepEqual(codes(policy), expected));
}

test('a grant that lends the key is found', () => {
  const grants = { Grants: [{ GrantId: 'g1', GranteePrincipal: ADMIN, Operations: ['DescribeKey', 'Decrypt'] }, { GrantId: 'g2', Operations: ['Encrypt'] }] };
  assert.deepEqual(codes(good(), { ...EXPECTED, grants }), ['grant']);
  const check = run('check', '--policy', write(good()), '--grants', write(grants), '--json');
  assert.equal(check.status, 1);
  assert.match(JSON.parse(check.stdout).findings[0].text, /g1.*kms:Decrypt/);
});

// The evaluator of the local KMS shares nothing with the checker: what it lets through without an attestation of
// the pinned image, for anybody, the checker must have refused.
const RELEASING = ['Decrypt', 'DeriveSharedSecret', 'GenerateDataKey', 'GenerateDataKeyPair', 'ReEncryptFrom', 'CreateGrant', 'ReplicateKey'];
const PEOPLE = [role('enclave'), role('admin'), `arn:aws:sts::${ACCOUNT}:assumed-role/other/session`, role('stranger')];
const ALL = [{ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }];
const attestations = [undefined, OTHER_IMAGE].map((image) => {
  const context = new Map([['aws:securetransport', ['true']], ['kms:encryptioncontext:purpose', ['signing']]]);
  for (const key of image === undefined ? [] : ['imagesha384', 'pcr0']) context.set(`kms:recipientattestation:${key}`, [image]);
  return context;
});

function letsOut(policy) {
  return PEOPLE.some((arn) => RELEASING.some((action) => attestations.some((context) => {
    context.set('aws:principalarn', [arn]);
    return allowed({ keyPolicy: policy, identityPolicies: ALL }, { arn, action: `kms:${action}`, resource: 'arn:key', context });
  })));
}

test('random policies: nothing that lets a key out passes the checker', () => {
  const random = new Random(testSeed('kms_policies'));
  const counts = { unsafe: 0, sound: 0 };
  for (let i = 0; i < 20_000; i++) {
    const policy = randomPolicy(random);
    const { findings, readers } = checkKeyPolicy(policy, { releases: EXPECTED.releases });
    const refused = findings.some(({ code }) => !['no-reader', 'no-administrator', 'missing-image'].includes(code));
    const unsafe = letsOut(policy);
    if (unsafe) counts.unsafe++;
    if (!refused && readers.length > 0) counts.sound++;
    assert.ok(refused || !unsafe, JSON.stringify(policy));
  }
  assert.ok(counts.unsafe > 1000 && counts.sound > 200, JSON.stringify(counts));
});

// ---- Terraform ----------------------------------------------------------------------------------------------

const TERRAFORM_ENV = { ...process.env, TF_CLI_CONFIG_FILE: '/dev/null', TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' };
const TERRAFORM = ['terraform', 'tofu'].find((one) => spawnSync(one, ['version'], { env: TERRAFORM_ENV }).status === 0);
const MODULE = path.join(ROOT, 'deploy/kms/terraform');
const PLUGINS = [process.env.COFFER_TERRAFORM_PLUGINS, '/opt/tf-plugins'].filter((one) => one !== undefined && fs.existsSync(one));

function terraform(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync(TERRAFORM, args, { cwd, encoding: 'utf8', env: TERRAFORM_ENV, timeout: 300_000 });
  return { status, text: `${stdout}${stderr}` };
}

// A copy with its provider, or undefined where none can be had.
function initialised() {
  const copy = path.join(folder, 'terraform');
  fs.cpSync(MODULE, copy, { recursive: true });
  const ways = [...PLUGINS.map((one) => [`-plugin-dir=${one}`]), []];
  return ways.some((way) => terraform(copy, 'init', '-backend=false', '-input=false', ...way).status === 0) ? copy : undefined;
}

test('the Terraform module is formatted and valid', { skip: TERRAFORM ? false : 'neither terraform nor tofu is installed' }, (t) => {
  const format = terraform(MODULE, 'fmt', '-check', '-diff');
  assert.equal(format.status, 0, format.text);
  const copy = initialised();
  if (copy === undefined) return t.skip("the AWS provider is not to be had here (no registry; COFFER_TERRAFORM_PLUGINS names a folder that has it)");
  const valid = terraform(copy, 'validate', '-no-color');
  assert.equal(valid.status, 0, valid.text);
  planWithoutAws(copy, t);
});

// Plans against a provider that only pretends: that the files are taken, the key's ARN filled in, and a policy
// for another role refused.
function planWithoutAws(copy, t) {
  const minor = Number(/^Terraform v1\.(\d+)/.exec(terraform(copy, 'version').text)?.[1]);
  if (!(minor >= 11)) return void t.diagnostic('this terraform cannot plan against a mock: not planned');
  const filled = (name, enclaveRole) => {
    const out = path.join(folder, name);
    const others = ['--operator', OPERATOR, '--admin', ADMIN, '--out', out];
    const done = run('fill', '--measurements', pins(release('1', IMAGE)), '--enclave-role', enclaveRole, ...others);
    assert.equal(done.status, 0, done.stderr);
    return out;
  };
  const arn = `arn:aws:kms:us-east-2:${ACCOUNT}:key/1`;
  fs.mkdirSync(path.join(copy, 'tests'));
  fs.writeFileSync(
    path.join(copy, 'tests/module.tftest.hcl'),
    `mock_provider "aws" {
      override_during = plan
      mock_resource "aws_iam_role" { defaults = { arn = "${ENCLAVE}" } }
      mock_resource "aws_kms_key" { defaults = { arn = "${arn}" } }
    }
    run "filled_in" {
      command = plan
      variables { policies = "${filled('right', ENCLAVE)}" }
      assert {
        condition     = alltrue([for one in [aws_iam_role_policy.enclave, aws_iam_policy.operator, aws_iam_policy.admin] : strcontains(one.policy, "${arn}")])
        error_message = "a role's policy does not name the key"
      }
    }
    run "for_another_role" {
      command         = plan
      variables { policies = "${filled('wrong', role('another'))}" }
      expect_failures = [aws_kms_key.coffer]
    }
    `,
  );
  const planned = terraform(copy, 'test', '-no-color');
  assert.equal(planned.status, 0, planned.text);
  assert.match(planned.text, /2 passed, 0 failed/);
}
