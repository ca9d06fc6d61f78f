use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// Why a load gave no value. Every caller that waited for the load gets the same one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The loader failed; [`LoadError::loader`] gives its error back as it was.
    #[error("the loader failed: {0}")]
    Loader(Arc<dyn StdError + Send + Sync>),
    /// The loader took longer than its namespace allows; it was stopped.
    #[error(
        "the loader took longer than {0:?}; make it faster, or raise the namespace's load_timeout"
    )]
    TimedOut(Duration),
    /// The loader panicked.
    #[error("the loader panicked: {0}")]
    Panicked(Arc<str>),
    /// The loader asked for the key that it loads, itself or through another load.
    #[error("a loader waits for its own key; let it load that value directly")]
    Recursive,
}

impl LoadError {
    /// The loader's own error, where it was an `E`.
    #[must_use]
    pub fn loader<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Self::Loader(error) => error.downcast_ref(),
            Self::TimedOut(_) | Self::Panicked(_) | Self::Recursive => None,
        }
    }
}

/// Why a cache could not be built. A Redis that cannot be reached is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule, or a handle, names a namespace that was not declared.
    #[error(
        "{where_from} names the namespace {namespace:?}, which is not declared; declare it with Builder::namespace"
    )]
    UnknownNamespace {
        /// Who names it.
        where_from: String,
        /// The name.
        namespace: String,
    },
    /// A namespace was declared twice.
    #[error("the namespace {0:?} is declared twice")]
    DeclaredTwice(String),
    /// Events that lead to each other for ever.
    #[error("the rules lead in a circle: {0}")]
    Cycle(String),
    /// A target that cannot be read.
    #[error(
        "the rule for {event:?} has the target {target:?}, which is neither a namespace, nor namespace:{{field}}, nor another event with a rule"
    )]
    BadTarget {
        /// The rule's event.
        event: String,
        /// The target.
        target: String,
    },
    /// The address of Redis cannot be read.
    #[error("the address of Redis cannot be read, it should look like redis://127.0.0.1:6379/0")]
    BadAddress(#[source] redis::RedisError),
}
