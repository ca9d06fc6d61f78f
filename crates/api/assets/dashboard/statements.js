// Statements that deserve a look: slow ones with their plans, those whose plan got worse, those that
// are repeated. Their texts come from whoever wrote them and are shown as text.

import { attribute, byId, emptiness, keyed, make, say } from './dom.js';
import { count, moment, ms, number } from './format.js';
import { word } from './words.js';

export function showStatements(database) {
  showHint(database);
  show('slow-list', database.slow_queries, whyEmpty(database, 'slow.none'), ({ query_id, statement }) => `${query_id} ${statement}`, (slow) => ({
    statement: slow.statement,
    lead: word('slow.mean', { n: ms(slow.mean_ms) }),
    figures: [
      word('slow.max', { n: ms(slow.max_ms) }),
      word('slow.calls', { n: count(slow.calls) }),
      word('slow.total', { n: ms(slow.total_ms) }),
      word('slow.buffers', { n: number(slow.buffers_per_call) }),
      word('slow.rows', { n: count(slow.rows) }),
      ...(slow.read_ms > 0 ? [word('slow.read', { n: ms(slow.read_ms) })] : []),
    ],
    plan: slow.plan,
    noPlan: slow.no_plan && word('plan.none', { reason: slow.no_plan }),
  }));
  show('regression-list', database.plan_regressions, whyEmpty(database, 'regressions.none'), ({ query_id, statement }) => `${query_id} ${statement}`, (worse) => {
    const { buffers_per_call_before: before, buffers_per_call_now: now } = worse;
    const factor = before > 0 ? number(now / before) : '–';
    return {
      statement: worse.statement,
      lead: word('regressions.pages', { before: number(before), now: number(now), factor }),
      figures: [word('slow.calls', { n: count(worse.calls) }), word('alerts.since', { t: moment(worse.since) ?? '–' })],
    };
  });
  show('repeat-list', database.n_plus_one, word('repeats.none'), ({ endpoint, statement }) => `${endpoint} ${statement}`, (repeat) => ({
    statement: repeat.statement,
    lead: word('repeats.count', { n: count(repeat.count) }),
    figures: [
      repeat.endpoint,
      word('repeats.requests', { n: count(repeat.requests) }),
      word('repeats.last', { t: moment(repeat.last_seen) ?? '–' }),
      word('repeats.first', { t: moment(repeat.first_seen) ?? '–' }),
    ],
  }));
  const { retries, chunks, pages } = database.expected_repeats ?? {};
  const isCounted = retries + chunks + pages > 0;
  say(byId('expected-repeats'), isCounted ? word('repeats.expected', { retries: count(retries), chunks: count(chunks), pages: count(pages) }) : '');
}

function showHint({ statement_statistics: statistics = {} }) {
  const since = moment(statistics.since);
  const parts = [since && word('slow.since', { t: since }), statistics.hidden > 0 && word('slow.hidden', { n: count(statistics.hidden) })];
  say(byId('slow-hint'), parts.filter(Boolean).join(' · '));
}

// Where nothing is counted, that nothing was found says nothing.
function whyEmpty({ statement_statistics: statistics }, none) {
  const isAvailable = statistics?.available !== false;
  return isAvailable ? word(none) : word('slow.unavailable', { reason: statistics.reason, next: statistics.next_step });
}

function show(listId, items = [], emptySentence, keyOf, describe) {
  const list = byId(listId);
  emptiness(list.parentElement.querySelector('.empty'), items.length ? null : emptySentence);
  keyed(list, items, keyOf, createStatement, (parts, item) => updateStatement(parts, describe(item)));
}

function createStatement() {
  const parts = {
    lead: make('strong'),
    figures: make('span', { class: 'hint' }),
    gist: make('code', { class: 'gist' }),
    statementTitle: make('h4'),
    statement: make('pre'),
    planTitle: make('h4'),
    plan: make('pre', { class: 'plan', tabindex: '0', role: 'region' }),
    noPlan: make('p', { class: 'hint' }),
  };
  const { lead, figures, gist, statementTitle, statement, planTitle, plan, noPlan } = parts;
  const summary = make('summary', {}, make('span', { class: 'line' }, lead, figures), gist);
  parts.root = make('li', {}, make('details', {}, summary, statementTitle, statement, planTitle, plan, noPlan));
  return parts;
}

function updateStatement(parts, { statement, lead, figures, plan, noPlan }) {
  say(parts.lead, lead);
  say(parts.figures, figures.join(' · '));
  say(parts.gist, statement);
  say(parts.statementTitle, word('statement'));
  say(parts.statement, statement);
  parts.planTitle.hidden = !plan && !noPlan;
  say(parts.planTitle, word('plan'));
  attribute(parts.plan, 'aria-label', word('plan'));
  parts.plan.hidden = !plan;
  say(parts.plan, plan ?? '');
  parts.noPlan.hidden = !noPlan;
  say(parts.noPlan, noPlan ?? '');
}
