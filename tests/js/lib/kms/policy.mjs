// What a key's policy and a principal's own policies allow, as AWS evaluates them within one account (IAM
// user guide, "Policy evaluation logic"; KMS developer guide, "Key policies"): an explicit Deny wins; a key's
// policy lets in those whom it names, and where it names the account, those whose own policies say so.
// It shares nothing with the checker of deploy/kms, so that the two can be held against each other.
import { malformedPolicy } from './errors.mjs';

const listOf = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** `*` is any text, `?` any character. */
export function wildcard(pattern, text) {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

const lower = (text) => text.toLowerCase();
const POSITIVE = {
  StringEquals: (wanted, found) => wanted === found,
  StringEqualsIgnoreCase: (wanted, found) => lower(wanted) === lower(found),
  StringLike: wildcard,
  ArnEquals: wildcard,
  ArnLike: wildcard,
  Bool: (wanted, found) => lower(wanted) === lower(found),
};
const NEGATIVE = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
};

/** {base, set: 'ForAllValues'|'ForAnyValue'|undefined, ifExists} of an operator, or undefined. */
function parseOperator(text) {
  const [, set, base, ifExists] = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(text) ?? [];
  const known = Object.hasOwn(POSITIVE, base ?? '') || Object.hasOwn(NEGATIVE, base ?? '') || base === 'Null';
  return known ? { base, set, ifExists: ifExists !== undefined } : undefined;
}

function conditionHolds({ base, set, ifExists }, wanted, found) {
  if (base === 'Null') return wanted.some((value) => (lower(value) === 'true') === (found === undefined));
  if (found === undefined && ifExists) return true;
  const values = found ?? [];
  const positive = POSITIVE[base] ?? POSITIVE[NEGATIVE[base]];
  const matches = (value) => wanted.some((one) => positive(one, value));
  const holds = base in NEGATIVE ? (value) => !matches(value) : matches;
  if (set === 'ForAllValues') return values.every(holds);
  if (set === 'ForAnyValue') return values.some(holds);
  // A key that is not there: equal to nothing, so unequal to everything.
  return base in NEGATIVE ? values.every(holds) : values.some(holds);
}

function conditionsHold(conditions, context) {
  return Object.entries(conditions ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) =>
      conditionHolds(parseOperator(operator), listOf(wanted).map(String), context.get(lower(key))),
    ),
  );
}

// The ARN of the role that a session is of, or the ARN itself. A role's path is in its own ARN only.
export function identityOf(arn) {
  const session = /^arn:([a-z-]+):sts::(\d{12}):assumed-role\/([^/]+)\/[^/]+$/.exec(arn);
  return session === null ? arn : `arn:${session[1]}:iam::${session[2]}:role/${session[3]}`;
}

const withoutPath = (arn) => arn.replace(/^(arn:[a-z-]+:iam::\d{12}:role\/).*\//, '$1');
const accountOf = (arn) => arn.split(':')[4];

// 'direct': named, or everybody is; 'account': only by way of the account; undefined: not meant.
function principalMatch(principal, arn) {
  const names = principal === '*' ? ['*'] : listOf(principal?.AWS);
  const direct = (name) =>
    name === '*' || name === arn || name === identityOf(arn) || withoutPath(name) === withoutPath(identityOf(arn));
  if (names.some(direct)) return 'direct';
  const account = accountOf(arn);
  const root = (name) => name === account || /^arn:[a-z-]+:iam::\d{12}:root$/.test(name) && accountOf(name) === account;
  return names.some(root) ? 'account' : undefined;
}

function statementFits(statement, { action, resource, context }) {
  const acts = (list) => listOf(list).some((one) => wildcard(lower(one), lower(action)));
  const is = (list) => listOf(list).some((one) => wildcard(one, resource));
  if (statement.Action === undefined ? acts(statement.NotAction) : !acts(statement.Action)) return false;
  if (statement.Resource === undefined ? is(statement.NotResource) : !is(statement.Resource)) return false;
  return conditionsHold(statement.Condition, context);
}

function matchOf(statement, arn) {
  if (statement.NotPrincipal === undefined) return principalMatch(statement.Principal, arn);
  return principalMatch(statement.NotPrincipal, arn) === undefined ? 'direct' : undefined;
}

/**
 * Whether `request` {arn, action, resource, context: Map of lists, its names in lower case} is allowed.
 * `keyPolicy` is absent where no key is meant: then the principal's own policies alone decide.
 */
export function allowed({ keyPolicy, identityPolicies = [] }, request) {
  const own = identityPolicies.flatMap((policy) => listOf(policy.Statement)).filter((one) => statementFits(one, request));
  const keys = listOf(keyPolicy?.Statement).filter((one) => statementFits(one, request));
  const denies = (one) => one.Effect === 'Deny';
  if (own.some(denies) || keys.some((one) => denies(one) && matchOf(one, request.arn) !== undefined)) return false;
  const ownAllows = own.some((one) => one.Effect === 'Allow');
  if (keyPolicy === undefined) return ownAllows;
  const matches = keys.filter((one) => one.Effect === 'Allow').map((one) => matchOf(one, request.arn));
  return matches.includes('direct') || (matches.includes('account') && ownAllows);
}

function checkStatement(statement, isKeyPolicy) {
  const one = (a, b) => (statement[a] === undefined) !== (statement[b] === undefined);
  if (!['Allow', 'Deny'].includes(statement.Effect)) throw malformedPolicy('Effect must be Allow or Deny');
  if (!one('Action', 'NotAction')) throw malformedPolicy('a statement needs either Action or NotAction');
  if (!one('Resource', 'NotResource')) throw malformedPolicy('a statement needs either Resource or NotResource');
  if (isKeyPolicy && !one('Principal', 'NotPrincipal')) {
    throw malformedPolicy("a key policy's statement needs either Principal or NotPrincipal");
  }
  for (const operator of Object.keys(statement.Condition ?? {})) {
    if (parseOperator(operator) === undefined) throw malformedPolicy(`the condition operator ${operator} is unknown`);
  }
}

/** The policy of JSON text, or a KmsError. */
export function parsePolicy(text, { isKeyPolicy = true } = {}) {
  let policy;
  try {
    policy = JSON.parse(text);
  } catch {
    throw malformedPolicy('the policy is not JSON');
  }
  if (policy?.Version !== '2012-10-17') throw malformedPolicy('Version must be 2012-10-17');
  const statements = listOf(policy.Statement);
  if (statements.length === 0) throw malformedPolicy('the policy has no statement');
  statements.forEach((statement) => checkStatement(statement, isKeyPolicy));
  return policy;
}
