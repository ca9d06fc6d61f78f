//! What wholesalers have becomes products, whatever happens meanwhile.
#![cfg(unix)]

mod drift;
mod kills;

mod support;
mod walks;
