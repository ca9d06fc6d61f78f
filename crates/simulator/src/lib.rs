#![doc = include_str!("../README.md")]

mod catalogue;
mod charset;
mod control;
mod domeggook;
mod fault;
mod flight;
mod json;
mod ledger;
mod limits;
mod log;
mod ownerclan;
mod random;
mod request;
mod response;
mod server;
mod settings;
mod simulator;
mod time;
mod token;
mod transport;
mod world;
mod zentrade;

pub use catalogue::{
    Availability, Catalogue, Category, Change, Choice, Item, MAX_ITEMS, Oddity, ShippingType,
    Stock, What,
};
pub use charset::Charset;
pub use domeggook::Market;
pub use fault::{Fault, FaultRule, FaultStatus, When};
pub use flight::InFlight;
pub use ledger::{PlacedLine, PlacedOrder};
pub use limits::{Block, Rule};
pub use log::{Counters, Entry, Outcome};
pub use request::SimRequest;
pub use response::{Body, Broken, End, Partial, Received, Script, SimResponse};
pub use server::{Server, Urls};
pub use settings::{
    EmptyList, ExpiredToken, Form, OversizedPage, PerWholesaler, Quirks, Settings, TokenForm,
};
pub use simulator::{Simulator, item_key};
pub use time::{Clock, Time};
pub use transport::{Delivery, InProcess};
pub use world::PASSWORD;
pub use zentrade::{Receiver, RegisteredItem, Registration};
