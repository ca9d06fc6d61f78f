//! Where the services of one purpose keep their data, apart from every other checkout's.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::user::{self, User};
use crate::{environment, files};

/// What a set of services is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// Lives from one `dev` to the next.
    Dev,
    /// Made anew for each `test`.
    Test,
    /// Made anew for each `bench`.
    #[value(name = "bench-services")]
    Bench,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            // Its reports are in target/bench.
            Self::Bench => "bench-services",
        }
    }
}

/// The folder of one purpose.
pub(crate) struct Place {
    pub(crate) purpose: Purpose,
    root: PathBuf,
    directory: PathBuf,
}

/// Held by one set-up at a time; a kill releases it.
pub(crate) struct Lock(
    #[expect(dead_code, reason = "the lock lives as long as its file is open")] File,
);

impl Place {
    /// The folder, made when missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or belongs to somebody else.
    pub(crate) fn open(purpose: Purpose) -> Result<Self> {
        let root = root()?;
        let directory = root.join(purpose.name());
        make_private(&directory)?;
        Ok(Self { purpose, root, directory })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where a fetched program is kept, for both purposes.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// A folder in this place that a service may write.
    ///
    /// # Errors
    ///
    /// When it cannot be made or given away.
    pub(crate) fn service_directory(&self, name: &str, user: Option<&User>) -> Result<PathBuf> {
        let directory = self.path(name);
        make_private(&directory)?;
        if let Some(user) = user {
            for passage in [&self.root, &self.directory] {
                let_through(passage)?;
            }
            chown(&directory, Some(user.uid), Some(user.gid))
                .with_context(|| format!("cannot give {} to {}", directory.display(), user.name))?;
        }
        Ok(directory)
    }

    /// Waits until no other set-up is at work here.
    ///
    /// # Errors
    ///
    /// When the file system has no locks.
    pub(crate) fn lock(&self) -> Result<Lock> {
        if let Some(lock) = self.try_lock()? {
            return Ok(lock);
        }
        eprintln!("another `cargo xtask` is at work in this checkout: waiting for it");
        let file = self.lock_file()?;
        file.lock().context("cannot lock")?;
        Ok(Lock(file))
    }

    /// The lock, unless another set-up is at work here.
    ///
    /// # Errors
    ///
    /// When the file system has no locks.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock"),
        }
    }

    /// Beside the folder, which `wipe` takes away.
    fn lock_file(&self) -> Result<File> {
        let path = self.root.join(format!("{}.lock", self.purpose.name()));
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))
    }

    /// Forgets everything here, at one stroke: passwords without the data that they open, or half
    /// of the data, would be worse than either.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    pub(crate) fn wipe(&self) -> Result<()> {
        let discarded = self.root.join(format!("{}.old", self.purpose.name()));
        files::remove(&discarded)
            .and_then(|()| fs::rename(&self.directory, &discarded))
            .and_then(|()| files::remove(&discarded))
            .with_context(|| format!("cannot remove {}", self.directory.display()))?;
        make_private(&self.directory)
    }
}

/// PostgreSQL refuses to run as root, and the user it runs as instead cannot enter a checkout below
/// root's home: root's services live outside of it.
fn root() -> Result<PathBuf> {
    let checkout = environment::checkout().canonicalize().context("cannot find the checkout")?;
    if !user::is_root() {
        return Ok(checkout.join("target"));
    }
    let key = files::fingerprint(checkout.as_os_str().as_encoded_bytes());
    let root = Path::new("/var/tmp").canonicalize()?.join(format!("jebi-{key}"));
    make_private(&root)?;
    // Anybody may make folders in /var/tmp, also one with our name and their own contents.
    let found = fs::symlink_metadata(&root)?;
    ensure!(
        found.is_dir() && found.uid() == 0,
        "{} belongs to somebody else: remove it and run this again",
        root.display()
    );
    Ok(root)
}

fn make_private(directory: &Path) -> Result<()> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => bail!("cannot make {}: {error}", directory.display()),
    }
}

/// Lets the services' user, and so everybody, go through a folder of root's to what is theirs;
/// what else is in it they can neither list nor change.
fn let_through(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o711))
        .with_context(|| format!("cannot open the way through {}", directory.display()))
}
