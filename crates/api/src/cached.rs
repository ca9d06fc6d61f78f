//! How what a seller reads is cached: the namespaces, their keys, and what each event reaches.

mod recent;

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jebi_cache::{
    Body, Builder, Cache, CacheKey, Error, Event, Freshness, Hit, KeyBytes, Level, Load, Loaded,
    Namespace, NamespaceConfig, Scope,
};
use jebi_db_optimizer::relay::Happened;
use jebi_db_optimizer::repeats;
use jebi_domain::{At, PageSize, SellerId, Sight};
use opentelemetry::KeyValue;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _};
use uuid::Uuid;

use crate::auth::Caller;
use crate::door::{OnlyIfCached, Remembered};
use crate::etag::{Coding, Tag};
use crate::monitoring::Endpoint;
use crate::problem::Problem;
use crate::request_id;
use crate::respond::{Encoded, private};
use crate::telemetry;

use recent::Recent;

/// The cache, and a handle to each namespace that is read.
pub(crate) struct Caches {
    pub(crate) all: Cache,
    pub(crate) recent: Arc<Recent>,
    /// Pages of orders.
    pub(crate) orders: Answers,
    /// Orders, whole.
    pub(crate) orders_detail: Answers,
    /// Pages of products without a search.
    pub(crate) products: Answers,
    /// Products, whole.
    pub(crate) products_detail: Answers,
    /// Pages of products by price or stock: what changes these moves products in and out.
    pub(crate) inventory: Answers,
    /// Pages of products with a search.
    pub(crate) search: Answers,
    /// Sums.
    pub(crate) analytics: Answers,
}

/// A namespace, and where its loads are noted.
#[derive(Clone)]
pub(crate) struct Answers {
    name: &'static str,
    namespace: Namespace,
    recent: Arc<Recent>,
}

/// The guide's TTL of orders and products.
const FRESH_FOR: Duration = Duration::from_secs(300);
/// So much longer a value is kept for the case that PostgreSQL does not answer.
const STALE_FOR: Duration = Duration::from_secs(300);
/// Changes with the shape of the bodies: releases side by side do not read each other's.
const SCHEMA: u32 = 2;

/// An event, and what it reaches of its seller's.
const RULES: &[(&str, &[&str])] = &[
    ("orders:created", &["orders", "orders_detail:{id}", "analytics"]),
    ("orders:updated", &["orders", "orders_detail", "analytics"]),
    ("orders:deleted", &["orders:updated"]),
    ("orders:imported", &["orders:updated"]),
    // What kind of update it was is in the event: one that moves no order reloads what shows it.
    ("orders:moved", &["orders", "orders_detail:{id}", "analytics"]),
    ("orders:edited", &["orders:{id}", "orders_detail:{id}"]),
    ("orders:noted", &["orders_detail:{id}"]),
    (
        "products:updated",
        &["products", "inventory", "recommendations", "products_detail", "search", "analytics"],
    ),
    ("products:created", &["products:updated"]),
    ("products:deleted", &["products:updated"]),
    ("products:imported", &["products:updated"]),
    ("products:edited", &["products:{id}", "search:{id}", "inventory", "products_detail:{id}"]),
];

/// Whether some rule says what an event ends.
pub(crate) fn has_rule(event: &str) -> bool {
    RULES.iter().any(|(known, _)| *known == event)
}

/// How long an answer is given without asking PostgreSQL, where nothing it shows has changed; and how much longer where
/// PostgreSQL does not answer.
pub(crate) const LIFETIMES: (Duration, Duration) = (FRESH_FOR, STALE_FOR);

impl Caches {
    /// The namespaces and rules on top of what the settings say.
    pub(crate) fn new(builder: Builder) -> Result<Self, Error> {
        let open = |name: &str| {
            NamespaceConfig::new(name).fresh_for(FRESH_FOR).stale_for(STALE_FOR).schema(SCHEMA)
        };
        // Customers' names, and for some keys their telephones and addresses, are nobody's in Redis.
        let sealed = |name: &str| open(name).encrypted();
        let mut builder = builder
            .vouched_from_outside()
            .namespace(sealed("orders"))
            .namespace(sealed("orders_detail"))
            .namespace(open("products"))
            .namespace(open("products_detail"))
            .namespace(open("inventory"))
            .namespace(open("search"))
            .namespace(open("analytics"))
            // Named by the guide's rule; nothing is recommended yet.
            .namespace(open("recommendations"));
        for (event, targets) in RULES {
            builder = builder.add_dependency_rule(event, targets.iter().copied());
        }
        let all = builder.build()?;
        let recent = Arc::new(Recent::default());
        let answers = |name| {
            let namespace = all.namespace(name)?;
            Ok::<_, Error>(Answers { name, namespace, recent: Arc::clone(&recent) })
        };
        Ok(Self {
            orders: answers("orders")?,
            orders_detail: answers("orders_detail")?,
            products: answers("products")?,
            products_detail: answers("products_detail")?,
            inventory: answers("inventory")?,
            search: answers("search")?,
            analytics: answers("analytics")?,
            all,
            recent,
        })
    }

    /// Reports what was committed; returns when this process answers none of it from before. Redis calls: 1
    /// for 500 events.
    pub(crate) async fn report(&self, happened: &[Happened]) -> jebi_cache::Propagation {
        let ids = Ids::of(happened);
        let fields: Vec<[(&str, &str); 1]> = ids.fields();
        self.all.emit_all(&events(happened, &fields)).await.l2
    }

    /// Follows, in this process alone, what was committed elsewhere.
    pub(crate) fn hear(&self, happened: &[Happened]) {
        let ids = Ids::of(happened);
        let fields: Vec<[(&str, &str); 1]> = ids.fields();
        events(happened, &fields).iter().for_each(|event| self.all.hear(event));
    }
}

/// The ids of aggregates as the rules' `{id}`.
struct Ids(Vec<String>);

impl Ids {
    fn of(happened: &[Happened]) -> Self {
        Self(happened.iter().map(|happened| happened.aggregate.to_string()).collect())
    }

    fn fields(&self) -> Vec<[(&str, &str); 1]> {
        self.0.iter().map(|id| [("id", id.as_str())]).collect()
    }
}

fn events<'a>(happened: &'a [Happened], fields: &'a [[(&'a str, &'a str); 1]]) -> Vec<Event<'a>> {
    let event = |(happened, fields): (&'a Happened, &'a [(&'a str, &'a str); 1])| Event {
        name: kind(happened),
        scope: scope(happened.seller),
        fields,
        id: Some(happened.id.as_uuid().as_u128()),
    };
    happened.iter().zip(fields).map(event).collect()
}

/// What of a product changes without moving it in a list but those by price and stock.
const EDITED: [&str; 4] = ["price", "stock", "cost_amount", "wholesale_stock"];

/// The rule that an event falls under: of an update, by what it changed.
fn kind(happened: &Happened) -> &str {
    let changed = happened.payload.get("changed").and_then(|changed| changed.as_array());
    let Some(changed) = changed.filter(|changed| !changed.is_empty()) else {
        return &happened.event;
    };
    let touches = |field: &str| changed.iter().any(|changed| changed == field);
    match happened.event.as_str() {
        "orders:updated" if touches("status") => "orders:moved",
        "orders:updated" if touches("tracking_number") => "orders:edited",
        "orders:updated" if changed.iter().all(|changed| changed == "memo") => "orders:noted",
        "products:updated"
            if changed.iter().all(|changed| EDITED.iter().any(|field| changed == field)) =>
        {
            "products:edited"
        }
        event => event,
    }
}

fn scope(seller: SellerId) -> Scope {
    Scope::new(seller.as_uuid().as_u128())
}

/// What a seller asks for. There is no key without a seller, so that no body crosses from one to another.
#[derive(Debug, Clone)]
pub(crate) struct Key<'a> {
    /// It is not kept beside its answer: a search may be for a name or a telephone.
    is_personal: bool,
    seller: SellerId,
    /// How much of a customer it shows; absent where it shows none.
    sight: Option<Sight>,
    what: What<'a>,
}

#[derive(Debug, Clone)]
enum What<'a> {
    Page { filter: Cow<'a, str>, at: At, size: PageSize, extras: u64 },
    One(Uuid),
    Days { days: u16, last: NaiveDate },
}

impl<'a> Key<'a> {
    /// A page of the list with this filter.
    pub(crate) fn page(
        seller: SellerId,
        sight: Option<Sight>,
        filter: &'a str,
        (at, size): (At, PageSize),
        extras: u64,
    ) -> Self {
        let filter = Cow::Borrowed(filter);
        let what = What::Page { filter, at, size, extras };
        Self { is_personal: false, seller, sight, what }
    }

    /// The same of what may be a person's: no warm-up loads it again.
    pub(crate) const fn personal(mut self) -> Self {
        self.is_personal = true;
        self
    }

    /// A thing, whole.
    pub(crate) fn one(seller: SellerId, sight: Option<Sight>, id: Uuid) -> Self {
        Self { is_personal: false, seller, sight, what: What::One(id) }
    }

    fn into_owned(self) -> Key<'static> {
        let Self { is_personal, seller, sight, what } = self;
        let what = match what {
            What::Page { filter, at, size, extras } => {
                What::Page { filter: Cow::Owned(filter.into_owned()), at, size, extras }
            }
            What::One(id) => What::One(id),
            What::Days { days, last } => What::Days { days, last },
        };
        Key { is_personal, seller, sight, what }
    }

    /// Sums of so many days up to `last`.
    pub(crate) fn days(seller: SellerId, days: u16, last: NaiveDate) -> Self {
        Self { is_personal: false, seller, sight: None, what: What::Days { days, last } }
    }
}

impl CacheKey for Key<'_> {
    fn scope(&self) -> Scope {
        scope(self.seller)
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.u64(match self.sight {
            None => 0,
            Some(Sight::Masked) => 1,
            Some(Sight::Full) => 2,
        });
        match &self.what {
            What::Page { filter, at, size, extras } => {
                bytes.str(filter).u64(size.items().into()).u64(*extras);
                match at {
                    At::Page(page) => bytes.u64(0).u64(page.number()),
                    At::After(position) => bytes
                        .u64(1)
                        .u64(position.created_at.timestamp_micros().cast_unsigned())
                        .u128(position.id.as_u128()),
                };
            }
            What::One(id) => {
                bytes.u128(id.as_u128());
            }
            What::Days { days, last } => {
                bytes.u64((*days).into()).str(&last.to_string());
            }
        }
    }
}

/// The body of `key`: cached, or loaded once for all who ask; 304 where the client has it, 404 where `load` finds
/// nothing. A hit takes no connection.
pub(crate) async fn answer<F, R>(
    request: &HttpRequest,
    answers: &Answers,
    key: &Key<'_>,
    thing: &str,
    load: F,
) -> Result<HttpResponse, Problem>
where
    F: FnOnce(Load) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Option<Encoded>, Problem>> + Send + 'static,
{
    let again = load.clone();
    let is_admitted = !request.extensions().contains::<OnlyIfCached>();
    let takes_gzip = takes_gzip(request.headers());
    let load =
        async move |at: Load| if is_admitted { load(at).await } else { Err(Problem::busy()) };
    // Here: the load runs on a task of its own.
    let (id, work) = (request_id::current(), repeats::current());
    let name = answers.name;
    let trace = telemetry::child(|| format!("cache {name}"));
    let loading = trace.clone();
    let named = move |at: Load| {
        let load = request_id::within(id, repeats::within(work, encoded(load(at), takes_gzip)));
        match loading {
            Some(trace) => {
                let trace = telemetry::child_of(&trace, format!("load {name}"));
                load.with_context(trace).left_future()
            }
            None => load.right_future(),
        }
    };
    let hit = answers.namespace.get_or_load(key, named).await?;
    if let Some(trace) = trace {
        let level = KeyValue::new("jebi.cache.level", level(&hit));
        trace.span().set_attributes([KeyValue::new("jebi.cache.namespace", name), level]);
    }
    if hit.level() == Level::Load && !key.is_personal {
        answers.note(key, again, takes_gzip);
    }
    let body = hit.body().ok_or_else(|| Problem::not_found(thing))?;
    let packed = is_to_be_packed(request.headers(), body).then(|| packed(body.clone()));
    if let Some(packed) = &packed {
        answers.namespace.replace_body(key, &hit, packed.clone());
    }
    let mut response = respond(request.headers(), &hit, packed.as_ref().unwrap_or(body));
    if hit.level() == Level::L1
        && let Some(remembered) = remembered(request, answers, key)
    {
        response.extensions_mut().insert(remembered);
    }
    Ok(response)
}

/// What the door needs to give this answer again.
fn remembered(request: &HttpRequest, answers: &Answers, key: &Key<'_>) -> Option<Remembered> {
    // A search may be for a name, which is kept nowhere; sums are of other days tomorrow.
    if key.is_personal || matches!(key.what, What::Days { .. }) {
        return None;
    }
    let extensions = request.extensions();
    Some(Remembered {
        scopes: extensions.get::<Arc<Caller>>()?.scopes(),
        endpoint: Arc::clone(extensions.get::<Arc<Endpoint>>()?),
        answers: answers.clone(),
        key: key.clone().into_owned(),
    })
}

async fn encoded(
    load: impl Future<Output = Result<Option<Encoded>, Problem>>,
    takes_gzip: bool,
) -> Result<Loaded, Problem> {
    let Some(Encoded { tag, bytes }) = load.await? else { return Ok(Loaded::absent()) };
    let body = Body::new(bytes).with_etag(tag.base());
    Ok(if takes_gzip { packed(body) } else { body }.into())
}

impl Answers {
    /// What this process can answer at once and without a refresh.
    pub(crate) fn in_memory(&self, key: &Key<'_>) -> Option<Hit> {
        self.namespace.try_get(key).filter(|hit| hit.freshness() == Freshness::Fresh)
    }

    /// Whether this process can answer at once, be it with what is past its time.
    pub(crate) fn has_in_memory(&self, key: &Key<'_>) -> bool {
        self.namespace.try_get(key).is_some()
    }

    /// Notes that an answer is loaded: asked for again, it is loaded in the same way.
    fn note<F, R>(&self, key: &Key<'_>, load: F, takes_gzip: bool)
    where
        F: FnOnce(Load) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Option<Encoded>, Problem>> + Send + 'static,
    {
        let (namespace, owned) = (self.namespace.clone(), key.clone().into_owned());
        let again = move || -> BoxFuture<'static, bool> {
            let (namespace, key, load) = (namespace.clone(), owned.clone(), load.clone());
            Box::pin(async move {
                let load = move |at: Load| encoded(load(at), takes_gzip);
                namespace.get_or_load(&key, load).await.is_ok()
            })
        };
        self.recent.note(format!("{} {key:?}", self.name), Arc::new(again));
    }
}

/// Shorter bodies are sent as they are.
const WORTH_PACKING: usize = 1_024;

/// Whether a client takes gzip of which there is none yet: nobody had asked for it.
pub(crate) fn is_to_be_packed(headers: &HeaderMap, body: &Body) -> bool {
    body.gzip.is_none() && body.bytes.len() >= WORTH_PACKING && takes_gzip(headers)
}

/// With its gzip form beside it, where that saves a tenth. Once per body, not per answer.
fn packed(body: Body) -> Body {
    // A page of 263 kB is 72 kB after 1.4 ms; with the usual 6, 64 kB after 3 ms (measured).
    const LEVEL: Compression = Compression::new(2);
    if body.bytes.len() < WORTH_PACKING {
        return body;
    }
    let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
    let gzip = encoder.write_all(&body.bytes).and_then(|()| encoder.finish());
    match gzip {
        Ok(gzip) if gzip.len() <= body.bytes.len() / 10 * 9 => {
            body.with_gzip(gzip.into_boxed_slice())
        }
        Ok(_) | Err(_) => body,
    }
}

/// A hit as it is answered.
pub(crate) fn respond(headers: &HeaderMap, hit: &Hit, body: &Body) -> HttpResponse {
    let tag = Tag::again(body.etag.as_deref().unwrap_or_default());
    let (coding, bytes) = match &body.gzip {
        Some(gzip) if takes_gzip(headers) => (Coding::Gzip, gzip),
        Some(_) | None => (Coding::Identity, &body.bytes),
    };
    let is_known = tag.is_known_to(headers);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    private(&mut response, &tag, coding);
    response.insert_header((CACHE_STATUS, HeaderValue::from_static(status(hit))));
    if is_known {
        return response.finish();
    }
    if coding == Coding::Gzip {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(Bytes::clone(bytes))
}

/// Where an answer came from.
fn level(hit: &Hit) -> &'static str {
    match hit.level() {
        Level::L1 => "l1",
        Level::L2 => "l2",
        Level::Load => "load",
    }
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const FROM_MEMORY: &str = "jebi; hit; detail=l1";

/// Whether an answer with these headers came out of this process's memory.
pub(crate) fn is_from_memory(headers: &HeaderMap) -> bool {
    headers.get(CACHE_STATUS).is_some_and(|value| value.as_bytes() == FROM_MEMORY.as_bytes())
}

/// `Cache-Status` (RFC 9211).
fn status(hit: &Hit) -> &'static str {
    match (hit.level(), hit.freshness()) {
        (_, Freshness::Stale) => "jebi; fwd=stale; detail=source-failed",
        (Level::L1, _) => FROM_MEMORY,
        (Level::L2, _) => "jebi; hit; detail=l2",
        (Level::Load, _) => "jebi; fwd=miss",
    }
}

/// Whether `Accept-Encoding` names gzip, or everything, with a weight above 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let sent = headers.get_all(header::ACCEPT_ENCODING);
    let listed = sent.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut everything = false;
    for coding in listed {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f64>);
        let is_taken = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return is_taken,
            "*" => everything = is_taken,
            _ => {}
        }
    }
    everything
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use serde_json::json;

    fn happened(event: &str, changed: &serde_json::Value) -> Happened {
        Happened {
            id: Uuid::from_u128(1).into(),
            seller: Uuid::from_u128(2).into(),
            event: event.to_owned(),
            aggregate: Uuid::from_u128(3),
            payload: json!({ "changed": changed }),
        }
    }

    #[test]
    fn an_update_reaches_what_it_changed_and_all_where_that_is_not_known() {
        let kind = |event, changed: serde_json::Value| kind(&happened(event, &changed)).to_owned();
        assert_eq!(kind("orders:updated", json!(["memo", "status"])), "orders:moved");
        assert_eq!(kind("orders:updated", json!(["memo", "tracking_number"])), "orders:edited");
        assert_eq!(kind("orders:updated", json!(["memo"])), "orders:noted");
        assert_eq!(kind("orders:updated", json!(["address"])), "orders:updated");
        assert_eq!(kind("orders:updated", json!([])), "orders:updated");
        assert_eq!(kind("products:updated", json!(["price", "stock"])), "products:edited");
        assert_eq!(kind("products:updated", json!(["price", "status"])), "products:updated");
        assert_eq!(kind("products:updated", json!(null)), "products:updated");
    }

    #[test]
    fn every_event_that_is_written_has_a_rule() {
        for event in jebi_db_optimizer::relay::NAMES {
            assert!(has_rule(event), "{event}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |value: &str| {
            let request = TestRequest::default().insert_header(("accept-encoding", value));
            takes_gzip(request.to_http_request().headers())
        };
        assert!(
            takes("gzip") && takes("br, GZIP;q=0.5") && takes("*") && takes("deflate, *;q=0.1")
        );
        assert!(!takes("") && !takes("identity") && !takes("gzip;q=0") && !takes("*, gzip;q=0"));
        assert!(!takes("gzip;q=x") && !takes("x-gzip"));
    }
}
