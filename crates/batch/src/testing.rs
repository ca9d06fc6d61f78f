//! For tests: wholesalers in this process, on a clock that is moved by hand.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use jebi_simulator::{Body, Clock as SimClock, End, InProcess, SimRequest};

use crate::clock::Clock;
use crate::http::{Error, HeaderMap, HeaderName, HeaderValue, Incoming, Kind, Request, Transport};

/// What an answer takes to come.
const LATENCY: Duration = Duration::from_millis(300);

/// A transport that asks the simulator in this process. The simulator's clock, which has to be one that is moved by hand, shows what
/// ours does, from the simulator's beginning on.
#[derive(Debug)]
pub struct Inside {
    inside: InProcess,
    clock: Clock,
}

impl Inside {
    /// Asks by this clock.
    #[must_use]
    pub fn new(inside: InProcess, clock: &Clock) -> Self {
        Self { inside, clock: clock.clone() }
    }
}

impl Transport for Inside {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Incoming, Error>> {
        let (inside, clock) = (self.inside.clone(), self.clock.clone());
        Box::pin(async move {
            clock.wait(LATENCY).await;
            inside.clock().set(SimClock::BEGINNING + clock.now());
            let response = inside.ask(&asked(&request));
            let script = response.script;
            clock.wait(script.delay).await;
            let after = match script.end {
                End::Complete => None,
                End::Silence => return std::future::pending().await,
                End::Dropped | End::Reset { after_bytes: 0 } => {
                    return Err(Error::new(Kind::Reset));
                }
                End::Truncated { after_bytes } | End::Reset { after_bytes } => Some(after_bytes),
                // What is announced and does not come cuts the body; what comes beyond is not read.
                End::LyingLength { by } => Some(u64::MAX.saturating_add_signed(by.min(0))),
            };
            let is_too_short = matches!(script.end, End::LyingLength { by } if by < 0);
            let (status, headers) = (response.status, headers(&response.headers));
            let body: Box<dyn Iterator<Item = Vec<u8>> + Send> = match (response.body, after) {
                (Body::Pieces(pieces), None) => pieces,
                (body, after) => {
                    let mut bytes = body.into_bytes();
                    let end = match script.end {
                        End::LyingLength { by } => (bytes.len() as u64).saturating_add_signed(by),
                        _ => after.unwrap_or(u64::MAX),
                    };
                    bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
                    Box::new(std::iter::once(bytes))
                }
            };
            let pace = script.bytes_per_second;
            // In small pieces, as a network has them, so that characters are cut.
            let pieces =
                body.flat_map(|piece| piece.chunks(8_191).map(<[u8]>::to_vec).collect::<Vec<_>>());
            let whole = stream::iter(pieces).then(move |piece| {
                let clock = clock.clone();
                async move {
                    if let Some(pace) = pace {
                        // In two steps: nothing is there the moment that one looks again.
                        let seconds = piece.len() as f64 / pace.get() as f64 / 2.0;
                        clock.wait(Duration::from_secs_f64(seconds)).await;
                        clock.wait(Duration::from_secs_f64(seconds)).await;
                    }
                    Ok(bytes::Bytes::from(piece))
                }
            });
            let is_cut = after.is_some() && !is_too_short;
            let cut = stream::iter(is_cut.then(|| Err(Error::new(Kind::BodyCut))));
            Ok(Incoming { status, headers, body: whole.chain(cut).boxed() })
        })
    }
}

fn asked(request: &Request) -> SimRequest {
    let url = request.url();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", url.path());
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap_or_default().to_owned())
    };
    SimRequest {
        method: request.method().to_string(),
        target,
        headers: request.headers().iter().map(header).collect(),
        body: request.bytes().to_vec(),
    }
}

fn headers(pairs: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let name = HeaderName::try_from(name).expect("the simulator's headers are good");
        (name, HeaderValue::try_from(value).expect("the simulator's headers are good"))
    };
    pairs.iter().map(pair).collect()
}
