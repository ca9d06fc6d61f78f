//! Three wholesalers without a network, and accounts with them, on a clock that is moved by hand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jebi_batch::{AccountConfig, Accounts, Class, Clock, Failure, parse_retry_after};
use jebi_domain::Wholesaler;
use jebi_monitor::{Config, Monitor};
use jebi_simulator::{Broken, InProcess, Received, Settings, SimRequest, Simulator, Time};

use crate::seller::Seller;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);
/// There and back.
pub(crate) const WAY: Duration = Duration::from_millis(50);
/// Whatever the other side asks, an account is left alone for no longer.
const LONGEST_PAUSE: Duration = HOUR;

/// The other side, our accounts with it, and both clocks: ours may go wrong, theirs does not.
pub(crate) struct Outside {
    pub(crate) clock: Clock,
    pub(crate) accounts: Accounts,
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) transport: InProcess,
    /// How far our clock has been put forward.
    slipped: Cell<Duration>,
    told: RefCell<BTreeMap<String, Told>>,
}

/// What an account was told about waiting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// How often it was told.
    pub(crate) times: u64,
    /// How long it was to be left alone, all together, by their clock.
    pub(crate) time: Duration,
    /// Calls that began before that was over.
    pub(crate) early: u64,
    until: Duration,
}

impl Outside {
    pub(crate) fn new(settings: Settings) -> Self {
        let (clock, theirs) = (Clock::manual(), jebi_simulator::Clock::manual());
        let monitor = Monitor::new(Config { clock: clock.monitor(), ..Config::default() });
        let simulator = Arc::new(Simulator::new(settings, theirs.now()));
        let outside = Self {
            accounts: Accounts::new(&clock, Arc::new(monitor)),
            transport: InProcess::new(simulator.clone(), theirs),
            simulator,
            clock,
            slipped: Cell::default(),
            told: RefCell::default(),
        };
        outside.clock.set_today(outside.date());
        outside
    }

    /// The time of theirs.
    pub(crate) fn time(&self) -> Time {
        jebi_simulator::Clock::BEGINNING + self.passed()
    }

    /// The same as HTTP has it.
    pub(crate) fn date(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.time().unix_ms().unsigned_abs())
    }

    /// Our clock is put forward, and what waits for it believes that. Theirs is not.
    pub(crate) fn slip(&self, by: Duration) {
        for told in self.told.borrow_mut().values_mut() {
            told.time -= told.until.saturating_sub(self.clock.now()).min(by);
        }
        self.slipped.set(self.slipped.get() + by);
        self.clock.advance(by);
    }

    /// What has passed for them.
    pub(crate) fn passed(&self) -> Duration {
        self.clock.now() - self.slipped.get()
    }

    pub(crate) fn told(&self, seller: &Seller) -> Told {
        self.told.borrow().get(&seller.name).copied().unwrap_or_default()
    }

    /// Makes a call as a client does that knows the wholesaler.
    pub(crate) async fn call(
        &self,
        seller: &Seller,
        request: SimRequest,
    ) -> Result<Received, Failure> {
        self.begin(seller);
        self.clock.wait(WAY / 2).await;
        self.transport.clock().set(self.time());
        let delivery = self.transport.send(&request);
        self.clock.wait(WAY / 2 + delivery.took).await;
        let received = match delivery.outcome {
            Ok(received) => received,
            Err(Broken::Silence) => std::future::pending().await,
            Err(Broken::Dropped | Broken::Truncated(_) | Broken::Reset(_)) => {
                return Err(Failure::new(Class::Unanswered));
            }
        };
        let class = class(seller.wholesaler, &received);
        let Some(class) = class else { return Ok(received) };
        let header = |name: &str| {
            let mut named = received.headers.iter();
            let named = named.find(|(known, _)| known.eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.as_str())
        };
        let asked = |today| parse_retry_after(header("Retry-After")?, header("Date"), today);
        self.end(seller, class, asked(self.date()));
        Err(Failure::new(class).retry_after(asked(self.clock.today())))
    }

    fn begin(&self, seller: &Seller) {
        let mut told = self.told.borrow_mut();
        let told = told.entry(seller.name.clone()).or_default();
        told.early += u64::from(self.clock.now() < told.until);
    }

    fn end(&self, seller: &Seller, class: Class, asked: Option<Duration>) {
        let wait = match (class, asked) {
            (Class::Busy, None) => AccountConfig::of(seller.wholesaler).pause,
            (Class::Busy | Class::Unavailable | Class::ServerError, Some(asked)) => asked,
            _ => return,
        };
        let (now, mut told) = (self.clock.now(), self.told.borrow_mut());
        let told = told.entry(seller.name.clone()).or_default();
        let until = told.until.max(now + wait.min(LONGEST_PAUSE));
        told.times += 1;
        told.time += until - told.until.max(now);
        told.until = until;
    }
}

/// What a failure is, as far as repeating is concerned; `None` of an answer that is good.
fn class(wholesaler: Wholesaler, received: &Received) -> Option<Class> {
    if !(200..300).contains(&received.status) {
        return Some(Class::of_status(received.status));
    }
    let says = |text: &[u8]| received.body.windows(text.len()).any(|part| part == text);
    let is_failure = match wholesaler {
        Wholesaler::Ownerclan | Wholesaler::Domeggook => received.body.starts_with(b"{\"errors\""),
        Wholesaler::Zentrade => !received.body.starts_with(b"<?xml"),
    };
    match is_failure {
        true if says(b"Too many requests") => Some(Class::Busy),
        true => Some(Class::Rejected),
        false => None,
    }
}
