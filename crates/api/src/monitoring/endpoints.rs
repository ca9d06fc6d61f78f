use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jebi_monitor::{Monitor, Operation};

/// What the names of these operations begin with.
pub(crate) const HTTP: &str = "http ";

/// Methods that are told apart: a client may send any word.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const OTHER: &str = "OTHER";

/// A method and the pattern of a route.
pub(crate) struct Endpoint {
    /// `GET /api/v1/orders-optimized/{order_id}`.
    pub(crate) name: String,
    pub(crate) operation: Operation,
}

/// The endpoints that were asked for, by pattern and method. There are as many as there are routes: what has none is
/// one endpoint.
pub(super) struct Endpoints {
    monitor: Arc<Monitor>,
    known: RwLock<HashMap<String, HashMap<&'static str, Arc<Endpoint>>>>,
}

impl Endpoints {
    pub(super) fn new(monitor: Arc<Monitor>) -> Self {
        Self { monitor, known: RwLock::default() }
    }

    pub(super) fn of(&self, method: &str, pattern: Option<&str>) -> Arc<Endpoint> {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        let pattern = pattern.unwrap_or("none");
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = known.get(pattern).and_then(|methods| methods.get(method)) {
            return Arc::clone(endpoint);
        }
        drop(known);
        let name = format!("{method} {pattern}");
        let operation = self.monitor.track_operation(&format!("{HTTP}{name}"));
        let endpoint = Arc::new(Endpoint { name, operation });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let methods = known.entry(pattern.to_owned()).or_default();
        Arc::clone(methods.entry(method).or_insert(endpoint))
    }
}
