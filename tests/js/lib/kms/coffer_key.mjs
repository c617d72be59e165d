// The key of a Coffer in a local KMS, with the policies of deploy/kms: what an operator sets up at AWS, for tests
// and the demo.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { contextConditions, fill, pcr3Of } from '../../../../deploy/kms/lib/fill.mjs';

/** PCR0 of a development enclave that runs this program: SHA-384 of the file. */
export function developmentImage(file) {
  return createHash('sha384').update(fs.readFileSync(file)).digest('hex');
}

/**
 * Sets up roles and a key in `kms` (LocalKms). `images`: PCR0 in hex, those that are let in. Optional: `signingContext`
 * {name: value}, `bindRole`, `signers` (PCR8), `address`, `alias`. Done again, it replaces the policies: a new image.
 * Returns {keyId (its ARN), alias, admin, operator, enclave}, the last three principals with access keys.
 */
export function setUpCofferKey(kms, { images, signingContext, bindRole = false, signers, address, alias = 'alias/coffer' }) {
  const role = (name) => `arn:aws:iam::${kms.store.account}:role/${name}`;
  const names = { admin: 'coffer-admin', operator: 'coffer-operator', enclave: 'coffer-enclave' };
  const values = {
    ADMIN: role(names.admin),
    OPERATOR: role(names.operator),
    ENCLAVE_ROLE: role(names.enclave),
    PCR0: images,
    PCR3: bindRole ? pcr3Of(role(names.enclave)) : undefined,
    PCR8: signers,
    SIGNING_CONTEXT: contextConditions(signingContext),
    ADDRESS: address?.toLowerCase(),
  };
  const policy = fill('key-policy.json', values);
  const keyId = kms.store.find(alias) === undefined ? kms.createKey({ policy, alias }) : kms.putPolicy(alias, policy);
  const principals = {};
  for (const [who, name] of Object.entries(names)) {
    const known = kms.store.principals.find((one) => one.arn === role(name));
    principals[who] = known ?? kms.addPrincipal(role(name), { temporary: who === 'enclave' });
    principals[who].policies = [fill(`${who}-policy.json`, { ...values, KEY_ARN: keyId })];
  }
  kms.store.save();
  return { keyId, alias, ...principals };
}
