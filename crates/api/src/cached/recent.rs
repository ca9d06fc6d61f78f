use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;

/// What is kept of loads: so many of the last ones, each answer once.
const MOST: usize = 256;
/// So many are loaded at once: readers come first.
const AT_ONCE: usize = 4;

/// Asks the cache for an answer again, which loads it where it is not held any more; whether that went well.
pub(crate) type Again = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// The answers that were loaded last, and so were really asked for: what a warm-up loads.
///
/// An answer that is asked for often is loaded again and again, as often as it ends. A hit is not noted, and costs nothing.
pub(crate) struct Recent(quick_cache::sync::Cache<String, Again>);

impl Default for Recent {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(MOST))
    }
}

impl Recent {
    /// Notes that an answer was loaded.
    pub(super) fn note(&self, name: String, again: Again) {
        self.0.insert(name, again);
    }

    /// Forgets all of them: they hold on to what loads them.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }

    /// Asks for all of them; how many there are, and how many of them went well.
    pub(crate) async fn warm_up(&self) -> (usize, usize) {
        let all: Vec<BoxFuture<'static, bool>> = self.0.iter().map(|(_, again)| again()).collect();
        let (asked, mut went_well) = (all.len(), 0);
        let mut answers = futures::stream::iter(all).buffer_unordered(AT_ONCE);
        while let Some(is_well) = answers.next().await {
            went_well += usize::from(is_well);
        }
        (asked, went_well)
    }
}
