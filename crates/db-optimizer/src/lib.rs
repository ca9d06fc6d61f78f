//! Every SQL statement of Jebi.
//!
//! A query is a value ([`Statement`]): its text can be printed and explained before it is run. Each
//! public function says how many statements it takes, and a test counts them.

pub mod accounts;
mod admin;
pub mod analytics;
pub mod bulk;
pub mod collection;
mod error;
pub mod housekeeping;
pub mod idempotency;
pub mod jobs;
mod listing;
mod migrate;
pub mod optimize;
pub mod orders;
mod plan;
mod pool;
pub mod products;
mod random;
pub mod relay;
pub mod repeats;
pub mod script;
pub mod sellers;
mod statement;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod timings;
mod trail;
pub mod watch;

pub use admin::Admin;
pub use error::{Error, Refused};
pub use migrate::{migrate, pending, pending_for_owner};
pub use plan::{Plan, explain};
pub use pool::{Config, Pool, PoolState, PoolWaits, Transaction};
pub use random::random;
pub use statement::{Bind, Statement};
pub use trail::Author;
