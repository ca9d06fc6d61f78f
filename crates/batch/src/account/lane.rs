//! One API of an account: its own queue, and how its calls were judged.

use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::account::AccountConfig;
use crate::clock::Clock;
use crate::kill_switch::KillSwitch;
use crate::mistakes::Mistakes;
use crate::rate::Bucket;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) buckets: Vec<Bucket>,
    pub(super) waiting: AtomicUsize,
    conduct: Mutex<Conduct>,
}

#[derive(Debug)]
pub(super) struct Conduct {
    pub(super) kill_switch: KillSwitch,
    pub(super) mistakes: Mistakes,
}

/// Why an API is not called, though its account may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    UntilReleased,
    For(Duration),
}

impl Lane {
    pub(super) fn new(name: &str, config: &AccountConfig, clock: &Clock) -> Self {
        let rates = config.api_rates.get(name).map(Vec::as_slice).unwrap_or_default();
        let conduct = Conduct {
            kill_switch: KillSwitch::new(config.kill_switch),
            mistakes: config.mistakes.of(name),
        };
        Self {
            name: name.to_owned(),
            buckets: rates.iter().map(|rate| Bucket::new(*rate, clock)).collect(),
            waiting: AtomicUsize::new(0),
            conduct: Mutex::new(conduct),
        }
    }

    pub(super) fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn halt(&self, now: Duration) -> Option<Halt> {
        let conduct = self.conduct();
        if conduct.kill_switch.is_thrown() {
            return Some(Halt::UntilReleased);
        }
        conduct.mistakes.refuses(now).map(Halt::For)
    }

    pub(super) fn release(&self) {
        let mut conduct = self.conduct();
        conduct.kill_switch.release();
        conduct.mistakes.forget();
    }
}
