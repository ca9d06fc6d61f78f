//! When catalogues are walked and changes followed without being asked to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Asia::Seoul;
use jebi_db_optimizer::collection::{self, Collection, Due, Schedule};
use jebi_db_optimizer::{Author, Error as DbError, Pool, jobs};
use jebi_domain::{AccountId, Wholesaler};
use tokio::time::MissedTickBehavior;

use super::{Extent, follow_job, walk_job};
use crate::runner::Wake;

/// Times of the day in Korea, as cron writes them: `0 3 * * *` is three o'clock at night.
#[derive(Debug, Clone)]
pub struct Cron(croner::Cron);

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no schedule of five fields, such as `0 3 * * *`")]
pub struct BadSchedule;

impl FromStr for Cron {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        // No seconds, and nothing that is put off for ever.
        let cron = croner::Cron::from_str(text.trim()).map(Self).map_err(|_| BadSchedule)?;
        let is_of_five = text.split_whitespace().count() == 5;
        (is_of_five && cron.after(Utc::now()).is_some()).then_some(cron).ok_or(BadSchedule)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.pattern.to_string())
    }
}

/// Accounts are spread over so much time at most.
const WIDEST: TimeDelta = TimeDelta::hours(1);

impl Cron {
    /// The next time after a moment.
    fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.0.find_next_occurrence(&moment.with_timezone(&Seoul), false);
        next.ok().map(|next| next.to_utc())
    }

    /// The same for one of many accounts: they are spread over the first quarter of the time up to the next but one, an hour at
    /// most, so that not all of them call at once.
    fn turn_of(&self, account: AccountId, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.after(moment)?;
        let quarter = ((self.after(next)? - next) / 4).min(WIDEST);
        let [.., high, low] = account.as_uuid().into_bytes();
        let share = i32::from(u16::from_be_bytes([high, low]));
        Some(next + quarter / i32::from(u16::MAX) * share)
    }

    /// The longest time between two turns of an account in the week after a moment, the spread included.
    fn longest_gap(&self, moment: DateTime<Utc>) -> TimeDelta {
        const WEEK: TimeDelta = TimeDelta::days(7);
        let (mut before, mut longest) = (moment, TimeDelta::zero());
        while let Some(at) = self.after(before) {
            // The first of them may be under way already.
            if before > moment {
                longest = longest.max(at - before);
            }
            before = at;
            if at > moment + WEEK && longest > TimeDelta::zero() {
                break;
            }
        }
        longest + (longest / 4).min(WIDEST)
    }
}

/// What is done by itself, and when.
#[derive(Debug, Clone, Default)]
pub struct Schedules {
    /// When catalogues are walked again, as far as they were asked for.
    pub walks: Option<Cron>,
    /// When changes are followed.
    pub follows: Option<Cron>,
}

/// What is fetched whole each time is not fetched more often.
const FILE_EVERY: TimeDelta = TimeDelta::hours(1);

impl Schedules {
    /// How old the prices and stocks of a wholesaler are at most while all goes well: the longest time between two turns, and a
    /// quarter of an hour to read what has changed. Nothing is promised where no changes are followed.
    #[must_use]
    pub fn promise(&self, wholesaler: Wholesaler, now: DateTime<Utc>) -> Option<Duration> {
        const TO_READ: TimeDelta = TimeDelta::minutes(15);
        let longest = self.follows.as_ref()?.longest_gap(now);
        let promise = match is_file(wholesaler) {
            true => longest + FILE_EVERY + TO_READ,
            false => longest + TO_READ,
        };
        promise.to_std().ok()
    }

    /// When an account's changes are followed next after a moment at which they are.
    fn follows_next(&self, of: &Collection, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let cron = self.follows.as_ref()?;
        match is_file(of.wholesaler) {
            // The turn that comes in an hour, not the one behind it.
            true => cron.turn_of(of.account, now + FILE_EVERY - TimeDelta::minutes(5)),
            false => cron.turn_of(of.account, now),
        }
    }
}

/// Whether all of its catalogue is one file, and that file all that it tells.
pub(super) const fn is_file(wholesaler: Wholesaler) -> bool {
    match wholesaler {
        Wholesaler::Zentrade => true,
        Wholesaler::Ownerclan | Wholesaler::Domeggook => false,
    }
}

/// Enqueues what the schedules want. Several processes may do so at once: each turn is taken by one of them.
pub struct Scheduler {
    db: Pool,
    schedules: Schedules,
    wake: Wake,
}

impl Scheduler {
    /// So often it is looked whose turn it is.
    const EVERY: Duration = Duration::from_secs(5);

    /// Wakes workers by `wake`.
    #[must_use]
    pub const fn new(db: Pool, schedules: Schedules, wake: Wake) -> Self {
        Self { db, schedules, wake }
    }

    /// Looks whose turn it is, for ever; not at all where nothing is scheduled.
    pub async fn run(self) {
        if self.schedules.walks.is_none() && self.schedules.follows.is_none() {
            return;
        }
        let mut tick = tokio::time::interval(Self::EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.look(Utc::now()).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "nothing is scheduled for now: {error}");
            }
        }
    }

    /// Enqueues what is due, and gives how many jobs are new. Statements: 1, and up to 7 for each account whose turn it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn look(&self, now: DateTime<Utc>) -> Result<usize, DbError> {
        let Schedules { walks, follows } = &self.schedules;
        let schedule = Schedule { walks: walks.is_some(), follows: follows.is_some() };
        let mut new = 0;
        for due in collection::due(&self.db, schedule, now).await? {
            // One account's trouble keeps nobody else waiting.
            match self.take_turn(&due, now).await {
                Ok(jobs) => new += jobs,
                Err(error) => {
                    let (account, error) = (due.of.account, &error as &dyn std::error::Error);
                    tracing::warn!(error, account.id = %account, "its turn is put off: {error}");
                }
            }
        }
        if new > 0 {
            self.wake.wake();
        }
        Ok(new)
    }

    async fn take_turn(&self, due: &Due, now: DateTime<Utc>) -> Result<usize, DbError> {
        let account = due.of.account;
        let is_due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
        let is_open = |at: Option<DateTime<Utc>>| at.is_none_or(|at| at <= now);
        let Schedules { walks, follows } = &self.schedules;
        let walk = match walks {
            Some(cron) if is_open(due.walk) => cron.turn_of(account, now),
            Some(_) | None => due.walk,
        };
        let follow = match follows {
            Some(_) if is_open(due.follow) => self.schedules.follows_next(&due.of, now),
            Some(_) | None => due.follow,
        };
        let transaction = self.db.begin(due.of.seller).await?;
        if !collection::postpone(&transaction, due, walk, follow).await? {
            transaction.rollback().await?;
            return Ok(0);
        }
        let wanted = [
            (walks.is_some() && is_due(due.walk)).then(|| {
                walk_job(account, &due.name, Extent { most: due.most, accepts_shrinking: false })
            }),
            (follows.is_some() && is_due(due.follow)).then(|| follow_job(account, &due.name)),
        ];
        let author = Author { actor: "schedule".to_owned(), request_id: None, at: now };
        let mut new = 0;
        for (job, item) in wanted.into_iter().flatten() {
            let enqueued =
                jobs::enqueue(&transaction, due.of.seller, &job, &[item], &author).await?;
            new += usize::from(enqueued.is_new);
        }
        transaction.commit().await?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_those_of_korea() {
        let cron: Cron = "0 3 * * *".parse().unwrap();
        assert_eq!(cron.after(at("2026-11-23T00:00:00Z")), Some(at("2026-11-23T18:00:00Z")));
        assert_eq!(cron.after(at("2026-11-23T18:00:00Z")), Some(at("2026-11-24T18:00:00Z")));
        let cron: Cron = " */10 9-18 * * 1-5 ".parse().unwrap();
        assert_eq!(cron.after(at("2026-11-27T09:55:00Z")), Some(at("2026-11-30T00:00:00Z")));
        assert_eq!("0 3 * * *".parse::<Cron>().unwrap().to_string(), "0 3 * * *");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for bad in ["", "off", "0 3 * *", "60 3 * * *", "* * * * * *", "0 0 31 2 *"] {
            assert_eq!(bad.parse::<Cron>().err(), Some(BadSchedule), "{bad:?}");
        }
    }

    #[test]
    fn accounts_are_spread_and_each_keeps_its_place() {
        let cron: Cron = "0 * * * *".parse().unwrap();
        let account = |n: u128| AccountId::from(uuid::Uuid::from_u128(n));
        let now = at("2026-11-23T00:10:00Z");
        assert_eq!(cron.turn_of(account(0), now), Some(at("2026-11-23T01:00:00Z")));
        let last = cron.turn_of(account(u128::from(u16::MAX)), now).unwrap();
        assert!(last > at("2026-11-23T01:14:59Z") && last <= at("2026-11-23T01:15:00Z"), "{last}");
        let daily: Cron = "0 3 * * *".parse().unwrap();
        let last = daily.turn_of(account(u128::from(u16::MAX)), now).unwrap();
        assert!(last > at("2026-11-23T18:59:59Z") && last <= at("2026-11-23T19:00:00Z"), "{last}");
        assert_eq!(cron.turn_of(account(7), now), cron.turn_of(account(7), now));
    }

    #[test]
    fn the_longest_gap_is_that_of_the_night() {
        let cron: Cron = "0 9-18 * * *".parse().unwrap();
        let gap = cron.longest_gap(at("2026-11-23T00:00:00Z"));
        assert_eq!(gap, TimeDelta::hours(16));
        let cron: Cron = "0 0 1 1 *".parse().unwrap();
        assert_eq!(
            cron.longest_gap(at("2026-11-23T00:00:00Z")),
            TimeDelta::days(365) + TimeDelta::hours(1)
        );
    }

    #[test]
    fn of_a_week_the_gaps_count_that_begin_with_a_turn_in_it_or_else_the_next_one() {
        let gap = |text: &str| {
            let cron: Cron = text.parse().unwrap();
            cron.longest_gap(at("2026-11-23T00:00:00Z")) - TimeDelta::hours(1)
        };
        // What is left of a gap that began before is none.
        assert_eq!(gap("0 9 1,2 * *"), TimeDelta::days(1));
        // The week's last turn is at its end, and the next one in a year.
        assert_eq!(gap("0 9 23,24,30 11 *"), TimeDelta::days(358));
    }

    #[test]
    fn what_is_promised_follows_from_the_schedule() {
        let now = at("2026-11-23T00:00:00Z");
        let follows = Some("*/10 * * * *".parse().unwrap());
        let schedules = Schedules { walks: None, follows };
        let minutes = |wholesaler| schedules.promise(wholesaler, now).unwrap().as_secs_f64() / 60.0;
        assert_eq!(minutes(Wholesaler::Ownerclan), 27.5);
        assert_eq!(minutes(Wholesaler::Zentrade), 87.5);
        assert_eq!(Schedules::default().promise(Wholesaler::Ownerclan, now), None);
    }

    #[test]
    fn a_file_is_fetched_once_an_hour() {
        let schedules = Schedules { walks: None, follows: Some("*/10 * * * *".parse().unwrap()) };
        let of = |wholesaler| Collection {
            seller: uuid::Uuid::nil().into(),
            account: uuid::Uuid::from_u128(0x1234_5678).into(),
            wholesaler,
        };
        let first = Collection { account: uuid::Uuid::nil().into(), ..of(Wholesaler::Zentrade) };
        let next = |of: &Collection| schedules.follows_next(of, at("2026-11-23T00:07:00Z"));
        assert_eq!(next(&first), Some(at("2026-11-23T01:10:00Z")));
        let first = Collection { wholesaler: Wholesaler::Ownerclan, ..first };
        assert_eq!(next(&first), Some(at("2026-11-23T00:10:00Z")));
        let mut turn = at("2026-11-23T00:07:00Z");
        for _ in 0..50 {
            let next = schedules.follows_next(&of(Wholesaler::Zentrade), turn).unwrap();
            let gap = next - turn;
            assert!(gap >= TimeDelta::minutes(50) && gap <= TimeDelta::minutes(75), "{gap}");
            turn = next;
            let soon = schedules.follows_next(&of(Wholesaler::Domeggook), turn).unwrap();
            assert!(soon - turn <= TimeDelta::minutes(13));
        }
    }
}
