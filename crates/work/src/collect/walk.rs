//! All of a catalogue, or its first items.

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use jebi_batch::wholesaler::{Checkpoint, Key, Page};
use jebi_db_optimizer::Error as DbError;
use jebi_db_optimizer::collection::{self, EndOfWalk, Standing, Unseen, Walk as SeenBy};
use jebi_db_optimizer::jobs::{Gain, NewItem};
use jebi_domain::{AccountId, Wholesaler};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::page::{Read, Target};
use super::schedule::is_file;
use super::tally::Tally;
use super::{Collector, Extent, LATER, OTHERS_WRITE, Source, TRIES, number, one};
use crate::error::{Error, Failure};
use crate::kind::{Ended, Outcome};
use crate::work::Work;

/// What an item is to do, and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    account: Uuid,
    #[serde(default)]
    most: Option<u64>,
    #[serde(default)]
    accepts_shrinking: bool,
    #[serde(default)]
    walk: Option<Walk>,
}

/// A walk under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Walk {
    began_at: DateTime<Utc>,
    place: Place,
    tally: Tally,
    /// Pages that were remembered.
    pages: i32,
    /// What the job was told of it.
    told: (i64, i64),
    /// The same when the place was reached.
    at_place: (Tally, i32),
}

/// Where another attempt would begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Begin,
    /// In the catalogue.
    After(Checkpoint),
    /// Among the items that the walk did not come by, behind this key.
    Unseen(String),
}

pub(super) fn item(account: AccountId, name: &str, extent: Extent) -> NewItem {
    let Extent { most, accepts_shrinking } = extent;
    let plan = Plan { account: account.as_uuid(), most, accepts_shrinking, walk: None };
    NewItem { name: name.to_owned(), payload: json!(plan) }
}

impl Collector {
    /// Does an item of such a job. Statements: for each page 4, 3 to 14 more where anything of it is written, and a few at the begin
    /// and the end.
    ///
    /// # Errors
    /// [`Failure`], where the database does not do its part.
    pub async fn collect(&self, work: &Work) -> Result<Ended, Failure> {
        let Some(number) = number(work) else { return Ok(vec![]) };
        let Some(plan) = Plan::of(work) else {
            return Ok(one(number, Outcome::Failed("it does not say what to collect".to_owned())));
        };
        let account = plan.account.into();
        let asked_for = Asked { most: plan.most, may_create: true };
        let ended = match self.source(work, account).await? {
            Ok(source) => self.walk(work, number, source, plan, asked_for).await,
            Err(outcome) => return Ok(one(number, outcome)),
        };
        self.told(work, account, ended).await
    }

    /// Follows a wholesaler that tells no changes: all of it is walked, also where a part of it was asked for. What is not known
    /// becomes a product only where all of it was.
    pub(super) async fn follow_by_walking(
        &self,
        work: &Work,
        number: i32,
        source: Source,
        standing: &Standing,
    ) -> Result<Ended, Failure> {
        let Some(plan) = Plan::of(work) else {
            return Ok(one(number, Outcome::Failed("it does not say what to follow".to_owned())));
        };
        let may_create = standing.walked_at.is_some() && standing.most.is_none();
        let asked_for = Asked { most: standing.most, may_create };
        self.walk(work, number, source, plan, asked_for).await
    }

    async fn walk(
        &self,
        work: &Work,
        number: i32,
        source: Source,
        mut plan: Plan,
        asked_for: Asked,
    ) -> Result<Ended, Failure> {
        let walk = match plan.walk.take() {
            Some(walk) => walk.again(),
            None => Walk::new(self.now()),
        };
        let collector = self;
        let mut walking = Walking { collector, work, number, source, plan, asked_for, walk };
        walking.run().await
    }
}

impl Plan {
    fn of(work: &Work) -> Option<Self> {
        serde_json::from_value(work.claim.items.first()?.payload.clone()).ok()
    }
}

/// What the seller wants of the catalogue.
#[derive(Debug, Clone, Copy)]
struct Asked {
    most: Option<u64>,
    may_create: bool,
}

impl Walk {
    fn new(began_at: DateTime<Utc>) -> Self {
        Self {
            began_at,
            place: Place::Begin,
            tally: Tally::default(),
            pages: 0,
            told: (0, 0),
            at_place: Default::default(),
        }
    }

    /// That of another attempt, at the place that was reached.
    fn again(mut self) -> Self {
        let (tally, pages) = &self.at_place;
        (self.tally, self.pages) = (tally.again(&self.tally), *pages);
        self
    }
}

/// An attempt at an item.
struct Walking<'a> {
    collector: &'a Collector,
    work: &'a Work,
    number: i32,
    source: Source,
    plan: Plan,
    asked_for: Asked,
    walk: Walk,
}

/// Items that the walk did not come by, looked at together: calls of half a minute, at the most.
const fn at_once(wholesaler: Wholesaler) -> i64 {
    match wholesaler {
        Wholesaler::Ownerclan | Wholesaler::Domeggook => 500,
        // A call or two for each.
        Wholesaler::Zentrade => 10,
    }
}

impl Walking<'_> {
    async fn run(&mut self) -> Result<Ended, Failure> {
        let (transaction, job) = (self.work.begin().await?, self.work.claim.job);
        let (of, began_at) = (&self.source.of, self.walk.began_at);
        let begun =
            collection::begin_walk(&transaction, of, job, self.asked_for.most, began_at).await;
        // Pages behind the place that was reached are read again.
        let again = self.walk.at_place.1;
        let begun = match begun {
            Ok(true) => collection::forget_seen_after(&transaction, self.seen_by(), again)
                .await
                .map(|()| true),
            other => other,
        };
        if !transaction.settle(begun).await? {
            // Another job walks it: one after the other.
            return Ok(one(self.number, Outcome::Snooze(LATER)));
        }
        if !matches!(self.walk.place, Place::Unseen(_))
            && let Some(outcome) = self.read().await?
        {
            return Ok(self.ended(outcome));
        }
        let note = if self.is_whole() {
            match self.look_for_the_unseen().await? {
                Ok(note) => note,
                Err(outcome) => return Ok(self.ended(outcome)),
            }
        } else {
            None
        };
        self.finish(note).await?;
        Ok(vec![])
    }

    /// What the runner is told of an item that has not come to its end.
    fn ended(&self, outcome: Option<Outcome>) -> Ended {
        outcome.map_or_else(Vec::new, |outcome| one(self.number, outcome))
    }

    fn is_whole(&self) -> bool {
        self.plan.most.is_none()
    }

    /// How many items it may still take.
    fn left(&self) -> usize {
        let most = self.plan.most.unwrap_or(u64::MAX);
        usize::try_from(most.saturating_sub(self.walk.tally.taken())).unwrap_or(usize::MAX)
    }

    fn target(&self) -> Target {
        let pricing = self.source.account.pricing.unwrap_or_default();
        Target { of: self.source.of, pricing, may_create: self.asked_for.may_create }
    }

    fn seen_by(&self) -> SeenBy {
        (self.work.claim.seller, self.work.claim.job, self.number)
    }

    /// Reads the catalogue from the place that was reached; how the attempt ends where it does not come to the last page. The next
    /// page comes in while the one before is written.
    async fn read(&mut self) -> Result<Option<Option<Outcome>>, Failure> {
        let from = match &self.walk.place {
            Place::After(checkpoint) => Some(checkpoint.clone()),
            Place::Begin | Place::Unseen(_) => None,
        };
        let is_file = is_file(self.source.of.wholesaler);
        let opened_at = self.collector.now();
        let mut pages = self.source.catalogue.walk(from.as_ref());
        let mut asked_at = opened_at;
        let mut page = pages.next().await;
        loop {
            if self.work.stop().is_cancelled() {
                return Ok(Some(None));
            }
            let read = match page {
                Some(Ok(read)) => read,
                Some(Err(error)) => {
                    let outcome = self.collector.fail(self.work, &self.source.of, &error).await?;
                    return Ok(Some(Some(outcome)));
                }
                // A catalogue without a page has no items.
                None => return Ok(None),
            };
            // A file is of the moment in which it was asked for, however long it takes to come.
            let read_at = if is_file { opened_at } else { asked_at };
            let items = read.products.len() + read.rejected.len();
            let is_last = read.next.is_none() || items >= self.left();
            asked_at = self.collector.now();
            let next = async { if is_last { None } else { pages.next().await } };
            let (taken, next) = futures::join!(self.take(read, read_at), next);
            taken?;
            if is_last {
                return Ok(None);
            }
            page = next;
        }
    }

    /// Brings a page into the catalogue, together with the place behind it.
    async fn take(&mut self, mut page: Page, read_at: DateTime<Utc>) -> Result<(), Failure> {
        let left = self.left();
        if page.products.len() + page.rejected.len() > left {
            page.products.truncate(left);
            page.rejected.truncate(left - page.products.len());
            page.read = page.products.len() + page.rejected.len() + page.repeated;
        }
        let mut walk = self.walk.clone();
        walk.tally.read += page.read as u64;
        walk.tally.repeated += page.repeated as u64;
        walk.tally.reject(&page.rejected);
        // Those that cannot be used are there.
        let rejected = page.rejected.iter().filter_map(|rejected| rejected.key.as_ref());
        let seen = page.products.iter().map(|product| &product.key).chain(rejected);
        let seen: Vec<String> = seen.map(Key::to_string).collect();
        let place = page.next.clone().filter(|next| !next.is_begin()).map(Place::After);
        let has_moved = place.as_ref().is_some_and(|place| *place != walk.place);
        if let Some(place) = place.filter(|_| has_moved) {
            walk.place = place;
        }
        let remembered = self.is_whole().then(|| {
            walk.pages += 1;
            (walk.pages, seen)
        });
        let told = page.total.unwrap_or(0);
        // What was listed and is not there is asked for once more, behind the guard against catalogues that shrank.
        let read = Read { products: &page.products, missing: &[], read_at };
        self.write(read, walk, (has_moved, told), remembered).await
    }

    /// Writes what was read, and where the walk is then.
    async fn write(
        &mut self,
        read: Read<'_>,
        walk: Walk,
        (has_moved, told): (bool, u64),
        remembered: Option<(i32, Vec<String>)>,
    ) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let remembered = remembered.clone();
            match self.write_once(&read, walk.clone(), (has_moved, told), remembered).await {
                Ok(true) => return Ok(()),
                Ok(false) | Err(Error::Db(DbError::Exists { .. } | DbError::Busy { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::Because(OTHERS_WRITE.to_owned()))
    }

    /// False where others have written the same items meanwhile, and all is to be compared again.
    async fn write_once(
        &mut self,
        read: &Read<'_>,
        mut walk: Walk,
        (has_moved, told): (bool, u64),
        remembered: Option<(i32, Vec<String>)>,
    ) -> Result<bool, Error> {
        let (target, at) = (self.target(), self.collector.now());
        let compared = self.collector.compare(&self.work.db, &target, read, at).await?;
        walk.tally.add(&compared.tally);
        let transaction = self.work.begin().await?;
        let Some(merged) = compared.merge(&transaction, &target, at).await? else {
            transaction.rollback().await?;
            return Ok(false);
        };
        walk.tally.merged(merged);
        if let Some((page, keys)) = remembered {
            collection::note_seen(&transaction, self.seen_by(), page, keys).await?;
        }
        if has_moved {
            walk.at_place = (walk.tally.clone(), walk.pages);
        }
        let done = count(walk.tally.taken());
        let total = told.min(self.plan.most.unwrap_or(u64::MAX));
        let gain = self.gain(&mut walk, (done, count(total).max(done)), None);
        let payload = json!(Plan { walk: Some(walk.clone()), ..self.plan.clone() });
        self.work.advance(transaction, self.number, payload, (has_moved, &gain)).await?;
        self.walk = walk;
        Ok(true)
    }

    /// What the job is told: how far the walk is, and what came of it so far.
    fn gain(&self, walk: &mut Walk, now: (i64, i64), note: Option<&str>) -> Gain {
        let (done, total) = (now.0 - walk.told.0, now.1 - walk.told.1);
        walk.told = now;
        let wholesaler = self.source.of.wholesaler.as_str();
        let shown = walk.tally.shown(wholesaler, note);
        Gain { done, total, result: Some((self.source.of.account.to_string(), shown)) }
    }

    /// Asks for the items that a whole walk did not come by, and marks as gone those that are not there. Gives why it did less than
    /// that, or how the attempt ends before its end.
    async fn look_for_the_unseen(
        &mut self,
    ) -> Result<Result<Option<String>, Option<Outcome>>, Failure> {
        let of = &self.source.of;
        let (account, wholesaler) = (of.account, of.wholesaler);
        let (walk, began_at) = (self.seen_by(), self.walk.began_at);
        let unseen = Unseen { account, wholesaler, walk, began_at };
        let mut after = match &self.walk.place {
            Place::Unseen(after) => {
                if let Some(why) = self.has_forgotten(&unseen).await? {
                    return Ok(Ok(Some(why)));
                }
                after.clone()
            }
            Place::Begin | Place::After(_) => {
                if let Some(why) = self.is_doubtful(&unseen).await? {
                    tracing::warn!(account.id = %account, "{wholesaler}: {why}");
                    return Ok(Ok(Some(why)));
                }
                String::new()
            }
        };
        loop {
            if self.work.stop().is_cancelled() {
                return Ok(Err(None));
            }
            let db = &self.work.db;
            let keys = collection::unseen(db, &unseen, &after, at_once(wholesaler)).await?;
            let Some(last) = keys.last().cloned() else { return Ok(Ok(None)) };
            let keys: Vec<Key> = keys.iter().filter_map(|key| Key::new(key)).collect();
            let read_at = self.collector.now();
            let page = match self.source.catalogue.find(&keys).await {
                Ok(page) => page,
                Err(error) => {
                    let of = &self.source.of;
                    return Ok(Err(Some(self.collector.fail(self.work, of, &error).await?)));
                }
            };
            let mut walk = self.walk.clone();
            walk.tally.read += page.products.len() as u64 + page.rejected.len() as u64;
            walk.tally.reject(&page.rejected);
            walk.place = Place::Unseen(last.clone());
            let read = Read { products: &page.products, missing: &page.missing, read_at };
            self.write(read, walk, (true, 0), None).await?;
            after = last;
        }
    }

    /// Why what is missing is not believed to be gone, where it is not.
    async fn is_doubtful(&self, unseen: &Unseen) -> Result<Option<String>, Failure> {
        /// More than so few, and more than a share of all, do not go in a day.
        const FEW: u64 = 20;
        const ONE_IN: u64 = 5;
        let pages = collection::pages_seen(&self.work.db, unseen.walk).await?;
        if pages != i64::from(self.walk.pages) {
            return Ok(Some(
                "the database has lost what the walk came by; no item was marked as gone"
                    .to_owned(),
            ));
        }
        let collection::Believed { all, unseen } =
            collection::believed(&self.work.db, unseen).await?;
        let is_empty = self.walk.tally.read == 0 && all > 0;
        let is_shrunk = unseen > FEW && unseen > all / ONE_IN;
        if self.plan.accepts_shrinking || !(is_empty || is_shrunk) {
            return Ok(None);
        }
        Ok(Some(format!(
            "the catalogue lacks {unseen} of the {all} items that were for sale; no item was marked as gone; where they are \
             gone indeed, run `jebi collect` with --accept-shrinking"
        )))
    }

    /// Why it is not known what the walk came by, where it is not.
    async fn has_forgotten(&self, unseen: &Unseen) -> Result<Option<String>, Failure> {
        let pages = collection::pages_seen(&self.work.db, unseen.walk).await?;
        let is_known = pages == i64::from(self.walk.pages);
        let why = "the database has lost what the walk came by; no item was marked as gone";
        Ok((!is_known).then(|| why.to_owned()))
    }

    /// Ends the walk.
    async fn finish(&mut self, note: Option<String>) -> Result<(), Failure> {
        let (of, work) = (self.source.of, self.work);
        let standing = collection::find(&work.db, of.seller, of.account).await?;
        // Every item that is known was among those that were read.
        let has_read_all = self.walk.tally.known() >= standing.items;
        let note = note.or_else(|| self.walk.tally.trouble());
        let end = EndOfWalk {
            began_at: self.walk.began_at,
            is_whole: self.is_whole() && note.is_none(),
            is_current: note.is_none() && (self.is_whole() || has_read_all),
            trouble: note.clone(),
        };
        let transaction = work.begin().await?;
        collection::end_walk(&transaction, &of, &end, self.collector.now()).await?;
        if self.is_whole() {
            collection::forget_seen(&transaction, self.seen_by()).await?;
        }
        let mut walk = self.walk.clone();
        let done = count(walk.tally.taken());
        let gain = self.gain(&mut walk, (done, done), note.as_deref());
        work.finish(transaction, self.number, Outcome::Done, &gain).await?;
        Ok(())
    }
}

fn count(items: u64) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
