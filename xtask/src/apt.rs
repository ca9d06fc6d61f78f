//! Packages of Debian and Ubuntu.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{environment, user};

/// Installs packages when the caller may, and says whether they are there now.
///
/// # Errors
///
/// When apt-get is there and cannot be run.
pub(crate) fn install(packages: &[&str]) -> Result<bool> {
    let apt_get = environment::program("apt-get")?.filter(|_| user::is_root());
    let Some(apt_get) = apt_get else { return Ok(false) };
    eprintln!("installing {} with apt-get", packages.join(" and "));
    let update = run(&apt_get, &["update"])?;
    let install = ["install", "-y", "--no-install-recommends"];
    let is_installed = update && run(&apt_get, &[&install, packages].concat())?;
    if !is_installed {
        eprintln!("apt-get cannot install {}", packages.join(" and "));
    }
    Ok(is_installed)
}

fn run(apt_get: &Path, arguments: &[&str]) -> Result<bool> {
    let status = Command::new(apt_get)
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", apt_get.display()))?;
    Ok(status.success())
}
