//! `/orders-optimized`: pages of orders, one of them whole, new ones, and changes.

mod analytics;
mod change;
mod new;
mod page;
mod whole;

pub(crate) use analytics::performance;
pub(crate) use change::update;
pub(crate) use new::create;
pub(crate) use page::list;
pub(crate) use whole::find;
