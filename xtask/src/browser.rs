//! A browser without a window, for the tests of the dashboard.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{apt, environment};

/// Which browser the tests drive; they say that they were left out where it is not set.
pub(crate) const VARIABLE: &str = "JEBI_TEST_BROWSER";

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// Where macOS keeps it.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// Finds or installs one; without any the tests of the dashboard are left out, but not in CI.
///
/// # Errors
///
/// When there is none in CI.
pub(crate) fn find_or_install() -> Result<Option<PathBuf>> {
    let found = match find()? {
        None if apt::install(&["chromium"])? => find()?,
        found => found,
    };
    if found.is_none() {
        let advice = "the tests of the dashboard need Chromium or Chrome: install it, on Debian with \
                      `apt-get install chromium`, or name it by JEBI_TEST_BROWSER";
        if environment::variable("CI")?.is_some() {
            bail!("{advice}");
        }
        eprintln!("left out: {advice}");
    }
    Ok(found)
}

fn find() -> Result<Option<PathBuf>> {
    if let Some(named) = environment::variable(VARIABLE)? {
        return Ok(Some(named.into()));
    }
    for name in NAMES {
        if let Some(found) = environment::program(name)? {
            return Ok(Some(found));
        }
    }
    Ok(APPLICATIONS.map(Path::new).into_iter().find(|path| path.is_file()).map(Path::to_owned))
}
