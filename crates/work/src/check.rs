//! The job that finds out whether an account can be used: it logs in, and reads the first page of the catalogue.

use std::time::Duration;

use futures::StreamExt as _;
use jebi_batch::Class;
use jebi_batch::wholesaler::Error as CatalogueError;
use jebi_db_optimizer::accounts::Account;
use jebi_db_optimizer::jobs::{NewItem, NewJob, Report};
use serde_json::{Value, json};

use crate::error::Failure;
use crate::kind::{Ended, Outcome};
use crate::outside::{Outside, Unready};
use crate::work::Work;

/// Who has to wait looks again after so long.
const LATER: Duration = Duration::from_mins(1);

/// A check that waits for longer, such as for its turn to log in, is no answer, and others wait for the worker.
const LONGEST: Duration = Duration::from_mins(2);

/// The kind of these jobs.
pub const CHECK_ACCOUNT: &str = "check-account";

/// A job of one item for an account with a wholesaler. There is one alive at a time for each account.
#[must_use]
pub fn check_job(account: &Account) -> (NewJob<'static>, NewItem) {
    let parameters = Value::Null;
    let job =
        NewJob { kind: CHECK_ACCOUNT, account: Some(account.id), parameters, max_attempts: 3 };
    (job, NewItem { name: account.id.to_string(), payload: Value::Null })
}

impl Outside {
    /// Does such a job. Statements: 3, 2 of them only after a change of the account, and 1 for its result.
    ///
    /// # Errors
    /// [`Failure`], where the database does not say what is to be checked.
    pub async fn check(&self, work: &Work) -> Result<Ended, Failure> {
        let account = work.claim.account;
        let account = account.ok_or_else(|| Failure::Because("it names no account".to_owned()))?;
        let catalogue = match self.catalogue(&work.db, work.claim.seller, account).await {
            Ok((_, catalogue)) => catalogue,
            Err(Unready::Db(error)) => return Err(error.into()),
            Err(unready) => return Ok(all(work, &Outcome::Failed(unready.to_string()))),
        };
        let mut pages = catalogue.walk(None);
        let page = tokio::select! {
            page = pages.next() => page,
            () = tokio::time::sleep(LONGEST) => {
                let reason = "the wholesaler could not be asked in two minutes".to_owned();
                return Ok(all(work, &Outcome::Retry(reason)));
            }
            () = work.stop().cancelled() => return Ok(vec![]),
        };
        let outcome = match page {
            None => Outcome::Done,
            Some(Ok(page)) => {
                let read = json!({ "items_read": page.read, "items_told": page.total });
                work.report(&Report::Result(read)).await?;
                Outcome::Done
            }
            Some(Err(error)) => outcome_of(&error),
        };
        Ok(all(work, &outcome))
    }
}

fn all(work: &Work, outcome: &Outcome) -> Ended {
    work.open().into_iter().map(|number| (number, outcome.clone())).collect()
}

/// What becomes of a check whose call failed. The wholesaler's own words stay out of it: they may hold what was sent.
fn outcome_of(error: &CatalogueError) -> Outcome {
    match error.class() {
        Class::Rejected => Outcome::Failed(
            "the wholesaler refused the login or the call; check the account's credentials".to_owned(),
        ),
        Class::Unusable => {
            Outcome::Failed("the wholesaler's answer is none that can be read".to_owned())
        }
        Class::Stopped => Outcome::Failed(
            "the account is stopped, because its calls were refused; send its credentials again to go on"
                .to_owned(),
        ),
        Class::Busy | Class::Paused | Class::QueueFull => Outcome::Snooze(LATER),
        // Down, as far as its breaker knows, or silent: whoever asked is told after a few attempts.
        class => Outcome::Retry(format!("the wholesaler could not be asked: {}", class.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jebi_batch::Verdict;

    #[test]
    fn what_nothing_would_change_is_not_tried_again() {
        let is_given_up = |class: &Class| {
            let failure = jebi_batch::Failure::new(*class);
            let source = jebi_batch::Error { verdict: Verdict::Final, failure };
            matches!(outcome_of(&CatalogueError::Call { api: "x", source }), Outcome::Failed(_))
        };
        let given_up: Vec<Class> = Class::ALL.into_iter().filter(is_given_up).collect();
        assert_eq!(given_up, [Class::Rejected, Class::Unusable, Class::Stopped]);
    }
}
