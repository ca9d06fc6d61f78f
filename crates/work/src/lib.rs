//! What runs behind the API: workers who claim the items of jobs, do them, and say how it went.
//!
//! An item is done at least once and its effect happens once: what a handler writes is committed together with the
//! item's end ([`Work::commit`]), behind a fence that a worker which lost its lease does not pass.
//!
//! ```
//! use std::sync::Arc;
//! use jebi_work::{Kinds, Outcome, Policy, Work};
//!
//! let kinds = Kinds::default().with("greet", Policy::default(), async |work: Arc<Work>| {
//!     Ok(work.open().into_iter().map(|item| (item, Outcome::Done)).collect())
//! });
//! # drop(kinds);
//! ```

mod addresses;
mod backoff;
mod check;
mod collect;
mod config;
mod error;
mod kind;
mod optimize;
mod outside;
mod runner;
mod work;

pub use addresses::Addresses;
pub use check::{CHECK_ACCOUNT, check_job};
pub use collect::{
    BadSchedule, COLLECT, Collector, Cron, Extent, FOLLOW, Scheduler, Schedules, collect_job,
    follow_job,
};
pub use config::Config;
pub use error::{Error, Failure};
pub use kind::{Ended, Kinds, Outcome, Policy};
pub use optimize::{OPTIMIZE, Optimizer, WarmUp, optimize_job};
pub use outside::Outside;
pub use runner::{Runner, Wake};
pub use work::Work;
