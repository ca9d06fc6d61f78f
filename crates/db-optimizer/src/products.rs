//! Products: pages of them, one of them whole, and what the seller changes about them.

mod page;
mod row;
mod search;
mod whole;
mod write;

pub use page::{Extras, page, page_statement};
pub use row::{Listing, Product, Variant};
pub(crate) use row::{listings_statement, variants_statement};
pub(crate) use search::SETTINGS as SEARCH_SETTINGS;
pub use search::{Depth, found_statement, newest_statement};
pub(crate) use whole::{Lock, prices_statement, product_statement};
pub use whole::{PriceEntry, Whole, find};
pub use write::{Change, StockOutcome, StockRow, change_stocks, lock, update};
