//! Collection: what wholesalers have becomes products of their sellers, and stays as it is there.
//!
//! A *walk* reads a catalogue from its begin to its end, or as far as it is asked to; to *follow* is to read what has changed
//! since. Both go page by page: what differs from what is known is merged in one transaction with the place that was
//! reached, so that a worker that dies costs no more than the pages in its hands.

mod follow;
mod page;
mod row;
mod schedule;
mod tally;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_batch::Class;
use jebi_batch::wholesaler::{Catalogue, Error as CatalogueError};
use jebi_db_optimizer::accounts::{self, Account};
use jebi_db_optimizer::collection::{self, Attempt, Collection, Stage};
use jebi_db_optimizer::jobs::{NewItem, NewJob};
use jebi_domain::{AccountId, AccountKind, JobId, Wholesaler};
use serde_json::json;

use crate::error::Failure;
use crate::kind::{Ended, Kinds, Outcome, Policy};
use crate::outside::{Outside, Unready};
use crate::work::Work;

pub use schedule::{BadSchedule, Cron, Scheduler, Schedules};

/// The kind of jobs that walk catalogues: an item for each account.
pub const COLLECT: &str = "collect";
/// The kind of jobs that follow what changes in one.
pub const FOLLOW: &str = "follow-changes";

/// An attempt that fails so often without getting on is given up.
const MAX_ATTEMPTS: i32 = 6;
/// Two writers at once may write the same items: one of them compares again, so often.
const TRIES: usize = 4;
const OTHERS_WRITE: &str = "others write the same items again and again";

/// Who has to wait looks again after so long.
const LATER: Duration = Duration::from_secs(30);

/// How much of the catalogues is to be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// So many items of each account, the first ones; all of them where absent.
    pub most: Option<u64>,
    /// Whether what is missing from a catalogue that shrank by much is gone: somebody has looked.
    pub accepts_shrinking: bool,
}

/// A job that walks the catalogues of some accounts, together with what each is to do.
#[must_use]
pub fn collect_job(accounts: &[Account], extent: Extent) -> (NewJob<'static>, Vec<NewItem>) {
    let parameters = json!({ "max_products_per_wholesaler": extent.most });
    let job = NewJob { kind: COLLECT, account: None, parameters, max_attempts: MAX_ATTEMPTS };
    let items = accounts.iter().map(|account| walk::item(account.id, &account.name, extent));
    (job, items.collect())
}

/// A job that walks one account's catalogue.
fn walk_job(account: AccountId, name: &str, extent: Extent) -> (NewJob<'static>, NewItem) {
    let parameters = json!({ "max_products_per_wholesaler": extent.most });
    let (kind, account_id) = (COLLECT, Some(account));
    let job = NewJob { kind, account: account_id, parameters, max_attempts: MAX_ATTEMPTS };
    (job, walk::item(account, name, extent))
}

/// A job that follows what has changed in one account's catalogue.
#[must_use]
pub fn follow_job(account: AccountId, name: &str) -> (NewJob<'static>, NewItem) {
    let (kind, parameters) = (FOLLOW, json!({}));
    let job = NewJob { kind, account: Some(account), parameters, max_attempts: MAX_ATTEMPTS };
    (job, follow::item(account, name))
}

/// What does such jobs.
pub struct Collector {
    outside: Arc<Outside>,
    stage: Stage,
}

/// An account that is ready to be collected from.
struct Source {
    of: Collection,
    account: Account,
    catalogue: Arc<dyn Catalogue>,
}

impl Collector {
    /// By the ways that `outside` knows, into the database at `url`.
    #[must_use]
    pub fn new(outside: Arc<Outside>, url: String) -> Self {
        Self { outside, stage: Stage::new(url) }
    }

    /// The same kinds of jobs, and those that this does.
    #[must_use]
    pub fn among(self: Arc<Self>, kinds: Kinds) -> Kinds {
        let (walker, follower) = (Arc::clone(&self), self);
        kinds
            .with(COLLECT, Policy::ONE, move |work: Arc<Work>| {
                let collector = Arc::clone(&walker);
                async move { collector.collect(&work).await }
            })
            .with(FOLLOW, Policy::ONE, move |work: Arc<Work>| {
                let collector = Arc::clone(&follower);
                async move { collector.follow(&work).await }
            })
    }

    fn now(&self) -> DateTime<Utc> {
        self.outside.now()
    }

    /// The account that an item is about; or how the item ends where it cannot be called.
    async fn source(
        &self,
        work: &Work,
        account: AccountId,
    ) -> Result<Result<Source, Outcome>, Failure> {
        let seller = work.claim.seller;
        let (account, catalogue) = match self.outside.catalogue(&work.db, seller, account).await {
            Ok(found) => found,
            Err(Unready::Db(error)) => return Err(error.into()),
            Err(unready) => {
                let why = unready.to_string();
                if let Some(of) = collection_of(work, account).await? {
                    self.note_trouble(work, &of, &why, Some(work.claim.job)).await?;
                }
                return Ok(Err(Outcome::Failed(why)));
            }
        };
        let wholesaler = catalogue.wholesaler();
        let of = Collection { seller, account: account.id, wholesaler };
        Ok(Ok(Source { of, account, catalogue }))
    }

    /// How an item ends whose call failed; noted with the account, so that somebody is told.
    async fn fail(
        &self,
        work: &Work,
        of: &Collection,
        error: &CatalogueError,
    ) -> Result<Outcome, Failure> {
        let outcome = outcome_of(error, of.wholesaler);
        if let Outcome::Failed(why) | Outcome::Retry(why) = &outcome {
            let account = of.account;
            tracing::warn!(account.id = %account, "{} is not collected: {why}: {error}", of.wholesaler);
            let given_up = matches!(outcome, Outcome::Failed(_)).then_some(work.claim.job);
            self.note_trouble(work, of, why, given_up).await?;
        }
        Ok(outcome)
    }

    /// Hands on how an attempt ended, and notes with its account where the database did not do its part.
    async fn told(
        &self,
        work: &Work,
        account: AccountId,
        ended: Result<Ended, Failure>,
    ) -> Result<Ended, Failure> {
        if let Err(Failure::Because(why)) = &ended
            && let Ok(Some(of)) = collection_of(work, account).await
        {
            self.note_trouble(work, &of, why, None).await?;
        }
        ended
    }

    async fn note_trouble(
        &self,
        work: &Work,
        of: &Collection,
        why: &str,
        given_up: Option<JobId>,
    ) -> Result<(), Failure> {
        let attempt = match &*work.claim.kind {
            FOLLOW => Attempt::Follow,
            _ => Attempt::Walk,
        };
        let transaction = work.begin().await?;
        let now = self.now();
        let noted = collection::trouble(&transaction, of, (attempt, why), now, given_up).await;
        Ok(transaction.settle(noted).await?)
    }
}

/// An account with a wholesaler, where there is one of this id.
async fn collection_of(work: &Work, account: AccountId) -> Result<Option<Collection>, Failure> {
    let seller = work.claim.seller;
    let found = accounts::find(&work.db, seller, account).await?;
    let wholesaler = found.and_then(|account| account.kind).and_then(AccountKind::wholesaler);
    Ok(wholesaler.map(|wholesaler| Collection { seller, account, wholesaler }))
}

/// The one item of a claim.
fn number(work: &Work) -> Option<i32> {
    work.open().first().copied()
}

fn one(number: i32, outcome: Outcome) -> Ended {
    vec![(number, outcome)]
}

/// What becomes of an item whose call failed. The wholesaler's own words stay out of it: they may hold what was sent.
fn outcome_of(error: &CatalogueError, wholesaler: Wholesaler) -> Outcome {
    if matches!(error, CatalogueError::ForeignCheckpoint | CatalogueError::BadWindow) {
        return Outcome::Failed(
            "the place that was reached is none any more; start again".to_owned(),
        );
    }
    match error.class() {
        Class::Rejected => Outcome::Failed(format!(
            "{wholesaler} refused the login or the call; check the account's credentials"
        )),
        Class::Unusable => Outcome::Retry(format!(
            "what {wholesaler} answered is no catalogue that can be read; nothing was changed"
        )),
        Class::Stopped => Outcome::Failed(
            "the account is stopped, because its calls were refused; send its credentials again to go on"
                .to_owned(),
        ),
        Class::Busy | Class::Paused | Class::QueueFull => Outcome::Snooze(LATER),
        class => Outcome::Retry(format!("{wholesaler} could not be asked: {}", class.name())),
    }
}
