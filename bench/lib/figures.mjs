// Figures: what was measured, its samples, the limit beside it; and how they are shown and compared.

/** The middle sample; the mean of the two middle ones of an even number. */
export function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Collects figures in the order in which they are to be shown, and what a report draws of them. */
export class Figures {
  rows = [];
  series = []; // something over time: {group, name, unit, points: [[seconds, value], ...]}
  histograms = []; // latencies: {group, name, unit, count, buckets: [[upper bound, count], ...]}
  curves = []; // cost against size: {group, name, x, unit, points: [[x, median, min, max], ...]}

  addSeries(group, name, unit, points) {
    if (points.length > 1) this.series.push({ group, name, unit, points });
  }

  /** histograms: one a repeat, as coffer-bench prints them; they become one. */
  addHistogram(group, name, histograms) {
    const counts = new Map();
    for (const [end, count] of histograms.flatMap((one) => one.buckets ?? [])) {
      counts.set(end, (counts.get(end) ?? 0) + count);
    }
    const buckets = [...counts].sort(([a], [b]) => a - b);
    const count = buckets.reduce((sum, [, n]) => sum + n, 0);
    if (count > 0) this.histograms.push({ group, name, unit: 'us', count, buckets });
  }

  /** samples: Map of x -> samples at that size. */
  addCurve(group, name, x, unit, samples) {
    const points = [...samples]
      .filter(([, list]) => list.length > 0)
      .map(([at, list]) => [at, median(list), Math.min(...list), Math.max(...list)]);
    if (points.length > 1) this.curves.push({ group, name, x, unit, points });
  }

  /**
   * samples: one number a repeat. limit: {name, samples} in the same unit, or none. target: a number
   * in the same unit. higherIsBetter decides how a comparison is read.
   */
  add(group, figure, unit, samples, { limit, target, higherIsBetter = true, note } = {}) {
    const list = [samples].flat().filter((x) => Number.isFinite(x));
    if (list.length === 0) return;
    const row = { group, figure, unit, samples: list, higherIsBetter };
    const limits = limit === undefined ? [] : [limit.samples].flat().filter(Number.isFinite);
    if (limits.length > 0) row.limit = { name: limit.name, samples: limits };
    if (target !== undefined) row.target = target;
    if (note !== undefined) row.note = note;
    this.rows.push(row);
  }
}

export function show(number) {
  const size = Math.abs(number);
  if (size >= 10_000) return Math.round(number).toLocaleString('en-US');
  if (size >= 100) return number.toFixed(0);
  if (size >= 10) return number.toFixed(1);
  return number.toPrecision(3);
}

function spread(samples) {
  if (samples.length === 1) return '';
  return `${show(Math.min(...samples))} .. ${show(Math.max(...samples))}`;
}

function table(header, rows) {
  const all = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(header), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

/** The table of a run, as Markdown. */
export function render(rows) {
  return table(
    ['figure', 'median', 'min .. max', 'unit', 'limit in the same run', 'limit', 'ratio', 'target'],
    rows.map((row) => {
      const middle = median(row.samples);
      const limit = row.limit === undefined ? undefined : median(row.limit.samples);
      return [
        `${row.group}: ${row.figure}`,
        show(middle),
        spread(row.samples),
        row.unit,
        row.limit?.name ?? '',
        limit === undefined ? '' : show(limit),
        limit === undefined ? '' : (middle / limit).toFixed(2),
        row.target === undefined ? '' : show(row.target),
      ];
    }),
  );
}

/** What changed since another run: the ratio of the medians, and the range that the spreads allow. */
export function compare(rows, old) {
  const before = new Map(old.map((row) => [`${row.group}: ${row.figure}`, row]));
  const lines = [];
  for (const row of rows) {
    const name = `${row.group}: ${row.figure}`;
    const was = before.get(name);
    if (was === undefined) continue;
    const ratio = median(row.samples) / median(was.samples);
    const low = Math.min(...row.samples) / Math.max(...was.samples);
    const high = Math.max(...row.samples) / Math.min(...was.samples);
    const apart = low > 1 || high < 1;
    const better = ratio > 1 === row.higherIsBetter ? 'better' : 'worse';
    lines.push([
      name,
      row.unit,
      show(median(was.samples)),
      show(median(row.samples)),
      ratio.toFixed(2),
      `${low.toFixed(2)} .. ${high.toFixed(2)}`,
      apart ? better : 'within the spread',
    ]);
  }
  return table(['figure', 'unit', 'old', 'new', 'new/old', 'range', ''], lines);
}
