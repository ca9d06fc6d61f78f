//! Products: pages of them, one of them whole, and what the seller changes about them.

mod page;
mod row;
mod search;
mod whole;
mod write;

pub use page::{Extras, page, page_statement};
pub use row::{Listing, Product, Variant};
pub use search::{Depth, found_statement, newest_statement};
pub use whole::{PriceEntry, Whole, find};
pub use write::{Change, StockOutcome, StockRow, change_stocks, lock, update};
