// The page of ./dev bench: it says what was measured, it stands alone, and names in it are only text.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { linearAxis, logAxis, percentileAxis } from '../../../bench/lib/plots.mjs';
import { histogramQuantile, renderReport } from '../../../bench/lib/report.mjs';
import { ROOT, temporaryFolder } from '../lib/program.mjs';
import { Random, testSeed } from '../lib/random.mjs';

const HOSTILE = `<script>alert(1)</script>" onload='x' &amp; </title></svg>`;
const machine = {
  date: '2026-11-01T10:00:00.000Z', cpu: '2 x Some CPU', memoryGB: 24, load: 0.1, kernel: 'Linux 6', disk: '/dev/x ext4',
  compiler: 'g++ 12', commit: 'abc1234', node: 'v20', build: 'build/release/bin',
  settings: { lines: 1000, only: ['micro', 'http'] },
};
const row = (figure, samples, more = {}) => ({ group: 'g', figure, unit: 'us', samples, higherIsBetter: true, ...more });
const page = (more) => renderReport({ machine, figures: [], ...more });

/** The cells of the row of that figure, from the nth table row that has its name. */
function cells(html, name, nth = 0) {
  const lines = html.split('\n').filter((line) => line.startsWith('<tr><th scope="row">') && line.includes(name));
  assert.ok(lines[nth] !== undefined, `no row ${nth} of ${name}`);
  return [...lines[nth].matchAll(/<t[dh][^>]*>(.*?)<\/t[dh]>/g)].map((cell) => cell[1]);
}

/** Every tag that is opened is closed, in order; attributes are quoted; and nothing but tags has angle brackets. */
function assertBalanced(html) {
  const stack = [];
  const style = html.replace(/<style>[^<]*<\/style>/, '');
  const rest = style.replace('<!DOCTYPE html>', '').replace(
    /<(\/?)([A-Za-z][A-Za-z0-9]*)((?: [A-Za-z][A-Za-z0-9-]*="[^"<>]*")*)(\/?)>/g,
    (_, closing, name, attributes, empty) => {
      if (closing) {
        assert.equal(attributes + empty, '', `</${name}> with attributes`);
        assert.equal(name, stack.pop(), `</${name}> closes another`);
      } else if (!empty && name !== 'meta') {
        stack.push(name);
      }
      return '';
    },
  );
  assert.deepEqual(stack, []);
  assert.doesNotMatch(rest, /[<>]/);
}

function assertPage(html) {
  assertBalanced(html);
  assert.doesNotMatch(html, /https?:\/\/|src=|href=|@import|url\(|<script|<link/i);
  assert.doesNotMatch(html, /NaN|Infinity|undefined|\[object/);
  for (const [, body] of html.matchAll(/<svg[^>]*>(.*?)<\/svg>/gs)) {
    assert.match(body, /^<title>[^<]+<\/title><desc>[^<]+<\/desc>/);
  }
}

const everything = () => ({
  machine: { ...machine },
  figures: [
    row('rate', [100, 300, 200], { unit: '/s', limit: { name: 'floor', samples: [400, 400] }, target: 250, note: 'a note' }),
    row('alone', [7]),
  ],
  series: [
    { group: 'g', name: 'lines', unit: '/s', points: [[0, 5], [1, 7], [2, 6]] },
    { group: 'g', name: 'other lines', unit: '/s', points: [[0, 3], [2, 4]] },
    { group: 'g', name: 'resident', unit: 'MB', points: [[0, 50], [2, 60]] },
  ],
  histograms: [
    { group: 'g', name: 'credit', unit: 'us', count: 1000, buckets: [[10, 500], [20, 490], [900, 10]] },
    { group: 'g', name: 'floor', unit: 'us', count: 100, buckets: [[5, 100]] },
  ],
  curves: [
    { group: 'g', name: 'apply', x: 'events in the state', unit: 'ns', points: [[1000, 90, 80, 110], [1e6, 250, 240, 300]] },
  ],
});

test('a page of everything is well formed and stands alone', () => {
  const html = renderReport(everything());
  assertPage(html);
  assert.match(html, /<title>Coffer bench: abc1234, 2026-11-01T10:00:00.000Z<\/title>/);
  for (const title of ['Over time, /s', 'Over time, MB', 'By percentile, µs', 'Against events in the state, ns']) {
    assert.equal(html.split(`<strong>${title}</strong>`).length, 2, title);
  }
  for (const name of ['lines', 'other lines', 'resident', 'credit', 'floor', 'apply']) {
    assert.ok(html.includes(`</svg>${name}</li>`), name);
  }
  assert.deepEqual(cells(html, 'credit').slice(1), ['10.0', '20.0', '20.0', '900', '900', '900', '1,000']);
  assert.doesNotMatch(html, /points are drawn as/);
});

test('the checks of this file find what they look for', () => {
  const html = renderReport(everything());
  for (const bad of [['</section>', ''], ['<h1>', '<h1><b>'], ['<h1>', '<h1>1 < 2'], ['<p class=', '<p id=x class=']]) {
    assert.throws(() => assertBalanced(html.replace(...bad)), `${bad}`);
  }
  for (const bad of ['<img src="x"/>', '<p>https://x</p>', '<p>NaN</p>', '<svg></svg>']) {
    assert.throws(() => assertPage(html.replace('<h1>', `${bad}<h1>`)), bad);
  }
});

test('a figure has its median, spread, limit, ratio, target and note', () => {
  const html = renderReport(everything());
  const [figure, ...rest] = cells(html, 'rate', 1);
  assert.match(figure, /^rate .*more is better/);
  const drawn = rest.splice(6, 1)[0];
  assert.deepEqual(rest, ['200', '100 .. 300', '/s', 'floor', '400', '0.50', '250', 'a note']);
  assert.match(drawn, /0\.50 of the limit.*<rect x="0" y="3" width="30.0"/);
  assert.deepEqual(cells(html, 'alone').slice(1), ['7.00', '', 'µs', '', '', '', '', '', '']);
  assert.match(cells(page({ figures: [row('slow', [3], { higherIsBetter: false })] }), 'slow')[0], /less is better/);
});

test('a bar is cut off at twice the limit', () => {
  const width = (ratio) => {
    const html = page({ figures: [row('rate', [ratio], { limit: { name: 'l', samples: [1] } })] });
    assertPage(html);
    const drawn = cells(html, 'rate')[7];
    return [Number(/width="([0-9.]+)" height="8"/.exec(drawn)[1]), drawn.split('<path').length - 1];
  };
  assert.deepEqual(width(1), [60, 1]);
  assert.deepEqual(width(2), [120, 1]);
  assert.deepEqual(width(2.01), [120, 2]);
  assert.deepEqual(width(1e9), [120, 2]);
  const none = page({ figures: [row('rate', [1], { limit: { name: 'l', samples: [0] } })] });
  assertPage(none);
  assert.equal(cells(none, 'rate')[6], '');
});

test('a target is met or not, whichever way is better', () => {
  const rows = [
    // higherIsBetter, median, target, what is said
    [true, 100, 100, 'met'],
    [true, 101, 100, 'met'],
    [true, 80, 100, 'not met: a factor of 1.25 is missing'],
    [true, 99.99, 100, 'not met: a factor of less than 1.01 is missing'],
    [true, 0, 100, 'not met'],
    [false, 100, 100, 'met'],
    [false, 80, 100, 'met'],
    [false, 150, 100, 'not met: a factor of 1.50 is missing'],
    [false, 1, 0, 'not met'],
  ];
  for (const [higherIsBetter, middle, target, said] of rows) {
    const html = page({ figures: [row('rate', [middle], { higherIsBetter, target })] });
    assertPage(html);
    assert.equal(cells(html, 'g: rate')[5].replace(/<[^>]*>/g, ''), said, `${[higherIsBetter, middle, target]}`);
  }
  const none = page({ figures: [row('rate', [1])] });
  assert.match(none, /No figure of this run has a target/);
});

test('a busy machine is told in words', () => {
  const busy = /machine was busy: judge with care/;
  assert.match(renderReport({ machine: { ...machine, load: 0.51 }, figures: [] }), busy);
  assert.doesNotMatch(renderReport({ machine: { ...machine, load: 0.5 }, figures: [] }), busy);
});

test('names are text, wherever they stand', () => {
  const group = HOSTILE;
  const name = HOSTILE;
  const html = renderReport({
    machine: { commit: HOSTILE, cpu: HOSTILE, [HOSTILE]: HOSTILE, constructor: 'c', settings: { [HOSTILE]: [HOSTILE] } },
    figures: [row(HOSTILE, [1], { group, unit: HOSTILE, limit: { name, samples: [1] }, target: 1, note: HOSTILE })],
    series: [{ group, name, unit: HOSTILE, points: [[0, 1]] }],
    histograms: [{ group, name, unit: HOSTILE, count: 2, buckets: [[1, 1]] }],
    curves: [{ group, name, x: HOSTILE, unit: HOSTILE, points: [[1, 1, 1, 1], [0, 1, 1, 1]] }],
  });
  assertPage(html);
  assert.ok(html.includes('&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp;amp;'));
  assert.match(html, /1 of 2 samples lie above the last bucket/);
  assert.match(html, /left out: 1\./);
  assert.deepEqual(cells(html, '>constructor<'), ['constructor', 'c']);
});

test('nothing measured is said', () => {
  for (const html of [page(), renderReport({ figures: [] })]) {
    assertPage(html);
    assert.match(html, /Nothing was measured/);
    assert.doesNotMatch(html, /<h2>/);
  }
  assert.doesNotMatch(renderReport(everything()), /Nothing was measured/);
});

test('plots without points, with one, and with equal ones', () => {
  const group = 'g';
  const empty = page({
    series: [{ group, name: 'n', unit: 's', points: [[0, null]] }],
    histograms: [{ group, name: 'n', unit: 'us', count: 0, buckets: [] }],
    curves: [{ group, name: 'n', x: 'x', unit: 's', points: [[0, 1, 1, 1]] }],
  });
  assertPage(empty);
  assert.doesNotMatch(empty, /<svg/);
  const single = page({
    series: [
      { group, name: 'n', unit: 's', points: [[0, 0]] },
      { group, name: 'm', unit: 'MB', points: [[1, -3], [2, -3]] },
    ],
    histograms: [
      { group, name: 'n', unit: 'us', count: 1, buckets: [[0, 1]] },
      { group, name: 'm', unit: 'ns', buckets: [[7, 3]] },
    ],
    curves: [{ group, name: 'n', x: 'x', unit: 's', points: [[100, 0, 0, 0]] }],
  });
  assertPage(single);
  assert.equal(single.split('class="plot"').length - 1, 5);
});

test('a long series is drawn as its means, and that is said', () => {
  const points = Array.from({ length: 100_000 }, (_, i) => [i / 100, i % 2 === 0 ? 100 : 300]);
  const html = page({ series: [{ group: 'g', name: 'lines', unit: '/s', points }] });
  assertPage(html);
  assert.match(html, /lines: 100,000 points are drawn as 600 means/);
  const paths = [...html.matchAll(/<path class="line c0 d0" d="(M[^"]*)"/g)].map((one) => one[1]).filter((d) => d.includes('L'));
  assert.equal(paths.length, 1);
  assert.equal(paths[0].split('L').length, 600);
  assert.ok(paths[0].length < 600 * 14, `${paths[0].length}`);
  assert.match(html, /lines: from 199 to 201 \/s/); // the mean is 200; some columns have one more of the two values
});

test('a histogram of many buckets is drawn in steps of a pixel, up to its largest bound', () => {
  const buckets = Array.from({ length: 50_000 }, (_, i) => [i + 1, 1]);
  const html = page({ histograms: [{ group: 'g', name: 'n', unit: 'us', count: 50_000, buckets }] });
  assertPage(html);
  const d = /<path class="line c0 d0" d="(M[^"]*L[^"]*)"/.exec(html)[1];
  assert.ok(d.split('L').length <= 601, `${d.split('L').length}`);
  const heights = [...d.matchAll(/ ([0-9.]+)H/g)].map((one) => Number(one[1]));
  assert.ok(heights.every((y, i) => i === 0 || y <= heights[i - 1]), 'latency grows with the percentile');
  assert.equal(heights.at(-1), 28); // 50,000 is the top of the axis
});

test('axes', () => {
  const values = (axis) => axis.ticks.map(([value]) => Number(value.toPrecision(6)));
  const labels = (axis) => axis.ticks.map(([, label]) => label);
  assert.deepEqual(labels(linearAxis(90, 230_000)), ['0', '50,000', '100,000', '150,000', '200,000', '250,000']);
  assert.deepEqual(labels(linearAxis(0, 1.1)), ['0', '0.5', '1', '1.5']);
  assert.deepEqual(values(linearAxis(-1, 3)), [-1, 0, 1, 2, 3]);
  assert.deepEqual(labels(logAxis(100, 10_000_000)), ['100', '1000', '10,000', '100,000', '1,000,000', '10,000,000']);
  assert.deepEqual(values(logAxis(12, 90)), [10, 20, 50, 100]);
  assert.deepEqual(values(logAxis(20, 9000, 2)), [100, 1000, 10_000]);
  assert.deepEqual(labels(percentileAxis(10_000)), ['0', '50', '90', '99', '99.9', '99.99']);
  for (const [axis, least, most] of [[linearAxis(3, 9), 0, 10], [logAxis(12, 90), 10, 100], [percentileAxis(1000), 0, 1]]) {
    assert.ok(Math.abs(axis.at(least)) < 1e-9 && Math.abs(axis.at(most) - 1) < 1e-9, `${labels(axis)}`);
  }
  assert.ok(Math.abs(percentileAxis(1000).at(0.9) - 1 / 3) < 1e-9);
});

test('histogramQuantile is what sorting every sample gives', () => {
  const seed = testSeed('histogramQuantile');
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    let bound = 0;
    const buckets = Array.from({ length: 1 + random.below(20) }, () => {
      bound += 1 + random.below(100);
      return [bound, random.chance(0.3) ? 0 : random.below(50)];
    });
    const samples = buckets.flatMap(([value, count]) => Array(count).fill(value));
    const above = random.chance(0.2) ? random.below(10) : 0;
    samples.push(...Array(above).fill(Infinity));
    const histogram = { buckets, count: samples.length };
    for (let i = 0; i < 20; i++) {
      const thousandths = random.pick([0, 10, 70, 500, 900, 990, 999, 1000, random.below(1001)]);
      // The least k with k / n >= share, in whole numbers.
      let k = 1;
      while (k * 1000 < thousandths * samples.length) k++;
      const expected = samples.length === 0 ? NaN : samples[k - 1];
      const text = `COFFER_TEST_SEED=${seed}, round ${round}: ${thousandths}/1000 of ${JSON.stringify(histogram)}`;
      assert.equal(histogramQuantile(histogram, thousandths / 1000), expected, text);
    }
  }
});

test('a share that is not exact in binary is not rounded into the next bucket', () => {
  const buckets = Array.from({ length: 100 }, (_, i) => [i + 1, 1]);
  for (let i = 1; i <= 100; i++) assert.equal(histogramQuantile({ buckets }, i / 100), i);
  assert.equal(histogramQuantile({ buckets }, 0), 1);
});

test('--report makes the page of an earlier file, and says what is wrong with another', (t) => {
  const folder = temporaryFolder('coffer-report-');
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const run = (...args) => spawnSync('node', [path.join(ROOT, 'bench/run.mjs'), ...args], { encoding: 'utf8' });
  const file = path.join(folder, 'old.json');
  fs.writeFileSync(file, JSON.stringify(everything()));
  const done = run('--report', file);
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /written to .*old\.html/);
  assert.equal(fs.readFileSync(path.join(folder, 'old.html'), 'utf8'), renderReport(everything()));
  assert.deepEqual(JSON.parse(fs.readFileSync(file, 'utf8')), everything());

  fs.writeFileSync(path.join(folder, 'other.json'), '{}');
  const others = ['none.json', 'other.json'].map((name) => ['--report', path.join(folder, name)]);
  for (const args of [['--report'], ['--report', file, '--quick'], ...others]) {
    const { status, stderr } = run(...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^error: --report/);
  }
  assert.deepEqual(fs.readdirSync(folder).sort(), ['old.html', 'old.json', 'other.json']);
});
