// Plots of a run as inline SVG: pure functions from numbers to text. Colours, dashes and fonts are in PLOT_STYLE.
import { show } from './figures.mjs';
import { escapeHtml, showUnit, svg, table } from './html.mjs';

const WIDTH = 720;
const HEIGHT = 300;
const TOP = 28; // the unit of the y axis stands above it
const RIGHT = 44; // half of the last label of the x axis
const BOTTOM = 46;
const MOST_POINTS = 600; // of one line: a screen shows no more

/** The colours of Okabe and Ito, which colour-blind readers tell apart; the dashes tell them apart without colours. */
export const PLOT_STYLE = `
:root { --c0: #0072b2; --c1: #c44e00; --c2: #00805c; --c3: #b0508a; --c4: #a87400; --c5: #444; --c6: #2a7fb0; }
@media screen and (prefers-color-scheme: dark) {
  :root { --c0: #56b4e9; --c1: #f0803c; --c2: #2ec99a; --c3: #e39cc6; --c4: #f0b429; --c5: #ddd; --c6: #9ad0f5; }
}
${[0, 1, 2, 3, 4, 5, 6].map((i) => `.c${i} { stroke: var(--c${i}); fill: var(--c${i}); }`).join('\n')}
.d1 { stroke-dasharray: 8 4; } .d2 { stroke-dasharray: 2 4; } .d3 { stroke-dasharray: 10 3 2 3; }
.d4 { stroke-dasharray: 16 4; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.whisker { stroke-width: 1.2; stroke-dasharray: none; }
.grid { stroke: var(--faint); stroke-width: 1; }
.axis { stroke: var(--muted); stroke-width: 1; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.plot { overflow-x: auto; }
.plot svg { display: block; width: 100%; min-width: 560px; max-width: 900px; height: auto; }
.legend { list-style: none; margin: 0.3rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; }
.legend svg { width: 44px; height: 10px; margin-right: 0.4rem; vertical-align: middle; }
@media print { .plot svg { min-width: 0; } }`;

// Five dashes beside seven colours: 35 lines before one looks like another.
const lineClass = (i) => `c${i % 7} d${i % 5}`;
const showCount = (count) => count.toLocaleString('en-US');
const px = (x) => String(Math.round(x * 10) / 10);

// A loop, since the list may be longer than a call takes arguments.
function extent(numbers) {
  let [low, high] = [Infinity, -Infinity];
  for (const x of numbers) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return [low, high];
}

/** The label of a tick: a round number, so the zeros that `show` adds say nothing. */
const tickLabel = (x) => (x === 0 ? '0' : show(x).replace(/\.0+(?=e|$)|(\.\d*?[1-9])0+(?=e|$)/, '$1'));

/** An axis from 0 (or below, if the data goes there): {ticks: [[value, label]], at(value): 0 .. 1}. */
export function linearAxis(low, high) {
  const from = Math.min(0, low);
  const to = Math.max(0, high) > from ? Math.max(0, high) : from + 1;
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((x) => x * power >= rough * 0.999) * power;
  const [first, last] = [Math.floor(from / step + 1e-9), Math.ceil(to / step - 1e-9)];
  const ticks = [];
  for (let i = first; i <= last; i++) ticks.push([i * step, tickLabel(i * step)]);
  return { ticks, at: (x) => (x / step - first) / (last - first) };
}

/** Like linearAxis, of logarithms; up to `fine` decades have ticks at 2 and 5 too. */
export function logAxis(low, high, fine = 3) {
  const round = [];
  const [first, last] = [Math.floor(Math.log10(low)) - 1, Math.ceil(Math.log10(high)) + 1];
  for (let i = first; i <= last; i++) for (const x of [1, 2, 5]) round.push(Number(`${x}e${i}`));
  let from = round.findLastIndex((x) => x <= low * (1 + 1e-9));
  let to = round.findIndex((x) => x >= high * (1 - 1e-9));
  if (from === to) [from, to] = [from - 1, to + 1];
  const decades = Math.log10(round[to] / round[from]);
  let shown = round.slice(from, to + 1);
  if (decades > fine + 0.01) {
    const every = Math.ceil(decades / 7);
    shown = shown.filter((x) => String(x.toExponential()).startsWith('1e') && Math.round(Math.log10(x)) % every === 0);
  }
  const at = (x) => Math.log10(Math.max(x, round[from]) / round[from]) / decades;
  return { ticks: shown.map((x) => [x, tickLabel(x)]), at };
}

/** Percentiles as HdrHistogram plots them: as much room for 99 to 99.9 as for 90 to 99. */
export function percentileAxis(samples) {
  const decades = Math.max(1, Math.ceil(Math.log10(samples) - 1e-9));
  const ticks = [[0, '0'], [0.5, '50']];
  for (let i = 1; i <= decades; i++) ticks.push([1 - 10 ** -i, i === 1 ? '90' : `99${i > 2 ? '.' : ''}${'9'.repeat(i - 2)}`]);
  return { ticks, at: (share) => -Math.log10(Math.max(1 - share, 10 ** -decades)) / decades };
}

/** Axes and lines: body(x, y) draws between them with the two functions from values to pixels. */
function frame({ title, description, xAxis, yAxis, xLabel, yLabel }, body) {
  const left = 18 + 7 * Math.max(...yAxis.ticks.map(([, label]) => label.length));
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  const x = (value) => left + xAxis.at(value) * (right - left);
  const y = (value) => bottom - yAxis.at(value) * (bottom - TOP);
  const parts = [];
  for (const [value, label] of yAxis.ticks) {
    const at = px(y(value));
    parts.push(`<line class="grid" x1="${left}" y1="${at}" x2="${right}" y2="${at}"/>`);
    parts.push(`<text x="${left - 8}" y="${px(y(value) + 4)}" text-anchor="end">${label}</text>`);
  }
  for (const [value, label] of xAxis.ticks) {
    const at = px(x(value));
    parts.push(`<line class="grid" x1="${at}" y1="${TOP}" x2="${at}" y2="${bottom}"/>`);
    parts.push(`<text x="${at}" y="${bottom + 18}" text-anchor="middle">${label}</text>`);
  }
  parts.push(`<path class="axis" fill="none" d="M${left} ${TOP}V${bottom}H${right}"/>`);
  parts.push(`<text x="4" y="14">${escapeHtml(yLabel)}</text>`);
  parts.push(`<text x="${px((left + right) / 2)}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(xLabel)}</text>`);
  parts.push(body(x, y, (right - left) / MOST_POINTS));
  return svg(WIDTH, HEIGHT, title, description, parts.join('\n'));
}

function figure(title, plot, names, captions, more = '') {
  const legend = names.map((name, i) => {
    const line = `<path class="line ${lineClass(i)}" d="M2 5H42"/>`;
    return `<li>${svg(44, 10, `line ${i + 1}`, `the line of ${name}`, line)}${escapeHtml(name)}</li>`;
  });
  const caption = captions.length === 0 ? '' : `<p class="small">${captions.map(escapeHtml).join(' ')}</p>`;
  const head = `<figcaption><strong>${escapeHtml(title)}</strong></figcaption>`;
  return `<figure>${head}<div class="plot">${plot}</div><ul class="legend">${legend.join('')}</ul>${caption}${more}</figure>`;
}

const pathOf = (points) => (points.length === 1 ? `M${points[0]}h0.1` : `M${points.join('L')}`);
const yLabel = (lines, unit) => (lines.length === 1 ? `${lines[0].name}, ${unit}` : unit);
const finite = (points) => points.filter((point) => point.every(Number.isFinite));

/** At most MOST_POINTS of [x, y] pairs: each the mean of those that fall into one column of pixels. */
export function thin(points) {
  if (points.length <= MOST_POINTS) return points;
  const [low, high] = extent(points.map(([x]) => x));
  const columns = new Map();
  for (const [x, y] of points) {
    const i = high > low ? Math.min(MOST_POINTS - 1, Math.floor(((x - low) / (high - low)) * MOST_POINTS)) : 0;
    const sum = columns.get(i) ?? [0, 0, 0];
    columns.set(i, [sum[0] + x, sum[1] + y, sum[2] + 1]);
  }
  return [...columns].sort(([a], [b]) => a - b).map(([, [x, y, count]]) => [x / count, y / count]);
}

/** Values over time, of one unit. */
export function seriesPlot(list) {
  const all = list.map((one) => ({ ...one, points: finite(one.points) })).filter((one) => one.points.length > 0);
  if (all.length === 0) return '';
  const lines = all.map((one) => thin(one.points));
  const unit = showUnit(all[0].unit);
  const title = `Over time, ${unit}`;
  const ranges = all.map((one, i) => {
    const [low, high] = extent(lines[i].map(([, y]) => y));
    return `${one.name}: from ${show(low)} to ${show(high)} ${unit}.`;
  });
  const xAxis = linearAxis(...extent(lines.flat().map(([x]) => x)));
  const yAxis = linearAxis(...extent(lines.flat().map(([, y]) => y)));
  const words = { title, description: ranges.join(' '), xLabel: 'time since the start, s', yLabel: yLabel(all, unit) };
  const plot = frame({ ...words, xAxis, yAxis }, (x, y) =>
    lines.map((line, i) => {
      const points = line.map((point) => `${px(x(point[0]))} ${px(y(point[1]))}`);
      return `<path class="line ${lineClass(i)}" d="${pathOf(points)}"/>`;
    }).join('\n'));
  const captions = all.flatMap((one, i) => {
    const [from, to] = [one.points.length, lines[i].length];
    if (from === to) return [];
    return [`${one.name}: ${showCount(from)} points are drawn as ${showCount(to)} means, so shorter peaks are not seen.`];
  });
  return figure(title, plot, all.map((one) => one.name), captions);
}

// Samples that no bucket with a finite bound holds lie above all of them.
function spreadOf(histogram) {
  const buckets = finite(histogram.buckets).filter(([, count]) => count > 0);
  const inside = buckets.reduce((sum, [, count]) => sum + count, 0);
  return { buckets, inside, total: Math.max(inside, histogram.count ?? 0) };
}

/** The upper bound of the bucket in which that share falls: Infinity above the last one, NaN without samples. */
export function histogramQuantile(histogram, share) {
  const { buckets, total } = spreadOf(histogram);
  if (total === 0) return NaN;
  const rank = Math.max(1, Math.ceil(share * total * (1 - 1e-12))); // 0.07 * 100 is 7.000000000000001
  let sum = 0;
  for (const [bound, count] of buckets) {
    sum += count;
    if (sum >= rank) return bound;
  }
  return Infinity;
}

/** Latency by percentile, of one unit; and the percentiles that are asked for most in a table. */
export function histogramPlot(list) {
  const all = list.map((one) => ({ ...one, ...spreadOf(one) })).filter((one) => one.inside > 0);
  if (all.length === 0) return '';
  const unit = showUnit(all[0].unit);
  const title = `By percentile, ${unit}`;
  const bounds = all.flatMap((one) => one.buckets.map(([bound]) => bound)).filter((bound) => bound > 0);
  const xAxis = percentileAxis(extent(all.map((one) => one.total))[1]);
  const yAxis = bounds.length > 0 ? logAxis(...extent(bounds)) : logAxis(1, 1);
  const shares = [0.5, 0.9, 0.99, 0.999, 0.9999, 1];
  const names = ['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'most'];
  const quantiles = all.map((one) => shares.map((share) => {
    const bound = histogramQuantile(one, share);
    return Number.isFinite(bound) ? show(bound) : `over ${show(one.buckets.at(-1)[0])}`;
  }));
  const description = all.map((one, i) => {
    return `${one.name}: ${names.map((name, j) => `${name} ${quantiles[i][j]}`).join(', ')} ${unit}.`;
  });
  const words = { title, description: description.join(' '), xLabel: 'percentile, %', yLabel: `latency, ${unit}` };
  const plot = frame({ ...words, xAxis, yAxis }, (x, y, column) =>
    all.map((one, i) => {
      const end = x(1 - 1 / one.total); // the place of the largest sample; 100 % is infinitely far away
      const steps = [];
      let [sum, drawn] = [0, x(0)];
      for (const [j, [bound, count]] of one.buckets.entries()) {
        sum += count;
        const to = Math.min(end, x(sum / one.total));
        if (to - drawn < column && j < one.buckets.length - 1) continue; // the next step covers it with its larger bound
        steps.push(`${steps.length === 0 ? 'M' : 'L'}${px(drawn)} ${px(y(bound))}H${px(Math.max(to, drawn + 0.1))}`);
        drawn = to;
      }
      return `<path class="line ${lineClass(i)}" d="${steps.join('')}"/>`;
    }).join('\n'));
  const captions = all.filter((one) => one.total > one.inside).map((one) => {
    const share = `${showCount(one.total - one.inside)} of ${showCount(one.total)} samples`;
    return `${one.name}: ${share} lie above the last bucket and are not drawn.`;
  });
  const columns = [...names, 'samples'];
  const rows = all.map((one, i) => [one.name, ...quantiles[i], showCount(one.total)]);
  return figure(title, plot, all.map((one) => one.name), captions, table([unit, ...columns], columns, rows));
}

/** A cost against a size, of one unit: medians, with whiskers from the least to the most. */
export function curvePlot(list) {
  const all = list
    .map((one) => ({ ...one, points: finite(one.points).filter(([x]) => x > 0) }))
    .filter((one) => one.points.length > 0);
  if (all.length === 0) return '';
  const unit = showUnit(all[0].unit);
  const title = `Against ${all[0].x}, ${unit}`;
  const points = all.flatMap((one) => one.points);
  const xAxis = logAxis(...extent(points.map(([x]) => x)), 2); // labels of large numbers side by side need room
  const yAxis = linearAxis(...extent(points.flatMap(([, ...values]) => values)));
  const ends = all.map(({ name, points: own }) => {
    const [first, last] = [own[0], own.at(-1)];
    return `${name}: ${show(first[1])} ${unit} at ${show(first[0])}, ${show(last[1])} ${unit} at ${show(last[0])}.`;
  });
  const words = { title, description: ends.join(' '), xLabel: `${all[0].x} (logarithmic)`, yLabel: yLabel(all, unit) };
  const plot = frame({ ...words, xAxis, yAxis }, (x, y) =>
    all.map((one, i) => {
      const line = pathOf(one.points.map(([at, middle]) => `${px(x(at))} ${px(y(middle))}`));
      const marks = one.points.map(([at, middle, least, most]) => {
        const [centre, top, bottom] = [x(at), px(y(most)), px(y(least))];
        const cap = (height) => `M${px(centre - 4)} ${height}h8`;
        return `<circle class="c${i % 7}" cx="${px(centre)}" cy="${px(y(middle))}" r="3"/>` +
          `<path class="line whisker c${i % 7}" d="${cap(bottom)}${cap(top)}M${px(centre)} ${bottom}V${top}"/>`;
      });
      return `<path class="line ${lineClass(i)}" d="${line}"/>${marks.join('')}`;
    }).join('\n'));
  const left = list.reduce((sum, one) => sum + one.points.length, 0) - points.length;
  const captions = ['Medians; the whiskers go from the least to the most.'];
  if (left > 0) captions.push(`Points without a place on a logarithmic axis, left out: ${left}.`);
  return figure(title, plot, all.map((one) => one.name), captions);
}
