//! What a place remembers from one run to the next: passwords, keys, ports, what is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::files;
use crate::place::Place;
use crate::ports;

/// Names and values in one file. Every change is on disk before the call returns, so a step that
/// was killed is either remembered as a whole or done again.
pub(crate) struct Kept {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl Kept {
    /// # Errors
    ///
    /// When the file cannot be understood.
    pub(crate) fn load(place: &Place) -> Result<Self> {
        let path = place.path("kept.json");
        let values = match files::read(&path)? {
            Some(text) => serde_json::from_str(&text).with_context(|| {
                format!("{} is damaged: run `cargo xtask dev --fresh`", path.display())
            })?,
            None => BTreeMap::new(),
        };
        Ok(Self { path, values })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if self.get(name) != Some(value) {
            self.values.insert(name.to_owned(), value.to_owned());
            self.save()?;
        }
        Ok(())
    }

    /// # Errors
    ///
    /// When the file cannot be written.
    pub(crate) fn forget(&mut self, name: &str) -> Result<()> {
        self.values.remove(name);
        self.save()
    }

    /// 256 random bits in hexadecimal, drawn once.
    ///
    /// # Errors
    ///
    /// When there is no randomness or the file cannot be written.
    pub(crate) fn secret(&mut self, name: &str) -> Result<String> {
        if let Some(secret) = self.get(name) {
            return Ok(secret.to_owned());
        }
        let secret = random_hex().context("cannot read /dev/urandom")?;
        self.set(name, &secret)?;
        Ok(secret)
    }

    /// The port of last time or else the preferred one, where free; otherwise any that is free.
    ///
    /// # Errors
    ///
    /// When no port is free or the file cannot be written.
    pub(crate) fn port(&mut self, name: &str, preferred: Option<u16>) -> Result<u16> {
        let last = self.get(name).and_then(|port| port.parse().ok());
        let port = match last.into_iter().chain(preferred).find(|port| ports::is_free(*port)) {
            Some(port) => port,
            None => ports::any_free()?,
        };
        self.set(name, &port.to_string())?;
        Ok(port)
    }

    fn save(&self) -> Result<()> {
        files::write_private(&self.path, &serde_json::to_string_pretty(&self.values)?)
    }
}

fn random_hex() -> std::io::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
