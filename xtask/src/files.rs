//! Files that a kill in the middle cannot leave half written.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Replaces the file as a whole; nobody but its owner can read it.
///
/// # Errors
///
/// When the folder cannot be written.
pub(crate) fn write_private(path: &Path, contents: &str) -> Result<()> {
    let attempt = path.with_extension("new");
    let written = || {
        // A rest of a killed attempt may be there with another mode.
        remove(&attempt)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&attempt)?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&attempt, path)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// The file's text; none when there is no such file.
///
/// # Errors
///
/// When it is there and cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Removes the file or folder, if there is one.
///
/// # Errors
///
/// When it is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// FNV-1a: names a checkout and tells one version of a file from the next. Unlike the hashes of
/// std it promises the same answer after an upgrade of Rust.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn the_fingerprint_is_fnv_1a() {
        assert_eq!(fingerprint(b""), "cbf29ce484222325");
        assert_eq!(fingerprint(b"foobar"), "85944171f73967e8");
    }
}
