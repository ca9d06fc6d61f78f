//! How a request goes out and its answer comes in: bytes, before anything is made of them.

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use reqwest::header::HeaderMap;
use reqwest::redirect;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::http::config::Config;
use crate::http::error::{Error, Kind};
use crate::http::request::Request;

/// How requests go out. [`Client::new`](crate::http::Client::new) has the network;
/// [`Client::over`](crate::http::Client::over) takes another, such as a server in the same process.
///
/// Time, bounds, charset and format are the client's, whatever it goes over.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request and gives what comes back as it comes: any status, nothing unpacked. What
    /// never comes keeps the future waiting; the client gives up on it.
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Incoming, Error>>;
}

/// An answer whose body is still coming in.
pub struct Incoming {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it comes.
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Incoming({})", self.status)
    }
}

/// HTTP/1.1 over TCP and TLS. It follows no redirect, asks no proxy and no environment, and repeats
/// nothing.
#[derive(Debug)]
pub(super) struct Network(reqwest::Client);

impl Network {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        #[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.max_connections.max(1))
            .pool_idle_timeout(config.keep_alive)
            .build()
            .map_err(|error| Error::new(Kind::Setup).because(error))?;
        Ok(Self(client))
    }
}

impl Transport for Network {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Incoming, Error>> {
        let client = self.0.clone();
        Box::pin(async move {
            let Request { method, url, headers, body, .. } = request;
            let sent = client.request(method, url).headers(headers).body(body).send();
            let mut response = sent.await.map_err(Error::of_head)?;
            let (status, headers) = (response.status().as_u16(), response.headers_mut());
            let headers = std::mem::take(headers);
            let body = futures::stream::try_unfold(response, async |mut response| {
                let chunk = response.chunk().await.map_err(Error::of_body)?;
                Ok(chunk.map(|chunk| (chunk, response)))
            });
            Ok(Incoming { status, headers, body: body.boxed() })
        })
    }
}

/// TLS by ring, with the roots that the program brings along: the machine needs none.
fn tls() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the versions that are the default")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
