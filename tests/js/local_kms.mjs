// A local stand-in for AWS KMS, for trials by hand and the demo.
import fs from 'node:fs';
import path from 'node:path';
import { REQUIRED, UsageError, parseInteger, parseOptions, runMain } from './lib/cli.mjs';
import { setUpCofferKey } from './lib/kms/coffer_key.mjs';
import { FAULTS, Faults } from './lib/kms/faults.mjs';
import { LocalKms } from './lib/kms/local_kms.mjs';

const USAGE = `A stand-in for AWS KMS on this machine. NOT FOR PRODUCTION: it keeps its keys in a file, in the clear.

  local_kms.mjs --state FILE --ready-file FILE [options]     serve, in the foreground, until SIGTERM
    --state FILE          keys and access keys, mode 0600; made when missing
    --ready-file FILE     there while it serves, mode 0600: endpoint, host_name, region, ca_file, and with --pcr0
                          key_id and the access keys of admin, operator and enclave
    --listen HOST:PORT    default 127.0.0.1:0, where 0 picks a free port
    --region NAME         default us-east-2
    --account N           default 111122223333
    --root FILE           PEM: the root of attestation documents (coffer dev-root); none: no Recipient is accepted
    --pcr0 HEX[,HEX..]    set up alias/coffer with the policies of deploy/kms for these images
    --freshness SECONDS   how old a document may be; default 300
    --replays WHAT        'accept' (default): a signed request is good for five minutes, as at AWS; 'refuse': once
    --fault LIST          NAME, NAME:TIMES, NAME=VALUE, NAME=VALUE:TIMES, with commas between them:
${Object.entries(FAULTS).map(([name, what]) => `                          ${name.padEnd(24)}${what}`).join('\n')}

Clients have to trust the authority in ca_file, and ask for the host host_name.

Example
  coffer dev-root --out /tmp/coffer
  node tests/js/local_kms.mjs --state /tmp/coffer/kms.json --ready-file /tmp/coffer/kms-ready.json \\
      --root /tmp/coffer/coffer-dev-root.pem --pcr0 $(sha384sum build/dev/bin/coffer-enclave | cut -d' ' -f1)`;

const OPTIONS = {
  state: REQUIRED,
  'ready-file': REQUIRED,
  listen: '127.0.0.1:0',
  region: 'us-east-2',
  account: '111122223333',
  root: undefined,
  pcr0: undefined,
  freshness: '300',
  replays: 'accept',
  fault: undefined,
};

function match(name, text, pattern, what) {
  const found = pattern.exec(text);
  if (found === null) throw new UsageError(`--${name} is '${text}'; give ${what}`);
  return found;
}

function checkFaults(text) {
  try {
    new Faults().armAll(text);
  } catch (error) {
    throw new UsageError(`--fault: ${error.message}`);
  }
}

function parse(args) {
  const options = parseOptions(args, OPTIONS);
  const [, host, port] = match('listen', options.listen, /^([a-z0-9.-]+):(\d+)$/, 'HOST:PORT');
  match('region', options.region, /^[a-z]{2}(-[a-z]+)+-\d$/, 'a region such as us-east-2');
  match('account', options.account, /^\d{12}$/, 'twelve digits');
  match('replays', options.replays, /^(accept|refuse)$/, 'accept or refuse');
  if (options.pcr0 !== undefined) match('pcr0', options.pcr0, /^[0-9a-f]{96}(,[0-9a-f]{96})*$/, '96 hexadecimal digits, lower case');
  if (options.fault !== undefined) checkFaults(options.fault);
  return {
    ...options,
    host,
    port: parseInteger('listen', port, 0, 65535),
    freshnessMs: 1000 * parseInteger('freshness', options.freshness, 1, 86400),
    refuseReplays: options.replays === 'refuse',
    root: options.root === undefined ? undefined : fs.readFileSync(options.root, 'utf8'),
    images: options.pcr0?.split(','),
  };
}

// Whole or not at all: a reader that sees the file can use what it names.
function writeWhole(file, text, mode) {
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, text, { mode });
  fs.renameSync(`${file}.${process.pid}`, file);
}

function describe(kms, coffer, caFile) {
  return {
    endpoint: kms.endpoint,
    host_name: kms.hostName,
    region: kms.store.region,
    account: kms.store.account,
    ca_file: caFile,
    ...(coffer === undefined
      ? {}
      : { key_id: coffer.keyId, alias: coffer.alias, admin: coffer.admin, operator: coffer.operator, enclave: coffer.enclave }),
  };
}

await runMain(USAGE, async (args) => {
  const options = parse(args);
  const readyFile = options['ready-file'];
  fs.rmSync(readyFile, { force: true });
  const ended = new Promise((resolve) => ['SIGTERM', 'SIGINT'].forEach((signal) => process.once(signal, () => resolve(signal))));
  const kms = await LocalKms.start(options);
  if (options.fault !== undefined) kms.faults.armAll(options.fault);
  const coffer = options.images === undefined ? undefined : setUpCofferKey(kms, { images: options.images });
  const caFile = path.resolve(`${readyFile}.ca.pem`);
  writeWhole(caFile, kms.authority.pem, 0o644);
  writeWhole(readyFile, `${JSON.stringify(describe(kms, coffer, caFile), null, 2)}\n`, 0o600);
  console.log('local kms: NOT FOR PRODUCTION: whoever reads its state file has every key in it');
  console.log(`local kms: serves ${kms.hostName} at ${kms.endpoint}; described in ${readyFile}`);
  if (options.root === undefined) console.log('local kms: no --root was given, so no Recipient will be accepted');
  console.log(`local kms: stopping on ${await ended}`);
  fs.rmSync(readyFile, { force: true });
  await kms.stop();
});
