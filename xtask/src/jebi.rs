//! The service itself: built, set up with its sample data, and run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::kept::Kept;
use crate::place::Place;
use crate::ports::Turn;
use crate::sellers::{DEMO, OTHER, Seller};
use crate::service::Service;
use crate::services::{Database, Services};
use crate::watcher::Watcher;
use crate::{command, environment, files, http, simulator};

/// Builds the binary and tells where it is.
///
/// # Errors
///
/// When it does not compile.
pub(crate) fn build() -> Result<PathBuf> {
    program("jebi-api", "jebi")
}

/// Builds a program of the workspace and tells where it is.
///
/// # Errors
///
/// When it does not compile.
pub(crate) fn program(package: &str, name: &str) -> Result<PathBuf> {
    let [program] = programs([(package, name)], "dev")?;
    Ok(program)
}

/// The same of several in one go, in a profile of cargo's: each alone would be built with its own choice of its dependencies'
/// features, and so undo what the other has built.
///
/// # Errors
///
/// When one does not compile.
pub(crate) fn programs<const N: usize>(
    wanted: [(&str, &str); N],
    profile: &str,
) -> Result<[PathBuf; N]> {
    let mut build = command::cargo(["build", "--profile", profile])
        .args(wanted.iter().flat_map(|(package, name)| ["-p", package, "--bin", name]))
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let messages = build.stdout.take().context("cargo has no standard output")?;
    let mut binaries = wanted.map(|_| None);
    for line in BufReader::new(messages).lines() {
        let line = line?;
        for ((_, name), binary) in wanted.iter().zip(&mut binaries) {
            *binary = executable(&line, name).or(binary.take());
        }
    }
    let names = wanted.map(|(_, name)| name).join(" and ");
    ensure!(build.wait()?.success(), "{names} do not compile: correct what cargo says above");
    let found = binaries.into_iter().flatten().collect::<Vec<_>>().try_into().ok();
    found.with_context(|| format!("cargo does not say where it put {names}"))
}

/// Where cargo put the program of this name, where its message says so.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["target"]["name"] != name {
        return None;
    }
    Some(PathBuf::from(message["executable"].as_str()?))
}

/// Takes a copy of a binary, so that the next build does not change what runs.
///
/// # Errors
///
/// When the copy cannot be written.
pub(crate) fn copy(built: &Path, place: &Place, name: &str) -> Result<PathBuf> {
    let (binary, attempt) = (place.path(name), place.path(&format!("{name}.new")));
    // A running binary cannot be written, but another one can take its name.
    fs::copy(built, &attempt)
        .and_then(|_| fs::rename(&attempt, &binary))
        .with_context(|| format!("cannot copy {name} to {}", binary.display()))?;
    Ok(binary)
}

/// One version of the binary with the settings of one place.
pub(crate) struct Jebi {
    binary: PathBuf,
    settings: Vec<(String, String)>,
}

impl Jebi {
    /// Takes a copy of the binary, which is what `JEBI_BIN` names, and settings that point at our own servers and at the
    /// simulator.
    ///
    /// # Errors
    ///
    /// When the copy cannot be written.
    pub(crate) fn install(
        built: &Path,
        place: &Place,
        services: &Services,
        simulator: &[(String, String)],
        kept: &mut Kept,
    ) -> Result<Self> {
        let binary = copy(built, place, "jebi")?;
        let mut settings = vec![
            ("DATABASE_URL".to_owned(), services.database.url.clone()),
            ("JEBI_MASTER_KEY".to_owned(), kept.secret("JEBI_MASTER_KEY")?),
            ("JEBI_RATE_LIMIT_PER_MINUTE".to_owned(), "0".to_owned()),
            // Nothing is collected but what somebody asks for.
            ("JEBI_WALK_SCHEDULE".to_owned(), "off".to_owned()),
            ("JEBI_FOLLOW_SCHEDULE".to_owned(), "off".to_owned()),
            (
                "JEBI_PERFORMANCE_LOG".to_owned(),
                place.path("performance_optimization.log").display().to_string(),
            ),
        ];
        settings.extend(services.redis_url.clone().map(|url| ("REDIS_URL".to_owned(), url)));
        settings.extend(simulator.iter().cloned());
        Ok(Self { binary, settings })
    }

    /// Brings the database to what the service expects: tables, sellers, their orders. What is done
    /// is remembered and not done again, unless the database is another one or the data changed.
    ///
    /// # Errors
    ///
    /// When a step fails; those before it are kept.
    pub(crate) fn set_up(&self, database: &Database, kept: &mut Kept) -> Result<()> {
        self.run(database, &["migrate"])?;
        if kept.get(SET_UP) != Some(database.identity()) {
            for seller in [DEMO, OTHER] {
                kept.forget(seller.variable)?;
                kept.forget(&imported(&seller))?;
            }
            kept.set(SET_UP, database.identity())?;
        }
        for seller in [DEMO, OTHER] {
            if kept.get(seller.variable).is_none() {
                kept.set(seller.variable, &self.add(&seller, database)?)?;
            }
            self.import(&seller, database, kept)?;
        }
        self.add_accounts(database, kept)
    }

    /// An account of each kind for *demo*, with what the simulator takes.
    fn add_accounts(&self, database: &Database, kept: &mut Kept) -> Result<()> {
        const ADDED: &str = "accounts";
        if kept.get(ADDED) == Some(database.identity()) {
            return Ok(());
        }
        for (kind, credentials) in simulator::CREDENTIALS {
            let mut command = self.command(database);
            command.args(["account", "add", "--seller", DEMO.name, "--kind", kind]);
            command.args(["--name", "simulator"]);
            for credential in *credentials {
                command.args(["--credential", credential]);
            }
            let status = command::status(command.stdout(Stdio::null()))?;
            ensure!(status.success(), "jebi cannot add an account of {kind}: it says why above");
        }
        kept.set(ADDED, database.identity())
    }

    /// Generated orders for *demo*. What is there already is not made again.
    ///
    /// # Errors
    ///
    /// When jebi fails.
    pub(crate) fn seed(&self, database: &Database, orders: u64) -> Result<()> {
        if orders == 0 {
            return Ok(());
        }
        let (orders, products) = (orders.to_string(), orders.div_ceil(10).max(1_000).to_string());
        let seller = ["--seller", DEMO.name];
        self.run(
            database,
            &[&["seed", "--orders", &orders, "--products", &products], &seller[..]].concat(),
        )
    }

    fn add(&self, seller: &Seller, database: &Database) -> Result<String> {
        let mut command = self.command(database);
        command.args(["seller", "add", seller.name]);
        for scope in seller.scopes {
            command.args(["--scope", scope]);
        }
        if seller.is_operator {
            command.arg("--allow-operator-scopes");
        }
        let output = command.stderr(Stdio::inherit()).output().context("cannot run jebi")?;
        ensure!(
            output.status.success(),
            "jebi cannot add seller {}: it says why above",
            seller.name
        );
        let said = String::from_utf8(output.stdout).context("jebi prints a key that is no text")?;
        let key = said.lines().last().map(str::trim).filter(|key| !key.is_empty());
        key.map(str::to_owned).with_context(|| format!("jebi prints no key for {}", seller.name))
    }

    fn import(&self, seller: &Seller, database: &Database, kept: &mut Kept) -> Result<()> {
        let file = environment::checkout().join("data").join(seller.orders);
        let orders = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let version = files::fingerprint(&orders);
        if kept.get(&imported(seller)) == Some(&version) {
            return Ok(());
        }
        let file = file.to_str().context("the path of the checkout is not UTF-8")?;
        self.run(database, &["import", file, "--seller", seller.name])?;
        kept.set(&imported(seller), &version)
    }

    fn run(&self, database: &Database, arguments: &[&str]) -> Result<()> {
        let status = command::status(self.command(database).args(arguments))?;
        ensure!(status.success(), "`jebi {}` failed: it says why above", arguments.join(" "));
        Ok(())
    }

    fn command(&self, database: &Database) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(environment::checkout())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("DATABASE_URL", database.durable_url());
        command
    }

    /// Starts the service and waits until it can serve.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready in time.
    pub(crate) fn serve(
        &mut self,
        place: &Place,
        kept: &mut Kept,
        watcher: &mut Watcher<'_>,
    ) -> Result<()> {
        let _turn = Turn::wait()?;
        let port = kept.port(PORT, Some(8080))?;
        self.settings.push(("JEBI_LISTEN".to_owned(), format!("127.0.0.1:{port}")));
        let service = Service {
            name: "jebi".to_owned(),
            program: self.binary.clone(),
            arguments: vec!["serve".to_owned()],
            variables: self.settings.clone(),
            // Where a developer's own `.env` is.
            directory: environment::checkout().to_owned(),
            log: place.path("jebi.log"),
            user: None,
        };
        watcher.start_until(&service, || Ok(http::is_ok(port, READY_PATH)))
    }

    /// What another process must know to call the service that runs, or to join it.
    ///
    /// # Errors
    ///
    /// When a seller has no key yet.
    pub(crate) fn variables(self, kept: &Kept) -> Result<Vec<(String, String)>> {
        let mut variables = vec![
            ("JEBI_URL".to_owned(), url(kept)?),
            ("JEBI_BIN".to_owned(), self.binary.display().to_string()),
        ];
        for seller in [DEMO, OTHER] {
            variables.push((seller.variable.to_owned(), seller.key(kept)?.to_owned()));
        }
        variables.extend(self.settings);
        Ok(variables)
    }
}

/// Which database the sellers' keys and imports belong to.
const SET_UP: &str = "set_up";

const PORT: &str = "jebi.port";

fn imported(seller: &Seller) -> String {
    format!("imported.{}", seller.orders)
}

/// Where the service of the last start listens.
///
/// # Errors
///
/// When there was none.
pub(crate) fn url(kept: &Kept) -> Result<String> {
    let port = kept.get(PORT).context("dev has never come up: run `cargo xtask dev --fresh`")?;
    Ok(format!("http://127.0.0.1:{port}"))
}

/// Whether the service of the last start can serve; it is asked again for a while, because a busy
/// machine is no reason to start it anew.
pub(crate) fn is_ready(kept: &Kept) -> bool {
    let port = kept.get(PORT).and_then(|port| port.parse().ok());
    port.is_some_and(|port| http::is_ok_within(STILL_READY_WITHIN, port, READY_PATH))
}

const STILL_READY_WITHIN: Duration = Duration::from_secs(5);

const READY_PATH: &str = "/readyz";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::executable;

    #[test]
    fn cargo_says_where_the_binary_is() {
        let built =
            r#"{"reason":"compiler-artifact","target":{"name":"jebi"},"executable":"/t/jebi"}"#;
        assert_eq!(executable(built, "jebi"), Some(PathBuf::from("/t/jebi")));
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"jebi"},"executable":null}"#;
        assert_eq!(executable(library, "jebi"), None);
        assert_eq!(executable("warning: unused", "jebi"), None);
    }
}
