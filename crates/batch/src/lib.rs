#![doc = include_str!("../README.md")]

mod account;
mod accounts;
mod adaptive;
mod attempt;
mod batch;
mod breaker;
mod budget;
mod clock;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
mod item;
mod kill_switch;
mod mistakes;
mod outcome;
mod progress;
mod random;
mod rate;
mod recent;
mod retry;
mod retry_after;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wholesaler;
mod window;

pub use account::{Account, AccountConfig, AccountStats, Api};
pub use accounts::Accounts;
pub use batch::{Batch, BatchConfig, Order, Run, Strategy};
pub use breaker::{BreakerConfig, BreakerState};
pub use budget::{Budget, BudgetConfig};
pub use clock::Clock;
pub use kill_switch::KillSwitchConfig;
pub use mistakes::MistakesConfig;
pub use outcome::{Class, Error, Failure, Outcome, Verdict};
pub use progress::{End, Progress, ProgressSnapshot};
pub use rate::Rate;
pub use retry::{Decision, Effect, Retry, Situation};
pub use retry_after::parse_retry_after;
