// The wholesalers: how each account is called, how it answers, and how fresh what was collected is.

import { attribute, byId, emptiness, keyed, make, say } from './dom.js';
import { count, moment, ms, span } from './format.js';
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

const freshness = table(byId('freshness-table'), {
  title: 'freshness',
  keyOf: ({ wholesaler }) => wholesaler,
  mark: (row, { wholesaler }) => row.setAttribute('data-wholesaler', wholesaler),
  sortBy: 'wholesaler',
  columns: [
    { name: 'wholesaler', value: ({ wholesaler }) => wholesaler, isText: true },
    { name: 'items', value: ({ items }) => items, format: count },
    { name: 'accounts', value: (row) => row.accounts, format: count },
    { name: 'age_p50', value: ({ age_p50_seconds }) => age_p50_seconds, format: span },
    { name: 'age_p99', value: ({ age_p99_seconds }) => age_p99_seconds, format: span, isBad: isOld },
    { name: 'promised', value: ({ promised_seconds }) => promised_seconds ?? null, format: span, why: 'why.no_promise' },
  ],
});

function isOld({ age_p99_seconds, promised_seconds }) {
  return Number.isFinite(promised_seconds) && age_p99_seconds > promised_seconds;
}

export function showWholesalers({ wholesalers = [], collected = {} }) {
  accounts.show(wholesalers, word('wholesalers.none'));
  const { freshness: ages = [], troubles = [], reason } = collected;
  freshness.show(ages, reason ? word('freshness.unknown', { reason }) : word('freshness.none'));
  const none = reason ? word('freshness.unknown', { reason }) : word('troubles.none');
  emptiness(byId('troubles').querySelector('.empty'), troubles.length ? null : none);
  keyed(byId('trouble-list'), troubles, ({ account }) => account, createTrouble, updateTrouble);
}

function createTrouble({ account }) {
  const parts = { why: make('span', { lang: 'en' }), when: make('span', { class: 'hint' }) };
  const line = make('p', { class: 'line' }, make('code', {}, account), parts.when);
  return { ...parts, root: make('li', {}, line, make('p', {}, parts.why)) };
}

function updateTrouble(parts, { why, since, items }) {
  say(parts.why, why);
  say(parts.when, word('trouble.since', { t: moment(since) ?? '–', n: count(items) }));
}
