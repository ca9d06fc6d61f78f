// Figures and times as the chosen language writes them. Each answers null for what is not there, so
// that `figure` in dom.js shows a dash with its reason and never a 0 that nobody measured.

import { language, word } from './words.js';

const unit = (name, maximumFractionDigits) => ({ style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits });

const NUMBERS = {
  whole: { maximumFractionDigits: 0 },
  tenths: { maximumFractionDigits: 1 },
  hundredths: { maximumFractionDigits: 2 },
  short: { notation: 'compact', maximumFractionDigits: 1 },
  percent: { style: 'percent', maximumFractionDigits: 1 },
  percentWhole: { style: 'percent', maximumFractionDigits: 0 },
  ms: unit('millisecond', 0),
  msTenths: unit('millisecond', 1),
  msHundredths: unit('millisecond', 2),
  seconds: unit('second', 2),
  second: unit('second', 0),
  minute: unit('minute', 0),
  hour: unit('hour', 0),
  day: unit('day', 0),
  megabyte: unit('megabyte', 1),
  gigabyte: unit('gigabyte', 1),
};
const TIMES = {
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  day: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
};

// Making a formatter costs more than formatting a whole page with it.
const made = new Map();

function formatter(Kind, table, name) {
  const key = `${Kind.name} ${name} ${language()}`;
  if (!made.has(key)) made.set(key, new Kind(language(), table[name]));
  return made.get(key);
}

const digits = (name, value) => formatter(Intl.NumberFormat, NUMBERS, name).format(value);
const time = (name, date) => formatter(Intl.DateTimeFormat, TIMES, name).format(date);
const known = (format) => (value) => (Number.isFinite(value) ? format(value) : null);

export const count = known((value) => digits('whole', value));
export const number = known((value) => digits(value >= 100 ? 'whole' : value >= 10 ? 'tenths' : 'hundredths', value));
export const short = known((value) => digits('short', value));
export const percent = known((share) => digits('percent', share));
export const percentWhole = known((share) => digits('percentWhole', share));
export const perSecond = known((value) => word('per_second', { n: number(value) }));

export const ms = known((value) => {
  if (value >= 60_000) return span(value / 1000);
  if (value >= 1000) return digits('seconds', value / 1000);
  return digits(value >= 100 ? 'ms' : value >= 10 ? 'msTenths' : 'msHundredths', value);
});
export const seconds = known((value) => ms(value * 1000));

export const megabytes = known((value) => (value >= 1024 ? digits('gigabyte', value / 1024) : digits('megabyte', value)));

/** A span in its two largest units. */
export const span = known((value) => {
  const whole = Math.floor(value);
  const parts = { day: Math.floor(whole / 86_400), hour: Math.floor(whole / 3600) % 24, minute: Math.floor(whole / 60) % 60, second: whole % 60 };
  const names = Object.keys(parts);
  const first = names.findIndex((name) => parts[name] > 0);
  if (first < 0) return digits('second', 0);
  return names.slice(first, first + 2).filter((name) => parts[name] > 0).map((name) => digits(name, parts[name])).join(' ');
});

export const clock = (unixSeconds) => time('second', unixSeconds * 1000);
export const clockMinute = (unixSeconds) => time('minute', unixSeconds * 1000);

/** A moment of today by its clock, an older one with its day. */
export function moment(rfc3339) {
  const at = Date.parse(rfc3339 ?? '');
  if (Number.isNaN(at)) return null;
  return time(new Date(at).toDateString() === new Date().toDateString() ? 'second' : 'day', at);
}

export function ago(rfc3339) {
  const at = Date.parse(rfc3339 ?? '');
  return Number.isNaN(at) ? null : word('ago', { t: span(Math.max(0, Date.now() - at) / 1000) });
}
