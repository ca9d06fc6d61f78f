use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::error::Failure;
use crate::work::Work;

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It cannot be done, for this reason, and nothing would change that. The reason holds no personal data.
    Failed(String),
    /// The attempt failed, for this reason. It is tried again after a while, or given up after too many attempts.
    Retry(String),
    /// It is not its time yet: it comes back after so long. No failed attempt.
    Snooze(Duration),
}

/// Items by their number, and how each ended.
pub type Ended = Vec<(i32, Outcome)>;

/// How a kind of job is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many items of a job a handler gets at once, 1 to 20. Another seller waits for no more than these.
    pub batch: u8,
}

impl Policy {
    /// The most items that are claimed at once.
    pub const LARGEST_BATCH: u8 = 20;

    /// One item at a time: for those that take minutes.
    pub const ONE: Self = Self { batch: 1 };
}

impl Default for Policy {
    fn default() -> Self {
        Self { batch: Self::LARGEST_BATCH }
    }
}

type Handler = Arc<dyn Fn(Arc<Work>) -> BoxFuture<'static, Result<Ended, Failure>> + Send + Sync>;

/// The kinds of jobs that a process knows.
#[derive(Clone, Default)]
pub struct Kinds(BTreeMap<&'static str, (Policy, Handler)>);

impl Kinds {
    /// Adds a kind and what does it. The handler gets the items of one claim; it says how they ended by
    /// [`Work::commit`], with what it writes, or at its own end. Items of which it says nothing had a failed attempt,
    /// or are handed back where the work was to stop ([`Work::stop`]). One that panics had a failed attempt at
    /// all that it did not end.
    #[must_use]
    pub fn with<H, F>(mut self, name: &'static str, policy: Policy, handler: H) -> Self
    where
        H: Fn(Arc<Work>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Ended, Failure>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |work| Box::pin(handler(work)));
        self.0.insert(name, (policy, handler));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn sizes(&self) -> Vec<i32> {
        let size = |policy: &Policy| policy.batch.clamp(1, Policy::LARGEST_BATCH).into();
        self.0.values().map(|(policy, _)| size(policy)).collect()
    }

    pub(crate) fn handler(&self, name: &str) -> Option<Handler> {
        self.0.get(name).map(|(_, handler)| Arc::clone(handler))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_name_and_get_as_many_items_as_they_may() {
        let none = Kinds::default();
        assert!(none.is_empty() && none.names().is_empty() && none.sizes().is_empty());
        let done = async |_: Arc<Work>| Ok(vec![]);
        let kinds = none
            .with("check", Policy::default(), done)
            .with("collect", Policy::ONE, done)
            .with("greedy", Policy { batch: 200 }, done)
            .with("idle", Policy { batch: 0 }, done);
        assert!(!kinds.is_empty());
        assert_eq!(kinds.names(), ["check", "collect", "greedy", "idle"]);
        assert_eq!(kinds.sizes(), [20, 1, 20, 1]);
        assert!(kinds.handler("collect").is_some() && kinds.handler("walk").is_none());
    }
}
