//! Who is asking: the API key, the seller it belongs to, and what it may do.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, ResponseError as _};
use chrono::Utc;
use jebi_db_optimizer::{Pool, random, sellers};
use jebi_domain::{ApiKeyId, Scope, Scopes, SellerKeys, Sight, api_key_digest};
use quick_cache::sync::Cache;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::limits::Budget;
use crate::problem::Problem;
use crate::state::{Shared, State};

/// A key is looked up again after this long: a revoked one is refused within two seconds.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The keys that were looked up lately, by digest.
pub(crate) struct KnownKeys {
    lately: Cache<[u8; 32], (Instant, Arc<Caller>)>,
    /// Whoever guesses keys takes this many connections of the pool at most.
    look_ups: Semaphore,
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self { lately: Cache::new(10_000), look_ups: Semaphore::new(4) }
    }
}

/// Whose key it is and what it may do.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Of the key itself.
    pub(crate) digest: [u8; 32],
    key: ApiKeyId,
    scopes: Scopes,
    /// Absent on an operator's key.
    seller: Option<Arc<SellerKeys>>,
    /// Whether the key has a budget of its own.
    is_limited: bool,
}

impl Caller {
    /// This process itself, asking on behalf of a seller within the budget of a run.
    pub(crate) fn of_benchmark(digest: [u8; 32], seller: SellerKeys, may_write: bool) -> Self {
        let scopes: &[Scope] = if may_write {
            &[Scope::OrdersRead, Scope::ProductsRead, Scope::OrdersWrite, Scope::ProductsWrite]
        } else {
            &[Scope::OrdersRead, Scope::ProductsRead]
        };
        let key = ApiKeyId::new(Utc::now(), random());
        let scopes = scopes.iter().copied().collect();
        Self { digest, key, scopes, seller: Some(Arc::new(seller)), is_limited: false }
    }
}

/// Lets a request with a good key through, within the key's budget, and remembers whose key it is.
pub(crate) async fn authenticate<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let (caller, budget) = match admit(&request).await {
        Ok(admitted) => admitted,
        // A response, not an error: the middleware outside gives it its name and writes it down.
        Err(Refused { problem, budget }) => {
            let mut response = problem.error_response();
            if let Some(budget) = budget {
                budget.write(response.headers_mut());
            }
            return Ok(request.into_response(response.map_into_right_body()));
        }
    };
    request.extensions_mut().insert(caller);
    let mut response = next.call(request).await?;
    if let Some(budget) = budget {
        budget.write(response.headers_mut());
    }
    Ok(response.map_into_left_body())
}

/// Why a request was not let through, and what that leaves of its key's budget.
struct Refused {
    problem: Problem,
    budget: Option<Budget>,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, budget: None }
    }
}

async fn admit(request: &ServiceRequest) -> Result<(Arc<Caller>, Option<Budget>), Refused> {
    let state = request.app_data::<Data<State>>().ok_or_else(Problem::internal)?;
    let sent = bearer(request.headers()).ok_or_else(Problem::unauthorized)?;
    let Some(caller) = find(state, sent).await? else {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let address = request.peer_addr().map_or(unknown, |peer| peer.ip());
        state.limits.note_wrong_key(address).map_err(|seconds| {
            let what = "too many wrong API keys came from this address";
            Problem::too_many_requests(what, seconds)
        })?;
        return Err(Problem::unauthorized().into());
    };
    let budget = caller.take_budget(state).map_err(|(seconds, budget)| {
        let what = "this API key has used its requests of the minute";
        Refused { problem: Problem::too_many_requests(what, seconds), budget: Some(budget) }
    })?;
    Ok((caller, budget))
}

/// The key that was sent.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn find(state: &Shared, key: &str) -> Result<Option<Arc<Caller>>, Problem> {
    match api_key_digest(key) {
        Some(digest) => find_digest(state, digest).await,
        None => Ok(None),
    }
}

/// Whose key has this digest.
async fn find_digest(state: &Shared, digest: [u8; 32]) -> Result<Option<Arc<Caller>>, Problem> {
    let known = || known_now(state, &digest);
    if let Some(caller) = known() {
        return Ok(Some(caller));
    }
    let _permit = state.known_keys.look_ups.acquire().await.map_err(|_| Problem::internal())?;
    // Somebody with the same key may have looked it up meanwhile.
    match known() {
        Some(caller) => Ok(Some(caller)),
        None => {
            // What is in memory, and what operators ask for, waits for nobody who waits for the database.
            let db = if state.db.is_exhausted() { &state.watching } else { &state.db };
            look_up(state, db, digest).await
        }
    }
}

/// Whose key has this digest, where that need not be looked up.
pub(crate) fn known_now(state: &Shared, digest: &[u8; 32]) -> Option<Arc<Caller>> {
    known_since(state, digest, TRUSTED_FOR).or_else(|| state.own_keys.find(digest))
}

/// Whose key had this digest when it was looked up last, where that was not longer ago.
fn known_since(state: &Shared, digest: &[u8; 32], age: Duration) -> Option<Arc<Caller>> {
    let (looked_up, caller) = state.known_keys.lately.get(digest)?;
    (looked_up.elapsed() < age).then_some(caller)
}

async fn look_up(
    state: &Shared,
    db: &Pool,
    digest: [u8; 32],
) -> Result<Option<Arc<Caller>>, Problem> {
    // Before the look-up: time spent waiting for the database counts.
    let looked_up = Instant::now();
    let Some(found) = sellers::find_key(db, digest).await? else {
        state.known_keys.lately.remove(&digest);
        return Ok(None);
    };
    if !bool::from(found.digest.ct_eq(&digest)) {
        return Ok(None);
    }
    let seller = found
        .seller
        .map(|seller| Arc::new(state.master_key.seller_keys(seller.id, &seller.key_salt)));
    let caller =
        Arc::new(Caller { digest, key: found.id, scopes: found.scopes, seller, is_limited: true });
    state.known_keys.lately.insert(digest, (looked_up, Arc::clone(&caller)));
    Ok(Some(caller))
}

/// A scope, as a type that a handler can ask for.
pub(crate) trait Required {
    const SCOPE: Scope;
}

/// Asks for `orders:read`.
pub(crate) struct OrdersRead;

/// Asks for `performance:read`.
pub(crate) struct PerformanceRead;

/// Asks for `performance:admin`.
pub(crate) struct PerformanceAdmin;

/// Asks for `orders:write`.
pub(crate) struct OrdersWrite;

/// Asks for `products:read`.
pub(crate) struct ProductsRead;

/// Asks for `products:write`.
pub(crate) struct ProductsWrite;

impl Required for PerformanceRead {
    const SCOPE: Scope = Scope::PerformanceRead;
}

impl Required for PerformanceAdmin {
    const SCOPE: Scope = Scope::PerformanceAdmin;
}

impl Required for ProductsRead {
    const SCOPE: Scope = Scope::ProductsRead;
}

impl Required for ProductsWrite {
    const SCOPE: Scope = Scope::ProductsWrite;
}

impl Required for OrdersRead {
    const SCOPE: Scope = Scope::OrdersRead;
}

impl Required for OrdersWrite {
    const SCOPE: Scope = Scope::OrdersWrite;
}

/// The seller who asks, with a key of the scope `S`: the first thing that a handler takes, so that
/// nothing else of a request is looked at before.
pub(crate) struct Seller<S> {
    pub(crate) keys: Arc<SellerKeys>,
    key: ApiKeyId,
    scopes: Scopes,
    scope: PhantomData<S>,
}

impl<S> Seller<S> {
    /// How much of a customer this key shows.
    pub(crate) fn sight(&self) -> Sight {
        if self.scopes.contains(Scope::OrdersContact) { Sight::Full } else { Sight::Masked }
    }

    /// How the history and the audit log call who asks.
    pub(crate) fn actor(&self) -> String {
        actor(self.key)
    }
}

fn actor(key: ApiKeyId) -> String {
    format!("key:{key}")
}

impl<S: Required> FromRequest for Seller<S> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller_with(request, S::SCOPE).and_then(|caller| {
            let keys = caller.seller.clone().ok_or_else(|| Problem::forbidden(S::SCOPE))?;
            Ok(Self { keys, key: caller.key, scopes: caller.scopes, scope: PhantomData })
        }))
    }
}

/// An operator, with a key of the scope `S`; whose seller, if any, plays no part.
pub(crate) struct Operator<S> {
    caller: Arc<Caller>,
    scope: PhantomData<S>,
}

impl<S> Operator<S> {
    /// How the audit log calls who asks.
    pub(crate) fn actor(&self) -> String {
        actor(self.caller.key)
    }

    /// Of their key, to look it up again.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.caller.digest
    }
}

impl Caller {
    /// What the key may do.
    pub(crate) fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Takes one request from the key's budget; `None` where it has no limit.
    ///
    /// # Errors
    /// How many seconds to wait, and the budget that is used up.
    pub(crate) fn take_budget(&self, state: &Shared) -> Result<Option<Budget>, (u64, Budget)> {
        if self.is_limited { state.limits.take(self.key) } else { Ok(None) }
    }

    /// Whether the key has a scope.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }
}

/// Whose key has this digest, for who watches: by connections that no request waits for, and soon. While PostgreSQL does not
/// answer it is whose it was within the hour: what is watched is watched most then.
pub(crate) async fn find_watcher(
    state: &Shared,
    digest: [u8; 32],
) -> Result<Option<Arc<Caller>>, Problem> {
    const PATIENCE: Duration = Duration::from_millis(500);
    const REMEMBERED_FOR: Duration = Duration::from_hours(1);
    if let Some(caller) = known_since(state, &digest, TRUSTED_FOR) {
        return Ok(Some(caller));
    }
    let found = tokio::time::timeout(PATIENCE, look_up(state, &state.watching, digest)).await;
    let remembered = || known_since(state, &digest, REMEMBERED_FOR);
    match found {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(problem)) => remembered().map(Some).ok_or(problem),
        Err(_) => remembered().map(Some).ok_or_else(Problem::busy),
    }
}

impl<S: Required> FromRequest for Operator<S> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller_with(request, S::SCOPE).map(|caller| Self { caller, scope: PhantomData }))
    }
}

/// Who asks, where their key has the scope.
fn caller_with(request: &HttpRequest, scope: Scope) -> Result<Arc<Caller>, Problem> {
    let extensions = request.extensions();
    let caller = extensions.get::<Arc<Caller>>().ok_or_else(Problem::unauthorized)?;
    if caller.may(scope) { Ok(Arc::clone(caller)) } else { Err(Problem::forbidden(scope)) }
}
