#![doc = include_str!("../README.md")]

mod cache;
mod clock;
mod compression;
mod config;
mod envelope;
mod error;
mod explain;
mod flight;
mod generation;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod journal;
mod key;
mod l1;
mod l2;
mod load;
mod random;
mod rules;
mod stats;
mod sync;
mod trust;
mod value;

pub use cache::{Applied, Cache, Namespace, Propagation};
pub use clock::Clock;
pub use compression::Compression;
pub use config::{Builder, Forsaken, NamespaceConfig};
pub use error::{Error, LoadError};
pub use explain::{Cause, Explanation, Link};
pub use key::{CacheKey, KeyBytes, Scope};
pub use l1::L1;
pub use l2::{Breaker, Redis};
pub use load::{Load, Previous};
pub use rules::Event;
pub use stats::{L2Stats, Latency, NamespaceStats, Stats};
pub use trust::Moment;
pub use value::{Body, Freshness, Hit, Level, Loaded};
