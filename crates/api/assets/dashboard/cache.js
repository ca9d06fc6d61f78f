// The cache: its levels, and what each namespace gets from it.

import { byId } from './dom.js';
import { showFacts } from './facts.js';
import { count, megabytes, percent } from './format.js';
import { table } from './table.js';
import { word } from './words.js';

const rate = (name, figure) => ({ name, value: (row) => row[figure] ?? null, format: percent, why: 'why.no_lookups' });

const namespaces = table(byId('namespace-table'), {
  title: 'cache',
  keyOf: ({ namespace }) => namespace,
  sortBy: 'lookups',
  isDescending: true,
  columns: [
    { name: 'namespace', value: ({ namespace }) => namespace, isText: true },
    { name: 'lookups', value: (row) => row.requests_last_minute, format: count },
    rate('hit_rate', 'hit_rate'),
    rate('l1', 'l1_hit_rate'),
    rate('l2', 'l2_hit_rate'),
    { name: 'entries', value: (row) => row.entries, format: count },
    { name: 'size', value: (row) => row.size_mb, format: megabytes },
  ],
});

export function showCache({ cache = {} }) {
  const levels = (cache.levels ?? []).map(({ level, hit_rate, hits_last_minute }) => ({
    label: word('cache.level', { level: level.toUpperCase() }),
    text: percent(hit_rate),
    why: word('why.no_lookups'),
    sub: word('cache.hits', { n: count(hits_last_minute) ?? '–' }),
  }));
  const lookups = count(cache.requests_last_minute);
  showFacts(byId('cache-facts'), [
    { label: word('cache.all'), text: percent(cache.hit_rate), why: word('why.no_lookups'), sub: lookups && word('cache.lookups', { n: lookups }) },
    ...levels,
    { label: word('cache.redis'), text: cache.redis ? word(`redis.${cache.redis}`) : null, why: word('why.not_said') },
    { label: word('cache.trust'), text: trust(cache.l1_is_trusted), why: word('why.not_said'), sub: cache.l1_is_trusted === false && word('cache.distrusted.sub') },
  ]);
  namespaces.show(cache.namespaces ?? [], word('cache.none'));
}

function trust(isTrusted) {
  if (isTrusted === undefined) return null;
  return word(isTrusted ? 'cache.trusted' : 'cache.distrusted');
}
