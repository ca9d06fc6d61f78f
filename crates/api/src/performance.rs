//! What the service measures about itself, for operators.

mod api;
mod benchmark;
mod cache;
mod collected;
mod database;
mod figures;
mod now;
mod optimize;
mod overview;
mod real_time;
mod recommend;
mod score;
mod series;
mod started;
mod stream;
mod wholesalers;

pub(crate) use self::api::api_figures;
pub(crate) use self::benchmark::{benchmark_run, benchmarks, benchmarks_shown, start_benchmark};
pub(crate) use self::cache::cache_figures;
pub(crate) use self::database::database_figures;
pub(crate) use self::optimize::{optimization, start_optimization};
pub(crate) use self::overview::overview_figures;
pub(crate) use self::real_time::real_time_figures;
pub(crate) use self::score::health;
pub(crate) use self::series::series_figures;
pub(crate) use self::stream::{Feeds, Live, explain, follow_database, follow_keys, stream};
pub(crate) use self::wholesalers::wholesaler_figures;
