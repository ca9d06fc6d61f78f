// Tiles: a label, a figure, and one line about it.

import { figure, keyed, make, say } from './dom.js';

/** Facts are `{label, testid, text, why, sub}`; `text` null is a dash with its reason. */
export function showFacts(list, facts) {
  keyed(list, facts, ({ label }) => label, createFact, updateFact);
}

function createFact({ label, testid }) {
  const value = make('span', { class: 'value', ...(testid && { 'data-testid': testid }) });
  const sub = make('span', { class: 'hint' });
  return { root: make('div', {}, make('dt', {}, label), make('dd', {}, value, sub)), value, sub };
}

function updateFact(parts, { text, why, sub }) {
  figure(parts.value, text, why);
  say(parts.sub, sub || '');
}
