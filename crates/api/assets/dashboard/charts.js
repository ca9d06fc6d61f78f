// The curves: 15 minutes that grow each second, or 24 hours that are read again each minute.

import uPlot from './uplot.js';
import { attribute, byId, make, say } from './dom.js';
import { clock, clockMinute, ms, number, percent, percentWhole, perSecond, short } from './format.js';
import { leaveIfUnauthorized } from './stream.js';
import { word } from './words.js';

const SPANS = { '15m': 15 * 60, '24h': 24 * 60 * 60 };
/** A longer pause between two frames is a gap in the curve; a shorter one is how frames come. */
const GAP_SECONDS = 3.5;
const REREAD_MS = 60_000;
const RETRY_MS = 5_000;
/** A text that changes each second cannot be read out. */
const RETELL_MS = 10_000;
const HEIGHT = 150;
const AXIS_WIDTH = 60;
const SECOND_AXIS_WIDTH = 36;

const share = { format: percent, axis: percentWhole, top: () => 1 };
const rate = { format: perSecond, axis: short };

// Dashes tell the lines apart where colours do not.
const CHARTS = [
  { name: 'traffic', ...rate, lines: [['requests_per_second', 'blue'], ['errors_per_second', 'red', [4, 3]]] },
  { name: 'latency', format: ms, axis: ms, lines: [['p50_ms', 'blue'], ['p95_ms', 'orange', [6, 3]], ['p99_ms', 'purple', [2, 2]]] },
  { name: 'hit_rate', ...share, lines: [['hit_rate', 'green']] },
  { name: 'database', ...rate, lines: [['statements_per_second', 'blue'], ['pool_in_use', 'orange', [6, 3], number]] },
  { name: 'cpu', ...share, lines: [['cpu_share', 'purple']] },
];
const NAMES = CHARTS.flatMap(({ lines }) => lines.map(([name]) => name));

let range = '15m';
let points = emptyPoints();
let charts = [];
let toldAt = 0;
let timer;

export function startCharts() {
  charts = CHARTS.map(createChart);
  byId('curve-list').append(...charts.map(({ root }) => root));
  for (const button of document.querySelectorAll('[data-range]')) {
    button.addEventListener('click', () => {
      range = button.dataset.range;
      for (const one of document.querySelectorAll('[data-range]')) attribute(one, 'aria-pressed', String(one === button));
      points = emptyPoints();
      loadCharts();
    });
  }
  const widths = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) charts.find(({ plot }) => plot === target).resize(contentRect.width);
  });
  charts.forEach(({ plot }) => widths.observe(plot));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawCharts);
}

/** Reads the whole range: at the start, after a break, and each minute of 24 hours. */
export async function loadCharts() {
  clearTimeout(timer);
  const asked = range;
  let isRead = false;
  try {
    const answer = await fetch(`/dashboard/api/series?range=${asked}`);
    leaveIfUnauthorized(answer);
    if (answer.ok) {
      const series = await answer.json();
      if (asked !== range) return;
      points = Object.fromEntries(['at', ...NAMES].map((name) => [name, series[name] ?? series.at.map(() => null)]));
      isRead = true;
    }
  } catch {
    // Said below; the server may only be away.
  }
  if (asked !== range) return;
  clearTimeout(timer);
  if (!isRead) timer = setTimeout(loadCharts, RETRY_MS);
  else if (range === '24h') timer = setTimeout(loadCharts, REREAD_MS);
  say(byId('curve-failure'), isRead ? '' : word('curves.failed'));
  toldAt = 0;
  draw();
}

/** One more second of the 15 minutes. */
export function appendToCharts(live) {
  if (range !== '15m') return;
  const at = Date.parse(live.at) / 1000;
  const last = points.at.at(-1);
  // The server's clock was set back: what is here is no longer in order.
  if (at < last - GAP_SECONDS) {
    loadCharts();
    return;
  }
  if (at <= last) return;
  if (at - last > GAP_SECONDS) append(last + 1, {});
  append(at, live.second ?? {});
  while (points.at[0] < at - SPANS['15m']) for (const values of Object.values(points)) values.shift();
  draw();
}

/** In the language and the colours of now. */
export function redrawCharts() {
  toldAt = 0;
  charts.forEach((chart) => chart.rebuild());
  draw();
}

function append(at, second) {
  points.at.push(at);
  for (const name of NAMES) points[name].push(second[name] ?? null);
}

function draw() {
  const isTold = Date.now() - toldAt >= RETELL_MS;
  if (isTold) toldAt = Date.now();
  for (const chart of charts) {
    chart.draw();
    if (isTold) chart.tell();
  }
}

function emptyPoints() {
  return Object.fromEntries(['at', ...NAMES].map((name) => [name, []]));
}

function createChart({ name, lines, format, axis, top = (most) => (most > 0 ? most * 1.1 : 1) }) {
  const title = make('h3', { id: `curve-${name}` });
  const plot = make('div', { class: 'plot', role: 'img', 'data-testid': `curve-${name}` });
  const legend = lines.map(([series, colour, dash]) => {
    const parts = { series, name: make('span'), value: make('b') };
    const swatch = make('span', { class: 'swatch', 'data-colour': colour, 'data-line': dash ? (dash[0] > 2 ? 'dashed' : 'dotted') : 'solid' });
    parts.root = make('li', {}, swatch, parts.name, parts.value);
    return parts;
  });
  const root = make('figure', {}, make('figcaption', {}, title, make('ul', { class: 'legend' }, ...legend.map((one) => one.root))), plot);
  const formatOf = (index) => lines[index][3] ?? format;
  let chart;
  let width = 0;

  function rebuild() {
    chart?.destroy();
    chart = undefined;
    say(title, word(`curve.${name}`));
    legend.forEach((one) => say(one.name, word(`series.${one.series}`)));
    if (width > 0) chart = new uPlot(options(), data(), plot);
  }

  function options() {
    const colour = (one) => getComputedStyle(document.documentElement).getPropertyValue(`--${one}`).trim();
    const scaleOf = (index) => (lines[index][3] ? 'second' : 'y');
    const scale = { range: (_, __, most) => [0, top(most)] };
    const yAxis = (index, more) => ({
      scale: scaleOf(index), stroke: colour('muted'), size: AXIS_WIDTH, ticks: { show: false }, space: 28,
      grid: { stroke: colour('line'), width: 1 }, values: (_, splits) => splits.map(lines[index][3] ?? axis), ...more,
    });
    const second = lines.findIndex((line) => line[3]);
    return {
      width,
      height: HEIGHT,
      padding: [8, null, null, null],
      legend: { show: false },
      cursor: { sync: { key: 'curves' }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
      scales: { x: { time: true, range: (_, __, end) => [(end ?? 0) - SPANS[range], end ?? 0] }, y: scale, second: scale },
      series: [{}, ...lines.map(([series, paint, dash], index) => ({
        label: series, scale: scaleOf(index), stroke: colour(paint), width: 1.5, dash,
        // How many connections there are changes at once, not bit by bit.
        paths: scaleOf(index) === 'second' ? uPlot.paths.stepped({ align: 1 }) : undefined,
        points: { show: false, size: 3, filter: alone },
      }))],
      axes: [
        { stroke: colour('muted'), grid: { show: false }, ticks: { stroke: colour('line'), size: 4 }, size: 28, values: (_, splits) => splits.map(clockMinute) },
        yAxis(0),
        ...(second > 0 ? [yAxis(second, { side: 1, size: SECOND_AXIS_WIDTH, grid: { show: false } })] : []),
      ],
      hooks: { setCursor: [showLegend] },
    };
  }

  const data = () => [points.at, ...lines.map(([series]) => points[series])];

  function showLegend() {
    const at = chart?.cursor.idx ?? null;
    legend.forEach(({ series, value }, index) => say(value, formatOf(index)(points[series].at(at ?? -1)) ?? '–'));
    say(byId('curve-time'), at === null ? '' : clock(points.at[at] ?? 0));
  }

  function draw() {
    chart?.setData(data());
    showLegend();
  }

  /** What the curve shows, for those who do not see it. */
  function tell() {
    const told = lines.map(([series], index) => {
      const values = points[series].filter((value) => value !== null);
      const label = word(`series.${series}`);
      if (values.length === 0) return word('curve.empty', { name: label });
      const write = (value) => formatOf(index)(value) ?? '–';
      return word('curve.text', { name: label, now: write(points[series].at(-1)), min: write(Math.min(...values)), max: write(Math.max(...values)) });
    });
    attribute(plot, 'aria-label', `${word(`curve.${name}`)}, ${word(`range.${range}`)}: ${told.join('; ')}`);
  }

  function resize(newWidth) {
    const isFirst = width === 0;
    width = Math.floor(newWidth);
    if (isFirst) rebuild();
    else chart?.setSize({ width, height: HEIGHT });
  }

  rebuild();
  return { root, plot, rebuild, draw, tell, resize };
}

/** Values between two gaps: no line leads to them, so that they are seen as dots only. */
function alone(chart, index) {
  const values = chart.data[index];
  const found = [];
  values.forEach((value, at) => {
    if (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null) found.push(at);
  });
  return found;
}
