//! Jobs: durable background work, done item by item by workers who claim items under a lease.
//!
//! Locks are taken in one order: items, then their lane, then the job.

mod archive;
mod cancel;
mod claim;
mod enqueue;
mod overview;
mod read;
mod report;
mod settle;

pub use archive::{rotate, tidy};
pub use cancel::cancel;
pub use claim::{Claim, ClaimedItem, Held, Offer, StillHeld, claim, extend};
pub use enqueue::{Enqueued, NewItem, NewJob, add_items, enqueue};
pub use overview::{Overview, overview};
pub(crate) use read::page_statement;
pub use read::{Failure, Job, find, page};
pub use report::{Gain, Report, gain, report};
pub use settle::{Outcome, Settled, settle};
