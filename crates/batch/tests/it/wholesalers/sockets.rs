//! The same clients over TCP.

use std::sync::Arc;

use futures::StreamExt as _;
use jebi_batch::http::{Client, Config as HttpConfig};
use jebi_batch::wholesaler::{Catalogue, Line, Market, Page};
use jebi_batch::{AccountConfig, Accounts, Clock};
use jebi_domain::Wholesaler;
use jebi_monitor::{Config, Monitor};
use jebi_simulator::{Clock as SimClock, Server, Settings, Simulator};

use crate::wholesalers::support::{domeggook, ownerclan, zentrade};

#[tokio::test]
async fn a_walk_over_sockets_finds_what_one_in_the_process_finds() {
    let clock = SimClock::system();
    let settings = Settings { enforce_limits: false, ..Settings::default() }.with_items(500);
    let simulator = Arc::new(Simulator::new(settings, clock.now()));
    let server = Server::bind("127.0.0.1:0", simulator, clock).await.unwrap();
    let base = server.urls().ownerclan_api.replace("/ownerclan/v1/graphql", "");
    let served = tokio::spawn(server.run());
    let clock = Clock::system();
    let accounts = Accounts::new(&clock, Arc::new(Monitor::new(Config::default())));
    for &wholesaler in Wholesaler::ALL {
        let account = accounts.open("shop", AccountConfig::default());
        let client = Client::new(HttpConfig::of(wholesaler), &clock).unwrap();
        let line = Line::new(client, account, &clock);
        let client: Box<dyn Catalogue> = match wholesaler {
            Wholesaler::Ownerclan => Box::new(ownerclan(line, &base)),
            Wholesaler::Zentrade => Box::new(zentrade(line, &base)),
            Wholesaler::Domeggook => Box::new(domeggook(line, &base, Market::Supply)),
        };
        let pages: Vec<_> = client.walk(None).collect().await;
        let pages: Vec<Page> = pages.into_iter().map(Result::unwrap).collect();
        let products: usize = pages.iter().map(|page| page.products.len()).sum();
        assert!((450..=500).contains(&products), "{wholesaler:?} has {products}");
        assert!(pages.iter().all(|page| page.rejected.is_empty()));
    }
    served.abort();
}
