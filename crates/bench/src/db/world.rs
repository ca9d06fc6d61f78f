//! A filled database, and what is asked of it: through the query layer, through pgbench, and over HTTP.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jebi_db_optimizer::products::Extras;
use jebi_db_optimizer::script::{self, Script};
use jebi_db_optimizer::{Admin, Config, Pool, orders, products, sellers};
use jebi_domain::{
    At, MasterKey, OrderFilter, OrderId, OrderStatus, PageNumber, PageSize, Position,
    ProductFilter, ProductId, Search, SellerKeys,
};
use jebi_load::{Mix, Pace, Plan, Request, run};
use serde::Serialize;

use super::{Asked, DATABASE, Options, Size, first_page, pgbench};
use crate::progress::say;
use crate::report::{Place, median};
use crate::starter::{SELLER, Starter};
use crate::{database, process};

const SEEN_OFF: Duration = Duration::from_millis(500);

/// One turn.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Turn {
    pub(super) per_second: f64,
    /// CPU time of PostgreSQL, for one.
    pub(super) postgres_us: Option<f64>,
    /// Of this process, for one; unknown of pgbench.
    pub(super) own_us: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Measured {
    pub(super) label: String,
    #[serde(flatten)]
    pub(super) size: Size,
    pub(super) ours: Vec<Turn>,
    pub(super) pgbench: Vec<Turn>,
}

impl Measured {
    pub(super) fn shares(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.pgbench);
        pairs.map(|(ours, pgbench)| ours.per_second / pgbench.per_second).collect()
    }

    pub(super) fn of(turns: &[Turn], what: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        median(&turns.iter().filter_map(what).collect::<Vec<_>>())
    }

    /// CPU time of PostgreSQL for one, in microseconds, under pgbench: it sends the same and has ended when it is read.
    pub(super) fn postgres_us(&self) -> Option<f64> {
        Self::of(&self.pgbench, |turn| turn.postgres_us)
    }
}

/// A page over HTTP, of a service that caches nothing, turn by turn with pgbench: CPU time for one, in microseconds.
#[derive(Serialize)]
pub(super) struct OverHttp {
    pub(super) service_us: Vec<f64>,
    pub(super) postgres_us: Vec<f64>,
    /// What PostgreSQL alone takes under pgbench for the first page, which is as large.
    pub(super) pgbench_us: Vec<f64>,
}

impl OverHttp {
    /// What it takes of what pgbench does, in each turn.
    pub(super) fn times(&self) -> Vec<f64> {
        let both = self.service_us.iter().zip(&self.postgres_us);
        let all = both.zip(&self.pgbench_us);
        all.map(|((service, postgres), pgbench)| (service + postgres) / pgbench).collect()
    }
}

/// A filled database, and the seller with most.
pub(super) struct World {
    /// Of the seller.
    key: String,
    url: String,
    pool: Pool,
    keys: SellerKeys,
    clients: u32,
    order: OrderId,
    product: ProductId,
    word: String,
}

pub(super) const ORDERS_ON_A_PAGE: PageSize = PageSize::new(50).expect("50 is between 1 and 100");
const PRODUCTS_ON_A_PAGE: PageSize = PageSize::new(20).expect("20 is between 1 and 100");
const NO_EXTRAS: Extras = Extras { variants: false, listings: false };

impl World {
    pub(super) async fn make(
        place: &Place,
        starter: &Starter<'_>,
        size: Size,
        clients: u32,
    ) -> Result<Self> {
        say(&format!("{} are made", size.label()));
        let url = place.server.create(DATABASE).await?;
        starter.run(&url, &["migrate"])?;
        let key = starter.key(&url, SELLER)?;
        let (orders, sellers) = (size.orders.to_string(), size.sellers.to_string());
        let products = (size.orders / 20).max(u64::from(size.sellers)).to_string();
        let amounts = ["--orders", &orders, "--products", &products, "--sellers", &sellers];
        starter.run(&url, &[&["seed", "--seller", SELLER], &amounts[..]].concat())?;
        starter.run(&url, &["optimize", "--level", "moderate"])?;
        database::connect(&url).await?.batch_execute("VACUUM ANALYZE").await?;
        let admin = Admin::connect(&url).await?;
        let seller = sellers::find(&admin, SELLER).await?.context("the seller is not there")?;
        let master = MasterKey::from_hex(starter.master_key()).context("a key of 64 digits")?;
        let keys = master.seller_keys(seller.id, &seller.key_salt);
        let pool = Pool::new(&url, &Config { size: clients, overflow: 0, ..Config::default() })?;
        let first = At::Page(PageNumber::first());
        let orders =
            orders::page(&pool, &keys, &OrderFilter::default(), first, ORDERS_ON_A_PAGE).await?;
        let products = products::page(
            &pool,
            keys.seller(),
            &ProductFilter::default(),
            first,
            PRODUCTS_ON_A_PAGE,
            NO_EXTRAS,
        )
        .await?;
        let order = orders.items.first().context("there are no orders")?.id;
        let product = products.items.first().context("there are no products")?;
        let word = product.name.split(' ').next().unwrap_or_default().to_owned();
        Ok(Self { key, url, pool, keys, clients, order, product: product.id, word })
    }

    /// A page of orders, of a service without a cache, asked for by as many at a time as send statements.
    pub(super) async fn over_http(
        &self,
        place: &Place,
        starter: &mut Starter<'_>,
        (program, options): (&Path, &Options),
    ) -> Result<OverHttp> {
        let served = starter.serve(DATABASE, &[("JEBI_CACHE_MAX_BYTES", "1")], None)?;
        let authorization = format!("Bearer {}", self.key);
        let headers = [("authorization", authorization.as_str())];
        // Whole pages that begin one order further each: two who asked for the same at once would be given one answer.
        let master = MasterKey::from_hex(starter.master_key()).context("a key of 64 digits")?;
        let (cursors, filter) = (master.cursor_key(), OrderFilter::default());
        let first = At::Page(PageNumber::first());
        let page = orders::page(&self.pool, &self.keys, &filter, first, ORDERS_ON_A_PAGE).await?;
        let requests = page.items.iter().map(|order| {
            let position = Position { created_at: order.created_at, id: order.id.as_uuid() };
            let cursor = cursors.write(self.keys.seller(), &filter.canonical(), position);
            let size = ORDERS_ON_A_PAGE.items();
            let path = format!("/api/v1/orders-optimized/?page_size={size}&cursor={cursor}");
            Request::new(0, ("GET", &path), &headers, None)
        });
        let mix = Mix::of("page", requests);
        let plan = |duration| Plan {
            users: self.clients as usize,
            duration,
            pace: Pace::Closed,
            patience: Duration::from_secs(20),
        };
        let addresses = [served.address];
        let send = |duration| {
            tokio::task::block_in_place(|| {
                let send = || run(&plan(duration), &addresses, &mix, |_| ControlFlow::Continue(()));
                std::thread::scope(|threads| threads.spawn(send).join())
            })
        };
        let pgbench = self.pgbench(place, &first_page()).await?;
        let read = || {
            let both = (process::cpu(served.pid()), place.server.cpu());
            both.0.zip(both.1).context("CPU times are known on Linux alone")
        };
        let _ = send(options.turn);
        let still = read()?;
        tokio::time::sleep(options.turn).await;
        let idle = read()?;
        let idle = (idle.0.saturating_sub(still.0), idle.1.saturating_sub(still.1));
        let mut found = OverHttp { service_us: vec![], postgres_us: vec![], pgbench_us: vec![] };
        for _ in 0..options.turns {
            let before = read()?;
            let measured = send(options.turn).ok().context("the sending thread panicked")??;
            let after = read()?;
            ensure!(
                measured.counts.errors() == 0,
                "the service did not answer well: {:?}",
                measured.counts
            );
            let count = measured.counts.ok.max(1) as f64;
            found.service_us.extend(each(Some(after.0), Some(before.0 + idle.0), count));
            found.postgres_us.extend(each(Some(after.1), Some(before.1 + idle.1), count));
            // The service is still up, and asks PostgreSQL for what it always does.
            let turn =
                pgbench.turn(place, (program, options), (self.clients, &self.url), idle.1)?;
            found.pgbench_us.extend(turn.postgres_us);
        }
        Ok(found)
    }

    /// What pgbench is to send.
    async fn pgbench(&self, place: &Place, asked: &Asked) -> Result<Pgbench> {
        let (text, values) = self.script(asked).await?.for_pgbench();
        let file = place.directory.join("pgbench.sql");
        std::fs::write(&file, &text)?;
        Ok(Pgbench { file, values })
    }

    fn orders_at(&self, page: u64, status: Option<OrderStatus>) -> Result<(OrderFilter, At)> {
        let filter = OrderFilter { status, ..OrderFilter::default() };
        let page = PageNumber::new(page, ORDERS_ON_A_PAGE).context("a page")?;
        Ok((filter, At::Page(page)))
    }

    fn search(&self) -> Result<ProductFilter> {
        let search = Search::new(&self.word).ok().context("a word to look for")?;
        Ok(ProductFilter { search: Some(search), ..ProductFilter::default() })
    }

    /// What is sent.
    async fn script(&self, asked: &Asked) -> Result<Script> {
        let seller = self.keys.seller();
        Ok(match asked {
            Asked::Orders { page, status } => {
                let (filter, at) = self.orders_at(*page, *status)?;
                let size = ORDERS_ON_A_PAGE;
                let found = orders::page(&self.pool, &self.keys, &filter, at, size).await?;
                ensure!(!found.items.is_empty(), "there is no page {page}");
                let ids = found.items.iter().map(|order| order.id).collect();
                script::orders_page(seller, &filter, (at, size), ids)
            }
            Asked::OrdersAfter { page } => {
                let (filter, at) = (OrderFilter::default(), self.after(*page).await?);
                let size = ORDERS_ON_A_PAGE;
                let found = orders::page(&self.pool, &self.keys, &filter, at, size).await?;
                let ids = found.items.iter().map(|order| order.id).collect();
                script::orders_page(seller, &filter, (at, size), ids)
            }
            Asked::Order => script::order(seller, self.order),
            Asked::Products { page } => {
                let page = PageNumber::new(*page, PRODUCTS_ON_A_PAGE).context("a page")?;
                let filter = ProductFilter::default();
                script::products_page(seller, &filter, At::Page(page), PRODUCTS_ON_A_PAGE)
            }
            Asked::Search => {
                let first = At::Page(PageNumber::first());
                script::products_search(seller, &self.search()?, first, PRODUCTS_ON_A_PAGE)
            }
            Asked::Product => script::product(seller, self.product),
        })
    }

    /// Where a page ends.
    async fn after(&self, page: u64) -> Result<At> {
        let (filter, at) = self.orders_at(page, None)?;
        let found = orders::page(&self.pool, &self.keys, &filter, at, ORDERS_ON_A_PAGE).await?;
        found.next.map(At::After).with_context(|| format!("there is nothing after page {page}"))
    }

    /// Asks once, through the query layer. `after` is where a page by cursor begins.
    async fn ask(&self, pool: &Pool, asked: &Asked, after: Option<At>) -> Result<()> {
        let seller = self.keys.seller();
        let first = At::Page(PageNumber::first());
        match asked {
            Asked::Orders { page, status } => {
                let (filter, at) = self.orders_at(*page, *status)?;
                orders::page(pool, &self.keys, &filter, at, ORDERS_ON_A_PAGE).await?;
            }
            Asked::OrdersAfter { .. } => {
                let at = after.context("a page by cursor begins somewhere")?;
                let filter = OrderFilter::default();
                orders::page(pool, &self.keys, &filter, at, ORDERS_ON_A_PAGE).await?;
            }
            Asked::Order => {
                orders::find(pool, &self.keys, self.order).await?.context("the order is gone")?;
            }
            Asked::Products { page } => {
                let page = PageNumber::new(*page, PRODUCTS_ON_A_PAGE).context("a page")?;
                let filter = ProductFilter::default();
                let size = PRODUCTS_ON_A_PAGE;
                products::page(pool, seller, &filter, At::Page(page), size, NO_EXTRAS).await?;
            }
            Asked::Search => {
                let filter = self.search()?;
                products::page(pool, seller, &filter, first, PRODUCTS_ON_A_PAGE, NO_EXTRAS).await?;
            }
            Asked::Product => {
                products::find(pool, seller, self.product).await?.context("the product is gone")?;
            }
        }
        Ok(())
    }

    pub(super) async fn compare(
        &self,
        place: &Place,
        (program, options): (&Path, &Options),
        asked: &Asked,
        size: Size,
    ) -> Result<Measured> {
        let pgbench = self.pgbench(place, asked).await?;
        let mut measured = Measured { label: asked.label(), size, ours: vec![], pgbench: vec![] };
        for turn in 0..=options.turns {
            let before = (place.server.cpu(), process::cpu(std::process::id()));
            let (count, seconds) = self.send(asked, options.turn).await?;
            // What its connections took is counted once PostgreSQL has seen them off.
            tokio::time::sleep(SEEN_OFF).await;
            let after = (place.server.cpu(), process::cpu(std::process::id()));
            let ours = Turn {
                per_second: count / seconds,
                postgres_us: each(after.0, before.0, count),
                own_us: each(after.1, before.1, count),
            };
            let to = (self.clients, self.url.as_str());
            let of_pgbench = pgbench.turn(place, (program, options), to, Duration::ZERO)?;
            // The first one warms.
            if turn > 0 {
                measured.ours.push(ours);
                measured.pgbench.push(of_pgbench);
            }
        }
        Ok(measured)
    }

    /// Asks through as many tasks as there are connections, each again once it has the answer, all on one thread as pgbench's
    /// are; how many, in how many seconds.
    async fn send(&self, asked: &Asked, turn: Duration) -> Result<(f64, f64)> {
        let after = match asked {
            Asked::OrdersAfter { page } => Some(self.after(*page).await?),
            _ => None,
        };
        let send = || async {
            let config = Config { size: self.clients, overflow: 0, ..Config::default() };
            let pool = &Pool::new(&self.url, &config)?;
            let ask = |_| self.ask(pool, asked, after);
            // Connections are opened, and statements prepared, before the clock runs.
            futures::future::try_join_all((0..self.clients).map(ask)).await?;
            let began = Instant::now();
            let client = || async {
                let mut count = 0_u32;
                while began.elapsed() < turn {
                    self.ask(pool, asked, after).await?;
                    count += 1;
                }
                anyhow::Ok(f64::from(count))
            };
            let counts = futures::future::try_join_all((0..self.clients).map(|_| client())).await?;
            anyhow::Ok((counts.iter().sum(), began.elapsed().as_secs_f64()))
        };
        let on_one_thread = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(send())
        };
        let sent = tokio::task::block_in_place(|| {
            std::thread::scope(|threads| threads.spawn(on_one_thread).join())
        });
        sent.ok().context("the sending thread panicked")?
    }
}

/// What pgbench sends.
struct Pgbench {
    file: PathBuf,
    values: Vec<(String, String)>,
}

impl Pgbench {
    /// `idle` is what PostgreSQL would take meanwhile for others.
    fn turn(
        &self,
        place: &Place,
        (program, options): (&Path, &Options),
        (clients, url): (u32, &str),
        idle: Duration,
    ) -> Result<Turn> {
        let before = place.server.cpu().map(|before| before + idle);
        let mut command = Command::new(program);
        command.args(["-n", "-M", "prepared", "-r", "-f"]).arg(&self.file);
        command.args(["-c", &clients.to_string(), "-j", "1"]);
        command.args(["-T", &options.turn.as_secs().max(1).to_string()]);
        for (name, value) in &self.values {
            command.arg("-D").arg(format!("{name}={value}"));
        }
        let output = tokio::task::block_in_place(|| command.arg(url).output())?;
        let (count, per_second) = pgbench::told(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| {
                format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr))
            })?;
        Ok(Turn { per_second, postgres_us: each(place.server.cpu(), before, count), own_us: None })
    }
}

/// CPU time for one of so many, in microseconds.
fn each(now: Option<Duration>, before: Option<Duration>, count: f64) -> Option<f64> {
    Some(now?.checked_sub(before?)?.as_secs_f64() * 1e6 / count)
}
