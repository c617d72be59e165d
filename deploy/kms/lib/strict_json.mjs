// JSON in which no name is there twice: two readers of such a policy could see two policies.
import fs from 'node:fs';

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([{}[\],:])|([^\s{}[\],:"]+))/gy;

function checkNames(text, file) {
  const open = [];
  let previous;
  for (const [, string, mark] of text.matchAll(TOKEN)) {
    if (mark === '{') open.push(new Set());
    if (mark === '[') open.push(undefined);
    if (mark === '}' || mark === ']') open.pop();
    if (mark === ':') {
      const name = JSON.parse(previous);
      if (open.at(-1).has(name)) throw new Error(`${file}: '${name}' is there twice`);
      open.at(-1).add(name);
    }
    previous = string;
  }
}

export function readStrictJson(file) {
  const text = fs.readFileSync(file, 'utf8');
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${error.message}`);
  }
  checkNames(text, file);
  return value;
}
