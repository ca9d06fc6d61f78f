//! What the chores take from their surroundings: variables, programs on the `PATH`, the checkout.

use std::env::{self, VarError};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// A variable that is set and not empty.
///
/// # Errors
///
/// When the value is not UTF-8.
#[expect(clippy::disallowed_methods, reason = "the one place where the chores read a variable")]
pub(crate) fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("{name} is not UTF-8: unset it or correct it"),
    }
}

/// The root of this checkout.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lives in a folder of the checkout")
}

/// Homebrew's folders are missing from the `PATH` of a shell that was not set up for it.
const HOMEBREW: [&str; 2] = ["/opt/homebrew/bin", "/usr/local/bin"];

/// The first program of this name on the `PATH`.
///
/// # Errors
///
/// When `PATH` is not UTF-8.
pub(crate) fn program(name: &str) -> Result<Option<PathBuf>> {
    let path = variable("PATH")?.unwrap_or_default();
    Ok(env::split_paths(&path)
        .chain(HOMEBREW.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file()))
}
