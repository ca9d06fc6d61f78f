//! `jebi doctor`: looks at the database, at Redis and at the running service, and says what to do next.

mod check;
mod clocks;
mod database;
mod redis;
mod service;
mod settings;

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use jebi_db_optimizer::Admin;
use secrecy::SecretString;

use self::check::{Check, Verdict, printed};
use self::clocks::Clock;
use crate::problem::causes;
use crate::settings::{Lookup, Settings, database_url};

/// PostgreSQL has this long for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `jebi doctor` is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// An operator's key (performance:read), to ask the running service what only it knows.
    #[arg(long, env = "JEBI_API_KEY", hide_env_values = true)]
    key: Option<SecretString>,
    /// Where the service is; by default at `JEBI_LISTEN` on this machine.
    #[arg(long, env = "JEBI_URL")]
    url: Option<String>,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes all checks and prints them.
///
/// # Errors
/// Names the checks that are bad.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(crate) async fn run(lookup: Lookup<'_>, options: Options) -> anyhow::Result<()> {
    let checks = checks(lookup, &options).await;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "checks": checks }))?);
    } else {
        print!("{}", printed(&checks));
    }
    let bad: Vec<&str> = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Bad)
        .map(|check| check.name)
        .collect();
    if !bad.is_empty() {
        bail!("bad: {}; do what stands behind the arrows", bad.join(", "));
    }
    Ok(())
}

async fn checks(lookup: Lookup<'_>, options: &Options) -> Vec<Check> {
    let read = Settings::from_lookup(lookup);
    let mut checks = vec![settings::readable(&read)];
    let (settings, mut clocks) = (read.ok(), vec![]);
    match database_url(lookup) {
        Ok(url) => checks.extend(of_database(&url, settings.as_ref(), &mut clocks).await),
        Err(error) => {
            let next = "set DATABASE_URL to the database of the service";
            checks.push(Check::unknown("postgresql", error.to_string(), next));
        }
    }
    if let Some(settings) = &settings {
        checks.push(settings::lifetimes(settings));
        checks.push(settings::compression(settings));
        checks.extend(redis::checks(settings, &mut clocks).await);
    }
    checks.push(clocks::check(&clocks));
    let url = options.url.clone().or_else(|| settings.as_ref().map(settings::url));
    // awc lives on one thread.
    let asking = service::checks(url.as_deref(), options.key.as_ref());
    checks.extend(tokio::task::LocalSet::new().run_until(asking).await);
    checks
}

async fn of_database(
    url: &str,
    settings: Option<&Settings>,
    clocks: &mut Vec<Clock>,
) -> Vec<Check> {
    let connected = tokio::time::timeout(PATIENCE, Admin::connect(url)).await;
    let (found, next) = match connected {
        Ok(Ok(admin)) => {
            let looked = database::checks(&admin, settings, clocks);
            match tokio::time::timeout(PATIENCE, looked).await {
                Ok(Ok(checks)) => return checks,
                Ok(Err(error)) => {
                    (format!("{error}: {}", causes(&error)), "see what PostgreSQL logs")
                }
                Err(_) => {
                    ("PostgreSQL takes too long to answer".to_owned(), "see what it is busy with")
                }
            }
        }
        Ok(Err(error)) => {
            (format!("{error}: {}", causes(&error)), "see that it runs, and look at DATABASE_URL")
        }
        Err(_) => ("it does not answer".to_owned(), "look at DATABASE_URL and at the network"),
    };
    vec![Check::bad("postgresql", found, next)]
}
