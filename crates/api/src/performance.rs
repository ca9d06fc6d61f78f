//! What the service measures about itself, for operators.

mod cache;

pub(crate) use self::cache::{Trend, cache_figures};
