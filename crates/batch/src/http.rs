//! The one way out by HTTP: a client that no answer can confuse, fill up or hold for ever.

mod answer;
mod body;
mod charset;
mod config;
mod error;
mod request;
mod sniff;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, USER_AGENT};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::retry_after::parse_retry_after;

use transport::Network;

pub use answer::{Answer, Reading};
pub use config::Config;
pub use error::{Error, Kind};
pub use request::{Format, Request};
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, Url};
pub use transport::{Incoming, Transport};

/// The client of one account: its own connections, and bounds on all that comes in. A clone shares
/// them.
///
/// It follows no redirect, asks no proxy and no environment, repeats nothing, and speaks HTTP/1.1,
/// where a connection is a call.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    user_agent: HeaderValue,
    config: Arc<Config>,
    clock: Clock,
    places: Arc<Semaphore>,
}

impl Client {
    /// A client without connections yet.
    ///
    /// # Errors
    /// [`Kind::Setup`] where the user agent is none.
    pub fn new(config: Config, clock: &Clock) -> Result<Self, Error> {
        let network = Network::new(&config)?;
        Self::over(Arc::new(network), config, clock)
    }

    /// A client that goes over something else than the network.
    ///
    /// # Errors
    /// [`Kind::Setup`] where the user agent is none.
    pub fn over(
        transport: Arc<dyn Transport>,
        config: Config,
        clock: &Clock,
    ) -> Result<Self, Error> {
        let connections = config.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        let user_agent =
            HeaderValue::from_str(&config.user_agent).map_err(|_| Error::new(Kind::Setup))?;
        let places = Arc::new(Semaphore::new(connections));
        Ok(Self { transport, user_agent, config: Arc::new(config), clock: clock.clone(), places })
    }

    /// Sends, and reads the whole answer as text.
    ///
    /// Memory: the text, at most 1.5 × [`Config::max_decoded_bytes`].
    ///
    /// # Errors
    /// All that is not a 2xx with a whole body of the expected format: see [`Kind`].
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let span = span(&request);
        let sent = async { self.begin(request).await?.whole().await };
        noted(sent).instrument(span).await
    }

    /// Sends, and gives the text of the answer piece by piece, for what is too large to be held. The
    /// pieces are held to the same bounds. Memory: a piece.
    ///
    /// # Errors
    /// Those of [`Client::send`]; what is found out later is an error of [`Reading::next`].
    pub async fn open(&self, request: Request) -> Result<Reading, Error> {
        let span = span(&request);
        noted(self.begin(request)).instrument(span).await
    }

    /// Connections that are in use.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.config.max_connections.max(1).saturating_sub(self.places.available_permits())
    }

    async fn begin(&self, request: Request) -> Result<Reading, Error> {
        let deadline = self.clock.now().saturating_add(self.config.total_timeout);
        let place = self.place(deadline).await?;
        let expects = request.expects;
        // Unpacked here, where it is counted.
        let request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let sent = self.transport.send(request.header(USER_AGENT, self.user_agent.clone()));
        let answered = self.clock.now().saturating_add(self.config.read_timeout);
        let incoming = match self.clock.before(answered.min(deadline), sent).await {
            Some(incoming) => incoming?,
            None if answered < deadline => return Err(Error::new(Kind::ReadTimeout)),
            None => return Err(Error::new(Kind::TotalTimeout)),
        };
        let status = incoming.status;
        let failed = match status {
            200..=299 => None,
            code @ 300..=399 => Some(Kind::Redirect(code)),
            code => Some(Kind::Status(code)),
        };
        let failed = failed.map(|kind| self.failed(kind, &incoming.headers));
        // A failure is told in any format.
        let expects = if failed.is_some() { Format::Any } else { expects };
        let config = self.config.clone();
        let reading = Reading::new(incoming, config, self.clock.clone(), deadline, place, expects);
        match (failed, reading) {
            (None, reading) => reading,
            (Some(error), Err(_)) => Err(error),
            (Some(error), Ok(reading)) => Err(Error { body: reading.excerpt().await, ..error }),
        }
    }

    async fn place(&self, deadline: Duration) -> Result<OwnedSemaphorePermit, Error> {
        let place = self.clock.before(deadline, self.places.clone().acquire_owned()).await;
        let place = place.ok_or_else(|| Error::new(Kind::NoConnection))?;
        Ok(place.expect("nobody closes it"))
    }

    fn failed(&self, kind: Kind, headers: &HeaderMap) -> Error {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let retry_after = text("retry-after")
            .and_then(|value| parse_retry_after(value, text("date"), self.clock.today()));
        Error { retry_after, ..Error::new(kind) }
    }
}

/// What a trace shows of a call: method, host and the template of the path, and how it ended. Never
/// the path itself, a parameter, a header or a body. The service's tracing layer makes of it what it
/// exports.
fn span(request: &Request) -> tracing::Span {
    tracing::debug_span!(
        "http.call",
        http.request.method = request.method.as_str(),
        server.address = request.url.host_str(),
        http.route = request.route,
        error.type = tracing::field::Empty,
    )
}

async fn noted<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let result = call.await;
    if let Err(error) = &result {
        tracing::Span::current().record("error.type", tracing::field::debug(error.kind));
    }
    result
}
