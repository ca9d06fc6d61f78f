// What the database keeps: indexes, tables, and the connections to it.

import { byId, keyed, make, say } from './dom.js';
import { showFacts } from './facts.js';
import { count, megabytes, moment, ms, percent } from './format.js';
import { table } from './table.js';
import { word } from './words.js';

const isUnused = ({ scans, is_needed, is_valid }) => scans === 0 && !is_needed && is_valid;
const FLAGS = {
  invalid: (index) => !index.is_valid,
  duplicate: (index) => Boolean(index.duplicate_of),
  unused: isUnused,
};
const flagsOf = (index) => Object.keys(FLAGS).filter((flag) => FLAGS[flag](index));

const indexes = table(byId('index-table'), {
  title: 'indexes',
  keyOf: ({ index }) => index,
  sortBy: 'flags',
  isDescending: true,
  columns: [
    { name: 'index', value: ({ index }) => index, isText: true },
    { name: 'table', value: (row) => row.table, isText: true },
    { name: 'scans', value: (row) => row.scans, format: count },
    { name: 'size', value: (row) => row.size_mb, format: megabytes },
    { name: 'flags', value: (row) => flagsOf(row).length, create: () => make('span', { class: 'tags' }), update: showFlags },
  ],
});

function showFlags(cell, index) {
  const tags = flagsOf(index).map((flag) => ({
    tag: flag === 'invalid' ? 'bad' : 'warn',
    text: flag === 'duplicate' ? word('indexes.duplicate_of', { index: index.duplicate_of }) : word(`indexes.${flag}`),
  }));
  if (index.scans === 0 && index.is_needed) tags.push({ tag: 'plain', text: word('indexes.needed') });
  keyed(cell, tags, ({ text }) => text, ({ tag, text }) => ({ root: make('span', { class: 'tag', 'data-tag': tag }, text) }), () => {});
}

const filter = byId('index-filter');
let known = {};
filter.addEventListener('change', () => showIndexes(known));

export function showIndexes(database) {
  known = database;
  const all = database.index_usage ?? [];
  const wanted = { all: () => true, flagged: (index) => flagsOf(index).length > 0, ...FLAGS }[filter.value];
  indexes.show(all.filter(wanted), word(all.length ? 'indexes.none_such' : 'indexes.none'));
  const since = moment(database.index_usage_since);
  say(byId('index-since'), since ? word('indexes.since', { t: since }) : '');
}

const tables = table(byId('size-table'), {
  title: 'tables',
  keyOf: (row) => row.table,
  sortBy: 'size',
  isDescending: true,
  columns: [
    { name: 'table', value: (row) => row.table, isText: true },
    { name: 'rows', value: ({ rows }) => rows, format: count },
    { name: 'size', value: (row) => row.size_mb, format: megabytes },
    { name: 'index_size', value: (row) => row.index_size_mb, format: megabytes },
    { name: 'dead', value: (row) => row.dead_share, format: percent },
    { name: 'visible', value: (row) => row.visible_share, format: percent },
    { name: 'sequential', value: (row) => row.sequential_scans, format: count },
    { name: 'vacuumed', value: (row) => row.vacuumed_at, format: moment, why: 'why.never' },
    { name: 'analyzed', value: (row) => row.analyzed_at, format: moment, why: 'why.never' },
  ],
});

export function showTables(database) {
  tables.show(database.table_sizes ?? [], word('tables.none'));
}

/** Of this minute by `live`, since the start by `since`, which may be absent while PostgreSQL is away. */
export function showPool({ database = {} }, since = {}) {
  const { pool = {} } = database;
  const sinceStart = since.pool ?? {};
  const lastMinute = word('figure.last_minute');
  const facts = [
    { label: 'in_use', text: count(pool.in_use), sub: word('pool.of', { limit: count(pool.limit) ?? '–' }) },
    { label: 'open', text: count(pool.open), sub: word('pool.idle', { n: count(pool.idle) ?? '–' }) },
    { label: 'waits', text: count(pool.waits_last_minute), sub: word('pool.waits.sub', { n: count(sinceStart.waits) ?? '–' }) },
    { label: 'mean', text: ms(pool.mean_wait_ms), why: 'why.no_waits', sub: lastMinute },
    { label: 'longest', text: ms(sinceStart.longest_wait_ms), sub: word('pool.since_start') },
    { label: 'refused', text: count(sinceStart.refused), sub: word('pool.since_start') },
    {
      label: 'statements',
      text: ms(database.statement_p50_ms),
      why: 'why.no_statements',
      sub: word('pool.statements.sub', { p95: ms(database.statement_p95_ms) ?? '–', p99: ms(database.statement_p99_ms) ?? '–' }),
    },
    { label: 'errors', text: count(database.errors_last_minute), sub: lastMinute },
  ];
  showFacts(byId('pool-facts'), facts.map((fact) => ({ ...fact, label: word(`pool.${fact.label}`), why: word(fact.why ?? 'why.not_said') })));
}
