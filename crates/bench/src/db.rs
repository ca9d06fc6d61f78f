//! What the query layer costs beside PostgreSQL: the same statements with the same values, by turns through it and through
//! `pgbench -M prepared`; and what a page costs where there is more of everything.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jebi_db_optimizer::products::Extras;
use jebi_db_optimizer::script::{self, Script};
use jebi_db_optimizer::{Admin, Config, Pool, orders, products, sellers};
use jebi_domain::{
    At, MasterKey, OrderFilter, OrderId, OrderStatus, PageNumber, PageSize, ProductFilter,
    ProductId, Search, SellerKeys,
};
use jebi_load::{Mix, Pace, Plan, Request, run};
use serde::Serialize;
use serde_json::json;

use crate::database;
use crate::process;
use crate::progress::{Steps, say};
use crate::report::{Better, Curve, Figure, Place, Plot, Section, Table, Target, length, median};
use crate::starter::{SELLER, Starter};

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
const SEEN_OFF: Duration = Duration::from_millis(500);
/// What a page is to reach of what pgbench does with its statements.
const LEAST: f64 = 0.75;
const BY_NUMBER: &str = "A page by number has to be found: the totals of each month, then of the days of one, say on which day it \
    begins, and its rows of that day are skipped. That is bounded, not free; a page by cursor, which is how a client walks, costs the \
    same at any depth.";
/// What service and PostgreSQL together may take over HTTP of what PostgreSQL takes under pgbench.
const MOST_OVER_HTTP: f64 = 2.0;
/// What a cost may be off, where it is to be flat.
const FLAT: f64 = 0.2;

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

/// One turn.
#[derive(Debug, Clone, Copy, Serialize)]
struct Turn {
    per_second: f64,
    /// CPU time of PostgreSQL, for one.
    postgres_us: Option<f64>,
    /// Of this process, for one; unknown of pgbench.
    own_us: Option<f64>,
}

#[derive(Serialize)]
struct Measured {
    label: String,
    #[serde(flatten)]
    size: Size,
    ours: Vec<Turn>,
    pgbench: Vec<Turn>,
}

impl Measured {
    fn shares(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.pgbench);
        pairs.map(|(ours, pgbench)| ours.per_second / pgbench.per_second).collect()
    }

    fn of(turns: &[Turn], what: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        median(&turns.iter().filter_map(what).collect::<Vec<_>>())
    }

    /// CPU time of PostgreSQL for one, in microseconds, under pgbench: it sends the same and has ended when it is read.
    fn postgres_us(&self) -> Option<f64> {
        Self::of(&self.pgbench, |turn| turn.postgres_us)
    }
}

/// A page over HTTP, of a service that caches nothing, for one request.
#[derive(Serialize)]
struct OverHttp {
    service_us: f64,
    postgres_us: f64,
    /// What PostgreSQL alone takes for the same page under pgbench.
    pgbench_us: f64,
}

impl OverHttp {
    fn times(&self) -> f64 {
        (self.service_us + self.postgres_us) / self.pgbench_us
    }
}

/// A filled database, and the seller with most.
struct World {
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

/// # Errors
/// Where there is no pgbench, or something cannot be filled.
pub(crate) async fn measure(place: &Place, options: &Options) -> Result<Section> {
    let pgbench =
        find_pgbench().context("there is no pgbench: install PostgreSQL's client programs")?;
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
        let wanted = if Some(*size) == largest { everything() } else { vec![first_page()] };
        let bar = Steps::new(wanted.len());
        for asked in wanted {
            bar.next(&format!("{}: {}", size.label(), asked.label()));
            all.push(world.compare(place, (&pgbench, options), &asked, *size).await?);
        }
        let first = |one: &&Measured| one.label == first_page().label() && one.size == *size;
        if Some(*size) == largest
            && let Some(pgbench_us) = all.iter().find(first).and_then(Measured::postgres_us)
        {
            let found = world.over_http(place, &mut starter, options, pgbench_us).await?;
            over_http = Some(found);
        }
    }
    place.server.drop(DATABASE).await?;
    section(&all, over_http.as_ref(), options)
}

impl Size {
    fn label(self) -> String {
        format!("{} orders, {} sellers", self.orders, self.sellers)
    }
}

fn first_page() -> Asked {
    Asked::Orders { page: 1, status: None }
}

fn everything() -> Vec<Asked> {
    let page = |page| Asked::Orders { page, status: None };
    vec![
        page(1),
        page(1_000),
        page(18_000),
        Asked::OrdersAfter { page: 18_000 },
        Asked::Orders { page: 1, status: Some(OrderStatus::Paid) },
        Asked::Order,
        Asked::Products { page: 1 },
        Asked::Search,
        Asked::Product,
    ]
}

const ORDERS_ON_A_PAGE: PageSize = PageSize::new(50).expect("50 is between 1 and 100");
const PRODUCTS_ON_A_PAGE: PageSize = PageSize::new(20).expect("20 is between 1 and 100");
const NO_EXTRAS: Extras = Extras { variants: false, listings: false };

impl World {
    async fn make(place: &Place, starter: &Starter<'_>, size: Size, clients: u32) -> Result<Self> {
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

    /// The first page of orders, asked for one after the other of a service without a cache.
    async fn over_http(
        &self,
        place: &Place,
        starter: &mut Starter<'_>,
        options: &Options,
        pgbench_us: f64,
    ) -> Result<OverHttp> {
        let served = starter.serve(DATABASE, &[("JEBI_CACHE_MAX_BYTES", "1")], None)?;
        let authorization = format!("Bearer {}", self.key);
        let headers = [("authorization", authorization.as_str())];
        let request = Request::new(0, ("GET", "/api/v1/orders-optimized/"), &headers, None);
        let mix = Mix::of("page", request);
        let plan = |duration| Plan {
            // Two who asked for the same at once would be given one answer.
            users: 1,
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
        let read = || Some((process::cpu(served.pid())?, place.server.cpu()?));
        let _ = send(options.turn);
        let still = read().context("CPU times are known on Linux alone")?;
        tokio::time::sleep(options.turn).await;
        let before = read().context("CPU times are known on Linux alone")?;
        let turn = options.turn * options.turns;
        let measured = send(turn).ok().context("the sending thread panicked")??;
        let after = read().context("CPU times are known on Linux alone")?;
        ensure!(
            measured.counts.errors() == 0,
            "the service did not answer well: {:?}",
            measured.counts
        );
        let count = measured.counts.ok.max(1) as f64;
        let each = |still: Duration, before: Duration, after: Duration| {
            let idle = before.saturating_sub(still) * options.turns;
            after.saturating_sub(before).saturating_sub(idle).as_secs_f64() * 1e6 / count
        };
        Ok(OverHttp {
            service_us: each(still.0, before.0, after.0),
            postgres_us: each(still.1, before.1, after.1),
            pgbench_us,
        })
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

    async fn compare(
        &self,
        place: &Place,
        (pgbench, options): (&PathBuf, &Options),
        asked: &Asked,
        size: Size,
    ) -> Result<Measured> {
        let (text, values) = self.script(asked).await?.for_pgbench();
        let file = place.directory.join("pgbench.sql");
        std::fs::write(&file, &text)?;
        let mut measured = Measured { label: asked.label(), size, ours: vec![], pgbench: vec![] };
        for turn in 0..=options.turns {
            let before = (place.server.cpu(), process::cpu(std::process::id()));
            let (count, seconds) = self.send(asked, options.turn).await?;
            // What its connections took is counted once PostgreSQL has seen them off.
            tokio::time::sleep(SEEN_OFF).await;
            let after = (place.server.cpu(), process::cpu(std::process::id()));
            let each = |now: Option<Duration>, before: Option<Duration>, count: f64| {
                Some(now?.checked_sub(before?)?.as_secs_f64() * 1e6 / count)
            };
            let ours = Turn {
                per_second: count / seconds,
                postgres_us: each(after.0, before.0, count),
                own_us: each(after.1, before.1, count),
            };
            let before = place.server.cpu();
            let mut command = Command::new(pgbench);
            command.args(["-n", "-M", "prepared", "-r", "-f"]).arg(&file);
            command.args(["-c", &self.clients.to_string(), "-j", "1"]);
            command.args(["-T", &options.turn.as_secs().max(1).to_string()]);
            for (name, value) in &values {
                command.arg("-D").arg(format!("{name}={value}"));
            }
            let output = tokio::task::block_in_place(|| command.arg(&self.url).output())?;
            let (count, per_second) =
                told(&String::from_utf8_lossy(&output.stdout)).with_context(|| {
                    format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr))
                })?;
            let postgres_us = each(place.server.cpu(), before, count);
            // The first one warms.
            if turn > 0 {
                measured.ours.push(ours);
                measured.pgbench.push(Turn { per_second, postgres_us, own_us: None });
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

/// Transactions, and how many in a second.
fn told(output: &str) -> Option<(f64, f64)> {
    let after = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(name))?;
        let end = line.find(|char: char| !char.is_ascii_digit() && char != '.');
        line[..end.unwrap_or(line.len())].parse().ok()
    };
    let failed: f64 = after("number of failed transactions: ").unwrap_or(0.0);
    let count = after("number of transactions actually processed: ")?;
    let per_second = after("tps = ")?;
    (failed == 0.0 && count > 0.0).then_some((count, per_second))
}

/// On the path, else where Debian has it.
fn find_pgbench() -> Option<PathBuf> {
    let on_path = Command::new("pgbench").arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Some(PathBuf::from("pgbench"));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin/pgbench")))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop()
}

fn section(all: &[Measured], over_http: Option<&OverHttp>, options: &Options) -> Result<Section> {
    let us =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
    let rate = |turns: &[Turn]| us(Measured::of(turns, |turn| Some(turn.per_second)));
    let row = |one: &Measured| {
        let ours = one.ours.as_slice();
        vec![
            one.label.clone(),
            one.size.orders.to_string(),
            one.size.sellers.to_string(),
            rate(ours),
            rate(&one.pgbench),
            format!("{:.3}", median(&one.shares()).unwrap_or(0.0)),
            us(Measured::of(ours, |turn| turn.postgres_us)),
            us(one.postgres_us()),
            us(Measured::of(ours, |turn| turn.own_us)),
        ]
    };
    let head = [
        "",
        "orders",
        "sellers",
        "ours /s",
        "pgbench /s",
        "share",
        "PostgreSQL CPU µs",
        "under pgbench",
        "query layer CPU µs",
    ];
    let table = Table {
        title: "Statements through the query layer, beside pgbench".to_owned(),
        note: "The same statements with the same values, `pgbench -M prepared`. The query layer also opens what is sealed and makes \
               orders of rows; pgbench throws rows away."
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: all.iter().map(row).collect(),
    };
    let mut targets = vec![];
    for one in all {
        let share = median(&one.shares()).unwrap_or(0.0);
        let name = format!("{} beside pgbench ({})", one.label, one.size.label());
        targets.push(Target {
            name,
            figure: share,
            target: format!("≥ {LEAST}"),
            holds: share >= LEAST,
            why: None,
        });
    }
    targets.extend(flat(all));
    if let Some(over_http) = over_http {
        let times = over_http.times();
        targets.push(Target {
            name: format!(
                "a page over HTTP without cache ({:.0} µs of the service, {:.0} of PostgreSQL) beside PostgreSQL under pgbench ({:.0} µs)",
                over_http.service_us, over_http.postgres_us, over_http.pgbench_us
            ),
            figure: times,
            target: format!("≤ {MOST_OVER_HTTP} times"),
            holds: times <= MOST_OVER_HTTP,
            why: None,
        });
    }
    let mut figures = vec![];
    for one in all {
        let name = |what: &str| format!("db/{}, {}/{what}", one.size.label(), one.label);
        let shares = one.shares();
        if let Some(value) = median(&shares) {
            let unit = String::new();
            figures.push(Figure {
                name: name("share of pgbench"),
                value,
                unit,
                better: Better::Higher,
                rounds: shares,
            });
        }
        if let Some(value) = one.postgres_us() {
            let rounds = one.pgbench.iter().filter_map(|turn| turn.postgres_us).collect();
            figures.push(Figure {
                name: name("PostgreSQL CPU"),
                value,
                unit: "µs".to_owned(),
                better: Better::Lower,
                rounds,
            });
        }
    }
    let points = |sellers: u32| {
        let of = all
            .iter()
            .filter(|one| one.label == first_page().label() && one.size.sellers == sellers);
        of.filter_map(|one| Some(((one.size.orders as f64).log10(), one.postgres_us()?))).collect()
    };
    let curve = Curve { name: "first page, one seller".to_owned(), points: points(1) };
    let plots = vec![Plot::new(
        "What a page costs PostgreSQL",
        ("orders: 4 = ten thousand, 6 = a million", "CPU µs"),
        &[curve],
    )?];
    Ok(Section {
        name: "db",
        title: "Statements".to_owned(),
        lead: format!(
            "{} connections, {} turns of {:.0} s each.",
            options.clients,
            options.turns,
            options.turn.as_secs_f64()
        ),
        tables: vec![table],
        plots,
        figures,
        targets,
        doubts: vec![],
        raw: json!({ "measured": all, "over_http": over_http, "clients": options.clients }),
    })
}

/// How much more a page costs where there is more.
fn flat(all: &[Measured]) -> Vec<Target> {
    let first =
        |size: Size| all.iter().find(|one| one.label == first_page().label() && one.size == size);
    let target = |name: String, cost: Option<f64>, base: Option<f64>| {
        let times = cost? / base?;
        let target = format!("at most {} times", 1.0 + FLAT);
        Some(Target { name, figure: times, target, holds: times <= 1.0 + FLAT, why: None })
    };
    let mut targets = vec![];
    let small = first(Size { orders: 10_000, sellers: 1 }).and_then(Measured::postgres_us);
    let alone = first(Size { orders: 100_000, sellers: 1 }).and_then(Measured::postgres_us);
    for one in all.iter().filter(|one| one.label == first_page().label()) {
        let cost = one.postgres_us();
        if one.size.sellers > 1 {
            let name = format!("cost of a page of {} beside one seller", one.size.label());
            targets.extend(target(name, cost, alone));
        } else if one.size.orders > 10_000 {
            let name = format!("cost of a page of {} beside 10000 orders", one.size.orders);
            targets.extend(target(name, cost, small));
        }
    }
    for one in all {
        let base = first(one.size).and_then(Measured::postgres_us);
        let name = format!("cost of {} beside page 1 ({})", one.label, one.size.label());
        match one.label.as_str() {
            "orders, page 1000" | "orders, page 18000" => {
                let mut deep = target(name, one.postgres_us(), base);
                if let Some(deep) = deep.as_mut().filter(|deep| !deep.holds) {
                    deep.why = Some(BY_NUMBER.to_owned());
                }
                targets.extend(deep);
            }
            label if label.starts_with("orders, by cursor") => {
                targets.extend(target(name, one.postgres_us(), base));
            }
            _ => {}
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn what_pgbench_says_is_read() {
        let output = "number of transactions actually processed: 4242\nnumber of failed transactions: 0 (0.000%)\n\
                      latency average = 1.1 ms\ntps = 2121.5 (without initial connection time)\n";
        assert_eq!(told(output), Some((4_242.0, 2_121.5)));
        assert_eq!(told("tps = 1"), None);
        assert_eq!(told(&output.replace("transactions: 0", "transactions: 7")), None);
    }
}
