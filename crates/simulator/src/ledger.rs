//! The orders that were placed: each exactly as it was received, and what has become of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jebi_domain::Wholesaler;
use serde::Serialize;
use serde_json::Value;

use crate::random::{mix, pick};
use crate::settings::Settings;
use crate::time::Time;

/// Orders that are kept. There is room for no more, and none is forgotten.
const MOST: usize = 1_000_000;

/// An order as the wholesaler keeps it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlacedOrder {
    /// Counted from 1, over all wholesalers.
    pub number: u64,
    /// The request that it came with: one may become several orders.
    pub request: u64,
    /// With whom.
    pub wholesaler: Wholesaler,
    /// By whom.
    pub account: String,
    /// The wholesaler's own number.
    pub key: String,
    /// The buyer's number, where the wholesaler takes one.
    pub reference: Option<String>,
    /// A second one, of which Ownerclan alone has a field.
    pub second_reference: Option<String>,
    /// When.
    pub at: Time,
    /// What was ordered.
    pub lines: Vec<PlacedLine>,
    /// What the delivery costs, in won.
    pub shipping_fee: i64,
    /// The request, exactly as it was received.
    pub received: Value,
    /// When it was cancelled.
    pub cancelled_at: Option<Time>,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedLine {
    /// The wholesaler's number of the item.
    pub item: String,
    /// What it was called then.
    pub name: String,
    /// What was chosen: names and values.
    pub attributes: Vec<(String, String)>,
    /// How many.
    pub quantity: u32,
    /// For one, in won.
    pub price: i64,
}

impl PlacedOrder {
    /// What it costs with its delivery, in won.
    #[must_use]
    pub fn total(&self) -> i64 {
        let line = |line: &PlacedLine| line.price.saturating_mul(i64::from(line.quantity));
        self.lines.iter().map(line).fold(self.shipping_fee, i64::saturating_add)
    }
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Paid,
    Preparing,
    Shipped(Dispatch),
    /// Two days after its dispatch.
    Delivered(Dispatch),
    Cancelled,
}

/// Who carries a parcel, under which number, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub(crate) courier: Courier,
    pub(crate) tracking_number: u64,
    pub(crate) at: Time,
}

/// A courier as a wholesaler names it: names differ in spelling, codes are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Courier {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
}

const COURIERS: &[Courier] = &[
    Courier { code: "CJ", name: "CJ대한통운" },
    Courier { code: "CJ", name: "CJ택배" },
    Courier { code: "CJ", name: "대한통운" },
    Courier { code: "HANJIN", name: "한진택배" },
    Courier { code: "LOTTE", name: "롯데택배" },
    Courier { code: "EPOST", name: "우체국택배" },
    Courier { code: "LOGEN", name: "로젠택배" },
];

impl Dispatch {
    /// Twelve digits.
    pub(crate) fn tracking_text(self) -> String {
        format!("{:012}", self.tracking_number)
    }
}

impl PlacedOrder {
    pub(crate) fn progress(&self, settings: &Settings, now: Time) -> Progress {
        if self.cancelled_at.is_some() {
            return Progress::Cancelled;
        }
        let shipped = self.at + settings.ship_after();
        let chance = mix(settings.seed, &[self.number]);
        let dispatch = Dispatch {
            courier: pick(COURIERS, chance),
            tracking_number: (chance >> 8) % 1_000_000_000_000,
            at: shipped,
        };
        if now >= shipped + Duration::from_hours(48) {
            Progress::Delivered(dispatch)
        } else if now >= shipped {
            Progress::Shipped(dispatch)
        } else if now >= self.at + settings.ship_after() / 4 {
            Progress::Preparing
        } else {
            Progress::Paid
        }
    }

    /// When it last got further.
    pub(crate) fn updated_at(&self, settings: &Settings, now: Time) -> Time {
        match self.progress(settings, now) {
            Progress::Paid => self.at,
            Progress::Preparing => self.at + settings.ship_after() / 4,
            Progress::Shipped(dispatch) => dispatch.at,
            Progress::Delivered(dispatch) => dispatch.at + Duration::from_hours(48),
            Progress::Cancelled => self.cancelled_at.unwrap_or(self.at),
        }
    }
}

/// Why an order is not placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPlaced {
    /// The account's balance is too low.
    TooPoor,
    /// The ledger is full.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: u64,
    orders: Vec<PlacedOrder>,
    /// Where an order of a wholesaler stands, by its key.
    places: HashMap<(Wholesaler, String), usize>,
    /// What each account has paid and not got back, in won.
    spent: HashMap<(Wholesaler, String), i64>,
}

/// What the caller of [`Ledger::place`] makes of one request, with the number of its first order.
pub(crate) type Drafts<'a> = &'a dyn Fn(u64) -> Vec<PlacedOrder>;

impl Ledger {
    /// Places the orders of one request, all or none, if the account has the money.
    pub(crate) fn place(
        &self,
        settings: &Settings,
        drafts: Drafts<'_>,
    ) -> Result<Vec<PlacedOrder>, NotPlaced> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut orders = drafts(state.orders.len() as u64 + 1);
        if state.orders.len() + orders.len() > MOST {
            return Err(NotPlaced::Full);
        }
        let cost: i64 = orders.iter().map(PlacedOrder::total).fold(0, i64::saturating_add);
        let first = orders.first();
        let left =
            first.map_or(0, |order| state.balance(settings, order.wholesaler, &order.account));
        if cost > left {
            return Err(NotPlaced::TooPoor);
        }
        state.requests += 1;
        for order in &mut orders {
            order.request = state.requests;
            state.keep(order.clone());
        }
        Ok(orders)
    }

    /// Cancels an order of an account and gives the money back.
    pub(crate) fn cancel(&self, wholesaler: Wholesaler, account: &str, key: &str, now: Time) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(order) = state.find(wholesaler, account, key) else { return };
        if order.cancelled_at.replace(now).is_none() {
            let total = order.total();
            *state.spent.entry((wholesaler, account.to_owned())).or_default() -= total;
        }
    }

    /// Changes an order of an account.
    pub(crate) fn amend(
        &self,
        wholesaler: Wholesaler,
        account: &str,
        key: &str,
        change: impl FnOnce(&mut PlacedOrder),
    ) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = state.find(wholesaler, account, key) {
            change(order);
        }
    }

    pub(crate) fn find(
        &self,
        wholesaler: Wholesaler,
        account: &str,
        key: &str,
    ) -> Option<PlacedOrder> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.find(wholesaler, account, key).cloned()
    }

    /// The orders of an account that are wanted, the newest first.
    pub(crate) fn list(
        &self,
        wholesaler: Wholesaler,
        account: &str,
        is_wanted: impl Fn(&PlacedOrder) -> bool,
    ) -> Vec<PlacedOrder> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its =
            |order: &&PlacedOrder| order.wholesaler == wholesaler && order.account == account;
        let orders = state.orders.iter().rev().filter(is_its);
        orders.filter(|order| is_wanted(order)).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<PlacedOrder> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).orders.clone()
    }

    /// What an account has left, in won.
    pub(crate) fn balance(
        &self,
        settings: &Settings,
        wholesaler: Wholesaler,
        account: &str,
    ) -> i64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.balance(settings, wholesaler, account)
    }
}

impl State {
    fn keep(&mut self, order: PlacedOrder) {
        let account = (order.wholesaler, order.account.clone());
        *self.spent.entry(account).or_default() += order.total();
        self.places.insert((order.wholesaler, order.key.clone()), self.orders.len());
        self.orders.push(order);
    }

    fn find(
        &mut self,
        wholesaler: Wholesaler,
        account: &str,
        key: &str,
    ) -> Option<&mut PlacedOrder> {
        let place = *self.places.get(&(wholesaler, key.to_owned()))?;
        self.orders.get_mut(place).filter(|order| order.account == account)
    }

    fn balance(&self, settings: &Settings, wholesaler: Wholesaler, account: &str) -> i64 {
        let spent = self.spent.get(&(wholesaler, account.to_owned()));
        settings.balance.saturating_sub(spent.copied().unwrap_or_default())
    }
}
