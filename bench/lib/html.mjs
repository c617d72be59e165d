// Pieces of a page. Names are data: whatever goes in as text comes out escaped.
const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as HTML, also within quotes. */
export const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => ENTITIES[c]);

/** A unit as it is printed: the JSON file has plain ASCII. */
export const showUnit = (unit) => String(unit).replace(/\bus\b/g, 'µs');

/** An SVG that a screen reader can announce: what it is, and what it says. */
export function svg(width, height, title, description, body) {
  const head = `<title>${escapeHtml(title)}</title><desc>${escapeHtml(description)}</desc>`;
  return `<svg viewBox="0 0 ${width} ${height}" role="img">${head}${body}</svg>`;
}

// Cells are text, and so escaped, unless they are {html}.
const inside = (cell) => (typeof cell === 'object' ? cell.html : escapeHtml(cell));

/** A table whose first column names the rows; `numbers` are the columns that are set to the right. */
export function table(header, numbers, rows) {
  const kind = (i) => (numbers.includes(header[i]) ? ' class="number"' : '');
  const head = header.map((name, i) => `<th scope="col"${kind(i)}>${escapeHtml(name)}</th>`).join('');
  const body = rows.map((row) => {
    const cells = row.map((cell, i) => (i === 0 ? `<th scope="row">${inside(cell)}</th>` : `<td${kind(i)}>${inside(cell)}</td>`));
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`;
}
