//! The simulator over TCP. HTTP/1.1 is spoken by hand, because what has to be sent here is what no
//! server library sends: a reset, half a body, a length that is not so.

mod connection;
mod head;
mod send;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::control;
use crate::request::SimRequest;
use crate::response::SimResponse;
use crate::simulator::Simulator;
use crate::time::Clock;

/// A listener that is not served yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
}

/// What every connection needs.
#[derive(Debug, Clone)]
struct Shared {
    simulator: Arc<Simulator>,
    clock: Clock,
}

impl Shared {
    fn handle(&self, request: &SimRequest) -> SimResponse {
        if request.path().starts_with(control::PREFIX) {
            return control::answer(&self.simulator, &self.clock, request);
        }
        self.simulator.handle(request, self.clock.now())
    }
}

impl Server {
    /// Listens, such as on `127.0.0.1:0`.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub async fn bind(address: &str, simulator: Arc<Simulator>, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, shared: Shared { simulator, clock } })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the systems are.
    #[must_use]
    pub fn urls(&self) -> Urls {
        Urls::at(&format!("http://{}", self.address))
    }

    /// Serves until it is dropped; all connections end with it.
    ///
    /// # Errors
    ///
    /// When no more connections can be accepted.
    pub async fn run(self) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(connection::serve(stream, self.shared.clone()));
                        }
                        // The client has gone before it was there.
                        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                        Err(error) => return Err(error),
                    }
                }
                // Those that have ended are forgotten.
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Where the systems are, as the settings of a client want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// All of it.
    pub base: String,
    /// `OWNERCLAN_API_URL`.
    pub ownerclan_api: String,
    /// `OWNERCLAN_AUTH_URL`.
    pub ownerclan_auth: String,
    /// `ZENTRADE_BASE_URL`; `/shop/proc/product_api.php` follows.
    pub zentrade_base: String,
    /// `DOMEGGOOK_BASE_URL`; `/ssl/api/` follows.
    pub domeggook_base: String,
    /// The control API.
    pub control: String,
}

impl Urls {
    /// Below a base without its last slash.
    #[must_use]
    pub fn at(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ownerclan_api: format!("{base}/ownerclan/v1/graphql"),
            ownerclan_auth: format!("{base}/ownerclan/auth"),
            zentrade_base: format!("{base}/zentrade"),
            domeggook_base: format!("{base}/domeggook"),
            control: format!("{base}{}", control::PREFIX),
        }
    }
}
