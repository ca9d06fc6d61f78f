//! What the query layer costs beside PostgreSQL: the same statements with the same values, by turns through it and through
//! `pgbench -M prepared`; and what a page costs where there is more of everything.

mod pgbench;
mod tables;
mod world;

use std::time::Duration;

use anyhow::{Context as _, Result};
use jebi_domain::OrderStatus;
use serde::Serialize;

use self::world::{Measured, ORDERS_ON_A_PAGE, World};
use crate::progress::Steps;
use crate::report::{Place, Section, length};
use crate::starter::Starter;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also 10 million orders, which takes a quarter of an hour more to make
    #[arg(long)]
    large: bool,
    /// Of the largest database of `db`
    #[arg(long, default_value_t = 1_000_000)]
    db_orders: u64,
    /// Connections through which statements are sent
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// How long each turn sends
    #[arg(long, default_value = "2s", value_parser = length)]
    turn: Duration,
    /// How often turns are taken
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    turns: u32,
}

const DATABASE: &str = "jebi_bench_db";

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Orders {
        page: u64,
        status: Option<OrderStatus>,
    },
    /// By the cursor that this page ends with.
    OrdersAfter {
        page: u64,
    },
    Order,
    Products {
        page: u64,
    },
    Search,
    Product,
}

impl Asked {
    fn label(&self) -> String {
        match self {
            Self::Orders { page, status: None } => format!("orders, page {page}"),
            Self::Orders { page, status: Some(status) } => {
                format!("orders, {}, page {page}", status.as_str())
            }
            Self::OrdersAfter { page } => format!("orders, by cursor after page {page}"),
            Self::Order => "an order".to_owned(),
            Self::Products { page } => format!("products, page {page}"),
            Self::Search => "products, search".to_owned(),
            Self::Product => "a product".to_owned(),
        }
    }
}

/// Orders and sellers of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Size {
    orders: u64,
    sellers: u32,
}

/// # Errors
/// Where there is no pgbench, or something cannot be filled.
pub(crate) async fn measure(place: &Place, options: &Options) -> Result<Section> {
    let program =
        pgbench::find().context("there is no pgbench: install PostgreSQL's client programs")?;
    let mut sizes = vec![
        Size { orders: 10_000, sellers: 1 },
        Size { orders: 100_000, sellers: 1 },
        Size { orders: 100_000, sellers: 100 },
        Size { orders: 100_000, sellers: 5_000 },
        Size { orders: options.db_orders, sellers: 1 },
    ];
    sizes.extend(options.large.then_some(Size { orders: 10_000_000, sellers: 1 }));
    sizes.dedup();
    let mut all: Vec<Measured> = vec![];
    let mut over_http = None;
    let largest = sizes.last().copied();
    for size in &sizes {
        let mut starter = Starter::new(place)?;
        let world = World::make(place, &starter, *size, options.clients).await?;
        let wanted =
            if Some(*size) == largest { everything(size.orders) } else { vec![first_page()] };
        let bar = Steps::new(wanted.len());
        for asked in wanted {
            bar.next(&format!("{}: {}", size.label(), asked.label()));
            all.push(world.compare(place, (&program, options), &asked, *size).await?);
        }
        if Some(*size) == largest {
            over_http = Some(world.over_http(place, &mut starter, (&program, options)).await?);
        }
    }
    place.server.drop(DATABASE).await?;
    tables::section(&all, over_http.as_ref(), options)
}

impl Size {
    fn label(self) -> String {
        format!("{} orders, {} sellers", self.orders, self.sellers)
    }
}

fn first_page() -> Asked {
    Asked::Orders { page: 1, status: None }
}

/// What there is of so many orders.
fn everything(orders: u64) -> Vec<Asked> {
    let last = orders.div_ceil(u64::from(ORDERS_ON_A_PAGE.items()));
    let pages = [1, 1_000, 18_000].into_iter().filter(|page| *page <= last);
    let by_number = pages.clone().map(|page| Asked::Orders { page, status: None });
    let by_cursor = pages.max().filter(|page| *page < last).map(|page| Asked::OrdersAfter { page });
    let others = [
        Asked::Orders { page: 1, status: Some(OrderStatus::Paid) },
        Asked::Order,
        Asked::Products { page: 1 },
        Asked::Search,
        Asked::Product,
    ];
    by_number.chain(by_cursor).chain(others).collect()
}
