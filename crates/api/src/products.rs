//! `/products-optimized`: pages of products, one of them, and what the seller changes about them.

mod bulk;
mod change;
mod collect;
mod page;
mod whole;

pub(crate) use bulk::bulk_stock;
pub(crate) use change::update;
pub(crate) use collect::{chosen, start_collection};
pub(crate) use page::list;
pub(crate) use whole::find;
