//! `jebi-simulator`: the wholesalers on localhost. See `jebi-simulator --help`.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Parser;
use jebi_simulator::{Clock, PerWholesaler, Server, Settings, Simulator, Urls};
use tokio::signal::unix::{SignalKind, signal};

/// Three Korean wholesalers (Ownerclan, Zentrade, Domeggook) on localhost.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many items each wholesaler has; a twentieth is not for sale.
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u64).range(..=jebi_simulator::MAX_ITEMS))]
    items: u64,
    /// How many Zentrade has, where it is another number: it sends all of them at once.
    #[arg(long)]
    zentrade_items: Option<u64>,
    /// About how many bytes a description has.
    #[arg(long, default_value_t = 200)]
    description_bytes: usize,
    /// So many times faster does time pass for the limits.
    #[arg(long, default_value_t = 1)]
    scale: u32,
    /// Let prices, stock and items change as time passes.
    #[arg(long)]
    drift: bool,
    /// Refuse and block who calls too often.
    #[arg(long)]
    enforce_limits: bool,
    /// Seconds from an order to its dispatch.
    #[arg(long, default_value_t = 86_400)]
    ship_after_seconds: u64,
}

impl Cli {
    fn settings(&self) -> Settings {
        let items = self.items;
        let zentrade = self.zentrade_items.unwrap_or(items);
        Settings {
            seed: self.seed,
            items: PerWholesaler { ownerclan: items, zentrade, domeggook: items },
            drift: self.drift,
            description_bytes: self.description_bytes,
            enforce_limits: self.enforce_limits,
            scale: self.scale,
            ship_after_seconds: self.ship_after_seconds,
            ..Settings::default()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

#[expect(clippy::print_stderr, reason = "how a command fails")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn run(cli: &Cli) -> Result<()> {
    let clock = Clock::system();
    let simulator = Arc::new(Simulator::new(cli.settings(), clock.now()));
    let server = Server::bind(&cli.listen, simulator, clock)
        .await
        .with_context(|| format!("cannot listen on {}: is the port free?", cli.listen))?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    print(&server.urls()).context("cannot say where it listens")?;
    tokio::select! {
        served = server.run() => served.context("cannot accept connections"),
        _ = terminated.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C"),
    }
}

/// Lines that can be sourced. The base comes last: whoever waits for it has read the others.
fn print(urls: &Urls) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "OWNERCLAN_API_URL={}", urls.ownerclan_api)?;
    writeln!(out, "OWNERCLAN_AUTH_URL={}", urls.ownerclan_auth)?;
    writeln!(out, "ZENTRADE_BASE_URL={}", urls.zentrade_base)?;
    writeln!(out, "DOMEGGOOK_BASE_URL={}", urls.domeggook_base)?;
    writeln!(out, "JEBI_SIMULATOR_URL={}", urls.base)?;
    out.flush()
}
