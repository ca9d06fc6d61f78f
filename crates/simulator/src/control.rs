//! The control API: JSON below `/_control/`, the same as the library's.

mod truth;

use std::time::Duration;

use jebi_domain::Wholesaler;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::FaultRule;
use crate::request::SimRequest;
use crate::response::SimResponse;
use crate::simulator::Simulator;
use crate::time::{Clock, Time};
use crate::zentrade::Registration;

pub(crate) const PREFIX: &str = "/_control/";

/// Why something is not done: a status and a sentence.
type Refusal = (u16, String);
type Answer = Result<Value, Refusal>;

pub(crate) fn answer(simulator: &Simulator, clock: &Clock, request: &SimRequest) -> SimResponse {
    let path = request.path().strip_prefix(PREFIX).unwrap_or_default().trim_end_matches('/');
    let (status, body) = match route(simulator, clock, request, path) {
        Ok(body) => (200, body),
        Err((status, reason)) => (status, json!({ "error": reason })),
    };
    SimResponse::new(status, "application/json; charset=utf-8", body.to_string())
}

fn route(simulator: &Simulator, clock: &Clock, request: &SimRequest, path: &str) -> Answer {
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", [""]) => shown(&Overview::of(simulator, clock)),
        ("GET", ["settings"]) => shown(&simulator.settings()),
        ("PATCH" | "POST", ["settings"]) => {
            let patched = simulator.settings().patched(body(request)?);
            let settings = patched.map_err(|error| (422, error.to_string()))?;
            simulator.set(settings, clock.now());
            shown(&simulator.settings())
        }
        ("GET", ["clock"]) => Ok(json!({ "now": clock.now() })),
        ("POST", ["clock"]) => {
            match body(request)? {
                Move::AdvanceMs(ms) => clock.advance(Duration::from_millis(ms)),
                Move::Set(to) => clock.set(to),
            }
            Ok(json!({ "now": clock.now() }))
        }
        ("GET", ["faults"]) => shown(&simulator.faults()),
        ("POST", ["faults"]) => {
            Ok(json!({ "id": simulator.add_fault(body::<FaultRule>(request)?) }))
        }
        ("DELETE", ["faults"]) => done(|| simulator.clear_faults()),
        ("DELETE", ["faults", id]) => {
            let id = id.parse().map_err(|_| (404, "a fault has a number".to_owned()))?;
            let there_is = simulator.remove_fault(id);
            if there_is { Ok(json!({})) } else { Err((404, format!("there is no fault {id}"))) }
        }
        ("GET", ["log"]) => log(simulator, request),
        ("DELETE", ["log"]) => done(|| simulator.clear_log()),
        ("GET", ["counters"]) => {
            let of = |wholesaler| simulator.counters(wholesaler);
            let all = Wholesaler::ALL.iter().map(|one| (one.as_str(), of(*one)));
            shown(&all.collect::<std::collections::BTreeMap<_, _>>())
        }
        ("GET", ["in-flight"]) => shown(&simulator.in_flight()),
        ("GET", ["orders"]) => shown(&orders(simulator, request)),
        ("POST", ["zentrade", "orders"]) => {
            let registration: Registration = body(request)?;
            let order = simulator.register_order(&registration, clock.now());
            shown(&order.map_err(|reason| (422, reason))?)
        }
        ("GET", ["blocks"]) => shown(&simulator.blocks()),
        ("DELETE", ["blocks"]) => done(|| simulator.clear_blocks()),
        ("POST", ["tokens", wholesaler, "revoke"]) => {
            let Account { account } = body(request)?;
            let wholesaler = wholesaler_of(wholesaler)?;
            done(|| simulator.revoke_tokens(wholesaler, &account))
        }
        ("GET", ["items", wholesaler]) => {
            let wholesaler = wholesaler_of(wholesaler)?;
            truth::items(simulator, wholesaler, clock.now(), &request.parameters())
        }
        _ => Err((404, format!("there is no {} {PREFIX}{path}", request.method))),
    }
}

/// How a clock is moved.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Move {
    AdvanceMs(u64),
    Set(Time),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    account: String,
}

/// All at a glance.
#[derive(Debug, Serialize)]
struct Overview {
    now: Time,
    faults: usize,
    orders: usize,
    blocks: usize,
    calls: u64,
}

impl Overview {
    fn of(simulator: &Simulator, clock: &Clock) -> Self {
        let calls = Wholesaler::ALL.iter().map(|one| simulator.counters(*one).calls);
        Self {
            now: clock.now(),
            faults: simulator.faults().len(),
            orders: simulator.orders().len(),
            blocks: simulator.blocks().len(),
            calls: calls.sum(),
        }
    }
}

fn body<T: DeserializeOwned>(request: &SimRequest) -> Result<T, Refusal> {
    serde_json::from_slice(&request.body).map_err(|error| (422, error.to_string()))
}

fn shown<T: Serialize>(value: &T) -> Answer {
    serde_json::to_value(value).map_err(|error| (500, error.to_string()))
}

fn done(work: impl FnOnce()) -> Answer {
    work();
    Ok(json!({}))
}

fn wholesaler_of(word: &str) -> Result<Wholesaler, Refusal> {
    word.parse().map_err(|error: jebi_domain::UnknownWord| (404, format!("\"{word}\" {error}")))
}

/// The calls that are asked for: `wholesaler`, `route`, `account`, `after` (a number), `limit`.
fn log(simulator: &Simulator, request: &SimRequest) -> Answer {
    let parameters = request.parameters();
    let is = |name: &str, value: &str| {
        let wanted = parameters.word(name);
        wanted.is_empty() || wanted == value
    };
    let after = parameters.number("after").unwrap_or(0);
    let limit = parameters.number("limit").and_then(|limit| usize::try_from(limit).ok());
    let mut entries = simulator.log();
    entries.retain(|entry| {
        entry.number > after
            && is("wholesaler", entry.wholesaler.as_str())
            && is("route", &entry.route)
            && is("account", &entry.account)
    });
    entries.truncate(limit.unwrap_or(1_000));
    shown(&entries)
}

fn orders(simulator: &Simulator, request: &SimRequest) -> Vec<crate::ledger::PlacedOrder> {
    let parameters = request.parameters();
    let (wholesaler, account) = (parameters.word("wholesaler"), parameters.word("account"));
    let mut orders = simulator.orders();
    orders.retain(|order| {
        (wholesaler.is_empty() || wholesaler == order.wholesaler.as_str())
            && (account.is_empty() || account == order.account)
    });
    orders
}
