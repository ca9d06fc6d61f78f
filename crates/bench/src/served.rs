//! Programs that are measured: started, known by their address, and ended with what started them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::process;

/// A program that listens.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What each of them says, in a line of its log, before its address.
pub(crate) const LISTENING: &str = "Listening on http://";

impl Served {
    /// Starts it, on `core` alone where that is given, and waits until it says where it listens. What it logs goes to `log`.
    ///
    /// # Errors
    /// Where it ends before.
    pub(crate) fn start(
        command: &mut Command,
        log: &mut File,
        core: Option<usize>,
    ) -> Result<Self> {
        let program = command.get_program().display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = process::behind_this_one(|| match core {
            // A child runs where the thread that starts it does.
            Some(core) => process::on_core(core, |_| command.spawn()),
            None => command.spawn(),
        });
        let mut child = child.with_context(|| format!("cannot start {program}"))?;
        let mut log = log.try_clone()?;
        let stderr = child.stderr.take().context("it has no output")?;
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once(LISTENING) {
                    let end = rest.find(|char| !matches!(char, '0'..='9' | '.' | ':'));
                    let _ = say.send(rest[..end.unwrap_or(rest.len())].to_owned());
                }
                let _ = writeln!(log, "{line}");
            }
        });
        let address = said.recv().map_err(|_| ()).and_then(|said| said.parse().map_err(|_| ()));
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(()) => {
                let _ = child.kill();
                let _ = child.wait();
                anyhow::bail!("{program} ended before it listened; its log says why")
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
