//! What the service measures about itself, for operators.

mod cache;
mod database;
mod figures;
mod optimize;

pub(crate) use self::cache::{Trend, cache_figures};
pub(crate) use self::database::database_figures;
pub(crate) use self::optimize::{optimization, start_optimization};
