//! The guide's scenario over HTTP: what it began with, the service in its variants, and the limit of its server.

mod limit;
mod mixed;
mod overload;
mod setup;
mod tables;

use std::time::Duration;

use anyhow::Result;
use jebi_load::Pace;
use serde_json::json;

use crate::report::{Place, Section, length};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Connections, each with one request under way at a time
    #[arg(long, default_value_t = 100)]
    users: usize,
    /// How long each variant is asked, all rounds together
    #[arg(long, default_value = "60s", value_parser = length)]
    duration: Duration,
    /// Requests a second of all users together, sent whatever is answered; the guide's figure
    #[arg(long, default_value_t = 280.0)]
    rate: f64,
    /// Send the next request once the last is answered, in place of at a rate
    #[arg(long, conflicts_with = "rate")]
    closed: bool,
    /// How often variants take turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Orders of all sellers together, with one to five lines each
    #[arg(long, default_value_t = 100_000)]
    orders: u64,
    /// Products of all sellers together
    #[arg(long, default_value_t = 20_000)]
    products: u64,
    /// Sellers; the second has half as much as the first, the third a third
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    sellers: u32,
    /// Of a thousand requests of the mix, so many change something
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    writes: u64,
    /// Stop the service for so long in the middle of a round, to see that the report shows it
    #[arg(long, value_parser = length)]
    stall: Option<Duration>,
    /// What the mix is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    fn pace(&self) -> Pace {
        if self.closed { Pace::Closed } else { Pace::Open { per_second: self.rate } }
    }
}

/// Sets up, measures, and takes down.
///
/// # Errors
/// Where something cannot be started.
pub(crate) async fn measure(place: &Place, options: &Options) -> Result<Section> {
    let mut world = setup::World::make(place, options).await?;
    let mixed = mixed::measure(&world, options).await?;
    let limits = limit::measure(&mut world, options).await?;
    let overload = overload::measure(&world, options, &mixed)?;
    let raw = json!({
        "options": { "users": options.users, "seconds": options.duration.as_secs_f64(), "rate": options.rate,
            "closed": options.closed, "rounds": options.rounds, "orders": options.orders, "products": options.products,
            "sellers": options.sellers, "writes_per_mille": options.writes, "seed": options.seed },
        "variants": mixed.raw(),
        "limits": limits.raw(),
        "overload": overload.raw(),
    });
    let section = tables::section(options, &mixed, &limits, &overload, raw)?;
    world.end(place).await?;
    Ok(section)
}
