//! Orders: pages of them, one of them whole, new ones, and changes.

mod page;
mod row;
mod whole;
mod write;

#[cfg(feature = "testing")]
pub(crate) use page::SummaryRow;
pub use page::{OrderSummary, found_statement, page, page_statement, some};
pub use row::OrderLine;
pub(crate) use row::lines_statement;
pub use whole::{HistoryEntry, Order, PurchaseOrder, find};
pub(crate) use whole::{Lock, history_statement, order_statement, purchase_orders_statement};
pub(crate) use write::own_shop_statement;
pub use write::{CatalogueEntry, Change, create, find_products, lock, own_shop, update};
