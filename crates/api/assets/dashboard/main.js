// The page as a whole: which section shows which part of a frame.

import { showAdvice, showRecommendations } from './advice.js';
import { showAlerts } from './alerts.js';
import { redrawBenchmarks, showBenchmarks } from './benchmarks.js';
import { showCache } from './cache.js';
import { appendToCharts, loadCharts, redrawCharts, startCharts } from './charts.js';
import { showIndexes, showPool, showTables } from './database.js';
import { byId, emptiness, make } from './dom.js';
import { showFigures } from './figures.js';
import { moment } from './format.js';
import { announce, showHeader, showStream } from './header.js';
import { showJobs } from './jobs.js';
import { showWholesalers } from './wholesalers.js';
import { showStatements } from './statements.js';
import { listen } from './stream.js';
import { showBottlenecks, showEndpoints } from './traffic.js';
import { startLanguage, word } from './words.js';

const LIVE = [showHeader, announce, showAlerts, showFigures, showEndpoints, showBottlenecks, showCache, showWholesalers, showJobs, showBenchmarks, showRecommendations, (frame) => showPool(frame, database)];
const DATABASE = [showStatements, showIndexes, showTables, showAdvice];

let live;
let database;
let databaseAt;
let databaseError;

startSections();
startLanguage(() => {
  showAll();
  redrawBenchmarks();
  redrawCharts();
});
startCharts();
for (const empty of document.querySelectorAll('.empty')) empty.textContent = word('waiting');

const stream = listen({
  onOpen: loadCharts,
  onFrame(name, frame) {
    if (name === 'live') {
      live = frame;
      // Of a tab that nobody sees only the title is read.
      if (document.hidden) return show([showHeader], live);
      show([...LIVE, appendToCharts], live);
    } else {
      databaseError = frame.error;
      if (!frame.error) {
        database = frame;
        databaseAt = new Date().toISOString();
      }
      if (!document.hidden) showDatabase();
    }
    showStream(stream, live);
  },
});
setInterval(() => showStream(stream, live), 1000);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  showAll();
  loadCharts();
});

function showAll() {
  if (live) show(LIVE, live);
  showDatabase();
  showStream(stream, live);
}

function showDatabase() {
  if (database) show(DATABASE, database);
  const old = database ? word('database.old', { t: moment(databaseAt) }) : '';
  emptiness(byId('database-notice'), databaseError ? `${word('database.error', { reason: databaseError })} ${old}` : null);
}

function show(sections, frame) {
  for (const section of sections) {
    // What one section cannot read must not take the others from the operator.
    try {
      section(frame);
    } catch (error) {
      console.error(error);
    }
  }
}

/** Gives each section its heading, and a place in the contents. */
function startSections() {
  const links = [];
  for (const section of document.querySelectorAll('section[data-title]')) {
    const { title } = section.dataset;
    const heading = make('h2', { id: `title-${title}`, 'data-word': title });
    section.prepend(heading);
    section.setAttribute('aria-labelledby', heading.id);
    links.push(make('a', { href: `#${section.id}`, 'data-word': title }));
  }
  byId('contents').append(...links);
}
