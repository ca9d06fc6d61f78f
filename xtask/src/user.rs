//! The user that PostgreSQL and Redis run as when the caller is root.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kept::Kept;

/// An unprivileged user of this machine.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl User {
    /// Who runs the services; none when they run as the caller. The choice is kept, because a data
    /// directory belongs to the user who made it, and installing PostgreSQL adds a better choice.
    ///
    /// # Errors
    ///
    /// When no such user exists.
    pub(crate) fn for_services(kept: &mut Kept) -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let names = match kept.get(KEPT) {
            Some(name) => vec![name.to_owned()],
            None => vec!["postgres".to_owned(), "nobody".to_owned()],
        };
        for name in &names {
            if let Some(user) = Self::find(name)? {
                kept.set(KEPT, name)?;
                return Ok(Some(user));
            }
        }
        bail!(
            "PostgreSQL does not run as root and there is no user {}: add one",
            names.join(" or ")
        )
    }

    /// `id` instead of /etc/passwd: macOS and directory services keep their users elsewhere.
    fn find(name: &str) -> Result<Option<Self>> {
        let number = |option: &str| -> Result<Option<u32>> {
            let output =
                Command::new("id").args([option, name]).output().context("cannot run id")?;
            if !output.status.success() {
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&output.stdout);
            let number = text.trim().parse();
            Ok(Some(number.with_context(|| format!("`id {option} {name}` says {text:?}"))?))
        };
        Ok(number("-u")?.zip(number("-g")?).map(|(uid, gid)| Self {
            name: name.to_owned(),
            uid,
            gid,
        }))
    }
}

const KEPT: &str = "service_user";
