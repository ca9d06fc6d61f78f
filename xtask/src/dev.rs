//! `cargo xtask dev`: from a bare checkout to a service with data.

use anyhow::Result;

use crate::jebi::{self, Jebi};
use crate::kept::Kept;
use crate::place::{Place, Purpose};
use crate::process::Process;
use crate::sellers::DEMO;
use crate::services::{self, OWN_SERVERS};
use crate::watcher::{Waited, Watcher};
use crate::{env_file, record, simulator};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Return as soon as the service is ready; `cargo xtask stop` ends it
    #[arg(long)]
    background: bool,
    /// Throw dev's data and keys away and start over
    #[arg(long)]
    fresh: bool,
    /// So many generated orders beside the real ones, with a product for every ten of them
    #[arg(long, default_value_t = 0)]
    orders: u64,
}

/// # Errors
///
/// When something cannot be set up or, in the foreground, a service ends by itself.
pub(crate) fn run(options: &Options) -> Result<()> {
    let place = Place::open(Purpose::Dev)?;
    let lock = place.lock()?;
    if !options.fresh && options.orders == 0 && is_running(&place)? {
        return announce(&place, STOP);
    }
    // Also what a killed watcher left behind.
    record::end_all(&place)?;
    if options.fresh {
        place.wipe()?;
    }
    let mut watcher = Watcher::start(&place)?;
    bring_up(&place, &mut watcher, options.orders)?;
    if options.background {
        watcher.detach()?;
        return announce(&place, STOP);
    }
    watcher.catch_signals()?;
    drop(lock);
    announce(&place, "Ctrl-C stops all of it.")?;
    match watcher.wait()? {
        Waited::StoppedElsewhere => eprintln!("stopped by `cargo xtask stop`"),
        Waited::Interrupted => {
            eprintln!("\nstopping");
            watcher.stop()?;
            eprintln!("stopped; the next `cargo xtask dev` has the same data and keys");
        }
    }
    Ok(())
}

const STOP: &str = "`cargo xtask stop` stops all of it.";

fn bring_up(place: &Place, watcher: &mut Watcher<'_>, orders: u64) -> Result<()> {
    let mut kept = Kept::load(place)?;
    // First, because a mistake in the code should cost nobody the wait for the rest.
    let (built, simulator) = (jebi::build()?, simulator::build()?);
    let services = services::start(place, &mut kept, watcher)?;
    let simulator = simulator::start(&simulator, place, &mut kept, watcher)?;
    let mut jebi = Jebi::install(&built, place, &services, &simulator, &mut kept)?;
    jebi.set_up(&services.database, &mut kept)?;
    jebi.seed(&services.database, orders)?;
    jebi.serve(place, &mut kept, watcher)?;
    let mut variables = jebi.variables(&kept)?;
    variables.push((OWN_SERVERS.to_owned(), services.own.join(" ")));
    env_file::write(&variables)
}

/// Whether everything of the last start is still there and serving.
///
/// # Errors
///
/// When the record of the last start cannot be read.
pub(crate) fn is_running(place: &Place) -> Result<bool> {
    let processes = record::read(place)?;
    let are_alive = !processes.is_empty() && processes.iter().all(Process::is_alive);
    Ok(are_alive && jebi::is_ready(&Kept::load(place)?))
}

fn announce(place: &Place, how_to_stop: &str) -> Result<()> {
    let kept = Kept::load(place)?;
    let url = jebi::url(&kept)?;
    let key = DEMO.key(&kept)?;
    println!(
        "
Jebi is running at {url}

  API key    {key}
  docs       {url}/api/docs
  dashboard  {url}/dashboard (log in with the API key)
  settings   . {}
  try it     curl -H 'Authorization: Bearer {key}' '{url}/api/v1/orders-optimized/?page_size=3'

{how_to_stop}",
        env_file::quoted(&env_file::path().display().to_string())
    );
    Ok(())
}
