//! How many calls are too many, and for how long nobody answers then.
//!
//! For the limits time passes `scale` times as fast: so a fast test meets the same rules.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jebi_domain::Wholesaler;
use serde::Serialize;

use crate::time::{DAY_MS, Time};

/// Why an account was blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Too many calls in a minute.
    PerMinute,
    /// Too many calls in a day of Korea.
    PerDay,
    /// Too many calls in an hour that were the caller's mistake.
    Mistakes,
    /// Too many requests for a token in an hour.
    Tokens,
}

/// A time in which an account is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// By whom.
    pub wholesaler: Wholesaler,
    /// Which account.
    pub account: String,
    /// Why.
    pub rule: Rule,
    /// Since when.
    pub at: Time,
    /// Until when, that moment excluded.
    pub until: Time,
}

/// What is to be done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admitted,
    /// It is one too many, and nothing follows from it.
    Refused,
    /// Nothing is answered until then.
    Blocked {
        until: Time,
    },
}

/// Calls of a minute from which on each is refused, and from which on the account is blocked.
struct Bounds {
    refused_above: usize,
    blocked_above: usize,
    block: Duration,
    per_day: Option<u64>,
}

fn bounds(wholesaler: Wholesaler) -> Option<Bounds> {
    match wholesaler {
        Wholesaler::Ownerclan => Some(Bounds {
            refused_above: 180,
            blocked_above: 240,
            block: Duration::from_mins(1),
            per_day: None,
        }),
        Wholesaler::Domeggook => Some(Bounds {
            refused_above: 180,
            blocked_above: 180,
            block: Duration::from_mins(3),
            per_day: Some(15_000),
        }),
        Wholesaler::Zentrade => None,
    }
}

/// More mistakes in an hour are a client out of control.
const MISTAKES: usize = 100;
/// A token is good for 30 days.
const TOKENS: usize = 30;
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
/// Blocks that are remembered.
const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Limits {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tracks: BTreeMap<(Wholesaler, String), Track>,
    blocks: VecDeque<Block>,
}

/// Of one account. All moments are of the faster time.
#[derive(Debug, Default)]
struct Track {
    calls: VecDeque<Time>,
    mistakes: VecDeque<Time>,
    tokens: VecDeque<Time>,
    /// A day and the calls in it.
    day: (i64, u64),
    blocked_until: Option<Time>,
}

/// A call for the limits: whose, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) wholesaler: Wholesaler,
    pub(crate) account: &'a str,
    pub(crate) now: Time,
    pub(crate) scale: u32,
}

impl Caller<'_> {
    fn fast(&self) -> Time {
        Time::from_unix_ms(self.now.unix_ms().saturating_mul(i64::from(self.scale.max(1))))
    }

    /// The moment of the clock on the wall at which the faster time is there.
    fn wall(&self, fast: Time) -> Time {
        self.now + fast.since(self.fast()).div_f64(f64::from(self.scale.max(1)))
    }
}

impl Limits {
    /// Counts a call and judges it.
    pub(crate) fn admit(&self, caller: Caller<'_>, is_for_token: bool) -> Verdict {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = caller.fast();
        let track = state.track(caller);
        if let Some(until) = track.blocked_until {
            if now < until {
                return Verdict::Blocked { until: caller.wall(until) };
            }
            track.blocked_until = None;
        }
        if is_for_token && count(&mut track.tokens, now, HOUR, TOKENS) > TOKENS {
            return state.block(caller, Rule::Tokens, now + HOUR);
        }
        let Some(bounds) = bounds(caller.wholesaler) else { return Verdict::Admitted };
        let calls = count(&mut track.calls, now, MINUTE, bounds.blocked_above);
        if calls > bounds.blocked_above {
            return state.block(caller, Rule::PerMinute, now + bounds.block);
        }
        let today = now.korean_day();
        let before = if track.day.0 == today { track.day.1 } else { 0 };
        track.day = (today, before + 1);
        if bounds.per_day.is_some_and(|most| track.day.1 > most) {
            return state.block(caller, Rule::PerDay, Time::start_of_korean_day(today + 1));
        }
        if calls > bounds.refused_above { Verdict::Refused } else { Verdict::Admitted }
    }

    /// Counts a mistake of the caller's.
    pub(crate) fn mistake(&self, caller: Caller<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = caller.fast();
        if count(&mut state.track(caller).mistakes, now, HOUR, MISTAKES) > MISTAKES {
            state.block(caller, Rule::Mistakes, now + HOUR);
        }
    }

    /// All blocks there have been, the earliest first; the latest 10,000.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocks.iter().cloned().collect()
    }

    /// Lifts every block and forgets all that was counted.
    pub(crate) fn clear(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

impl State {
    fn track(&mut self, caller: Caller<'_>) -> &mut Track {
        self.tracks.entry((caller.wholesaler, caller.account.to_owned())).or_default()
    }

    fn block(&mut self, caller: Caller<'_>, rule: Rule, fast_until: Time) -> Verdict {
        let until = caller.wall(fast_until);
        self.track(caller).blocked_until = Some(fast_until);
        self.blocks.push_back(Block {
            wholesaler: caller.wholesaler,
            account: caller.account.to_owned(),
            rule,
            at: caller.now,
            until,
        });
        if self.blocks.len() > REMEMBERED {
            self.blocks.pop_front();
        }
        Verdict::Blocked { until }
    }
}

/// Adds a moment and says how many lie in the window that ends with it; beyond one above the most
/// nothing is kept.
fn count(moments: &mut VecDeque<Time>, now: Time, window: Duration, most: usize) -> usize {
    while moments.front().is_some_and(|first| *first <= now - window) || moments.len() > most {
        moments.pop_front();
    }
    moments.push_back(now);
    moments.len()
}

/// Whole seconds from now to a moment, as a `Retry-After` says it.
pub(crate) fn seconds_until(until: Time, now: Time) -> i64 {
    let seconds = until.since(now).as_millis().div_ceil(1_000);
    i64::try_from(seconds).unwrap_or(DAY_MS)
}

#[cfg(test)]
mod tests;
