// What to change, each with the figures that say so.

import { showSentences } from './alerts.js';
import { byId, emptiness, keyed, make, say } from './dom.js';
import { topicName } from './topics.js';
import { word } from './words.js';

export function showRecommendations({ recommendations = [] }) {
  show('recommendation-list', recommendations, 'recommendations.none', ({ id }) => id);
}

export function showAdvice({ advice = [] }) {
  show('advice-list', advice, 'advice.none', ({ kind }) => kind);
}

function show(listId, items, none, topicOf) {
  const list = byId(listId);
  emptiness(list.parentElement.querySelector('.empty'), items.length ? null : word(none));
  const keyOf = (item) => `${topicOf(item)} ${item.action} ${item.how ?? ''}`;
  keyed(list, items, keyOf, createAdvice, (parts, item) => {
    say(parts.name, topicName(topicOf(item)));
    showSentences(parts.details, [
      { label: 'evidence', text: item.evidence },
      { label: 'action', text: item.action },
      { label: 'how', text: item.how, isCode: true },
    ]);
  });
}

function createAdvice() {
  const name = make('h3');
  const details = make('dl');
  return { root: make('li', {}, name, details), name, details };
}
