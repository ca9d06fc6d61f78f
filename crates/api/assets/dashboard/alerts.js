// Alerts: those raised with what to do, then those that were cleared.

import { byId, emptiness, keyed, make, say } from './dom.js';
import { ago, count, moment, ms, number, percent, seconds } from './format.js';
import { inKorean, topicName } from './topics.js';
import { word } from './words.js';

const UNITS = { ms, share: percent, s: seconds, count };

export const alertName = ({ rule, subject }) => (subject ? `${topicName(rule)}: ${subject}` : topicName(rule));

export function alertFigure({ value, threshold, unit }) {
  const format = UNITS[unit] ?? ((figure) => `${number(figure)} ${unit ?? ''}`);
  return word('alerts.figure', { value: format(value) ?? '–', threshold: format(threshold) ?? '–' });
}

export function showAlerts({ alerts = [] }) {
  const raised = alerts.filter(({ is_raised }) => is_raised);
  const cleared = alerts.filter(({ is_raised }) => !is_raised);
  const none = cleared.length ? word('alerts.none_raised') : word('alerts.none');
  emptiness(byId('alert-lists').querySelector('.empty'), raised.length ? null : none);
  byId('cleared-title').hidden = cleared.length === 0;
  byId('cleared').hidden = cleared.length === 0;
  keyed(byId('raised'), raised, alertKey, createAlert, updateAlert);
  keyed(byId('cleared'), cleared, alertKey, createAlert, updateAlert);
}

export const alertKey = ({ rule, subject, raised_at }) => `${rule} ${subject} ${raised_at}`;

function createAlert() {
  const parts = { state: make('span', { class: 'tag' }), rule: make('strong'), subject: make('code'), figure: make('span', { class: 'value' }), when: make('span', { class: 'hint' }) };
  parts.details = make('dl');
  parts.root = make('li', {}, make('p', { class: 'line' }, ...Object.values(parts).filter((part) => part !== parts.details)), parts.details);
  return parts;
}

function updateAlert(parts, alert) {
  parts.state.dataset.tag = alert.is_raised ? 'bad' : 'good';
  say(parts.state, word(alert.is_raised ? 'alerts.is_raised' : 'alerts.is_cleared'));
  say(parts.rule, topicName(alert.rule));
  say(parts.subject, alert.subject ?? '');
  parts.subject.hidden = !alert.subject;
  say(parts.figure, alertFigure(alert));
  const from = moment(alert.raised_at) ?? '–';
  const since = `${word('alerts.since', { t: from })} (${ago(alert.raised_at) ?? '–'})`;
  say(parts.when, alert.is_raised ? since : word('alerts.from_to', { from, to: moment(alert.cleared_at) ?? '–' }));
  showSentences(parts.details, alert.is_raised ? [
    { label: 'cause', korean: inKorean(alert.rule, 'cause'), text: alert.cause },
    { label: 'next_step', korean: inKorean(alert.rule, 'next'), text: alert.next_step },
  ] : []);
}

/** What the server says in English under a label, after what there is in Korean; `isCode` for what is typed somewhere. */
export function showSentences(list, sentences) {
  const said = sentences.filter(({ text, korean }) => text || korean);
  keyed(list, said, ({ label }) => label, createSentence, updateSentence);
}

function createSentence({ isCode }) {
  const label = make('dt');
  const korean = make('span', { lang: 'ko' });
  const text = make(isCode ? 'code' : 'span', { lang: 'en' });
  return { root: make('div', {}, label, make('dd', {}, korean, text)), label, korean, text };
}

function updateSentence(parts, { label, korean, text }) {
  say(parts.label, word(label));
  say(parts.korean, korean ?? '');
  parts.korean.hidden = !korean;
  parts.text.classList.toggle('original', Boolean(korean));
  say(parts.text, text ?? '');
}
