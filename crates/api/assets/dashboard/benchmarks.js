// What the service measured when it asked itself what its sellers ask.

import { attribute, byId, make, say } from './dom.js';
import { count, moment, ms, number, percent, perSecond } from './format.js';
import { TAGS } from './jobs.js';
import { table } from './table.js';
import { word } from './words.js';

/** Of a run that is half as slow again as the one before with the same budget. */
const WORSE = 1.5;

const figure = (row, name) => row.figures?.[name] ?? null;
const times = ({ compared_with }) => compared_with?.times?.p99_ms ?? null;

const runs = table(byId('benchmark-table'), {
  title: 'benchmarks',
  keyOf: ({ id }) => id,
  sortBy: 'created',
  isDescending: true,
  columns: [
    { name: 'created', value: (row) => row.created_at, isText: true, format: moment },
    { name: 'state', value: ({ state }) => state, isText: true, create: () => make('span', { class: 'tag' }), update: showState },
    { name: 'load', value: ({ budget }) => budget?.requests ?? null, create: () => make('span'), update: showBudget },
    { name: 'speed', value: (row) => figure(row, 'requests_per_second'), format: perSecond, why: 'why.not_ended' },
    { name: 'p50', value: (row) => figure(row, 'p50_ms'), format: ms, why: 'why.not_ended' },
    { name: 'p99', value: (row) => figure(row, 'p99_ms'), format: ms, why: 'why.not_ended' },
    { name: 'errors', value: (row) => figure(row, 'errors'), format: count, why: 'why.not_ended', isBad: (row) => figure(row, 'errors') > 0 },
    { name: 'hit_rate', value: (row) => figure(row, 'hit_rate'), format: percent, why: 'why.not_ended' },
    { name: 'p99_before', value: times, format: (value) => value === null ? null : `× ${number(value)}`, why: 'why.no_run_before', isBad: (row) => times(row) > WORSE },
  ],
});

function showState(tag, { state, error }) {
  attribute(tag, 'data-tag', TAGS[state] ?? 'plain');
  attribute(tag, 'title', error);
  say(tag, word(`state.${state}`));
}

function showBudget(cell, { budget }) {
  const { concurrent_users: users, test_duration_seconds: seconds } = budget ?? {};
  say(cell, budget ? word('benchmarks.budget', { users: count(users), seconds: count(seconds) }) : '–');
}

let all = [];
/** What was known of the runs when they were asked for last: they change with their jobs. */
let seen = null;

/** Asks for the runs where one of the jobs that are told of live has changed. */
export async function showBenchmarks({ jobs = {} }) {
  const now = JSON.stringify((jobs.jobs ?? []).filter(({ kind }) => kind === 'benchmark'));
  if (now === seen) return;
  seen = now;
  try {
    const answer = await fetch('/dashboard/api/benchmarks');
    if (answer.ok) all = (await answer.json()).items;
    else seen = null;
  } catch {
    // The next frame asks again.
    seen = null;
  }
  redrawBenchmarks();
}

export function redrawBenchmarks() {
  runs.show(all, word('benchmarks.none'));
}
