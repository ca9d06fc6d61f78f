//! The wholesalers on a socket, served by a thread of their own, and clients of ours.

use std::sync::Arc;
use std::time::Duration;

use jebi_batch::http::{self, Answer, Client, Format, HeaderName, HeaderValue, Method};
use jebi_batch::{Account, AccountConfig, Accounts, Clock, Failure};
use jebi_domain::Wholesaler;
use jebi_monitor::Monitor;
use jebi_simulator::{InProcess, Server, Settings, SimRequest, Simulator};
use tokio::runtime::{Builder, Runtime};

use crate::seller::Seller;

/// Longer than anything here takes that is to end by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator that is served until it is dropped, and accounts with it.
pub(crate) struct Served {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) transport: InProcess,
    pub(crate) clock: Clock,
    accounts: Accounts,
    base: String,
    _theirs: Runtime,
}

/// A seller with a client and an account of its own.
pub(crate) struct Caller {
    pub(crate) seller: Seller,
    pub(crate) account: Account,
    client: Client,
    base: String,
}

impl Served {
    pub(crate) fn new() -> Self {
        let clock = jebi_simulator::Clock::manual();
        let settings = Settings { enforce_limits: false, ..Settings::default() };
        let simulator = Arc::new(Simulator::new(settings, clock.now()));
        let theirs = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Server::bind("127.0.0.1:0", simulator.clone(), clock.clone());
        let server = theirs.block_on(server).unwrap();
        let base = server.urls().base;
        theirs.spawn(server.run());
        let transport = InProcess::new(simulator.clone(), clock);
        let monitor = Arc::new(Monitor::new(jebi_monitor::Config::default()));
        let clock = Clock::system();
        let accounts = Accounts::new(&clock, monitor);
        Self { simulator, transport, clock, accounts, base, _theirs: theirs }
    }

    pub(crate) fn caller(
        &self,
        wholesaler: Wholesaler,
        number: u32,
        config: &http::Config,
    ) -> Caller {
        let seller = Seller::new(&self.transport, wholesaler, number);
        let account = self.accounts.open(&seller.name, AccountConfig::default());
        let user_agent = "Mozilla/5.0 (compatible; jebi)".to_owned();
        let client =
            Client::new(http::Config { user_agent, ..config.clone() }, &self.clock).unwrap();
        Caller { seller, account, client, base: self.base.clone() }
    }

    pub(crate) fn calls(&self) -> u64 {
        Wholesaler::ALL.iter().map(|wholesaler| self.simulator.counters(*wholesaler).calls).sum()
    }
}

impl Caller {
    /// One call on the account.
    pub(crate) async fn call(
        &self,
        request: &SimRequest,
        format: Format,
    ) -> Result<Answer, Failure> {
        self.account.api("items").call(PATIENCE, Box::pin(self.send(request, format))).await
    }

    pub(crate) async fn send(
        &self,
        request: &SimRequest,
        format: Format,
    ) -> Result<Answer, http::Error> {
        let url = format!("{}{}", self.base, request.target).parse().unwrap();
        let method = Method::from_bytes(request.method.as_bytes()).unwrap();
        let mut sent = http::Request::new(method, url, "/").expects(format);
        if !request.body.is_empty() {
            sent = sent.body("application/json", request.body.clone());
        }
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            sent = sent.header(name, HeaderValue::from_str(value).unwrap());
        }
        self.client.send(sent).await
    }
}
