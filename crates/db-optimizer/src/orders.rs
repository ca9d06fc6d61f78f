//! Orders: pages of them, one of them whole, new ones, and changes.

mod page;
mod row;
mod whole;
mod write;

#[cfg(feature = "testing")]
pub(crate) use page::SummaryRow;
pub use page::{OrderSummary, found_statement, page, page_statement, some};
pub use row::OrderLine;
pub use whole::{HistoryEntry, Order, PurchaseOrder, find};
pub use write::{CatalogueEntry, Change, create, find_products, lock, own_shop, update};
