// Compiles deploy/contracts with solc and keeps the result in build/contracts, named by the hash of
// its sources.
//
// `node tests/js/lib/compile.mjs` compiles, prints where the artifacts are, and the runtime size of
// each contract.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMain } from './cli.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const SOURCES = path.join(ROOT, 'deploy/contracts');
const CACHE = path.join(ROOT, 'build/contracts');

const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  outputSelection: {
    '*': {
      '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object', 'evm.methodIdentifiers'],
    },
  },
};

function readSources() {
  const names = fs
    .readdirSync(SOURCES)
    .filter((name) => name.endsWith('.sol'))
    .sort();
  return Object.fromEntries(
    names.map((name) => [name, { content: fs.readFileSync(path.join(SOURCES, name), 'utf8') }]),
  );
}

function solcVersion(require) {
  return require('solc/package.json').version;
}

function runSolc(sources, require) {
  const input = { language: 'Solidity', sources, settings: SETTINGS };
  const output = JSON.parse(require('solc').compile(JSON.stringify(input)));
  const messages = (output.errors ?? []).map((e) => e.formattedMessage);
  if (messages.length > 0) {
    throw new Error(
      `solc is not content with deploy/contracts (a warning counts):\n${messages.join('\n')}`,
    );
  }
  const artifacts = {};
  for (const contracts of Object.values(output.contracts)) {
    for (const [name, contract] of Object.entries(contracts)) {
      if (contract.evm.bytecode.object === '') continue; // an interface or an abstract contract
      artifacts[name] = {
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        runtimeBytes: contract.evm.deployedBytecode.object.length / 2,
        selectors: contract.evm.methodIdentifiers,
      };
    }
  }
  return artifacts;
}

// The loaded compiler is a wasm program that listens for every unhandled rejection and exits: take
// its listeners off.
function withoutNewProcessListeners(work) {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = new Map(events.map((event) => [event, new Set(process.listeners(event))]));
  const result = work();
  for (const event of events) {
    for (const listener of process.listeners(event)) {
      if (!before.get(event).has(listener)) process.removeListener(event, listener);
    }
  }
  return result;
}

/**
 * Returns {ContractName: {abi, bytecode, runtimeBytes, selectors}} for every contract that can be
 * deployed.
 *
 * From the cache when sources, compiler version and settings are the same, else compiled (some
 * seconds). The cache file is moved into place whole, so that two processes may compile at once.
 */
export function compileContracts() {
  const require = createRequire(import.meta.url);
  const sources = readSources();
  const key = createHash('sha256')
    .update(JSON.stringify({ solc: solcVersion(require), settings: SETTINGS, sources }))
    .digest('hex');
  const file = path.join(CACHE, `${key.slice(0, 32)}.json`);
  if (fs.existsSync(file)) {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  }
  const artifacts = withoutNewProcessListeners(() => runSolc(sources, require));
  fs.mkdirSync(CACHE, { recursive: true });
  const temporary = `${file}.${process.pid}`;
  fs.writeFileSync(temporary, JSON.stringify(artifacts));
  fs.renameSync(temporary, file);
  return artifacts;
}

if (isMain(import.meta.url)) {
  if (process.argv.length > 2) {
    console.log(
      'Compiles deploy/contracts into build/contracts.\n\nExample: node tests/js/lib/compile.mjs',
    );
    process.exit(process.argv[2] === '--help' ? 0 : 2);
  }
  for (const [name, artifact] of Object.entries(compileContracts())) {
    console.log(`${name}: ${artifact.runtimeBytes} bytes`);
  }
  console.log(`artifacts in ${CACHE}`);
}
