//! `/jobs`: a seller's background work, how far it is, and its end.

mod accepted;
mod body;
mod page;
mod stop;
mod stream;
mod whole;

pub(crate) use accepted::{AcceptedBody, accepted};
pub(crate) use body::states;
pub(crate) use page::list;
pub(crate) use stop::cancel;
pub(crate) use stream::{Streams, events};
pub(crate) use whole::find;
