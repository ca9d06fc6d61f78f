// The figures of this minute.

import { byId } from './dom.js';
import { showFacts } from './facts.js';
import { count, megabytes, ms, number, percent, perSecond } from './format.js';
import { word } from './words.js';

export function showFigures({ traffic = {}, cache = {}, database = {}, system = {} }) {
  const pool = database.pool ?? {};
  const absent = (name) => (system.absent ?? []).find((one) => one.figure === name)?.reason ?? word('why.not_said');
  const errorShare = traffic.requests_last_minute ? percent(traffic.errors_last_minute / traffic.requests_last_minute) : perSecond(traffic.errors_per_second);
  const lastMinute = word('figure.last_minute');
  const said = (key, text, more) => (text === null ? '' : word(key, { n: text, ...more }));

  const figures = [
    { name: 'requests', text: number(traffic.requests_per_second), sub: said('figure.requests.sub', count(traffic.requests_last_minute)) },
    { name: 'p50', text: ms(traffic.p50_ms), why: 'why.no_requests', sub: lastMinute },
    { name: 'p95', text: ms(traffic.p95_ms), why: 'why.no_requests', sub: lastMinute },
    { name: 'p99', text: ms(traffic.p99_ms), why: 'why.no_requests', sub: said('figure.p99.sub', ms(traffic.max_ms)) },
    { name: 'errors', text: count(traffic.errors_last_minute), sub: said('figure.errors.sub', errorShare) },
    { name: 'in_flight', text: count(traffic.in_flight) },
    { name: 'hit_rate', text: percent(cache.hit_rate), why: 'why.no_lookups', sub: said('cache.lookups', count(cache.requests_last_minute)) },
    { name: 'pool', text: count(pool.in_use), sub: said('figure.pool.sub', count(pool.limit), { limit: count(pool.limit), open: count(pool.open) }) },
    { name: 'statements', text: number(database.statements_per_second), sub: said('figure.statements.sub', ms(database.statement_p95_ms)) },
    { name: 'cpu', text: percent(system.cpu_share), reason: absent('cpu_share'), sub: said('figure.cpu.sub', count(system.cores)) },
    { name: 'memory', text: megabytes(system.rss_mb), reason: absent('rss_mb'), sub: said('figure.memory.sub', megabytes(system.host_memory_available_mb)) },
    { name: 'files', text: count(system.open_files), reason: absent('open_files'), sub: said('figure.files.sub', count(system.threads)) },
  ];
  showFacts(byId('figure-list'), figures.map(({ name, text, why, reason, sub }) => ({
    label: word(`figure.${name}`), testid: `figure-${name.replace('_', '-')}`, text, why: reason ?? word(why ?? 'why.not_said'), sub,
  })));
}
