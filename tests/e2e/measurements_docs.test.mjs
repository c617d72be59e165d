// Runs every command of docs/measurements.md and docs/kms.md in their order, and compares what it prints with the
// page. COFFER_WRITE_DOCS=1 writes what they print into the page instead.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { ROOT, programPath, temporaryFolder } from '../js/lib/program.mjs';

/** page -> how many commands it has at least. */
const PAGES = { 'measurements.md': 11, 'kms.md': 7 };

/** [{line, command, indent, output}] of a page: a command is an indented `$ ...`, its output what is indented behind it. */
function commandsOf(lines) {
  const commands = [];
  for (let i = 0; i < lines.length; i++) {
    const [, indent, command] = /^( {4,})\$ (.*)$/.exec(lines[i]) ?? [];
    if (command === undefined) continue;
    const output = [];
    while (lines[i + 1]?.startsWith(indent) && !lines[i + 1].startsWith(`${indent}$ `)) output.push(lines[++i].slice(indent.length));
    commands.push({ line: i - output.length, command, indent, output });
  }
  return commands;
}

/** The description of an image, which is not measured, has the version of the program that built it. */
const withoutSizes = (text) => text.replace(/\b *\d+ bytes( at \d+)?/g, ' N bytes');

for (const [name, atLeast] of Object.entries(PAGES)) {
  test(`the commands of docs/${name} print what the page says`, () => runPage(path.join(ROOT, 'docs', name), atLeast));
}

function runPage(page, atLeast) {
  const folder = temporaryFolder();
  test.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.symlinkSync(path.join(ROOT, 'deploy'), path.join(folder, 'deploy'));
  const lines = fs.readFileSync(page, 'utf8').split('\n');
  const commands = commandsOf(lines);
  assert.ok(commands.length >= atLeast);
  const env = { ...process.env, PATH: `${path.dirname(programPath('coffer'))}:${process.env.PATH}` };
  for (const each of commands) {
    const { stdout } = spawnSync('bash', ['-c', `exec 2>&1; ${each.command}`], { cwd: folder, env, encoding: 'utf8' });
    const printed = stdout.replace(/\n$/, '').split('\n').filter((line, i, all) => all.length > 1 || line !== '');
    if (process.env.COFFER_WRITE_DOCS) each.printed = printed;
    else assert.equal(withoutSizes(printed.join('\n')), withoutSizes(each.output.join('\n')), each.command);
  }
  if (!process.env.COFFER_WRITE_DOCS) return;
  for (const { line, indent, output, printed } of commands.reverse()) {
    lines.splice(line + 1, output.length, ...printed.map((text) => indent + text));
  }
  fs.writeFileSync(page, lines.join('\n'));
}
