// Endpoints, and which of them take the time.

import { attribute, byId, make, say } from './dom.js';
import { count, ms, number, percent, seconds } from './format.js';
import { table } from './table.js';
import { word } from './words.js';

const ofMinute = (name, figure, format) => ({ name, value: ({ last_minute }) => last_minute?.[figure] ?? null, format, why: 'why.no_requests' });

const endpoints = table(byId('endpoint-table'), {
  title: 'endpoints',
  keyOf: ({ endpoint }) => endpoint,
  mark: (row, { endpoint }) => row.setAttribute('data-endpoint', endpoint),
  sortBy: 'count',
  isDescending: true,
  columns: [
    { name: 'endpoint', value: ({ endpoint }) => endpoint, isText: true },
    { name: 'count', value: (row) => row.count, format: count },
    ofMinute('rate', 'requests_per_second', number),
    { name: 'errors', value: (row) => row.errors, format: count, isBad: ({ errors }) => errors > 0 },
    { name: 'client_errors', value: (row) => row.client_errors, format: count },
    { name: 'cancelled', value: (row) => row.cancelled, format: count },
    ofMinute('p50', 'p50_ms', ms),
    ofMinute('p95', 'p95_ms', ms),
    ofMinute('p99', 'p99_ms', ms),
    { name: 'in_flight', value: (row) => row.in_flight, format: count },
    { name: 'oldest', value: (row) => row.oldest_ms, format: ms, why: 'why.idle' },
  ],
});

const SEVERITIES = ['info', 'warning', 'critical'];
const TAGS = { info: 'plain', warning: 'warn', critical: 'bad' };

const bottlenecks = table(byId('bottleneck-table'), {
  title: 'bottlenecks',
  keyOf: ({ endpoint }) => endpoint,
  sortBy: 'share',
  isDescending: true,
  columns: [
    { name: 'endpoint', value: ({ endpoint }) => endpoint, isText: true },
    { name: 'severity', value: ({ severity }) => SEVERITIES.indexOf(severity), isText: true, create: () => make('span', { class: 'tag' }), update: showSeverity },
    { name: 'share', value: ({ share }) => share, create: () => make('span', { class: 'share' }, make('span', { class: 'bar' }), make('span')), update: showShare },
    { name: 'total', value: (row) => row.total_seconds, format: seconds },
    { name: 'mean', value: (row) => row.avg_time, format: seconds },
    { name: 'p95', value: (row) => row.p95_ms, format: ms },
    { name: 'count', value: (row) => row.count, format: count },
  ],
});

function showSeverity(tag, { severity }) {
  attribute(tag, 'data-tag', TAGS[severity] ?? 'plain');
  say(tag, word(`severity.${severity}`));
}

function showShare(cell, { share }) {
  const [bar, text] = cell.children;
  bar.style.setProperty('--share', String(share));
  say(text, percent(share) ?? '–');
}

export function showEndpoints(live) {
  endpoints.show(live.endpoints ?? [], word('endpoints.none'));
}

export function showBottlenecks(live) {
  bottlenecks.show(live.bottlenecks ?? [], word('bottlenecks.none'));
}
