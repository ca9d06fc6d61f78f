// Background work and how far it is.

import { attribute, byId, make, say } from './dom.js';
import { count, moment, perSecond, span } from './format.js';
import { table } from './table.js';
import { word } from './words.js';

export const TAGS = { queued: 'plain', running: 'plain', done: 'good', failed: 'bad', cancelled: 'plain' };

const jobs = table(byId('job-table'), {
  title: 'jobs',
  keyOf: ({ id }) => id,
  sortBy: 'created',
  isDescending: true,
  columns: [
    { name: 'job', value: ({ kind }) => kind, isText: true, create: () => make('span', {}, make('span'), make('code', { class: 'id' })), update: showName },
    { name: 'state', value: ({ state }) => state, isText: true, create: () => make('span', { class: 'tag' }), update: showState },
    { name: 'progress', value: ({ done, total }) => (total ? done / total : null), create: () => make('span', { class: 'share' }, make('progress'), make('span')), update: showProgress },
    { name: 'failed', value: (row) => row.failed, format: count, isBad: ({ failed }) => failed > 0 },
    { name: 'speed', value: (row) => row.rate_per_second, format: perSecond, why: 'why.not_known' },
    { name: 'eta', value: (row) => row.eta_seconds, format: span, why: 'why.not_known' },
    { name: 'created', value: (row) => row.created_at, format: moment },
    { name: 'finished', value: (row) => row.finished_at, format: moment, why: 'why.not_ended' },
  ],
});

function showName(cell, { kind, id }) {
  const [name, code] = cell.children;
  say(name, word(`kind.${kind}`));
  say(code, id);
}

function showState(tag, { state }) {
  attribute(tag, 'data-tag', TAGS[state] ?? 'plain');
  say(tag, word(`state.${state}`));
}

function showProgress(cell, { kind, done, total }) {
  const [bar, text] = cell.children;
  attribute(bar, 'max', total ? String(total) : null);
  // Without a total it is under way, who knows how far.
  attribute(bar, 'value', total ? String(done ?? 0) : null);
  attribute(bar, 'aria-label', `${word('column.progress')}: ${word(`kind.${kind}`)}`);
  say(text, `${count(done) ?? '–'} / ${count(total) ?? '–'}`);
}

export function showJobs({ jobs: all = {} }) {
  say(byId('queue'), all.reason ? '' : queue(all));
  jobs.show(all.jobs ?? [], all.reason ? word('jobs.unknown', { reason: all.reason }) : word('jobs.none'));
}

function queue({ open_items, queue_age_seconds }) {
  if (open_items === 0) return word('jobs.queue_empty');
  const n = count(open_items);
  return n === null ? '' : word('jobs.queue', { n, age: span(queue_age_seconds) ?? '–' });
}
