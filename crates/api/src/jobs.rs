//! `/jobs`: a seller's background work, how far it is, and its end.

mod accepted;
mod body;
mod page;
mod stop;
mod stream;
mod whole;

#[expect(unused_imports, reason = "no POST starts a job yet")]
pub(crate) use accepted::accepted;
pub(crate) use page::list;
pub(crate) use stop::cancel;
pub(crate) use stream::{Streams, events};
pub(crate) use whole::find;
