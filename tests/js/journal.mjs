// Writes a seeded ledger journal, the registry that belongs to it, and what is owed at its end.
import fs from 'node:fs';
import path from 'node:path';
import { REQUIRED, UsageError, parseInteger, parseOptions, runMain } from './lib/cli.mjs';
import { generateJournal } from './lib/journal.mjs';

const USAGE = `Writes a ledger journal that can be repeated from its seed.

  journal.mjs --out DIR [options]
    --out DIR              gets journal.jsonl, registry.json and expected.json
    --lines N              default 20000
    --accounts N           orchestrators in the registry, default 300
    --seed TEXT            default 1
    --correction-rate P    share of negative corrections, default 0.01; each is at most what is owed
                           at its line if nothing was paid before, so give 0 where payouts run
                           while the journal is read

Example
  node tests/js/journal.mjs --lines 20000 --accounts 300 --seed 1 --out build/demo`;

function parse(args) {
  const options = parseOptions(args, {
    out: REQUIRED,
    lines: '20000',
    accounts: '300',
    seed: '1',
    'correction-rate': '0.01',
  });
  const rate = Number(options['correction-rate']);
  if (!(rate >= 0 && rate <= 0.5)) {
    throw new UsageError(
      `--correction-rate is '${options['correction-rate']}'; give a number from 0 to 0.5`,
    );
  }
  return {
    out: options.out,
    lines: parseInteger('lines', options.lines, 0, 100_000_000),
    accounts: parseInteger('accounts', options.accounts, 1, 1_000_000),
    seed: options.seed,
    correctionRate: rate,
  };
}

await runMain(USAGE, async (args) => {
  const { out, ...options } = parse(args);
  fs.mkdirSync(out, { recursive: true });
  const file = fs.openSync(path.join(out, 'journal.jsonl'), 'w');
  const { registry, expected } = generateJournal(options, (text) => fs.writeSync(file, text));
  fs.closeSync(file);
  const writeJson = (name, value) =>
    fs.writeFileSync(path.join(out, name), `${JSON.stringify(value, null, 1)}\n`);
  writeJson('registry.json', registry);
  writeJson('expected.json', expected);
  const kinds = Object.entries(expected.counts)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
  console.log(
    `journal: ${options.lines} lines (${kinds}), ${expected.total_wei} wei owed, in ${out}`,
  );
});
