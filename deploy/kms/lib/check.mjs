// Judges a key's policy: who can get at what the key encrypts, and is each of them an enclave of a pinned image?
// What it cannot read as safe it calls unsafe: it may refuse a policy that is harmless, and must not pass one
// that is not.

// Each gives away what a key encrypted or makes, and can be bound to an attestation (KMS developer guide,
// "Condition keys for Nitro Enclaves").
const ATTESTABLE = ['kms:Decrypt', 'kms:DeriveSharedSecret', 'kms:GenerateDataKey', 'kms:GenerateDataKeyPair'];
// Each lets somebody decrypt by another way, and none of them can be bound to an attestation: it encrypts anew
// under another key, lends the key to somebody, copies it to another region, replaces what it is.
const HANDING_ON = ['kms:CreateGrant', 'kms:ImportKeyMaterial', 'kms:ReEncryptFrom', 'kms:ReplicateKey', 'kms:UpdatePrimaryRegion'];
const RELEASING = [...ATTESTABLE, ...HANDING_ON];
const CHANGES_POLICY = 'kms:PutKeyPolicy';

const IMAGE_KEYS = ['kms:recipientattestation:imagesha384', 'kms:recipientattestation:pcr0'];
const EXACT = ['StringEquals', 'StringEqualsIgnoreCase'];
const EXACTLY_NOT = ['StringNotEquals', 'StringNotEqualsIgnoreCase'];

const listOf = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const hasWildcard = (text) => /[*?]/.test(text);
const brief = (pcr) => `${pcr.slice(0, 16)}...`;

function matches(pattern, action) {
  const source = pattern.toLowerCase().replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.');
  return new RegExp(`^${source}$`).test(action.toLowerCase());
}

/** The actions out of `candidates` that a statement is about. */
function actionsOf(statement, candidates) {
  if (statement.NotAction !== undefined) {
    return candidates.filter((action) => !listOf(statement.NotAction).some((one) => matches(one, action)));
  }
  return candidates.filter((action) => listOf(statement.Action).some((one) => matches(one, action)));
}

/** The PCR0 values that one operator out of `operators` asks for, or undefined. */
function pinnedImages(statement, operators) {
  for (const operator of operators) {
    for (const [key, values] of Object.entries(statement.Condition?.[operator] ?? {})) {
      if (IMAGE_KEYS.includes(key.toLowerCase())) return { operator, images: listOf(values).map(String) };
    }
  }
  return undefined;
}

function principalsOf(statement) {
  if (typeof statement.Principal === 'string') return [statement.Principal];
  const entries = Object.entries(statement.Principal ?? {});
  return entries.flatMap(([kind, names]) => listOf(names).map((name) => (kind === 'AWS' ? name : `${kind}:${name}`)));
}

const isEverybody = (principals) => principals.length === 1 && principals[0] === '*';
const isAccount = (name) => /^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:root)$/.test(name);
const isNamed = (name) => /^arn:aws[a-z-]*:(iam|sts)::\d{12}:(role|user|assumed-role)\/[\w+=,.@/-]+$/.test(name);
const accountOf = (arn) => arn.split(':')[4];
/** The role of a role's session, or the principal itself. */
const roleOf = (arn) => arn.replace(/^(arn:[a-z-]+):sts::(\d{12}):assumed-role\/([^/]+)\/.*$/, '$1:iam::$2:role/$3');

class Judgement {
  findings = [];
  readers = [];
  guards = new Map();
  pins = [];

  constructor(policy, expected) {
    Object.assign(this, { policy, expected });
  }

  find(code, statement, text) {
    const where = statement?.Sid === undefined ? '' : ` (statement ${statement.Sid})`;
    this.findings.push({ code, text: `${text}${where}` });
  }

  // A Deny for everybody whose only condition is that the image is none of some: nobody passes it without an
  // attestation of one of those.
  readGuard(statement) {
    if (statement.Effect !== 'Deny' || !isEverybody(principalsOf(statement)) || statement.NotPrincipal !== undefined) return;
    if (statement.Action === undefined || !listOf(statement.Resource).includes('*')) return;
    const operators = Object.keys(statement.Condition ?? {});
    const pinned = pinnedImages(statement, EXACTLY_NOT);
    const only = operators.length === 1 && Object.keys(statement.Condition[operators[0]]).length === 1;
    if (operators.length !== 0 && (pinned === undefined || !only)) return;
    for (const action of actionsOf(statement, RELEASING)) {
      if (pinned === undefined) this.guards.set(action, { closed: true });
      else if (!this.guards.has(action)) this.guards.set(action, pinned);
    }
    if (pinned !== undefined) this.checkImages(statement, pinned);
  }

  checkImages(statement, { operator, images }) {
    this.pins.push({ statement, images });
    if (images.length === 0) this.find('bad-image', statement, 'the list of images is empty');
    for (const image of images) {
      const lower = image.toLowerCase();
      if (!/^[0-9a-f]{96}$/.test(lower)) {
        this.find('bad-image', statement, `'${image}' is no PCR0: 96 hexadecimal digits, no wildcards`);
        continue;
      }
      if (/^0+$/.test(lower)) this.find('debug-image', statement, 'PCR0 zero lets debug enclaves in, whose host reads their memory');
      else if (image !== lower && !operator.endsWith('IgnoreCase')) {
        this.find('bad-image', statement, `${brief(image)} is in upper case, and ${operator} knows lower case only`);
      }
      else this.checkRelease(statement, lower);
    }
  }

  checkRelease(statement, image) {
    const { releases, at } = this.expected;
    if (releases === undefined) return;
    const found = releases.filter((one) => one.pcr0 === image);
    if (found.length === 0) this.find('unknown-image', statement, `PCR0 ${brief(image)} is none of the pinned releases`);
    else if (found.every((one) => one.until <= at)) this.find('retired-image', statement, `${found[0].title} is retired, and may still open the key`);
  }

  readAllow(statement) {
    const actions = actionsOf(statement, RELEASING);
    const listed = listOf(statement.Action);
    if (statement.NotPrincipal !== undefined) this.find('wildcard-principal', statement, 'NotPrincipal allows everybody but a few');
    if (statement.NotAction !== undefined) this.find('wildcard-action', statement, 'NotAction allows everything but a few actions');
    if (listed.some((one) => hasWildcard(one)) && actions.length > 0) {
      this.find('wildcard-action', statement, `an action with a wildcard covers ${actions.join(', ')}: name the actions`);
    }
    const principals = statement.NotPrincipal === undefined ? principalsOf(statement) : ['*'];
    if (principals.length === 0 || (listed.length === 0) === (statement.NotAction === undefined)) {
      this.find('no-policy', statement, 'an Allow needs a Principal, and either Action or NotAction');
    }
    for (const principal of principals) this.readPrincipal(statement, principal, actions);
    const pinned = pinnedImages(statement, EXACT);
    if (pinned !== undefined) this.checkImages(statement, pinned);
  }

  readPrincipal(statement, principal, actions) {
    if (hasWildcard(principal)) this.find('wildcard-principal', statement, `'${principal}' is allowed ${actions.join(', ') || 'something'}`);
    const changes = actionsOf(statement, [CHANGES_POLICY]).length > 0;
    if (changes) this.readChanger(statement, principal);
    if (actions.length === 0) return;
    if (!hasWildcard(principal)) this.checkName(statement, principal, actions);
    const pinned = pinnedImages(statement, EXACT);
    for (const action of actions) {
      const guard = this.guards.get(action);
      if (guard?.closed) continue;
      if (pinned !== undefined && !ATTESTABLE.includes(action)) continue; // can never be attested, so never allowed
      const attested = pinned?.images ?? guard?.images;
      this.readers.push({ principal, action, attested: attested !== undefined, images: attested ?? [] });
      if (attested === undefined) {
        this.find('unattested', statement, `${principal} may ${action} without an attestation of the image`);
      }
    }
  }

  checkName(statement, principal, actions) {
    const { account, enclaveRole } = this.expected;
    if (isAccount(principal)) {
      this.find('account', statement, `whoever the policies of account ${principal} say so may ${actions.join(', ')}: name a role`);
    } else if (!isNamed(principal)) {
      this.find('odd-principal', statement, `'${principal}' may ${actions.join(', ')}, and is no role or user`);
    } else if (account !== undefined && accountOf(principal) !== account) {
      this.find('other-account', statement, `${principal} is of another account`);
    } else if (enclaveRole !== undefined && principal !== enclaveRole) {
      this.find('unexpected-reader', statement, `${principal} may ${actions.join(', ')}, and is not the enclave's role`);
    }
  }

  readChanger(statement, principal) {
    const { admin } = this.expected;
    (this.changers ??= new Set()).add(principal);
    if (admin !== undefined && principal !== admin) {
      this.find('unexpected-administrator', statement, `${principal} may change the policy, and is not ${admin}`);
    } else if (isAccount(principal)) {
      this.find('account', statement, `whoever the policies of account ${principal} say so may change the policy: name a role or user`);
    }
  }

  // Of the whole, when every statement was read.
  conclude() {
    const changers = [...(this.changers ?? [])];
    const decrypts = this.readers.filter((one) => one.action === 'kms:Decrypt');
    for (const reader of new Set(decrypts.map((one) => one.principal))) {
      if (changers.some((one) => roleOf(one) === roleOf(reader))) {
        const text = `${reader} may decrypt and may change the policy, so its host could let itself in without an enclave`;
        this.find('reader-administers', undefined, text);
      }
    }
    if (decrypts.length === 0) this.find('no-reader', undefined, 'nobody may decrypt: the enclave could not open its key');
    if (changers.length === 0) this.find('no-administrator', undefined, 'nobody may change the policy: no new release could ever open the key');
    const { releases, at } = this.expected;
    for (const release of (releases ?? []).filter((one) => one.until > at)) {
      for (const { statement, images } of this.pins) {
        if (images.some((image) => image.toLowerCase() === release.pcr0)) continue;
        this.find('missing-image', statement, `${release.title} is pinned, and the policy does not know it`);
      }
    }
  }

  readGrants(grants) {
    for (const grant of grants?.Grants ?? []) {
      const lent = RELEASING.filter((action) => (grant.Operations ?? []).includes(action.slice('kms:'.length)));
      if (lent.length === 0) continue;
      const what = `${grant.GranteePrincipal} has a grant (${grant.GrantId}) for ${lent.join(', ')}`;
      this.find('grant', undefined, `${what}: a grant asks for no attestation; revoke it`);
    }
  }
}

/**
 * {findings: [{code, text}], readers: [{principal, action, attested, images}], changers: [principal]} of a key's
 * policy. `expected`, all optional: `enclaveRole`, `admin` (ARNs), `account`, `releases` (lib/measurements.mjs)
 * at the time `at` (ms since 1970), `grants` (what `aws kms list-grants` prints). No findings: only enclaves of
 * pinned images get anything out of the key.
 */
export function checkKeyPolicy(policy, expected = {}) {
  const statements = listOf(policy?.Statement);
  const judgement = new Judgement(policy, { at: Date.now(), ...expected });
  if (policy?.Version !== '2012-10-17') judgement.find('no-policy', undefined, 'Version is not 2012-10-17');
  for (const statement of statements) judgement.readGuard(statement);
  for (const statement of statements) {
    if (statement.Effect === 'Allow') judgement.readAllow(statement);
    else if (statement.Effect !== 'Deny') judgement.find('no-policy', statement, `Effect is '${statement.Effect}'`);
  }
  judgement.readGrants(expected.grants);
  judgement.conclude();
  const { findings, readers, changers } = judgement;
  return { findings, readers, changers: [...(changers ?? [])] };
}
