//! The programs of a run: `jebi` in the roles that are measured, and this program in its own.

use std::fs::File;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::report::{LOG, Place};
use crate::served::Served;

/// Starts programs of one run.
pub(crate) struct Starter<'a> {
    place: &'a Place,
    master_key: String,
    log: File,
}

/// Connections to PostgreSQL of each process: four for each core.
pub(crate) fn connections() -> usize {
    std::thread::available_parallelism().map_or(8, |cores| cores.get() * 4)
}

/// The seller with most.
pub(crate) const SELLER: &str = "bench";

impl<'a> Starter<'a> {
    /// With a master key of its own, and a log in the report's folder.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub(crate) fn new(place: &'a Place) -> Result<Self> {
        let digits = jebi_db_optimizer::random::<32>().map(|byte| format!("{byte:02x}"));
        let path = place.directory.join(LOG);
        let log = File::options().create(true).append(true).open(path)?;
        Ok(Self { place, master_key: digits.concat(), log })
    }

    pub(crate) fn master_key(&self) -> &str {
        &self.master_key
    }

    /// What no other run's keys in Redis begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.master_key[..8]
    }

    /// `jebi`, told what every process of the run is told.
    fn jebi(&self, database_url: &str) -> Command {
        let mut command = Command::new(&self.place.jebi);
        command
            .env("DATABASE_URL", database_url)
            .env("JEBI_MASTER_KEY", &self.master_key)
            .env("REDIS_URL", "")
            .env("JEBI_PERFORMANCE_LOG", "off")
            // What `jebi doctor` advises: more only wait for each other.
            .env("DATABASE_POOL_SIZE", connections().to_string())
            .env("DATABASE_MAX_OVERFLOW", "0")
            .env("JEBI_WALK_SCHEDULE", "off")
            .env("JEBI_FOLLOW_SCHEDULE", "off");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, database_url: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.jebi(database_url);
        let log = self.log.try_clone()?;
        let status = command.args(arguments).stdout(log.try_clone()?).stderr(log).status();
        let status = status.with_context(|| format!("cannot run {}", self.place.jebi.display()))?;
        ensure!(status.success(), "`jebi {}` failed: bench.log says why", arguments.join(" "));
        Ok(())
    }

    /// A new key of the seller, who is added where there is none.
    pub(crate) fn key(&self, database_url: &str, seller: &str) -> Result<String> {
        let mut command = self.jebi(database_url);
        command.args(["seller", "add", seller]).stderr(Stdio::inherit());
        let output = command.output().context("cannot run jebi")?;
        ensure!(output.status.success(), "jebi adds no key for {seller}: it says why above");
        let said = String::from_utf8(output.stdout).context("a key that is no text")?;
        let key = said.lines().last().map(str::trim).filter(|key| key.starts_with("jebi_"));
        key.map(str::to_owned).context("jebi prints no key")
    }

    /// A process that serves, with more settings.
    ///
    /// # Errors
    /// Where it ends before it listens.
    pub(crate) fn serve(
        &mut self,
        database: &str,
        settings: &[(&str, &str)],
        core: Option<usize>,
    ) -> Result<Served> {
        let mut command = self.jebi(&self.place.server.url_of(database));
        // Jobs have nothing to do with requests; the limit of the rate is on, far above what is sent.
        command
            .arg("serve")
            .env("JEBI_LISTEN", "127.0.0.1:0")
            .env("JEBI_WORKERS", "0")
            .env("JEBI_RATE_LIMIT_PER_MINUTE", "1000000000")
            .envs(settings.iter().copied());
        Served::start(&mut command, &mut self.log, core)
    }

    /// This program in one of its other roles.
    ///
    /// # Errors
    /// Where it ends before it listens.
    pub(crate) fn own(
        &mut self,
        arguments: &[&str],
        database: Option<&str>,
        core: Option<usize>,
    ) -> Result<Served> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).env("JEBI_MASTER_KEY", &self.master_key);
        if let Some(database) = database {
            command.env("DATABASE_URL", self.place.server.url_of(database));
        }
        Served::start(&mut command, &mut self.log, core)
    }

    /// Bytes in a file, for the program that serves them.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn constant(
        &mut self,
        (name, body): (&str, &[u8]),
        headers: &[String],
        core: Option<usize>,
    ) -> Result<Served> {
        let file = self.place.directory.join(format!("{name}.body"));
        std::fs::write(&file, body)?;
        let file = file.to_string_lossy().into_owned();
        let gzip = body.starts_with(&[0x1f, 0x8b]);
        let encoding: &[&str] = if gzip { &["--encoding", "gzip"] } else { &[] };
        let headers = headers.iter().flat_map(|line| ["--header", line.as_str()]);
        let arguments: Vec<&str> = ["constant", file.as_str()]
            .into_iter()
            .chain(encoding.iter().copied())
            .chain(headers)
            .collect();
        self.own(&arguments, None, core)
    }
}
