//! The one way out by HTTP: a client that no answer can confuse, fill up or hold for ever.

mod answer;
mod body;
mod charset;
mod config;
mod error;
mod request;
mod sniff;

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::retry_after::parse_retry_after;

pub use answer::{Answer, Reading};
pub use config::Config;
pub use error::{Error, Kind};
pub use request::{Format, Request};
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, Url};

/// The client of one account: its own connections, and bounds on all that comes in. A clone shares
/// them.
///
/// It follows no redirect, asks no proxy and no environment, repeats nothing, and speaks HTTP/1.1,
/// where a connection is a call.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
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
        let connections = config.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        #[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(&config.user_agent)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(connections)
            .pool_idle_timeout(config.keep_alive)
            .build()
            .map_err(|error| Error::new(Kind::Setup).because(error))?;
        let places = Arc::new(Semaphore::new(connections));
        Ok(Self { inner, config: Arc::new(config), clock: clock.clone(), places })
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
        let sent = request.send(&self.inner);
        let answered = self.clock.now().saturating_add(self.config.read_timeout);
        let response = match self.clock.before(answered.min(deadline), sent).await {
            Some(response) => response.map_err(Error::of_head)?,
            None if answered < deadline => return Err(Error::new(Kind::ReadTimeout)),
            None => return Err(Error::new(Kind::TotalTimeout)),
        };
        let status = response.status();
        let failed = match status.as_u16() {
            200..=299 => None,
            code @ 300..=399 => Some(Kind::Redirect(code)),
            code => Some(Kind::Status(code)),
        };
        let failed = failed.map(|kind| self.failed(kind, response.headers()));
        // A failure is told in any format.
        let expects = if failed.is_some() { Format::Any } else { expects };
        let config = self.config.clone();
        let reading = Reading::new(response, config, self.clock.clone(), deadline, place, expects);
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

/// TLS by ring, with the roots that the program brings along: the machine needs none.
fn tls() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the versions that are the default")
        .with_root_certificates(roots)
        .with_no_client_auth()
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
