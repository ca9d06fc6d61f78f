//! The simulator in this process as a transport, and clients on it.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::StreamExt as _;
use jebi_batch::http;
use jebi_batch::testing::Inside;
use jebi_batch::wholesaler::{
    Catalogue, Checkpoint, Domeggook, DomeggookLogin, Error, Line, Market, Ownerclan,
    OwnerclanLogin, Page, Pages, Window, Zentrade, ZentradeLogin,
};
use jebi_batch::{AccountConfig, Accounts, Clock};
use jebi_domain::{Credential, Wholesaler};
use jebi_monitor::{Config, Monitor};
use jebi_simulator::{
    Clock as SimClock, FaultRule, InProcess, PASSWORD, Settings, Simulator, Time,
};

pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
const INSIDE: &str = "http://inside";
pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// The simulator, and accounts with it, on one clock.
pub(crate) struct Outside {
    pub(crate) clock: Clock,
    market: Market,
    accounts: Accounts,
    inside: InProcess,
}

impl Outside {
    pub(crate) fn with(settings: Settings) -> Self {
        let clock = Clock::manual();
        let sim_clock = SimClock::manual();
        let simulator = Arc::new(Simulator::new(settings, sim_clock.now()));
        let inside = InProcess::new(simulator, sim_clock);
        let monitor = Monitor::new(Config { clock: clock.monitor(), ..Config::default() });
        let accounts = Accounts::new(&clock, Arc::new(monitor));
        Self { clock, market: Market::Supply, accounts, inside }
    }

    pub(crate) fn in_market(self, market: Market) -> Self {
        Self { market, ..self }
    }

    pub(crate) fn of(items: u64) -> Self {
        Self::with(Settings::default().with_items(items))
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        self.inside.simulator()
    }

    /// What the simulator's clock shows.
    pub(crate) fn now(&self) -> Time {
        SimClock::BEGINNING + self.clock.now()
    }

    pub(crate) fn fault(&self, rule: FaultRule) -> u64 {
        self.simulator().add_fault(rule)
    }

    pub(crate) fn line(&self, wholesaler: Wholesaler) -> Line {
        self.line_with(wholesaler, http::Config::of(wholesaler))
    }

    fn line_with(&self, wholesaler: Wholesaler, config: http::Config) -> Line {
        let transport = Arc::new(Inside::new(self.inside.clone(), &self.clock));
        let client = http::Client::over(transport, config, &self.clock).unwrap();
        let account = self.accounts.open(&format!("{wholesaler:?}"), AccountConfig::of(wholesaler));
        Line::new(client, account, &self.clock)
    }

    pub(crate) fn ownerclan(&self) -> Ownerclan {
        ownerclan(self.line(Wholesaler::Ownerclan), INSIDE)
    }

    pub(crate) fn zentrade(&self) -> Zentrade {
        zentrade(self.line(Wholesaler::Zentrade), INSIDE)
    }

    pub(crate) fn domeggook(&self) -> Domeggook {
        domeggook(self.line(Wholesaler::Domeggook), INSIDE, self.market)
    }

    pub(crate) fn client(&self, wholesaler: Wholesaler) -> Box<dyn Catalogue> {
        self.client_with(wholesaler, http::Config::of(wholesaler))
    }

    /// One that reads no more than this.
    pub(crate) fn client_of_bytes(&self, wholesaler: Wholesaler, most: u64) -> Box<dyn Catalogue> {
        let config = http::Config::of(wholesaler);
        let config = http::Config { max_wire_bytes: most, max_decoded_bytes: most, ..config };
        self.client_with(wholesaler, config)
    }

    fn client_with(&self, wholesaler: Wholesaler, config: http::Config) -> Box<dyn Catalogue> {
        let line = self.line_with(wholesaler, config);
        match wholesaler {
            Wholesaler::Ownerclan => Box::new(ownerclan(line, INSIDE)),
            Wholesaler::Zentrade => Box::new(zentrade(line, INSIDE)),
            Wholesaler::Domeggook => Box::new(domeggook(line, INSIDE, self.market)),
        }
    }

    /// All pages up to the end, and the error that was the end, where it was one.
    pub(crate) fn pages(&self, pages: Pages) -> (Vec<Page>, Option<Error>) {
        let all: Vec<Result<Page, Error>> = self.clock.run(pages.take(20_000).collect());
        let (mut whole, mut failed) = (Vec::new(), None);
        for page in all {
            assert!(failed.is_none(), "a page follows an error");
            match page {
                Ok(page) => whole.push(page),
                Err(error) => failed = Some(error),
            }
        }
        let is_last = whole.last().is_some_and(|page| page.next.is_none());
        assert_eq!(is_last, failed.is_none(), "{failed:?}");
        (whole, failed)
    }

    pub(crate) fn walk(&self, wholesaler: Wholesaler, from: Option<&Checkpoint>) -> Vec<Page> {
        let (pages, failed) = self.pages(self.client(wholesaler).walk(from));
        assert!(failed.is_none(), "{failed:?}");
        pages
    }

    /// The part of time that the simulator's clock has been through, `back` included.
    pub(crate) fn window(&self, since: Time) -> Window {
        let moment = |time: Time| DateTime::from_timestamp_millis(time.unix_ms()).unwrap();
        Window { since: moment(since), until: moment(self.now()) }
    }

    pub(crate) fn calls(&self, wholesaler: Wholesaler) -> u64 {
        let stats = self.accounts.stats();
        let name = format!("{wholesaler:?}");
        stats.iter().find(|stats| stats.name == name).map_or(0, |stats| stats.calls)
    }
}

/// How often a route was asked.
pub(crate) fn calls(outside: &Outside, route: &str) -> usize {
    outside.simulator().log().iter().filter(|entry| entry.route == route).count()
}

pub(crate) fn secret(text: &str) -> Credential {
    Credential::new(text).unwrap()
}

pub(crate) fn ownerclan(line: Line, base: &str) -> Ownerclan {
    let login = OwnerclanLogin { username: secret("demo-seller"), password: secret(PASSWORD) };
    let url = |path: &str| format!("{base}/ownerclan{path}").parse().unwrap();
    Ownerclan::new(line, login, url("/v1/graphql"), url("/auth"))
}

pub(crate) fn zentrade(line: Line, base: &str) -> Zentrade {
    let login = ZentradeLogin { id: secret("demo"), m_skey: secret(KEY) };
    Zentrade::new(line, login, format!("{base}/zentrade").parse().unwrap())
}

pub(crate) fn domeggook(line: Line, base: &str, market: Market) -> Domeggook {
    let login = DomeggookLogin { aid: secret(KEY), id: secret("demo"), pw: secret(PASSWORD) };
    Domeggook::new(line, login, format!("{base}/domeggook/").parse().unwrap(), market)
}
