//! How many calls of an account are under way, and how many there were at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jebi_domain::Wholesaler;
use serde::Serialize;

/// The calls of an account that are under way: from the request until the end of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// With whom.
    pub wholesaler: Wholesaler,
    /// Which account.
    pub account: String,
    /// Now.
    pub now: u64,
    /// The most there were at once.
    pub most: u64,
}

type Counts = BTreeMap<(Wholesaler, String), (u64, u64)>;

/// Shared by those that are under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<Counts>>);

/// One call under way: it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    flights: Flights,
    whose: (Wholesaler, String),
}

impl Flights {
    pub(crate) fn begin(&self, wholesaler: Wholesaler, account: &str) -> Flight {
        let whose = (wholesaler, account.to_owned());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, most) = counts.entry(whose.clone()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Flight { flights: self.clone(), whose }
    }

    pub(crate) fn list(&self) -> Vec<InFlight> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |((wholesaler, account), (now, most)): (&(Wholesaler, String), &(u64, u64))| {
            let (wholesaler, account, now, most) = (*wholesaler, account.clone(), *now, *most);
            InFlight { wholesaler, account, now, most }
        };
        counts.iter().map(entry).collect()
    }

    /// Forgets how many there were; those under way count on.
    pub(crate) fn forget(&self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, (now, _)| *now > 0);
        counts.values_mut().for_each(|(now, most)| *most = *now);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut counts = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((now, _)) = counts.get_mut(&self.whose) {
            *now = now.saturating_sub(1);
        }
    }
}
