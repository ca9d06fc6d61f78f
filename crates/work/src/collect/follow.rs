//! What has changed in a catalogue.

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use jebi_batch::wholesaler::{Checkpoint, Page, Window};
use jebi_db_optimizer::Error as DbError;
use jebi_db_optimizer::collection;
use jebi_db_optimizer::jobs::{Gain, NewItem};
use jebi_domain::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::page::{Read, Target};
use super::schedule::is_file;
use super::tally::Tally;
use super::{Collector, OTHERS_WRITE, Source, TRIES, number, one};
use crate::error::{Error, Failure};
use crate::kind::{Ended, Outcome};
use crate::work::Work;

/// Windows overlap by so much: a change may be told late, and what was read while it happened is read again.
const OVERLAP: TimeDelta = TimeDelta::minutes(30);

/// Ownerclan tells nothing that is older than three months.
const LONGEST_GAP: TimeDelta = TimeDelta::days(80);

/// Why it is not believed that items which have changed are not there any more: most of a page at once are not.
fn is_doubtful(page: &Page) -> Option<String> {
    const FEW: usize = 20;
    let (missing, all) = (page.missing.len(), page.missing.len() + page.products.len());
    let is_much = missing > FEW && missing > all / 2;
    is_much.then(|| {
        format!("of {all} items that have changed the wholesaler does not know {missing}; none was marked as gone")
    })
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    account: Uuid,
    #[serde(default)]
    following: Option<Following>,
}

/// A window under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Following {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    checkpoint: Option<Checkpoint>,
    tally: Tally,
    told: i64,
}

pub(super) fn item(account: AccountId, name: &str) -> NewItem {
    let plan = Plan { account: account.as_uuid(), following: None };
    NewItem { name: name.to_owned(), payload: json!(plan) }
}

impl Collector {
    /// Does the item of such a job: reads what has changed since the last one did, and a little more. An account that was never
    /// collected from has nothing to follow. Statements: as [`Collector::collect`].
    ///
    /// # Errors
    /// [`Failure`], where the database does not do its part.
    pub async fn follow(&self, work: &Work) -> Result<Ended, Failure> {
        let Some(number) = number(work) else { return Ok(vec![]) };
        let plan = work.claim.items.first().map(|item| item.payload.clone()).unwrap_or_default();
        let Ok(plan) = serde_json::from_value::<Plan>(plan) else {
            return Ok(one(number, Outcome::Failed("it does not say what to follow".to_owned())));
        };
        let account = plan.account.into();
        let ended = match self.source(work, account).await? {
            Ok(source) => self.follow_source(work, number, source, plan).await,
            Err(outcome) => return Ok(one(number, outcome)),
        };
        self.told(work, account, ended).await
    }

    async fn follow_source(
        &self,
        work: &Work,
        number: i32,
        source: Source,
        plan: Plan,
    ) -> Result<Ended, Failure> {
        let of = source.of;
        let standing = collection::find(&work.db, of.seller, of.account).await?;
        let Some(followed_until) = standing.followed_until else {
            return Ok(one(number, Outcome::Done));
        };
        if is_file(of.wholesaler) {
            return self.follow_by_walking(work, number, source, &standing).await;
        }
        if self.now() - followed_until > LONGEST_GAP {
            let why = "it was not followed for more than 80 days, and wholesalers tell no older changes; collect from it again";
            self.note_trouble(work, &of, why, None).await?;
            return Ok(one(number, Outcome::Failed(why.to_owned())));
        }
        let following = plan.following.clone().unwrap_or_else(|| Following {
            since: followed_until - OVERLAP,
            until: self.now().max(followed_until),
            checkpoint: None,
            tally: Tally::default(),
            told: 0,
        });
        let pricing = source.account.pricing.unwrap_or_default();
        // Of a catalogue of which the seller wanted a part, the rest stays where it is.
        let may_create = standing.walked_at.is_some() && standing.most.is_none();
        let target = Target { of, pricing, may_create };
        let mut attempt = Attempt { collector: self, work, number, target, plan, following };
        attempt.run(&source).await
    }
}

struct Attempt<'a> {
    collector: &'a Collector,
    work: &'a Work,
    number: i32,
    target: Target,
    plan: Plan,
    following: Following,
}

impl Attempt<'_> {
    async fn run(&mut self, source: &Source) -> Result<Ended, Failure> {
        let Following { since, until, checkpoint, .. } = self.following.clone();
        let mut pages = source.catalogue.changes(Window { since, until }, checkpoint.as_ref());
        loop {
            let asked_at = self.collector.now();
            let page = match pages.next().await {
                Some(Ok(page)) => page,
                Some(Err(error)) => {
                    let of = &self.target.of;
                    let outcome = self.collector.fail(self.work, of, &error).await?;
                    return Ok(one(self.number, outcome));
                }
                None => break,
            };
            if self.work.stop().is_cancelled() {
                return Ok(vec![]);
            }
            let is_last = page.next.is_none();
            if let Some(why) = is_doubtful(&page) {
                self.collector.note_trouble(self.work, &self.target.of, &why, None).await?;
                return Ok(one(self.number, Outcome::Retry(why)));
            }
            self.take(&page, asked_at).await?;
            if is_last {
                break;
            }
        }
        self.finish(until).await?;
        Ok(vec![])
    }

    async fn take(&mut self, page: &Page, read_at: DateTime<Utc>) -> Result<(), Failure> {
        for _ in 0..TRIES {
            match self.take_once(page, read_at).await {
                Ok(true) => return Ok(()),
                Ok(false) | Err(Error::Db(DbError::Exists { .. } | DbError::Busy { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::Because(OTHERS_WRITE.to_owned()))
    }

    /// False where others have written the same items meanwhile, and all is to be compared again.
    async fn take_once(&mut self, page: &Page, read_at: DateTime<Utc>) -> Result<bool, Error> {
        let (target, at) = (self.target, self.collector.now());
        let read = Read { products: &page.products, missing: &page.missing, read_at };
        let compared = self.collector.compare(&self.work.db, &target, &read, at).await?;
        let mut following = self.following.clone();
        following.tally.read += page.read as u64;
        following.tally.repeated += page.repeated as u64;
        following.tally.reject(&page.rejected);
        following.tally.add(&compared.tally);
        let transaction = self.work.begin().await?;
        let Some(merged) = compared.merge(&transaction, &target, at).await? else {
            transaction.rollback().await?;
            return Ok(false);
        };
        following.tally.merged(merged);
        let has_moved = page.next.is_some() && page.next != following.checkpoint;
        if has_moved {
            following.checkpoint.clone_from(&page.next);
        }
        let gain = self.gain(&mut following, None);
        let plan = Plan { following: Some(following.clone()), ..self.plan.clone() };
        self.work.advance(transaction, self.number, json!(plan), (has_moved, &gain)).await?;
        self.following = following;
        Ok(true)
    }

    fn gain(&self, following: &mut Following, note: Option<&str>) -> Gain {
        let read = i64::try_from(following.tally.read).unwrap_or(i64::MAX);
        let gain = read - following.told;
        following.told = read;
        let shown = following.tally.shown(self.target.of.wholesaler.as_str(), note);
        let result = Some((self.target.of.account.to_string(), shown));
        Gain { done: gain, total: gain, result }
    }

    async fn finish(&mut self, until: DateTime<Utc>) -> Result<(), Failure> {
        let transaction = self.work.begin().await?;
        let mut following = self.following.clone();
        let trouble = following.tally.trouble();
        collection::end_follow(&transaction, &self.target.of, until, trouble.as_deref()).await?;
        let gain = self.gain(&mut following, trouble.as_deref());
        self.work.finish(transaction, self.number, Outcome::Done, &gain).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jebi_batch::wholesaler::Key;

    use super::*;

    #[test]
    fn a_page_of_which_most_is_missing_is_doubted() {
        let missing = |items: usize| {
            let key = |n: usize| Key::new(&n.to_string());
            Page { missing: (0..items).filter_map(key).collect(), ..Page::default() }
        };
        assert_eq!(is_doubtful(&missing(20)), None);
        let why = is_doubtful(&missing(21)).unwrap();
        assert!(why.starts_with("of 21 items") && why.contains("know 21"), "{why}");
    }
}
