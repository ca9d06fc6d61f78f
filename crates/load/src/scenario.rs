//! A day's requests of sellers at their screens: the mix that Jebi is measured by.
//!
//! Of 1,000 requests without writes: 300 first pages of orders and 60 of the next four, 130 by status, 60 by platform or of the
//! last days, 190 whole orders, of which the newest are asked for most, 30 searches for one; 110 first pages of products and 40 of
//! the next four, 30 by price, 40 whole products, 10 searches. Sellers have shares like their data: the second asks half as much
//! as the first, the third a third. With writes, one request in twenty is one: a memo, a price, or an order.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::client::{Connection, Failure};
use crate::request::{Kind, Mix, Request};

/// What is known of a seller before the run.
#[derive(Debug, Clone)]
struct Shop {
    authorization: String,
    orders: Vec<(String, String)>,
    /// Midnight in Korea before the oldest of them.
    since: String,
    products: Vec<(String, String)>,
    order_pages: u64,
    product_pages: u64,
}

/// Sellers and what they have, as the service tells it.
#[derive(Debug, Clone)]
pub struct Scenario {
    shops: Vec<Shop>,
}

/// Why a scenario cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The service does not answer as it should.
    #[error("the service did not answer {path}: {failure}")]
    Failed {
        /// What was asked for.
        path: String,
        /// What happened.
        failure: Failure,
    },
    /// It refuses.
    #[error("the service answered {path} with {status}")]
    Refused {
        /// What was asked for.
        path: String,
        /// Of HTTP.
        status: u16,
    },
    /// No seller has both orders and products.
    #[error("no seller has orders and products to ask for")]
    Empty,
}

/// What is asked for, and whether it writes. All mixes have the same, so that they can be counted together.
const KINDS: [(&str, bool); 14] = [
    ("orders", false),
    ("orders, next pages", false),
    ("orders by status", false),
    ("orders by filter", false),
    ("order", false),
    ("orders, search", false),
    ("products", false),
    ("products, next pages", false),
    ("products by price", false),
    ("product", false),
    ("products, search", false),
    ("write a memo", true),
    ("write a price", true),
    ("write an order", true),
];
/// How many requests come in before the order of them is repeated.
const ROUND: usize = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(30);
const ORDERS: &str = "/api/v1/orders-optimized/";
const PRODUCTS: &str = "/api/v1/products-optimized/";

impl Scenario {
    /// Asks the service at `address` for what the holders of `keys` have, those with most to do first. Two requests a key.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn survey(address: SocketAddr, keys: &[String]) -> Result<Self, Unknown> {
        let mut connection = Connection::new(address, PATIENCE);
        let mut shops = vec![];
        for key in keys {
            let authorization = format!("Bearer {key}");
            let orders = page(&mut connection, &authorization, ORDERS, 50).await?;
            let products = page(&mut connection, &authorization, PRODUCTS, 20).await?;
            let shop = Shop {
                authorization,
                orders: pairs(&orders, "order_number"),
                since: since(&orders),
                products: pairs(&products, "name"),
                order_pages: orders["pages"].as_u64().unwrap_or(1),
                product_pages: products["pages"].as_u64().unwrap_or(1),
            };
            if !shop.orders.is_empty() && !shop.products.is_empty() {
                shops.push(shop);
            }
        }
        if shops.is_empty() { Err(Unknown::Empty) } else { Ok(Self { shops }) }
    }

    /// How many sellers ask.
    #[must_use]
    pub fn sellers(&self) -> usize {
        self.shops.len()
    }

    /// The mix, the same for the same seed; `writes` is how many of a thousand requests change something. `run` is what no other
    /// run is called: new orders have it in their `Idempotency-Key`.
    #[must_use]
    pub fn mix(&self, (seed, run): (u64, &str), writes: u64) -> Mix {
        let mut drawn = Drawn(seed);
        let key = format!("{run}-{{number}}");
        let kind = |(name, is_write): &(&str, bool)| Kind {
            name: (*name).to_owned(),
            is_write: *is_write,
        };
        let kinds = KINDS.iter().map(kind).collect();
        let mut building = Building { key, kinds, ..Building::default() };
        let mut order = Vec::with_capacity(ROUND);
        for _ in 0..ROUND {
            let shop = &self.shops[drawn.share(self.shops.len())];
            let wanted = if drawn.below(1_000) < writes {
                shop.write(&mut drawn)
            } else {
                shop.read(&mut drawn)
            };
            order.push(building.place(shop, wanted));
        }
        Mix { kinds: building.kinds, requests: building.requests, order }
    }
}

async fn page(
    connection: &mut Connection,
    authorization: &str,
    path: &str,
    size: u16,
) -> Result<Value, Unknown> {
    let path = format!("{path}?page_size={size}");
    let request = Request::new(0, ("GET", &path), &[("authorization", authorization)], None);
    let (mut bytes, mut body) = (vec![], vec![]);
    request.write(0, &mut bytes);
    let failed = |failure| Unknown::Failed { path: path.clone(), failure };
    let done = connection.exchange(&bytes, |piece| body.extend_from_slice(piece)).await;
    let status = done.map_err(failed)?.status;
    if status != 200 {
        return Err(Unknown::Refused { path, status });
    }
    serde_json::from_slice(&body).map_err(|_| failed(Failure::Unreadable))
}

/// The id of each item of a page, and another of its fields.
fn pairs(page: &Value, field: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let pair = |item: &Value| Some((text(&item["id"])?, text(&item[field])?));
    page["items"].as_array().into_iter().flatten().filter_map(pair).collect()
}

/// The day of the oldest order of a page, as a value in a query.
fn since(page: &Value) -> String {
    let oldest = page["items"].as_array().and_then(|items| items.last());
    let at = oldest.and_then(|order| order["created_at"].as_str()).unwrap_or_default();
    let day = at.get(..10).unwrap_or("1970-01-01");
    escaped(&format!("{day}T00:00:00+09:00"))
}

/// A request in words.
struct Wanted {
    kind: &'static str,
    method: &'static str,
    path: String,
    body: Option<String>,
}

impl Wanted {
    fn get(kind: &'static str, path: String) -> Self {
        Self { kind, method: "GET", path, body: None }
    }
}

impl Shop {
    fn read(&self, drawn: &mut Drawn) -> Wanted {
        match drawn.below(1_000) {
            0..300 => Wanted::get("orders", ORDERS.to_owned()),
            300..360 => {
                let page = 2 + drawn.below(4).min(self.order_pages.saturating_sub(2));
                Wanted::get("orders, next pages", format!("{ORDERS}?page={page}"))
            }
            360..490 => {
                let status = ["paid", "processing", "shipped"][drawn.share(3)];
                Wanted::get("orders by status", format!("{ORDERS}?status={status}"))
            }
            490..550 => {
                let since = format!("date_from={}", self.since);
                let filter = ["platform=coupang", "platform=naver", &since];
                Wanted::get("orders by filter", format!("{ORDERS}?{}", filter[drawn.share(3)]))
            }
            550..740 => {
                let (id, _) = &self.orders[drawn.share(self.orders.len().min(20))];
                Wanted::get("order", format!("{ORDERS}{id}"))
            }
            740..770 => {
                let (_, number) = &self.orders[drawn.share(self.orders.len().min(20))];
                Wanted::get("orders, search", format!("{ORDERS}?search={}", escaped(number)))
            }
            770..880 => Wanted::get("products", PRODUCTS.to_owned()),
            880..920 => {
                let page = 2 + drawn.below(4).min(self.product_pages.saturating_sub(2));
                Wanted::get("products, next pages", format!("{PRODUCTS}?page={page}"))
            }
            920..950 => {
                let filter = ["max_price=10000", "min_price=10000&max_price=30000"][drawn.share(2)];
                Wanted::get("products by price", format!("{PRODUCTS}?{filter}"))
            }
            950..990 => {
                let (id, _) = self.product(drawn);
                Wanted::get("product", format!("{PRODUCTS}{id}"))
            }
            _ => {
                let (_, name) = self.product(drawn);
                let word = name.split(' ').next().filter(|word| word.chars().count() > 1);
                let search = escaped(word.unwrap_or(name));
                Wanted::get("products, search", format!("{PRODUCTS}?search={search}"))
            }
        }
    }

    fn write(&self, drawn: &mut Drawn) -> Wanted {
        match drawn.below(5) {
            0..2 => {
                let (id, _) = &self.orders[drawn.share(self.orders.len().min(20))];
                let body = Some(r#"{"memo":"{number}"}"#.to_owned());
                Wanted {
                    kind: "write a memo",
                    method: "PATCH",
                    path: format!("{ORDERS}{id}"),
                    body,
                }
            }
            2..4 => {
                let (id, _) = self.product(drawn);
                let price = 1_000 + drawn.below(900) * 10;
                let body = Some(format!(r#"{{"price":{price}}}"#));
                let path = format!("{PRODUCTS}{id}");
                Wanted { kind: "write a price", method: "PATCH", path, body }
            }
            _ => {
                let (id, _) = self.product(drawn);
                let body = format!(
                    r#"{{"currency":"KRW","customer":{{"name":"홍길동"}},"items":[{{"product_id":"{id}","quantity":1,"price":9900}}],"memo":"{{number}}"}}"#
                );
                let path = ORDERS.to_owned();
                Wanted { kind: "write an order", method: "POST", path, body: Some(body) }
            }
        }
    }

    fn product(&self, drawn: &mut Drawn) -> &(String, String) {
        &self.products[drawn.share(self.products.len())]
    }
}

/// Requests that were made, each once.
#[derive(Default)]
struct Building {
    /// The `Idempotency-Key` of new orders.
    key: String,
    kinds: Vec<Kind>,
    requests: Vec<Request>,
    known: std::collections::HashMap<String, u32>,
}

impl Building {
    fn place(&mut self, shop: &Shop, wanted: Wanted) -> u32 {
        let Wanted { kind, method, path, body } = wanted;
        let name =
            format!("{} {method} {path} {}", shop.authorization, body.as_deref().unwrap_or(""));
        if let Some(place) = self.known.get(&name) {
            return *place;
        }
        let kind = self.kinds.iter().position(|known| known.name == kind).unwrap_or(0);
        let mut headers =
            vec![("authorization", shop.authorization.as_str()), ("accept-encoding", "gzip")];
        if method == "POST" {
            headers.push(("idempotency-key", &self.key));
        }
        let request = Request::new(kind, (method, &path), &headers, body.as_deref());
        let place = u32::try_from(self.requests.len()).unwrap_or(0);
        self.requests.push(request);
        self.known.insert(name, place);
        place
    }
}

/// As a value in a query.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Numbers drawn from a seed (splitmix64).
struct Drawn(u64);

impl Drawn {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of `of`, the k-th one k-th as often as the first.
    fn share(&mut self, of: usize) -> usize {
        let weights = || (1..=of).map(|rank| 1.0 / rank as f64);
        let mut left = (self.next() >> 11) as f64 / (1_u64 << 53) as f64 * weights().sum::<f64>();
        let found = weights().position(|weight| {
            left -= weight;
            left < 0.0
        });
        found.unwrap_or(of.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(shops: usize) -> Scenario {
        let pairs = |what: &str, count: usize| {
            (0..count).map(|n| (format!("{what}-{n}"), format!("이름 {n}"))).collect::<Vec<_>>()
        };
        let shop = |n| Shop {
            authorization: format!("Bearer {n}"),
            orders: pairs("order", 50),
            since: "2026-11-01T00%3A00%3A00%2B09%3A00".to_owned(),
            products: pairs("product", 20),
            order_pages: 9,
            product_pages: 1,
        };
        Scenario { shops: (0..shops).map(shop).collect() }
    }

    #[test]
    fn the_mix_is_the_same_for_the_same_seed_and_has_the_writes_it_should() {
        let scenario = scenario(100);
        let mix = scenario.mix((7, "a"), 50);
        assert_eq!(mix.order, scenario.mix((7, "a"), 50).order);
        assert_ne!(mix.order, scenario.mix((8, "a"), 50).order);
        let writes = |mix: &Mix| {
            let is_write = |place: &&u32| mix.kinds[mix.requests[**place as usize].kind].is_write;
            mix.order.iter().filter(is_write).count() as f64 / mix.order.len() as f64
        };
        assert!((writes(&mix) - 0.05).abs() < 0.005, "{}", writes(&mix));
        assert_eq!(writes(&scenario.mix((7, "a"), 0)), 0.0);
        let is_used = |kind: usize| mix.requests.iter().any(|request| request.kind == kind);
        assert!((0..KINDS.len()).all(is_used), "each kind is sent");
    }

    #[test]
    fn few_sellers_ask_most() {
        let mut drawn = Drawn(1);
        let mut asked = vec![0_u32; 100];
        (0..100_000).for_each(|_| asked[drawn.share(100)] += 1);
        // The harmonic number of 100 is 5.187.
        assert!((18_700..19_900).contains(&asked[0]), "{}", asked[0]);
        assert!((9_200..10_100).contains(&asked[1]), "{}", asked[1]);
        assert!(asked.iter().all(|asked| *asked > 0));
    }

    #[test]
    fn what_is_searched_for_is_escaped() {
        assert_eq!(escaped("가 1+"), "%EA%B0%80%201%2B");
        let at = |at: &str| serde_json::json!({ "created_at": at });
        let items = [at("2026-11-29T17:20:29Z"), at("2026-11-27T01:00:00Z")];
        let page = serde_json::json!({ "items": items });
        assert_eq!(since(&page), "2026-11-27T00%3A00%3A00%2B09%3A00");
    }
}
