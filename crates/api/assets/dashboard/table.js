// Tables that can be sorted, and that a phone shows as one card per row.

import { attribute, emptiness, figure, isHeld, keyed, make, say } from './dom.js';
import { word } from './words.js';

/**
 * A table in `place`. A column has `name` (its word is `column.name`), `value(row)` to sort by, and
 * either `format` with `why` (a word) for the dash, or `create()` and `update(cell, row)` for more than text;
 * `isBad(row)` where a value can be bad. The first column names the row.
 */
export function table(place, { title, columns, keyOf, sortBy, isDescending, mark = () => {} }) {
  let sort = { column: columns.find(({ name }) => name === sortBy), isDescending };
  // The keys as they stand: that is how they stay while somebody reads them.
  let order = null;
  let shown = [];
  let empty = '';

  const caption = make('caption', { class: 'unseen' });
  const heads = columns.map((column) => {
    const button = make('button', { type: 'button' });
    button.addEventListener('click', () => {
      const isSame = sort.column === column;
      sort = { column, isDescending: isSame ? !sort.isDescending : !column.isText };
      order = null;
      show(shown, empty);
    });
    return { column, button, root: make('th', { scope: 'col', role: 'columnheader', class: look(column) }, button) };
  });
  const body = make('tbody', { role: 'rowgroup' });
  // The roles say again what a phone's style, which makes cards of the rows, would take away.
  const head = make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...heads.map(({ root }) => root)));
  const root = make('table', { role: 'table' }, caption, head, body);
  const region = make('div', { class: 'scroll', role: 'region', tabindex: '0' }, root);
  const emptyLine = make('p', { class: 'empty' });
  place.append(emptyLine, region);

  function sorted(rows) {
    if (order && isHeld(body)) {
      const places = new Map(order.map((key, index) => [key, index]));
      const at = (row) => places.get(keyOf(row)) ?? order.length;
      return rows.toSorted((one, two) => at(one) - at(two));
    }
    return rows.toSorted((one, two) => compare(sort.column.value(one), sort.column.value(two), sort.isDescending));
  }

  function show(rows, emptySentence) {
    shown = rows;
    empty = emptySentence;
    emptiness(emptyLine, rows.length ? null : emptySentence);
    region.hidden = rows.length === 0;
    say(caption, word(title));
    attribute(region, 'aria-label', word('table', { title: word(title) }));
    for (const { column, button, root } of heads) {
      say(button, word(`column.${column.name}`));
      const direction = sort.isDescending ? 'descending' : 'ascending';
      attribute(root, 'aria-sort', sort.column === column ? direction : null);
    }
    const inOrder = sorted(rows);
    order = inOrder.map(keyOf);
    keyed(body, inOrder, keyOf, createRow, updateRow);
  }

  function createRow(row) {
    const cells = columns.map((column, index) => {
      const inner = column.create?.() ?? make('span');
      const cell = index === 0
        ? make('th', { scope: 'row', role: 'rowheader', class: look(column) }, inner)
        : make('td', { role: 'cell', class: look(column) }, inner);
      return { column, inner, cell };
    });
    const root = make('tr', { role: 'row' }, ...cells.map(({ cell }) => cell));
    mark(root, row);
    return { root, cells };
  }

  function updateRow({ cells }, row) {
    for (const { column, inner, cell } of cells) {
      attribute(cell, 'data-label', word(`column.${column.name}`));
      if (column.update) column.update(inner, row);
      else if (column.format) figure(inner, column.format(column.value(row)), word(column.why ?? 'why.not_said'));
      else say(inner, column.value(row) ?? '');
      if (column.isBad) cell.classList.toggle('bad', column.isBad(row));
    }
  }

  return { show };
}

const look = ({ isText }) => (isText ? 'text' : 'number');

// What is not known is last, whichever way.
function compare(one, two, isDescending) {
  const isKnown = (value) => value !== null && value !== undefined;
  if (!isKnown(one) || !isKnown(two)) return Number(isKnown(two)) - Number(isKnown(one));
  const ascending = typeof one === 'string' ? one.localeCompare(two) : one - two;
  return isDescending ? -ascending : ascending;
}
