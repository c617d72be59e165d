// Command lines: `--name value` and `--flag`, with errors that say what to do.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** True if the module with this import.meta.url is the program that node was told to run. */
export function isMain(url) {
  return process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(url);
}

/** A mistake of the caller: printed as one sentence, without a stack. */
export class UsageError extends Error {}

/**
 * Reads `--name value` pairs. `spec` maps each name to its default; undefined: optional; REQUIRED:
 * must be given. An option named twice, unknown or without a value is a UsageError.
 */
export const REQUIRED = Symbol('required');

export function parseOptions(args, spec) {
  const options = {};
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i].startsWith('--') ? args[i].slice(2) : undefined;
    if (name === undefined || !Object.hasOwn(spec, name)) {
      throw new UsageError(`unknown argument '${args[i]}'; see --help`);
    }
    if (Object.hasOwn(options, name)) throw new UsageError(`--${name} is given twice`);
    if (args[i + 1] === undefined) throw new UsageError(`--${name} needs a value; see --help`);
    options[name] = args[i + 1];
  }
  for (const [name, fallback] of Object.entries(spec)) {
    if (Object.hasOwn(options, name)) continue;
    if (fallback === REQUIRED) throw new UsageError(`--${name} is missing; see --help`);
    options[name] = fallback;
  }
  return options;
}

/** A whole number from `text`, within [min, max]. */
export function parseInteger(name, text, min, max) {
  if (!/^[0-9]{1,15}$/.test(text) || Number(text) < min || Number(text) > max) {
    throw new UsageError(`--${name} is '${text}'; give a whole number from ${min} to ${max}`);
  }
  return Number(text);
}

/**
 * Runs a command line: `--help` anywhere prints `usage`; a UsageError exits with 2, any other with
 * 1.
 */
export async function runMain(usage, main) {
  const args = process.argv.slice(2);
  if (args.length === 0 || args.includes('--help') || args.includes('-h')) {
    console.log(usage);
    process.exitCode = args.length === 0 ? 2 : 0;
    return;
  }
  try {
    await main(args);
  } catch (error) {
    const usageError = error instanceof UsageError;
    console.error(`error: ${usageError ? error.message : error.stack}`);
    process.exitCode = usageError ? 2 : 1;
  }
}
