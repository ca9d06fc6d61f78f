//! Wholesalers, sellers' accounts with them, and what is in the catalogue then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_batch::testing::Inside;
use jebi_batch::{AccountConfig, Accounts, BudgetConfig, Clock};
use jebi_db_optimizer::accounts::{self, Account, Change};
use jebi_db_optimizer::jobs::{Job, NewItem, NewJob, enqueue};
use jebi_db_optimizer::testing::TestDatabase;
use jebi_db_optimizer::{Author, random};
use jebi_domain::{AccountKind, JobId, Place, SellerId, SellerKeys, Wholesaler};
use jebi_monitor::{Config as MonitorConfig, Monitor};
use jebi_simulator::{
    Availability, Clock as SimClock, InProcess, Item, PASSWORD, Settings, Simulator, Stock, Time,
    item_key,
};
use jebi_work::{Addresses, Collector, Config, Kinds, Outside, Runner, Wake};
use tokio_util::sync::CancellationToken;

use crate::fixture::{ended, quick};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// An account of a seller with a wholesaler, as `jebi account add` makes it.
pub(crate) async fn account(db: &TestDatabase, keys: &SellerKeys, kind: AccountKind) -> Account {
    account_of(db, keys, kind, "demo").await
}

/// The same under a name of its own at the wholesaler.
pub(crate) async fn account_of(
    db: &TestDatabase,
    keys: &SellerKeys,
    kind: AccountKind,
    name: &str,
) -> Account {
    let secrets: &[(&str, &str)] = match kind {
        AccountKind::Ownerclan => &[("username", name), ("password", PASSWORD)],
        AccountKind::Zentrade => &[("id", name), ("m_skey", KEY)],
        AccountKind::Domeggook => &[("aid", KEY), ("id", name), ("pw", PASSWORD)],
        AccountKind::Coupang | AccountKind::Naver | AccountKind::ElevenSt => &[],
    };
    let sealed = |account: jebi_domain::AccountId| {
        let seal = |(name, secret): &(&'static str, &str)| {
            let place = Place::CredentialOf(account.as_uuid(), name);
            (*name, keys.seal(place, secret.as_bytes(), random()))
        };
        Change { credentials: secrets.iter().map(seal).collect(), ..Change::default() }
    };
    let transaction = db.pool.begin(keys.seller()).await.unwrap();
    let put =
        accounts::put(&transaction, keys.seller(), kind, name, sealed, &author()).await.unwrap();
    transaction.commit().await.unwrap();
    put.unwrap().0
}

pub(crate) fn author() -> Author {
    Author { actor: "test".to_owned(), request_id: None, at: Utc::now() }
}

/// Enqueues a job.
pub(crate) async fn start(
    db: &TestDatabase,
    seller: SellerId,
    job: &NewJob<'_>,
    items: &[NewItem],
) -> JobId {
    let transaction = db.pool.begin(seller).await.unwrap();
    let enqueued = enqueue(&transaction, seller, job, items, &author()).await.unwrap();
    assert!(enqueued.is_new);
    transaction.commit().await.unwrap();
    enqueued.job
}

/// As many calls as one likes, of which any may fail: the wholesaler is our own.
pub(crate) fn without_limits(wholesaler: Wholesaler) -> AccountConfig {
    let rates = Vec::new();
    let budget = BudgetConfig::default();
    AccountConfig { rates, api_rates: BTreeMap::new(), budget, ..AccountConfig::of(wholesaler) }
}

/// Addresses that nothing is behind but a transport.
pub(crate) fn addresses(base: &str) -> Addresses {
    Addresses {
        ownerclan_api: format!("{base}/ownerclan/v1/graphql"),
        ownerclan_auth: format!("{base}/ownerclan/auth"),
        zentrade: format!("{base}/zentrade"),
        domeggook: format!("{base}/domeggook"),
    }
}

pub(crate) fn outside(clock: &Clock, base: &str) -> Outside {
    let monitor =
        Monitor::new(MonitorConfig { clock: clock.monitor(), ..MonitorConfig::default() });
    let accounts = Arc::new(Accounts::new(clock, Arc::new(monitor)));
    let key = jebi_db_optimizer::testing::MASTER_KEY;
    let master_key = Arc::new(jebi_domain::MasterKey::from_hex(key).unwrap());
    Outside::new(accounts, clock, master_key, addresses(base))
}

/// The wholesalers in this process, on a clock that is moved by hand, and a worker that collects from them.
pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) keys: SellerKeys,
    pub(crate) clock: Clock,
    pub(crate) accounts: BTreeMap<Wholesaler, Account>,
    inside: InProcess,
    stop: CancellationToken,
}

impl World {
    pub(crate) async fn new(settings: Settings) -> Self {
        let db = TestDatabase::new().await;
        let keys = db.seller("demo").await;
        let clock = Clock::manual();
        let sim_clock = SimClock::manual();
        let simulator = Arc::new(Simulator::new(settings, sim_clock.now()));
        let inside = InProcess::new(simulator, sim_clock);
        let beginning = u64::try_from(SimClock::BEGINNING.unix_ms()).unwrap();
        clock.set_today(std::time::UNIX_EPOCH + Duration::from_millis(beginning));
        let transport = Arc::new(Inside::new(inside.clone(), &clock));
        let outside = outside(&clock, "http://inside").over(transport);
        let collector = Arc::new(Collector::new(Arc::new(outside), db.url()));
        let stop = CancellationToken::new();
        let config = Config { workers: 16, ..quick() };
        let runner = Runner::new(
            db.pool.clone(),
            collector.among(Kinds::default()),
            config,
            &Wake::default(),
        );
        tokio::spawn(runner.run(stop.clone().cancelled_owned()));
        let mut accounts = BTreeMap::new();
        for (wholesaler, kind) in [
            (Wholesaler::Ownerclan, AccountKind::Ownerclan),
            (Wholesaler::Zentrade, AccountKind::Zentrade),
            (Wholesaler::Domeggook, AccountKind::Domeggook),
        ] {
            accounts.insert(wholesaler, account(&db, &keys, kind).await);
        }
        Self { db, keys, clock, accounts, inside, stop }
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        self.inside.simulator()
    }

    pub(crate) fn seller(&self) -> SellerId {
        self.keys.seller()
    }

    /// What the simulator's clock shows.
    pub(crate) fn now(&self) -> Time {
        SimClock::BEGINNING + self.clock.now()
    }

    pub(crate) fn today(&self) -> DateTime<Utc> {
        self.clock.today().into()
    }

    /// Does a job to its end. The clock goes on whenever nothing else does.
    pub(crate) async fn run(&self, (job, items): (NewJob<'_>, Vec<NewItem>)) -> Job {
        let job = start(&self.db, self.seller(), &job, &items).await;
        self.drive(ended(&self.db, self.seller(), job)).await
    }

    pub(crate) async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        // Time-outs are further away than what calls and rates take: they come once nothing else has for long.
        const NEAR: Duration = Duration::from_secs(10);
        const LONG: u32 = 20_000;
        let moving = async {
            for idle in 1_u32.. {
                // Others have their turn first.
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                self.clock.skip(if idle % LONG == 0 { Duration::MAX } else { NEAR });
            }
        };
        tokio::select! {
            output = future => output,
            () = moving => unreachable!("it goes on for ever"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Cost and stock.
pub(crate) type Offer = (i64, Option<i64>);

/// The offer of every collected product, by wholesaler and key; what is gone has none of it.
pub(crate) async fn stored(db: &TestDatabase) -> BTreeMap<(Wholesaler, String), Offer> {
    let rows = "SELECT coalesce(jsonb_agg(jsonb_build_array(i.wholesaler, i.key, o.cost_amount,
                    o.wholesale_stock)), '[]')::text
                FROM wholesale_items AS i JOIN product_offers AS o
                  ON o.product_id = i.product_id AND o.seller_id = i.seller_id";
    let rows: Vec<(String, String, i64, Option<i64>)> =
        serde_json::from_str(&db.text(rows).await).unwrap();
    let row = |(who, key, cost, stock): (String, String, i64, Option<i64>)| {
        ((who.parse().unwrap(), key), (cost, stock))
    };
    rows.into_iter().map(row).collect()
}

/// What a seller pays for an item, and how many there are, as the catalogue is to have it. What is gone from a wholesaler has no cost
/// any more: the last one stays.
pub(crate) fn truth(wholesaler: Wholesaler, item: &Item<'_>) -> (Option<i64>, Option<i64>) {
    let cost = match wholesaler {
        Wholesaler::Domeggook => item.price() * 12 / 100 * 10,
        Wholesaler::Ownerclan | Wholesaler::Zentrade => item.price(),
    };
    let stock = match (item.availability(), item.stock()) {
        (Availability::OnSale, _) if wholesaler == Wholesaler::Zentrade => None,
        (Availability::OnSale, Stock::Units(units)) => Some(units.into()),
        (Availability::OnSale, Stock::Untracked) => None,
        _ => Some(0),
    };
    let is_told = match item.availability() {
        Availability::OnSale | Availability::SoldOut => true,
        Availability::Discontinued | Availability::Missing => false,
    };
    (is_told.then_some(cost), stock)
}

/// The items whose offer is not what is so at a moment, by wholesaler and number.
pub(crate) fn wrong(
    simulator: &Simulator,
    stored: &BTreeMap<(Wholesaler, String), Offer>,
    at: Time,
) -> Vec<(Wholesaler, u64)> {
    let mut wrong = Vec::new();
    for &wholesaler in Wholesaler::ALL {
        for item in simulator.catalogue(wholesaler).items(at) {
            let key = (wholesaler, item_key(wholesaler, item.number()));
            let Some((cost, stock)) = stored.get(&key) else { continue };
            let (true_cost, true_stock) = truth(wholesaler, &item);
            if true_cost.is_some_and(|true_cost| true_cost != *cost) || true_stock != *stock {
                wrong.push((wholesaler, item.number()));
            }
        }
    }
    wrong
}
