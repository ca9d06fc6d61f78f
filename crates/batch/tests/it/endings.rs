//! How runs and items end otherwise than by success.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jebi_batch::{Batch, BatchConfig, Class, Clock, Effect, End, Failure, Verdict};
use tokio_util::sync::CancellationToken;

use crate::support::{LATENCY, all};

fn reads() -> BatchConfig {
    BatchConfig { effect: Effect::Read, ..BatchConfig::default() }
}

/// Cancels an endless run after a second; the verdicts of the failed ones, and what was called.
fn cancel(effect: Effect) -> (Vec<Verdict>, usize) {
    let (clock, token) = (Clock::manual(), CancellationToken::new());
    let called = Cell::new(0);
    let work = async |_| {
        called.set(called.get() + 1);
        clock.wait(LATENCY * 2).await;
        Ok::<_, Failure>(())
    };
    let config = BatchConfig { effect, ..BatchConfig::default() };
    let run = Batch::new(config, &clock).cancelled_by(token.clone()).run(stream::iter(0..), work);
    let progress = run.progress();
    let cancelling = async {
        clock.wait(Duration::from_secs(1)).await;
        token.cancel();
    };
    let (outcomes, ()) = clock.run(futures::future::join(run.collect::<Vec<_>>(), cancelling));
    let indices: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.index).collect();
    assert_eq!(indices.len(), outcomes.len());
    assert!(indices.into_iter().eq(0..outcomes.len() as u64), "each item has one outcome");
    let snapshot = progress.snapshot();
    assert_eq!((snapshot.end, snapshot.in_flight), (Some(End::Cancelled), 0));
    assert_eq!(snapshot.done + snapshot.failed, snapshot.taken);
    let verdicts = outcomes.into_iter().filter_map(|outcome| outcome.result.err());
    (verdicts.map(|error| error.verdict).collect(), called.get())
}

#[test]
fn cancelling_drops_reads_and_lets_writes_end() {
    // At 1 s the third ten are under way.
    assert_eq!(cancel(Effect::Read), (vec![Verdict::Unfinished; 10], 30));
    assert_eq!(cancel(Effect::Write), (vec![], 30));
}

#[test]
fn a_deadline_ends_all_and_tells_writes_under_way_from_what_was_not_begun() {
    for (effect, verdict) in
        [(Effect::Read, Verdict::Unfinished), (Effect::Write, Verdict::Ambiguous)]
    {
        let clock = Clock::manual();
        let work = async |_| {
            clock.wait(LATENCY * 2).await;
            Ok::<_, Failure>(())
        };
        let deadline = Some(Duration::from_secs(1));
        let config = BatchConfig { effect, deadline, ..BatchConfig::default() };
        let run = Batch::new(config, &clock).run(stream::iter(0..), work);
        let progress = run.progress();
        let outcomes = all(&clock, run);
        let failed = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err());
        assert!(failed.map(|error| error.verdict).eq([verdict; 10]));
        assert_eq!((outcomes.len(), clock.now()), (30, Duration::from_secs(1)));
        assert_eq!(progress.snapshot().end, Some(End::DeadlinePassed));
    }
}

#[test]
fn what_would_be_repeated_after_the_deadline_ends_with_it() {
    let clock = Clock::manual();
    let busy = async |_| {
        let failure = Failure::new(Class::Busy).retry_after(Some(Duration::from_mins(2)));
        Err::<(), _>(failure)
    };
    let config = BatchConfig { deadline: Some(Duration::from_mins(1)), ..reads() };
    let outcomes = all(&clock, Batch::new(config, &clock).run(stream::iter(0..), busy));
    assert_eq!(outcomes.len(), 10, "an endless source is not drained");
    for outcome in outcomes {
        assert_eq!((outcome.attempts, outcome.snoozes), (0, 1));
        assert_eq!(outcome.result.unwrap_err().verdict, Verdict::Unfinished);
    }
    assert_eq!(clock.now(), Duration::from_mins(1));
}

#[test]
fn a_panic_is_the_outcome_of_its_item_alone() {
    let clock = Clock::manual();
    let work = |item: u64| {
        assert_ne!(item, 3, "before the future");
        async move {
            assert_ne!(item, 5, "inside of it");
            Ok::<_, Failure>(())
        }
    };
    let mut outcomes = all(&clock, Batch::new(reads(), &clock).run(stream::iter(0..10), work));
    outcomes.retain(|outcome| outcome.result.is_err());
    assert_eq!(outcomes.iter().map(|outcome| outcome.item).collect::<Vec<_>>(), [3, 5]);
    for (outcome, text) in outcomes.into_iter().zip(["before the future", "inside of it"]) {
        let error = outcome.result.unwrap_err();
        assert_eq!((error.verdict, error.failure.class), (Verdict::Final, Class::Panicked));
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn an_attempt_is_cut_off_and_repeated_only_where_that_is_harmless() {
    for (effect, verdict, attempts) in
        [(Effect::Read, Verdict::Exhausted, 4), (Effect::Write, Verdict::Ambiguous, 1)]
    {
        let clock = Clock::manual();
        let config = BatchConfig { effect, ..BatchConfig::default() };
        let never = async |_| {
            clock.wait(Duration::from_hours(1)).await;
            Ok::<_, Failure>(())
        };
        let outcome =
            all(&clock, Batch::new(config, &clock).run(stream::iter(0..1), never)).remove(0);
        let error = outcome.result.unwrap_err();
        assert_eq!((error.verdict, error.failure.class), (verdict, Class::Unanswered));
        assert_eq!(outcome.attempts, attempts);
        assert!(clock.now() >= Duration::from_secs(30) * attempts);
    }
}

#[test]
fn failures_keep_their_class_and_cause() {
    let clock = Clock::manual();
    let work = async |item: u16| Err::<(), _>(Failure::new(Class::of_status(item)).because("why"));
    let statuses = [400, 404, 500, 503];
    let run = Batch::new(BatchConfig::default(), &clock).run(stream::iter(statuses), work);
    let mut outcomes = all(&clock, run);
    outcomes.sort_by_key(|outcome| outcome.index);
    let seen = outcomes.into_iter().map(|outcome| {
        let error = outcome.result.unwrap_err();
        assert_eq!(error.failure.cause().unwrap().to_string(), "why");
        (error.failure.class, error.verdict, outcome.attempts)
    });
    let expected = [
        (Class::Rejected, Verdict::Final, 1),
        (Class::Rejected, Verdict::Final, 1),
        (Class::ServerError, Verdict::Ambiguous, 1),
        (Class::Unavailable, Verdict::Exhausted, 4),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

#[test]
fn progress_is_seen_while_it_is_made() {
    let clock = Clock::manual();
    let work = async |item: u64| {
        clock.wait(LATENCY).await;
        if item.is_multiple_of(4) { Err(Failure::new(Class::Rejected)) } else { Ok(()) }
    };
    let mut run = Batch::new(reads(), &clock).run(stream::iter(0..20), work);
    let progress = run.progress();
    assert_eq!(progress.snapshot().taken, 0);
    clock.run(run.next());
    let snapshot = progress.snapshot();
    assert_eq!((snapshot.taken, snapshot.done + snapshot.failed, snapshot.in_flight), (10, 1, 9));
    assert_eq!((snapshot.concurrency, snapshot.elapsed, snapshot.end), (10, LATENCY, None));
    clock.run(run.collect::<Vec<_>>());
    let snapshot = progress.snapshot();
    assert_eq!((snapshot.done, snapshot.failed, snapshot.in_flight), (15, 5, 0));
    assert_eq!((snapshot.calls, snapshot.end), (20, Some(End::Complete)));
}

#[tokio::test]
async fn a_run_can_be_a_task_of_its_own_on_the_clock_of_the_machine() {
    let clock = Clock::system();
    let batch = Batch::new(reads(), &clock);
    let run = batch.run(stream::iter(0..100_u64), |item| async move {
        tokio::task::yield_now().await;
        Ok::<_, Failure>(item)
    });
    let outcomes = tokio::spawn(run.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(outcomes.into_iter().filter_map(|outcome| outcome.result.ok()).sum::<u64>(), 4_950);
}
