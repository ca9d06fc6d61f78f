//! What is answered at the door: a request that was answered from this process's memory before is answered so again without being
//! routed, parsed and led through the middleware.
//!
//! It is the same answer, and under the same conditions: the key is looked up as often, and has the same scopes and what is left of
//! its budget; the answer is the one that the cache gives at this moment. What needs more than that goes the usual way: whatever
//! is no GET, is not in memory or past its time, comes with a key that is not known just now, is traced, or is refused.
//!
//! Why there is a door: a 304 took 16.2 µs of a core on the way through the framework, its line of log left out, and takes 9.5 here,
//! of which 7 to 8.6 are the HTTP server's own (`docs/performance.md`).

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_http::{Payload, Request, Response};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Service, ServiceFactory, ServiceResponse};
use actix_web::http::Method;
use actix_web::{HttpMessage as _, ResponseError as _};
use futures::FutureExt as _;
use futures::future::{Either, LocalBoxFuture, Ready, ready};
use jebi_domain::{Scopes, api_key_digest};
use jebi_monitor::Outcome;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use crate::admission::Place;
use crate::auth::{self, Caller};
use crate::cached::{Answers, Key, is_to_be_packed, respond};
use crate::monitoring::Endpoint;
use crate::problem::Problem;
use crate::request_id;
use crate::state::State;

/// Requests that were answered from memory, by who asked and for what.
pub(crate) struct Door(Cache<Asked, Arc<Remembered>>);

/// A few for each answer that memory holds by default.
const MOST: usize = 4_096;
/// A longer target is not remembered: it is no screen's.
const LONGEST: usize = 512;

impl Default for Door {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

/// Who asks, by the digest of their key, for which target.
#[derive(PartialEq, Eq)]
struct Asked {
    digest: [u8; 32],
    target: Box<str>,
}

struct AskedRef<'a> {
    digest: [u8; 32],
    target: &'a str,
}

impl<'a> AskedRef<'a> {
    /// Who asks for what, where the answer may be remembered.
    fn of(request: &'a Request) -> Option<Self> {
        let head = request.head();
        let target = head.uri.path_and_query()?.as_str();
        if head.method != Method::GET || target.len() > LONGEST {
            return None;
        }
        Some(Self { digest: api_key_digest(auth::bearer(&head.headers)?)?, target })
    }

    fn into_owned(self) -> Asked {
        Asked { digest: self.digest, target: self.target.into() }
    }
}

// The same as that of `AskedRef`, by which it is found.
impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        AskedRef { digest: self.digest, target: &self.target }.hash(state);
    }
}

impl Hash for AskedRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // It is a digest already: a part of it tells keys apart as well as all of it.
        state.write(&self.digest[..8]);
        self.target.hash(state);
    }
}

impl Equivalent<Asked> for AskedRef<'_> {
    fn equivalent(&self, known: &Asked) -> bool {
        self.digest == known.digest && *self.target == *known.target
    }
}

/// What a request came to: handed out with the answer, in its extensions, by who knows.
pub(crate) struct Remembered {
    /// Of the key that was let through.
    pub(crate) scopes: Scopes,
    pub(crate) answers: Answers,
    pub(crate) key: Key<'static>,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Door {
    /// The answer to a request, where it can be given at once.
    fn answer(
        &self,
        state: &State,
        request: &Request,
        asked: &AskedRef<'_>,
    ) -> Option<Response<BoxBody>> {
        if state.traces.is_on() {
            return None;
        }
        let (began, head) = (Instant::now(), request.head());
        let known = self.0.get(asked)?;
        let caller: Arc<Caller> = auth::known_now(state, &asked.digest)?;
        if caller.scopes() != known.scopes {
            return None;
        }
        let hit = known.answers.in_memory(&known.key)?;
        let body = hit.body().filter(|body| !is_to_be_packed(&head.headers, body))?;
        // Who has none left is refused where others are.
        let budget = caller.take_budget(state).ok()?;
        let mut response = respond(&head.headers, &hit, body);
        if let Some(budget) = budget {
            budget.write(response.headers_mut());
        }
        let id = request_id::of(&head.headers);
        request_id::write(&id, response.headers_mut());
        let (took, endpoint) = (began.elapsed(), &known.endpoint);
        endpoint.operation.record(took, Outcome::Ok);
        request_id::log_end(&id, (&head.method, endpoint.route()), &response, took);
        Some(response.into())
    }

    /// Whether memory has an answer, perhaps one that is past its time.
    fn has(&self, asked: &AskedRef<'_>) -> bool {
        self.0.get(asked).is_some_and(|known| known.answers.has_in_memory(&known.key))
    }

    /// A place for a request of a seller's where there is one; none for others, who are neither counted nor refused.
    fn admit(
        &self,
        state: &State,
        request: &Request,
        asked: Option<&AskedRef<'_>>,
    ) -> Result<Option<Place>, Response<BoxBody>> {
        const OF_SELLERS: [&str; 2] = ["/api/v1/orders-optimized", "/api/v1/products-optimized"];
        let head = request.head();
        if !OF_SELLERS.iter().any(|prefix| head.uri.path().starts_with(prefix)) {
            return Ok(None);
        }
        if !state.admission.is_full() {
            return Ok(Some(state.admission.enter()));
        }
        let is_in_memory = || asked.is_some_and(|asked| self.has(asked));
        if head.method == Method::GET && (state.has_redis || is_in_memory()) {
            request.extensions_mut().insert(OnlyIfCached);
            return Ok(None);
        }
        Err(turn_away(state, request))
    }
}

/// In the extensions of a request: it may have what is cached, and is refused where that is not enough.
pub(crate) struct OnlyIfCached;

/// The refusal of what would wait for too long, before it is even routed.
fn turn_away(state: &State, request: &Request) -> Response<BoxBody> {
    /// Its name among the endpoints.
    const TURNED_AWAY: &str = "turned away";
    let (began, head) = (Instant::now(), request.head());
    let id = request_id::of(&head.headers);
    let mut response = request_id::during(id.clone(), || Problem::busy().error_response());
    request_id::write(&id, response.headers_mut());
    let endpoint = state.monitoring.endpoint(head.method.as_str(), Some(TURNED_AWAY));
    endpoint.operation.record(began.elapsed(), Outcome::Error);
    response.into()
}

/// Lets the server read what has come of a body. An answer that is there before closes the connection behind it, whatever it
/// says, and who was refused has to connect again.
async fn read_the_body() {
    tokio::task::yield_now().await;
}

/// Stands before an application, with a door.
pub(crate) struct Front<F> {
    pub(crate) state: State,
    pub(crate) application: F,
}

/// Before the application of one worker.
pub(crate) struct FrontService<S> {
    state: State,
    application: S,
}

impl<F, B> ServiceFactory<Request> for Front<F>
where
    F: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>>,
    F::Future: 'static,
    <F::Service as Service<Request>>::Future: 'static,
    F::Error: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<BoxBody>;
    type Error = F::Error;
    type Config = AppConfig;
    type Service = FrontService<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let (state, application) = (self.state.clone(), self.application.new_service(config));
        Box::pin(async move { Ok(FrontService { state, application: application.await? }) })
    }
}

impl<S, B> Service<Request> for FrontService<S>
where
    S: Service<Request, Response = ServiceResponse<B>>,
    S::Future: 'static,
    S::Error: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Future = Either<
        Ready<Result<Self::Response, Self::Error>>,
        LocalBoxFuture<'static, Result<Self::Response, Self::Error>>,
    >;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.application.poll_ready(context)
    }

    fn call(&self, mut request: Request) -> Self::Future {
        let has_body = !matches!(request.payload(), Payload::None);
        let asked = AskedRef::of(&request);
        let answer = |asked| self.state.door.answer(&self.state, &request, asked);
        if let Some(response) = asked.as_ref().and_then(answer) {
            return ready(Ok(response)).left_future();
        }
        let place = match self.state.door.admit(&self.state, &request, asked.as_ref()) {
            Ok(place) => place,
            Err(refusal) if has_body => {
                let refusal = read_the_body().map(|()| Ok(refusal));
                return refusal.boxed_local().right_future();
            }
            Err(refusal) => return ready(Ok(refusal)).left_future(),
        };
        let (state, asked) = (self.state.clone(), asked.map(AskedRef::into_owned));
        let answered = self.application.call(request);
        let answered = async move {
            let _place = place;
            if has_body {
                read_the_body().await;
            }
            let mut response = Response::from(answered.await?).map_into_boxed_body();
            let remembered = response.extensions_mut().remove::<Remembered>();
            if let Some((asked, remembered)) = asked.zip(remembered) {
                state.door.0.insert(asked, Arc::new(remembered));
            }
            Ok(response)
        };
        answered.boxed_local().right_future()
    }
}
