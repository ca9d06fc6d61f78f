//! `/accounts`: the accounts of a seller with wholesalers and platforms. What it takes to log in goes in and never out.

mod body;
mod change;
mod check;
mod list;
mod new;
mod remove;

pub(crate) use body::Credentials;
pub(crate) use change::update;
pub(crate) use check::check_account;
pub(crate) use list::list_accounts;
pub(crate) use new::create;
pub(crate) use remove::remove_account;
