use std::time::Duration;

use diesel::sql_types::Integer;
use jebi_domain::{JobId, SellerId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::claim::millis;
use crate::{Bind, Error, Statement, Transaction};

/// How an attempt at an item ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It cannot be done, and nothing would change that: it says so itself.
    Failed(String),
    /// The attempt failed; it is tried again after a while, or given up after too many attempts.
    Retry {
        /// What went wrong. No personal data.
        reason: String,
        /// How long to wait.
        delay: Duration,
    },
    /// The same, and nobody can say what went wrong: from now on the item is tried alone.
    Panicked {
        /// What is known of it.
        reason: String,
        /// How long to wait.
        delay: Duration,
    },
    /// It is not its time yet. No failed attempt.
    Snooze(Duration),
    /// The worker stops: another one may begin at once. No failed attempt.
    Back,
    /// It goes on under the same lease; another attempt would begin with this payload.
    Checkpoint(Value),
    /// The same, and what failed before is forgiven: it got on.
    Advance(Value),
}

/// An attempt and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The item.
    pub number: i32,
    /// The attempt that the worker was given.
    pub attempt: i32,
    /// How it ended.
    pub outcome: Outcome,
}

/// Ends attempts at items of one job, in a transaction of its seller, and gives how many of them the worker had still.
/// Fewer than all means that its lease was lost: what the transaction did for these items must not be committed; 0, that
/// nothing at all may be. The job ends with its last item. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn settle(
    transaction: &Transaction<'_>,
    seller: SellerId,
    job: JobId,
    worker: Uuid,
    settled: &[Settled],
) -> Result<usize, Error> {
    let outcomes = Value::from_iter(settled.iter().map(Settled::written));
    let statement = Statement::<Integer>::new(
        "SELECT jebi_settle_job_items($1, $2, $3, $4)",
        vec![Bind::from(seller), Bind::from(job), Bind::from(worker), Bind::from(outcomes)],
    );
    let held: i32 = statement.one(transaction).await.map_err(Error::of("settle work"))?;
    Ok(usize::try_from(held).unwrap_or(0))
}

impl Settled {
    /// As the database's function reads it.
    fn written(&self) -> Value {
        let (mut reason, mut delay, mut payload) = (None, Duration::ZERO, None);
        let outcome = match &self.outcome {
            Outcome::Done => "done",
            Outcome::Failed(why) => {
                reason = Some(bounded(why));
                "failed"
            }
            Outcome::Retry { reason: why, delay: wait } => {
                (reason, delay) = (Some(bounded(why)), *wait);
                "retry"
            }
            Outcome::Panicked { reason: why, delay: wait } => {
                (reason, delay) = (Some(bounded(why)), *wait);
                "panicked"
            }
            Outcome::Snooze(wait) => {
                delay = *wait;
                "snooze"
            }
            Outcome::Back => "back",
            Outcome::Checkpoint(next) => {
                payload = Some(next);
                "checkpoint"
            }
            Outcome::Advance(next) => {
                payload = Some(next);
                "advance"
            }
        };
        json!({
            "number": self.number,
            "attempt": self.attempt,
            "outcome": outcome,
            "reason": reason,
            "delay_ms": millis(delay),
            "payload": payload,
        })
    }
}

/// What a person reads in a list: a line, without what PostgreSQL cannot store.
fn bounded(reason: &str) -> String {
    const LONGEST: usize = 300;
    let is_bad = |letter: char| if letter.is_control() { ' ' } else { letter };
    reason.chars().take(LONGEST).map(is_bad).collect()
}
