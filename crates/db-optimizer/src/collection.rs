//! What wholesalers have, on its way into a seller's catalogue.
//!
//! A page is compared with what is known ([`known`]), what differs is copied beside the catalogue ([`Stage`]), and merged from
//! there in one transaction with the checkpoint of the walk ([`merge`]). What has not changed is not written.

mod freshness;
mod gone;
mod known;
mod merge;
mod seen;
mod stage;
mod state;
mod tidy;

pub use freshness::{Age, Trouble, freshness, troubles};
pub use gone::{Believed, Unseen, believed, unseen};
pub use known::{Known, known, taken};
pub use merge::{Merged, Source, merge};
pub use seen::{Walk, forget_seen, forget_seen_after, note_seen, pages_seen};
pub use stage::{Batch, Detail, Stage, Staged, Variant};
pub use state::{
    Attempt, Collection, Due, EndOfWalk, Schedule, Standing, add_items, begin_walk, due,
    end_follow, end_walk, find, postpone, trouble,
};
pub use tidy::tidy;
