//! A PostgreSQL of this checkout's own: a private data directory, a free port, password
//! authentication. A server that the system runs is never touched.

mod binaries;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

use self::binaries::Binaries;
use crate::kept::Kept;
use crate::place::{Place, Purpose};
use crate::ports::Turn;
use crate::process::Process;
use crate::service::{Service, command_as};
use crate::user::User;
use crate::watcher::Watcher;
use crate::{files, record};

/// Its name among the services.
pub(crate) const NAME: &str = "postgres";

/// Starts the server, on the first run making it, and tells where the service's database is.
///
/// # Errors
///
/// When there is no PostgreSQL, or it does not start.
pub(crate) fn start(place: &Place, kept: &mut Kept, watcher: &mut Watcher<'_>) -> Result<String> {
    let binaries = Binaries::find(place, made_by(place)?)?;
    let user = User::for_services(kept)?;
    let directory = place.service_directory(NAME, user.as_ref())?;
    let password = kept.secret("postgres.password")?;
    let superuser_password = kept.secret("postgres.superuser_password")?;
    let cluster = Cluster { binaries, user, data: data(place), directory };
    if !cluster.data.exists() {
        eprintln!("making a PostgreSQL {} of our own", cluster.binaries.major);
        cluster.make(&superuser_password, &password)?;
    }
    cluster.clear_stale_lock(place)?;

    let _turn = Turn::wait()?;
    let port = kept.port("postgres.port", None)?;
    let service = cluster.service(place, port);
    watcher.start_until(&service, || cluster.is_ready())?;
    Ok(format!("postgres://jebi:{password}@127.0.0.1:{port}/jebi"))
}

/// Server processes of the place that nobody has on record: those of a set-up that was killed, a
/// postmaster that was started just before its watcher was killed, and backends that outlive a
/// killed postmaster.
///
/// # Errors
///
/// When the processes of this machine cannot be listed.
pub(crate) fn strays(place: &Place) -> Result<Vec<Process>> {
    let directory = place.path(NAME);
    let pids = if Path::new("/proc/self/stat").exists() {
        at_work_in(&directory)?
    } else {
        told_to_work_in(&directory)?
    };
    Ok(pids.into_iter().filter_map(|pid| Process::find(NAME, pid)).collect())
}

/// The folder it works in proves whose it is: server processes go into their data directory, and
/// nobody but us makes one there.
fn at_work_in(directory: &Path) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let process = entry?.path();
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let works_here = fs::read_link(process.join("cwd"));
        let works_here = works_here.is_ok_and(|folder| folder.starts_with(directory));
        if works_here && ["postgres", "initdb"].contains(&name.trim_end()) {
            pids.extend(process.file_name().and_then(|pid| pid.to_str()?.parse::<u32>().ok()));
        }
    }
    Ok(pids)
}

/// Where there is no /proc the command line proves it, though not a backend's, which has none.
fn told_to_work_in(directory: &Path) -> Result<Vec<u32>> {
    let output = Command::new("ps").args(["-ax", "-o", "pid=", "-o", "command="]).output();
    let output = output.context("cannot run ps")?;
    let proof = format!(" -D {}/", directory.display());
    let lines = String::from_utf8_lossy(&output.stdout);
    let ours = lines.lines().filter(|line| line.contains(&proof));
    Ok(ours.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect())
}

fn data(place: &Place) -> PathBuf {
    place.path(NAME).join("data")
}

/// The major version that made the place's data; none when there are none.
fn made_by(place: &Place) -> Result<Option<u32>> {
    let Some(version) = files::read(&data(place).join("PG_VERSION"))? else { return Ok(None) };
    Ok(Some(version.trim().parse().with_context(|| format!("PG_VERSION says {version:?}"))?))
}

struct Cluster {
    binaries: Binaries,
    user: Option<User>,
    /// Made under another name first, so that it is either whole or not there.
    data: PathBuf,
    directory: PathBuf,
}

impl Cluster {
    fn make(&self, superuser_password: &str, password: &str) -> Result<()> {
        let attempt = self.directory.join("new");
        files::remove(&attempt).context("cannot remove half-made data")?;
        self.initdb(&attempt, superuser_password)?;
        self.run_single_user(&attempt, "template1", EXTENSIONS)?;
        self.run_single_user(&attempt, "postgres", &roles_and_database(password))?;
        fs::rename(&attempt, &self.data).context("cannot move the new data into place")
    }

    /// macOS has had the locale `C.UTF-8` since version 15 only.
    fn initdb(&self, data: &Path, superuser_password: &str) -> Result<()> {
        let output = self.initdb_in("C.UTF-8", data, superuser_password)?;
        if output.status.success() {
            return Ok(());
        }
        if !cfg!(target_os = "linux") {
            files::remove(data)?;
            if self.initdb_in("en_US.UTF-8", data, superuser_password)?.status.success() {
                return Ok(());
            }
        }
        bail!("initdb failed: {}", last_words(&output))
    }

    fn initdb_in(&self, locale: &str, data: &Path, superuser_password: &str) -> Result<Output> {
        let password_file = self.directory.join("password");
        self.write_password(&password_file, superuser_password)
            .with_context(|| format!("cannot write {}", password_file.display()))?;
        let output = self
            .command("initdb")
            .args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8"])
            .args(["--data-checksums", "--no-sync"])
            .arg(format!("--locale={locale}"))
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("-D")
            .arg(data)
            .output()
            .context("cannot run initdb")?;
        files::remove(&password_file)?;
        Ok(output)
    }

    fn write_password(&self, path: &Path, password: &str) -> std::io::Result<()> {
        files::remove(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{password}")?;
        match &self.user {
            Some(user) => chown(path, Some(user.uid), Some(user.gid)),
            None => Ok(()),
        }
    }

    /// Runs one statement per line while no server runs. Not every set of binaries has `psql`, and
    /// this way nobody can connect before the passwords are set.
    fn run_single_user(&self, data: &Path, database: &str, statements: &str) -> Result<()> {
        let mut child = self
            .command("postgres")
            .arg("--single")
            .arg("-D")
            .arg(data)
            .args(["-c", "exit_on_error=on", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run postgres")?;
        let mut stdin = child.stdin.take().context("postgres has no standard input")?;
        // It reads to the end or dies and says why; only the latter closes the pipe early.
        let written = stdin.write_all(statements.as_bytes());
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success() && written.is_ok(),
            "PostgreSQL {} cannot be set up (are its contrib modules, `postgresql-contrib`, \
             installed?): {}",
            self.binaries.major,
            last_words(&output)
        );
        Ok(())
    }

    /// A postmaster.pid that a kill left behind stops the next start when its process id belongs
    /// to another process by now.
    fn clear_stale_lock(&self, place: &Place) -> Result<()> {
        record::kill_strays(place)?;
        files::remove(&self.lock_file()).context("cannot remove postmaster.pid")
    }

    fn service(&self, place: &Place, port: u16) -> Service {
        let mut arguments = vec!["-D".to_owned(), self.data.display().to_string()];
        let port = format!("port={port}");
        for setting in [port.as_str()].iter().chain(COMMON).chain(settings(place.purpose)) {
            arguments.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        Service {
            name: NAME.to_owned(),
            program: self.binaries.program("postgres"),
            arguments,
            variables: Vec::new(),
            directory: self.directory.clone(),
            log: place.path("postgres.log"),
            user: self.user.clone(),
        }
    }

    /// What `pg_ctl` waits for: the eighth line of postmaster.pid.
    fn is_ready(&self) -> Result<bool> {
        let state = files::read(&self.lock_file())?.unwrap_or_default();
        Ok(state.lines().nth(7).is_some_and(|line| line.trim() == "ready"))
    }

    fn lock_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    fn command(&self, program: &str) -> Command {
        command_as(&self.binaries.program(program), self.user.as_ref(), &self.directory)
    }
}

/// Each database is made from template1 and so has them: making them needs a superuser, which the
/// service's role is not.
const EXTENSIONS: &str = "CREATE EXTENSION pg_stat_statements\nCREATE EXTENSION pg_trgm\n";

/// The role may do what the service needs on a server that somebody else runs, and make databases
/// for tests; `jebi_service` is there because it may not make roles.
fn roles_and_database(password: &str) -> String {
    [
        &format!("CREATE ROLE jebi LOGIN CREATEDB PASSWORD '{password}'"),
        "CREATE ROLE jebi_service NOLOGIN",
        "GRANT jebi_service, pg_monitor, pg_signal_backend TO jebi",
        "CREATE DATABASE jebi OWNER jebi",
        "",
    ]
    .join("\n")
}

/// No socket file: its path may have 107 bytes, and a checkout's is soon longer.
const COMMON: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_preload_libraries=pg_stat_statements",
    "shared_buffers=256MB",
    "synchronous_commit=off",
];

fn settings(purpose: Purpose) -> &'static [&'static str] {
    match purpose {
        Purpose::Dev => &["max_connections=300"],
        // As a small server in production: a quarter of 4 GB, and what is committed is on disk.
        Purpose::Bench => &["max_connections=500", "shared_buffers=1GB", "synchronous_commit=on"],
        // Its data are made anew for each run, so they need not survive a crash.
        // The statistics of statements are of all databases together: what one test looks for, others must not push out.
        Purpose::Test => &[
            "max_connections=500",
            "fsync=off",
            "full_page_writes=off",
            "pg_stat_statements.max=100000",
        ],
    }
}

fn last_words(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    errors
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it says nothing")
        .to_owned()
}
