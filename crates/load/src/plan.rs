use std::time::Duration;

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second, at even distances, whatever is answered.
    Open {
        /// Requests a second, of all users together.
        per_second: f64,
    },
    /// Each user sends the next when they have the answer to the last. Finds out what a service can do; how long who comes
    /// at their own time has to wait it does not.
    Closed,
}

/// What is to be sent, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Connections, each with one request under way at a time.
    pub users: usize,
    /// How long requests are sent.
    pub duration: Duration,
    /// How they follow each other.
    pub pace: Pace,
    /// An answer is waited for so long.
    pub patience: Duration,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Nobody to send, nothing, nowhere, or no time to do it in.
    #[error("a load needs users, a rate, a duration, an address and requests")]
    Empty,
    /// The generator has no runtime or no thread.
    #[error("the generator cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// A thread of the generator panicked.
    #[error("the generator broke off: this is a bug")]
    BrokenOff,
}

impl Plan {
    /// The requests of the whole run, where their number is fixed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(crate) fn slots(&self) -> Option<u64> {
        match self.pace {
            Pace::Open { per_second } => Some((per_second * self.duration.as_secs_f64()) as u64),
            Pace::Closed => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let is_still = match self.pace {
            // Also what is no number.
            Pace::Open { per_second } => !(per_second > 0.0 && per_second.is_finite()),
            Pace::Closed => false,
        };
        self.users == 0 || self.duration.is_zero() || is_still
    }

    /// When the `slot`-th request is to be sent, from the beginning.
    pub(crate) fn intended(&self, slot: u64) -> Option<Duration> {
        match self.pace {
            Pace::Open { per_second } => Some(Duration::from_secs_f64(slot as f64 / per_second)),
            Pace::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_evenly_over_the_run() {
        let pace = Pace::Open { per_second: 200.0 };
        let plan = Plan {
            users: 3,
            duration: Duration::from_secs(2),
            pace,
            patience: Duration::from_secs(1),
        };
        assert_eq!(plan.slots(), Some(400));
        assert_eq!(plan.intended(0), Some(Duration::ZERO));
        assert_eq!(plan.intended(399), Some(Duration::from_millis(1_995)));
        assert!(!plan.is_empty());
        let closed = Plan { pace: Pace::Closed, ..plan };
        assert_eq!((closed.slots(), closed.intended(7)), (None, None));
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Plan { pace: Pace::Open { per_second }, ..plan }.is_empty());
        }
        assert!(Plan { users: 0, ..plan }.is_empty());
    }
}
