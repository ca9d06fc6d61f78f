// What an operator sees in the first five seconds: how it is, what is wrong, and whether that is news.

import { alertFigure, alertKey, alertName } from './alerts.js';
import { byId, figure, keyed, make, say } from './dom.js';
import { clock, number, span } from './format.js';
import { SILENT_MS } from './stream.js';
import { language, word } from './words.js';

/** From here on the last status is no longer called the present one. */
const STALE_MS = 5_000;
const COMPONENTS = ['api', 'database', 'cache', 'system'];
const SHOWN_ALERTS = 3;

export function showHeader(live) {
  showVerdict(live, live.status);
  const components = COMPONENTS.map((name) => ({ name, score: live.component_scores?.[name], why: reasonOf(live, name) }));
  keyed(byId('components'), components, ({ name }) => name, createComponent, updateComponent);
  const uptime = span(live.uptime_seconds) ?? '–';
  say(byId('instance'), word('instance', { instance: live.instance, version: live.version, uptime }));
}

/** How old the news is: also when none comes. */
export function showStream(stream, live) {
  const node = byId('stream');
  const silentMs = stream.silentMs();
  const isSilent = silentMs >= SILENT_MS;
  const state = isSilent ? (stream.isOpen() ? 'silent' : 'broken') : live ? 'live' : 'connecting';
  node.dataset.state = state;
  say(node, word(`stream.${state}`, { n: Math.floor(silentMs / 1000) }));

  const isStale = Boolean(live) && silentMs >= STALE_MS;
  if (isStale) showVerdict(live, 'unknown', staleness(live));
  document.documentElement.toggleAttribute('data-stale', isStale);
}

function showVerdict(live, status, staleSentence) {
  byId('strip').dataset.status = status;
  say(byId('status'), word(`status.${status}`));
  figure(byId('score'), staleSentence ? null : number(live.overall_score), staleSentence ?? word('score.none'));

  const raised = raisedIn(live);
  keyed(byId('wrong'), staleSentence ? [{ key: 'stale', text: staleSentence }] : wrongIn(live, raised), ({ key }) => key, createWrong, updateWrong);

  const count = raised.length ? `(${raised.length}) ` : '';
  document.title = `${count}${word(`status.${status}`)} · ${word('title')}`;
}

const staleness = (live) => word('wrong.stale', { t: clock(Date.parse(live.at) / 1000), status: word(`status.${live.status}`) });
const raisedIn = (live) => (live.alerts ?? []).filter(({ is_raised }) => is_raised);
const reasonOf = (live, name) => (live.unknown_components ?? []).find(({ component }) => component === name)?.reason;

function createComponent() {
  const name = make('span');
  const score = make('b');
  return { root: make('li', {}, name, ' ', score), name, score };
}

function updateComponent(parts, { name, score, why }) {
  say(parts.name, word(`component.${name}`));
  figure(parts.score, number(score), why ?? word('why.not_said'));
}

/** What is wrong, the most urgent first. */
function wrongIn(live, raised) {
  const alerts = raised.slice(0, SHOWN_ALERTS).map((alert) => ({
    key: alertKey(alert), href: '#alerts', text: `${alertName(alert)} — ${alertFigure(alert)}`,
  }));
  const more = raised.length - alerts.length;
  if (more > 0) alerts.push({ key: 'more', href: '#alerts', text: word('wrong.more', { n: more }) });
  const none = raised.length ? [] : [{ key: 'none', text: word('wrong.nothing') }];
  const unknown = (live.unknown_components ?? []).map(({ component, reason }) => ({
    key: component, text: word('wrong.unknown', { component: word(`component.${component}`), reason }),
  }));
  return [...alerts, ...none, ...lowestIn(live), ...unknown];
}

function lowestIn({ status, component_scores }) {
  const [lowest] = Object.entries(component_scores ?? {}).sort(([, one], [, two]) => one - two);
  if (status === 'healthy' || !lowest) return [];
  return [{ key: 'lowest', text: word('wrong.lowest', { component: word(`component.${lowest[0]}`), score: number(lowest[1]) }) }];
}

function createWrong({ href }) {
  const text = href ? make('a', { href }) : make('span');
  return { root: make('li', {}, text), text };
}

function updateWrong(parts, { text }) {
  say(parts.text, text);
}

let announced;

/** Says to screen readers what changed in status and alerts, and nothing else of what changes each second. */
export function announce(live) {
  const raised = new Map(raisedIn(live).map((alert) => [`${alert.rule} ${alert.subject}`, alertName(alert)]));
  const texts = [];
  // Said again in another language: what stands there is read by who comes to it.
  if (announced?.status !== live.status || announced.language !== language()) texts.push(word('announce.status', { status: word(`status.${live.status}`) }));
  for (const [key, alert] of raised) if (!announced?.raised.has(key)) texts.push(word('announce.raised', { alert }));
  for (const [key, alert] of announced?.raised ?? []) if (!raised.has(key)) texts.push(word('announce.cleared', { alert }));
  announced = { status: live.status, language: language(), raised };
  if (texts.length) say(byId('announcer'), texts.join('. '));
}
