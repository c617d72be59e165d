// JSON whose integers are exact: every integer is read as a bigint, and bigints are written as they
// are. JSON.parse would round what is beyond 2^53. As strict as RFC 8259, and duplicate keys are
// refused: an answer that holds one is a bug.

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class Reader {
  at = 0;

  constructor(text) {
    this.text = text;
  }

  fail(what) {
    throw new SyntaxError(`${what} at ${this.at} of ${JSON.stringify(this.text.slice(0, 200))}`);
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  take(character) {
    this.match(SPACE);
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  expect(character) {
    if (!this.take(character)) this.fail(`'${character}' is missing`);
  }

  string() {
    this.match(SPACE);
    const found = this.match(STRING) ?? this.fail('no string');
    return found[0].includes('\\') ? JSON.parse(found[0]) : found[0].slice(1, -1);
  }

  object() {
    const object = {};
    if (this.take('}')) return object;
    do {
      const key = this.string();
      if (Object.hasOwn(object, key)) this.fail(`the key ${key} is there twice`);
      this.expect(':');
      object[key] = this.value();
    } while (this.take(','));
    this.expect('}');
    return object;
  }

  array() {
    const array = [];
    if (this.take(']')) return array;
    do array.push(this.value());
    while (this.take(','));
    this.expect(']');
    return array;
  }

  value() {
    if (this.take('{')) return this.object();
    if (this.take('[')) return this.array();
    if (this.text[this.at] === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (!this.text.startsWith(word, this.at)) continue;
      this.at += word.length;
      return value;
    }
    const [text, fraction, exponent] = this.match(NUMBER) ?? this.fail('no value');
    return fraction === undefined && exponent === undefined ? BigInt(text) : Number(text);
  }
}

/** The value of a JSON text; its integers are bigints. */
export function parseExact(text) {
  const reader = new Reader(text);
  const value = reader.value();
  reader.match(SPACE);
  if (reader.at !== text.length) reader.fail('text after the value');
  return value;
}

/** Compact JSON with sorted keys, as the public Python clients write it; undefined is left out. */
export function writeExact(value) {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeExact).join(',')}]`;
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${writeExact(value[key])}`);
  return `{${members.join(',')}}`;
}
