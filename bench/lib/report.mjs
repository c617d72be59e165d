// The page of a run: one HTML text that needs nothing else, made from the JSON that ./dev bench writes.
import { median, show } from './figures.mjs';
import { escapeHtml, showUnit, svg, table } from './html.mjs';
import { PLOT_STYLE, curvePlot, histogramPlot, seriesPlot } from './plots.mjs';

export { histogramQuantile } from './plots.mjs';

const BUSY = 0.5; // load average above which something else ran too
const BAR_MOST = 2; // where a bar is cut off
const BAR = { width: 124, height: 14, one: 60 }; // one: pixels of a ratio of 1

// The policy makes "nothing from elsewhere, no scripts" a rule that the browser keeps.
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE = `
:root { color-scheme: light dark; }
:root { --ink: #1b1b1b; --paper: #fff; --muted: #666; --faint: #e2e2e2; --good: #00664a; --bad: #a83c00; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #15171a; --muted: #a0a0a0; --faint: #33373c; --good: #2ec99a; --bad: #f0803c; }
}
body { margin: 0 auto; padding: 1rem; max-width: 1200px; }
body { color: var(--ink); background: var(--paper); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--faint); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { font-weight: normal; min-width: 11rem; overflow-wrap: anywhere; }
.small { font-size: 0.85rem; color: var(--muted); }
.warning, .missed { color: var(--bad); font-weight: bold; } .met { color: var(--good); font-weight: bold; }
.bar { width: ${BAR.width}px; height: ${BAR.height}px; }
.bar rect { fill: var(--c0); } .bar path { stroke: var(--ink); stroke-width: 1.5; fill: none; }
figure { margin: 1.2rem 0; break-inside: avoid; } tr { break-inside: avoid; }
@media print { body { max-width: none; padding: 0; font-size: 10px; } .wide, .plot { overflow: visible; } }
${PLOT_STYLE}`;

const LABELS = {
  date: 'date', commit: 'commit', cpu: 'CPU', memoryGB: 'memory, GB', load: 'load before the run', kernel: 'kernel',
  disk: 'disk', compiler: 'compiler', node: 'Node', build: 'build', leftOut: 'left out',
};

function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(', ');
  if (typeof value === 'number') return value.toLocaleString('en-US');
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function machineTable(machine) {
  const { settings = {}, ...rest } = machine;
  const known = Object.keys(LABELS).filter((key) => rest[key] !== undefined);
  const others = Object.keys(rest).filter((key) => !Object.hasOwn(LABELS, key));
  const rows = [...known, ...others].map((key) => {
    return [Object.hasOwn(LABELS, key) ? LABELS[key] : key, key === 'load' ? Number(rest.load).toFixed(2) : plain(rest[key])];
  });
  for (const [key, value] of Object.entries(settings)) rows.push([`setting: ${key}`, plain(value)]);
  const busy = machine.load > BUSY ? '<p class="warning">The machine was busy: judge with care.</p>' : '';
  return `${busy}${table(['machine', 'value'], [], rows)}`;
}

/** What the tables show of a figure. */
function read(row) {
  const middle = median(row.samples);
  const limit = row.limit === undefined ? undefined : median(row.limit.samples);
  const ratio = limit === undefined ? NaN : middle / limit;
  return {
    middle: show(middle),
    spread: row.samples.length === 1 ? '' : `${show(Math.min(...row.samples))} .. ${show(Math.max(...row.samples))}`,
    unit: showUnit(row.unit),
    limitName: row.limit?.name ?? '',
    limit: limit === undefined ? '' : show(limit),
    ratio: Number.isFinite(ratio) ? ratio : undefined,
    ratioText: Number.isFinite(ratio) ? ratio.toFixed(2) : '',
    target: row.target === undefined ? '' : show(row.target),
  };
}

function verdict(row) {
  const middle = median(row.samples);
  const factor = row.higherIsBetter ? row.target / middle : middle / row.target;
  if (row.higherIsBetter ? middle >= row.target : middle <= row.target) return { html: '<span class="met">met</span>' };
  const text = factor.toFixed(2);
  const missing = !Number.isFinite(factor) ? '' : `: a factor of ${text === '1.00' ? 'less than 1.01' : text} is missing`;
  return { html: `<span class="missed">not met</span>${missing}` };
}

function summary(figures) {
  const rows = figures.filter((row) => row.target !== undefined);
  if (rows.length === 0) return '<p>No figure of this run has a target.</p>';
  const numbers = ['median', 'min .. max', 'target', 'limit', 'ratio'];
  return table(
    ['figure', 'median', 'min .. max', 'unit', 'target', 'target met', 'limit in the same run', 'limit', 'ratio'],
    numbers,
    rows.map((row) => {
      const it = read(row);
      const name = `${row.group}: ${row.figure}`;
      return [name, it.middle, it.spread, it.unit, it.target, verdict(row), it.limitName, it.limit, it.ratioText];
    }),
  );
}

/** A bar of measured/limit, a mark at 1, and an arrow instead of what is beyond the end. */
function bar(ratio) {
  if (ratio === undefined) return '';
  const { width, height, one } = BAR;
  const length = Math.max(0, Math.min(ratio, BAR_MOST)) * one;
  const cut = ratio > BAR_MOST ? `<path d="M${width - 8} 3L${width - 3} 7L${width - 8} 11"/>` : '';
  const body = `<rect x="0" y="3" width="${length.toFixed(1)}" height="8"/><path d="M${one} 0V${height}"/>${cut}`;
  const drawing = svg(width, height, `${ratio.toFixed(2)} of the limit`, `a bar from 0 to ${BAR_MOST}, with a mark at 1`, body);
  return { html: drawing.replace('<svg ', '<svg class="bar" ') };
}

function figureTable(figures) {
  const numbers = ['median', 'min .. max', 'limit', 'ratio', 'target'];
  return table(
    ['figure', 'median', 'min .. max', 'unit', 'limit in the same run', 'limit', 'ratio', '0 .. 2 x limit', 'target', 'note'],
    numbers,
    figures.map((row) => {
      const it = read(row);
      const better = row.higherIsBetter ? 'more is better' : 'less is better';
      const name = { html: `${escapeHtml(row.figure)} <span class="small">(${better})</span>` };
      const limit = [it.limitName, it.limit, it.ratioText, bar(it.ratio)];
      return [name, it.middle, it.spread, it.unit, ...limit, it.target, row.note ?? ''];
    }),
  );
}

/** Lists of those that share what `key` makes of them, in the order of the first of each. */
function split(list, key) {
  const groups = new Map();
  for (const one of list) {
    const name = key(one);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups.values()];
}

function section(name, { figures, series, histograms, curves }) {
  const of = (list) => list.filter((one) => one.group === name);
  const own = of(figures);
  return [
    `<section><h2>${escapeHtml(name)}</h2>`,
    own.length > 0 ? figureTable(own) : '',
    ...split(of(series), (one) => one.unit).map(seriesPlot),
    ...split(of(histograms), (one) => one.unit).map(histogramPlot),
    ...split(of(curves), (one) => JSON.stringify([one.x, one.unit])).map(curvePlot),
    '</section>',
  ].join('\n');
}

/** The page of a run: `result` is what the JSON file of ./dev bench holds. */
export function renderReport(result) {
  const { machine = {}, figures = [], series = [], histograms = [], curves = [] } = result;
  const all = { figures, series, histograms, curves };
  const groups = [...new Set(Object.values(all).flat().map((one) => one.group))];
  const title = `Coffer bench: ${machine.commit ?? 'unknown commit'}, ${machine.date ?? 'unknown date'}`;
  const measured = [
    '<h2>Targets</h2>',
    summary(figures),
    '<p class="small">The ratio is the median over the median of the limit, which was measured in the same run.</p>',
    ...groups.map((name) => section(name, all)),
  ];
  return [
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${escapeHtml(title)}</h1>`,
    machineTable(machine),
    ...(groups.length === 0 ? ['<p>Nothing was measured.</p>'] : measured),
    '</body></html>\n',
  ].join('\n');
}
