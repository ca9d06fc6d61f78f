//! Ports of 127.0.0.1 that nobody listens on.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// # Errors
///
/// When the system has none left.
pub(crate) fn any_free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Between finding a port free and a service listening on it another checkout could find the same
/// one: whoever holds this, one process of the machine at a time, may do both.
///
/// The lock is on the folder /tmp itself: it is there on every system, anybody can open it and
/// nothing is left behind.
pub(crate) struct Turn(
    #[expect(dead_code, reason = "the lock lives as long as its file is open")] File,
);

impl Turn {
    /// Waits for the turn.
    ///
    /// # Errors
    ///
    /// When /tmp cannot be locked.
    pub(crate) fn wait() -> Result<Self> {
        let folder = File::open("/tmp").context("cannot open /tmp")?;
        folder.lock().context("cannot lock /tmp")?;
        Ok(Self(folder))
    }
}
