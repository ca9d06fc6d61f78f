use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jebi_db_optimizer::jobs::{self, Claim, Gain, Held, Report, Settled};
use jebi_db_optimizer::{Error as DbError, Pool, Transaction};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Error;
use crate::kind::Outcome;
use crate::runner::Delays;

/// Items of one job, in the hands of a handler.
pub struct Work {
    /// What was claimed.
    pub claim: Claim,
    pub(crate) db: Pool,
    pub(crate) worker: Uuid,
    pub(crate) delays: Delays,
    stop: CancellationToken,
    /// The attempts, by item, that have not ended.
    open: Mutex<BTreeMap<i32, i32>>,
    /// The right to try an item that may have killed its worker, until it has got on.
    suspect: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Work {
    pub(crate) fn new(
        claim: Claim,
        db: Pool,
        worker: Uuid,
        delays: Delays,
        suspect: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let open = claim.items.iter().map(|item| (item.number, item.attempt)).collect();
        let stop = CancellationToken::new();
        let (open, suspect) = (Mutex::new(open), Mutex::new(suspect));
        Self { claim, db, worker, delays, stop, open, suspect }
    }

    /// Is cancelled when the work is to stop: its job was cancelled, its lease lost, or the process ends. What was not
    /// done by then is handed back.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The numbers of the items that have not ended.
    #[must_use]
    pub fn open(&self) -> Vec<i32> {
        self.lock().keys().copied().collect()
    }

    /// Begins a transaction of the job's seller, to be ended by [`Work::commit`] or [`Work::checkpoint`].
    ///
    /// # Errors
    /// [`Error::Db`].
    pub async fn begin(&self) -> Result<Transaction<'_>, Error> {
        Ok(self.db.begin(self.claim.seller).await?)
    }

    /// Commits what was written together with the end of these items: both, or neither. Statements: 1.
    ///
    /// # Errors
    /// [`Error::Lost`] where another worker has one of the items: nothing is committed. [`Error::Db`].
    pub async fn commit(
        &self,
        transaction: Transaction<'_>,
        ended: Vec<(i32, Outcome)>,
    ) -> Result<(), Error> {
        let ended =
            ended.into_iter().map(|(number, outcome)| (number, self.outcome(number, outcome)));
        self.commit_all(transaction, ended.collect(), None).await
    }

    /// [`Work::commit`] of one item, which says with its end how far it got. Statements: 2.
    ///
    /// # Errors
    /// As [`Work::commit`].
    pub async fn finish(
        &self,
        transaction: Transaction<'_>,
        number: i32,
        outcome: Outcome,
        gain: &Gain,
    ) -> Result<(), Error> {
        let ended = vec![(number, self.outcome(number, outcome))];
        self.commit_all(transaction, ended, Some(gain)).await
    }

    /// Commits what was written, and goes on, as [`Work::checkpoint`] does; says how far the item got. Where it `has_moved`, so
    /// that another attempt would begin further on, its earlier failures are forgiven: it may fail as often as a new one.
    /// Statements: 2.
    ///
    /// # Errors
    /// As [`Work::commit`].
    pub async fn advance(
        &self,
        transaction: Transaction<'_>,
        number: i32,
        payload: Value,
        (has_moved, gain): (bool, &Gain),
    ) -> Result<(), Error> {
        let goes_on = match has_moved {
            true => jobs::Outcome::Advance(payload),
            false => jobs::Outcome::Checkpoint(payload),
        };
        self.commit_all(transaction, vec![(number, goes_on)], Some(gain)).await
    }

    /// Commits what was written, and goes on: another attempt at the item would begin with `payload`. Statements: 1.
    ///
    /// # Errors
    /// As [`Work::commit`].
    pub async fn checkpoint(
        &self,
        transaction: Transaction<'_>,
        number: i32,
        payload: Value,
    ) -> Result<(), Error> {
        let goes_on = (number, jobs::Outcome::Checkpoint(payload));
        self.commit_all(transaction, vec![goes_on], None).await
    }

    /// Says how far a job of one long item is, or what came of it. Statements: 1.
    ///
    /// # Errors
    /// [`Error::Lost`] where nothing of it is this worker's any more; nothing is noted then. [`Error::Db`].
    pub async fn report(&self, report: &Report) -> Result<(), Error> {
        let first = self.held().first().copied().ok_or(Error::Lost)?;
        let transaction = self.begin().await?;
        let is_noted = jobs::report(&transaction, self.worker, first, report).await?;
        if !is_noted {
            transaction.rollback().await?;
            return Err(Error::Lost);
        }
        Ok(transaction.commit().await?)
    }

    /// As [`Work::commit`], by what the database knows.
    async fn commit_all(
        &self,
        transaction: Transaction<'_>,
        ended: Vec<(i32, jobs::Outcome)>,
        gain: Option<&Gain>,
    ) -> Result<(), Error> {
        let wanted = ended.len();
        let taken = Taken::of(self, &ended);
        let settled = taken.settled(ended);
        let held = match settled.len() == wanted {
            true => self.settle(&transaction, &settled).await?,
            false => 0,
        };
        if held < wanted {
            transaction.rollback().await?;
            return Err(Error::Lost);
        }
        if let Some(gain) = gain {
            let Claim { seller, job, .. } = self.claim;
            jobs::gain(&transaction, seller, job, gain).await?;
        }
        transaction.commit().await?;
        if settled.iter().any(|one| matches!(one.outcome, jobs::Outcome::Advance(_))) {
            self.clear();
        }
        taken.close(&settled);
        Ok(())
    }

    /// It is no suspect any more: another one may be tried.
    pub(crate) fn clear(&self) {
        drop(self.suspect.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Ends what the handler has left, as far as it is this worker's still. Statements: 1.
    pub(crate) async fn end(&self, ended: Vec<(i32, jobs::Outcome)>) -> Result<(), DbError> {
        let taken = Taken::of(self, &ended);
        let settled = taken.settled(ended);
        if settled.is_empty() {
            return Ok(());
        }
        let transaction = self.db.begin(self.claim.seller).await?;
        match self.settle(&transaction, &settled).await? {
            // Others have them, or the job has ended without them.
            0 => transaction.rollback().await?,
            _ => transaction.commit().await?,
        }
        taken.close(&settled);
        Ok(())
    }

    async fn settle(
        &self,
        transaction: &Transaction<'_>,
        settled: &[Settled],
    ) -> Result<usize, DbError> {
        let Claim { seller, job, .. } = self.claim;
        jobs::settle(transaction, seller, job, self.worker, settled).await
    }

    /// What is still to be done, as leases know it.
    pub(crate) fn held(&self) -> Vec<Held> {
        let Claim { seller, job, .. } = self.claim;
        let held = |(number, attempt): (&i32, &i32)| Held {
            seller,
            job,
            number: *number,
            attempt: *attempt,
        };
        self.lock().iter().map(held).collect()
    }

    /// A handler's word as the database takes it.
    pub(crate) fn outcome(&self, number: i32, outcome: Outcome) -> jobs::Outcome {
        match outcome {
            Outcome::Done => jobs::Outcome::Done,
            Outcome::Failed(reason) => jobs::Outcome::Failed(reason),
            Outcome::Retry(reason) => {
                jobs::Outcome::Retry { reason, delay: self.delays.after(self.failures(number)) }
            }
            Outcome::Snooze(delay) => jobs::Outcome::Snooze(delay),
        }
    }

    /// How often an item failed before this attempt.
    pub(crate) fn failures(&self, number: i32) -> i32 {
        let item = self.claim.items.iter().find(|item| item.number == number);
        item.map_or(0, |item| item.failures)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, i32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attempts that are being ended. While they are, the heart-beat leaves them out: it would find them gone. Dropped without
/// [`Taken::close`], they are open again.
struct Taken<'a> {
    work: &'a Work,
    attempts: BTreeMap<i32, i32>,
}

impl<'a> Taken<'a> {
    fn of(work: &'a Work, ended: &[(i32, jobs::Outcome)]) -> Self {
        let mut open = work.lock();
        let take = |(number, _): &(i32, jobs::Outcome)| Some((*number, open.remove(number)?));
        let attempts = ended.iter().filter_map(take).collect();
        Self { work, attempts }
    }

    /// Those of them that were open, each with its attempt.
    fn settled(&self, ended: Vec<(i32, jobs::Outcome)>) -> Vec<Settled> {
        let settled = |(number, outcome)| {
            let attempt = *self.attempts.get(&number)?;
            Some(Settled { number, attempt, outcome })
        };
        ended.into_iter().filter_map(settled).collect()
    }

    /// They have ended, but for those that go on.
    fn close(mut self, settled: &[Settled]) {
        for Settled { number, outcome, .. } in settled {
            if !matches!(outcome, jobs::Outcome::Checkpoint(_) | jobs::Outcome::Advance(_)) {
                self.attempts.remove(number);
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.work.lock().append(&mut self.attempts);
    }
}
