use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jebi_monitor::{Monitor, Operation};

/// What the names of these operations begin with.
pub(crate) const HTTP: &str = "http ";

/// Methods that are told apart where nothing is said of a route.
const USUAL: [&str; 2] = ["GET", "POST"];
/// A method that a route does not have: a client may send any word.
const OTHER: &str = "OTHER";

/// A method and the pattern of a route.
pub(crate) struct Endpoint {
    /// `GET /api/v1/orders-optimized/{order_id}`.
    pub(crate) name: String,
    pub(crate) operation: Operation,
}

impl Endpoint {
    /// The pattern alone.
    pub(crate) fn route(&self) -> &str {
        self.name.split_once(' ').map_or(&self.name, |(_, route)| route)
    }
}

/// The endpoints that were asked for, by pattern and method. There are no more than the program has: what is no route is one
/// endpoint, and so are, for each route, all methods that it does not have.
pub(super) struct Endpoints {
    monitor: Arc<Monitor>,
    known: RwLock<HashMap<String, Route>>,
}

#[derive(Default)]
struct Route {
    /// Those of the document; empty for a route that is not in it.
    methods: Vec<&'static str>,
    endpoints: HashMap<&'static str, Arc<Endpoint>>,
}

impl Route {
    fn method(&self, method: &str) -> &'static str {
        let known = if self.methods.is_empty() { &USUAL[..] } else { &self.methods };
        known.iter().find(|known| **known == method).copied().unwrap_or(OTHER)
    }
}

impl Endpoints {
    pub(super) fn new(monitor: Arc<Monitor>) -> Self {
        Self { monitor, known: RwLock::default() }
    }

    /// Which methods a route has.
    pub(super) fn describe(&self, pattern: &str, methods: Vec<&'static str>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(pattern.trim_end_matches('/').to_owned()).or_default().methods = methods;
    }

    pub(super) fn of(&self, method: &str, pattern: Option<&str>) -> Arc<Endpoint> {
        let pattern = pattern.unwrap_or("none");
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(pattern)
            && let Some(endpoint) = route.endpoints.get(route.method(method))
        {
            return Arc::clone(endpoint);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let route = known.entry(pattern.to_owned()).or_default();
        let method = route.method(method);
        let make = || {
            let name = format!("{method} {pattern}");
            let operation = self.monitor.track_operation(&format!("{HTTP}{name}"));
            Arc::new(Endpoint { name, operation })
        };
        Arc::clone(route.endpoints.entry(method).or_insert_with(make))
    }
}
