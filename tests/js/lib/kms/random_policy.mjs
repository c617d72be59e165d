// Random key policies: most of them bad, in the ways in which policies are.

/** What random policies are about. */
export const IMAGE = 'ab'.repeat(48);
export const OTHER_IMAGE = 'cd'.repeat(48);
export const ACCOUNT = '111122223333';
export const role = (name) => `arn:aws:iam::${ACCOUNT}:role/${name}`;

const PRINCIPALS = [
  { AWS: role('enclave') },
  { AWS: role('enclave') },
  { AWS: [role('enclave'), role('admin')] },
  { AWS: role('admin') },
  { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/other/session` },
  { AWS: `arn:aws:iam::${ACCOUNT}:root` },
  { AWS: ACCOUNT },
  { AWS: '*' },
  '*',
  { Service: 'ec2.amazonaws.com' },
];
const ACTIONS = [
  ...['kms:Decrypt', 'kms:decrypt', ['kms:Decrypt', 'kms:GenerateDataKey'], 'kms:GenerateDataKey'],
  ...['kms:GenerateDataKey*', 'kms:*', '*', 'kms:D*', 'kms:Encrypt', 'kms:DescribeKey', 'kms:ReEncrypt*'],
  ...['kms:ReEncryptFrom', 'kms:CreateGrant', 'kms:?ecrypt', 'kms:PutKeyPolicy', 'kms:Describe*'],
];
// The first three are of the image.
const KEYS = [
  ...['kms:RecipientAttestation:ImageSha384', 'kms:RecipientAttestation:PCR0', 'KMS:recipientattestation:pcr0'],
  ...['kms:RecipientAttestation:PCR8', 'kms:EncryptionContext:purpose', 'aws:PrincipalArn'],
];
const IMAGE_KEYS = KEYS.slice(0, 3);
const OPERATORS = [
  'StringEquals', 'StringEqualsIgnoreCase', 'StringLike', 'StringEqualsIfExists', 'ForAllValues:StringEquals', 'ForAnyValue:StringEquals',
  'StringNotEquals', 'StringNotEqualsIgnoreCase', 'StringNotLike', 'StringNotEqualsIfExists', 'Null',
];
const VALUES = [
  ...[IMAGE, IMAGE.toUpperCase(), [IMAGE], [IMAGE, OTHER_IMAGE], OTHER_IMAGE, `${IMAGE.slice(0, 94)}??`, '0'.repeat(96)],
  ...['*', [], role('enclave'), 'true', 'false', 'signing'],
];

function condition(random) {
  if (random.chance(0.5)) {
    const operator = random.pick(['StringEquals', 'StringEqualsIgnoreCase']);
    return { [operator]: { [random.pick(IMAGE_KEYS)]: random.pick([IMAGE, [IMAGE]]) } };
  }
  const found = {};
  for (let i = random.below(3); i >= 0; i--) {
    const operator = random.pick(OPERATORS);
    found[operator] = { ...found[operator], [random.pick(KEYS)]: random.pick(VALUES) };
  }
  return found;
}

const GUARDED = ['kms:Decrypt', 'kms:DeriveSharedSecret', 'kms:GenerateDataKey*', 'kms:ReEncryptFrom', 'kms:CreateGrant'];

// A Deny of what is not attested, or nearly.
function guard(random) {
  const operator = random.pick(OPERATORS.slice(6, 10));
  const value = random.pick([IMAGE, IMAGE, random.pick(VALUES)]);
  const Condition = random.chance(0.8) ? { [operator]: { [random.pick(IMAGE_KEYS)]: value } } : condition(random);
  if (random.chance(0.2)) Condition.Bool = { 'aws:SecureTransport': random.pick(['true', 'false']) };
  const Principal = random.chance(0.8) ? { AWS: '*' } : random.pick(PRINCIPALS);
  const Action = random.chance(0.6) ? GUARDED : random.pick(ACTIONS);
  return { Effect: 'Deny', Principal, Action, Resource: '*', ...(random.chance(0.1) ? {} : { Condition }) };
}

function statement(random) {
  if (random.chance(0.3)) return guard(random);
  const found = { Effect: 'Allow', Resource: '*' };
  found[random.chance(0.05) ? 'NotPrincipal' : 'Principal'] = random.pick(PRINCIPALS);
  found[random.chance(0.05) ? 'NotAction' : 'Action'] = random.pick(ACTIONS);
  if (random.chance(0.7)) found.Condition = condition(random);
  return found;
}

export function randomPolicy(random) {
  const Statement = Array.from({ length: 1 + random.below(4) }, () => statement(random));
  return { Version: '2012-10-17', Statement };
}
