//! What was received, and counts of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use jebi_domain::Wholesaler;
use serde::Serialize;

use crate::time::Time;

/// Calls that are remembered, the latest.
const REMEMBERED: usize = 10_000;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was served, rightly or with an error.
    Served,
    /// It was one too many and refused.
    Refused,
    /// The account was blocked.
    Blocked,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Counted from 1.
    pub number: u64,
    /// When it came.
    pub at: Time,
    /// To whom.
    pub wholesaler: Wholesaler,
    /// `GET`, `POST` and the like.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// What was asked for: `auth`, `allItems`, `product_api`, `getItemList` …
    pub route: String,
    /// By whom; empty where nobody was named.
    pub account: String,
    /// What was asked, by name; keys and passwords masked, long texts cut.
    pub parameters: BTreeMap<String, String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The status code that was meant to be sent.
    pub status: u16,
    /// How many faults it met.
    pub faults: usize,
}

/// Counts since the start or the last clearing, for one wholesaler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// All calls.
    pub calls: u64,
    /// By route.
    pub routes: BTreeMap<String, u64>,
    /// By status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Refused ones.
    pub refused: u64,
    /// Those that came while the account was blocked.
    pub blocked: u64,
    /// Those that met a fault.
    pub faulty: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    entries: VecDeque<Entry>,
    counters: BTreeMap<Wholesaler, Counters>,
}

impl Log {
    pub(crate) fn add(&self, entry: Entry) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let number = state.next;
        let counters = state.counters.entry(entry.wholesaler).or_default();
        counters.calls += 1;
        *counters.routes.entry(entry.route.clone()).or_default() += 1;
        *counters.statuses.entry(entry.status).or_default() += 1;
        counters.refused += u64::from(entry.outcome == Outcome::Refused);
        counters.blocked += u64::from(entry.outcome == Outcome::Blocked);
        counters.faulty += u64::from(entry.faults > 0);
        state.entries.push_back(Entry { number, ..entry });
        if state.entries.len() > REMEMBERED {
            state.entries.pop_front();
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.iter().cloned().collect()
    }

    pub(crate) fn counters(&self, wholesaler: Wholesaler) -> Counters {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counters.get(&wholesaler).cloned().unwrap_or_default()
    }

    /// Forgets all; numbers go on.
    pub(crate) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.clear();
        state.counters.clear();
    }
}

/// What is shown of a parameter.
pub(crate) fn shown(name: &str, value: &str) -> String {
    if ["pw", "password", "m_skey", "sId"].contains(&name) {
        return "***".to_owned();
    }
    match value.char_indices().nth(2_000) {
        Some((cut, _)) => format!("{}…", &value[..cut]),
        None => value.to_owned(),
    }
}
