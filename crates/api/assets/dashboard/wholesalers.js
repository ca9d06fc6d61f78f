// The wholesalers: how each account is called, and how it answers.

import { attribute, byId, make, say } from './dom.js';
import { count, ms, span } from './format.js';
import { table } from './table.js';
import { word } from './words.js';

const TAGS = { closed: 'good', half_open: 'warn', open: 'bad', paused: 'warn', stopped: 'bad' };

const ofMinute = (name, figure) => ({ name, value: ({ latency }) => latency?.[figure] ?? null, format: ms, why: 'why.no_calls' });

const accounts = table(byId('wholesaler-table'), {
  title: 'wholesalers',
  keyOf: ({ account }) => account,
  mark: (row, { account }) => row.setAttribute('data-account', account),
  sortBy: 'account',
  columns: [
    { name: 'account', value: ({ account }) => account, isText: true },
    { name: 'breaker', value: stateOf, isText: true, create: () => make('span', { class: 'tag' }), update: showState },
    { name: 'calls', value: (row) => row.calls, format: count },
    { name: 'failed', value: failures, format: count, isBad: (row) => failures(row) > 0 },
    { name: 'refused_calls', value: (row) => row.refused, format: count },
    ofMinute('p50', 'p50_ms'),
    ofMinute('p95', 'p95_ms'),
    { name: 'under_way', value: ({ pool }) => pool?.in_use ?? null, create: () => make('span'), update: showPool },
    { name: 'budget', value: ({ budget }) => budget?.calls_left ?? null, format: count, why: 'why.no_rate' },
  ],
});

function failures({ errors = {} }) {
  return Object.values(errors).reduce((sum, one) => sum + one, 0);
}

function stateOf({ is_stopped, paused_for_seconds, breaker }) {
  if (is_stopped) return 'stopped';
  return paused_for_seconds === null || paused_for_seconds === undefined ? breaker?.state ?? 'closed' : 'paused';
}

function showState(tag, row) {
  const state = stateOf(row);
  attribute(tag, 'data-tag', TAGS[state] ?? 'plain');
  say(tag, word(`breaker.${state}`, { time: span(row.paused_for_seconds) ?? '' }));
}

function showPool(cell, { pool }) {
  say(cell, pool ? `${count(pool.in_use)} / ${count(pool.limit)}` : '–');
}

export function showWholesalers({ wholesalers = [] }) {
  accounts.show(wholesalers, word('wholesalers.none'));
}
