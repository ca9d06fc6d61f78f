//! The three clients against the simulator, in this process and on a clock that is moved by hand.

mod faults;
mod feeds;
mod logins;
mod memory;
mod moving;
mod orders;
mod resuming;
mod sockets;
mod support;
mod walks;
