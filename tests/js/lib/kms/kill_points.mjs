// Moments in which somebody can be killed while an enclave is given its keys, or a new state key: when KMS is asked or has
// answered, when a frame is on its way or has just gone, when a file of a key appears.
import fs from 'node:fs';
import path from 'node:path';

const VICTIMS = [['enclave'], ['host'], ['enclave', 'host']];

const atKms = (hook, number) => ({
  name: `${hook === 'onRequest' ? 'KMS is asked' : 'KMS answers'} (call ${number})`,
  arm({ kms }, fire) {
    let calls = 0;
    kms[hook] = async () => void (++calls === number && (await fire()));
    return () => (kms[hook] = undefined);
  },
});

/** `after`: a condition that an earlier frame must have met. */
function atFrame(what, { isIt, after, gone }) {
  return {
    name: `${what} ${gone ? 'has gone' : 'is on its way'}`,
    arm({ proxy }, fire) {
      let ripe = after === undefined;
      proxy.onFrame = async ({ frame }) => {
        if (!ripe) return void (ripe = after(frame));
        if (!isIt(frame)) return undefined;
        if (gone) return fire;
        await fire();
        return undefined;
      };
      return () => (proxy.onFrame = undefined);
    },
  };
}

const frames = (...names) =>
  names.flatMap((name) => [false, true].map((gone) => atFrame(name, { isIt: ({ body }) => body === name, gone })));

/** `pattern`: of the names of files in the folder of keys; what is there at first does not count. */
const atFile = (pattern) => ({
  name: `a file ${pattern.source} appears`,
  arm({ stack }, fire) {
    const folder = path.join(stack.dataDir, 'keys');
    fs.mkdirSync(folder, { recursive: true });
    const old = new Set(fs.readdirSync(folder));
    const watcher = fs.watch(folder, (_, name) => {
      if (name && pattern.test(name) && !old.has(name)) void fire();
    });
    return () => watcher.close();
  },
});

const withVictims = (points) => points.flatMap((point) => VICTIMS.map((victims) => ({ ...point, victims })));

const kmsCalls = (...numbers) => numbers.flatMap((number) => [atKms('onRequest', number), atKms('onAnswer', number)]);

/** Of the first provisioning, which stores everything there is to store. */
export const FIRST = withVictims([
  ...kmsCalls(1, 2),
  ...frames('status', 'provision', 'generate', 'provisioned', 'load_begin', 'load_done', 'store', 'stored'),
  ...[/^signing\.json\.new$/, /^signing\.json$/, /^signing\.ciphertext\.new$/, /^signing\.ciphertext$/].map(atFile),
  ...[/^state-1\.json\.new$/, /^state-1\.json$/].map(atFile),
]);

/** Of each that follows. */
export const AGAIN = withVictims([...kmsCalls(1, 2), ...frames('provision', 'provisioned', 'load_begin', 'load_record', 'load_done')]);

const isAdopted = ({ body }) => body === 'state_key_adopted';
const isSnapshot = ({ body, store }) => body === 'store' && store.kind === 'KIND_SNAPSHOT_CHUNK';
const isStored = ({ body, stored }) => body === 'stored' && stored.snapshot_sequence !== '0';

const isSigningKeyAdopted = ({ body }) => body === 'signing_key_adopted';

/** Of a rotation of the signing key, up to where the old key drains. */
export const SIGNING_ROTATION = withVictims([
  ...kmsCalls(1, 2),
  ...frames('rotate_signing_key', 'next_signing_key', 'adopt_signing_key', 'signing_key_adopted'),
  ...[false, true].map((gone) => atFrame('the snapshot under the new state key', { isIt: isSnapshot, after: ({ body }) => body === 'adopt_signing_key', gone })),
  ...[false, true].map((gone) => atFrame('the word that the snapshot is stored', { isIt: isStored, after: isSigningKeyAdopted, gone })),
  ...[/^state-\d+\.json\.new$/, /^state-\d+\.json$/, /^signing-\d+\.json\.new$/, /^signing-\d+\.json$/].map(atFile),
]);

/** Of its end: the old key's own funds go to the new one's address, and it is wiped. */
export const RETIREMENT = withVictims([
  ...frames('prepare_funding', 'retire_signing_key', 'signing_key_retired'),
  // The file is there already, and is written anew.
  ...[/^signing-\d+\.json\.new$/].map(atFile),
]);

/** Of a rotation of the state key. */
export const ROTATION = withVictims([
  ...kmsCalls(1),
  ...frames('rotate_state_key', 'state_key', 'adopt_state_key', 'state_key_adopted'),
  ...[false, true].map((gone) => atFrame('the snapshot under the new key', { isIt: isSnapshot, after: ({ body }) => body === 'adopt_state_key', gone })),
  ...[false, true].map((gone) => atFrame('the word that the snapshot is stored', { isIt: isStored, after: isAdopted, gone })),
  ...[/^state-\d+\.json\.new$/, /^state-\d+\.json$/].map(atFile),
]);
