//! Reading what wholesalers have: catalogues of a million items, and what has changed in them.
//!
//! Each of the three has a client. What they say becomes one [`WholesaleProduct`], what cannot be
//! used is [`Rejected`] with its reason, and neither costs the others of its page anything.

mod domeggook;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod line;
mod number;
mod ownerclan;
mod page;
mod parts;
mod product;
mod seen;
mod session;
mod text;
mod zentrade;

use futures::future::BoxFuture;
use jebi_domain::Wholesaler;

pub use domeggook::{Domeggook, DomeggookLogin, Market};
pub use error::{Error, Refusal};
pub use key::Key;
pub use line::Line;
pub use ownerclan::{Ownerclan, OwnerclanLogin};
pub use page::{Checkpoint, Page, Pages, Window};
pub use product::{
    Availability, Category, ProductOption, Reason, Rejected, Stock, Tier, WholesaleProduct,
};
pub use zentrade::{OrderBy, Zentrade, ZentradeLogin, ZentradeOrder};

/// A wholesaler's catalogue, as an account sees it.
///
/// Everything goes through the account: its rates, its breaker, its retries. The streams start no
/// task and do nothing but while they are polled; after an error they end, and the checkpoint of the
/// last page goes on from there.
pub trait Catalogue: Send + Sync {
    /// Whose it is.
    fn wholesaler(&self) -> Wholesaler;

    /// All items, page by page: from the beginning, or from where a checkpoint of a walk stands.
    ///
    /// Items that come twice, because the list moves under the walk, are left out the second time.
    /// The last page is the one whose [`Page::next`] is `None`.
    fn walk(&self, from: Option<&Checkpoint>) -> Pages;

    /// The items that have changed in a window, as they are now: from its beginning, or from where a
    /// checkpoint of changes stands.
    ///
    /// Windows are to overlap: what changes at the edge may be told late. Items that were changed and
    /// are not there any more are [`Page::missing`].
    fn changes(&self, window: Window, from: Option<&Checkpoint>) -> Pages;

    /// These items, as they are now. What is not there is [`Page::missing`].
    fn find<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Page, Error>>;
}
