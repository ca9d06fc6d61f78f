use super::*;

const ORDER: &str = "SELECT * FROM orders WHERE id = $1";
const LINES: &str = "SELECT * FROM order_items WHERE order_id = ANY($1)";

/// A statement is run.
fn run(text: &str) {
    drop(note(text));
}

/// What work of this name was found to repeat, and how often.
fn counts(found: &Found) -> Vec<(String, String, u32)> {
    let findings = found.findings().into_iter();
    let mut counts: Vec<_> =
        findings.map(|finding| (finding.work, finding.statement, finding.count)).collect();
    counts.sort();
    counts
}

async fn runs(found: &Found, work: impl Future<Output = ()>) {
    watch(found, work, |()| "work".to_owned()).await;
}

#[tokio::test]
async fn a_statement_that_runs_more_often_than_allowed_is_found_with_its_count() {
    for times in 0..=70 {
        let found = Found::default();
        let work = async { (0..times).for_each(|_| run(ORDER)) };
        runs(&found, work).await;
        let expected = (times > ALLOWED).then(|| ("work".to_owned(), ORDER.to_owned(), times));
        assert_eq!(counts(&found), Vec::from_iter(expected), "{times}");
    }
}

#[tokio::test]
async fn many_different_statements_are_no_repetition() {
    let found = Found::default();
    let work = async {
        for n in 0..500 {
            run(&format!("SELECT {n}"));
            run(&format!("SELECT '{n}' FROM a_table_with_a_longer_name"));
        }
    };
    runs(&found, work).await;
    assert!(found.findings().is_empty());
}

#[tokio::test]
async fn turns_that_are_declared_are_not_found_but_what_they_repeat_inside_is() {
    for reason in [Reason::Retry, Reason::Chunks, Reason::Pages] {
        let found = Found::default();
        let work = async {
            for turn in 0..10 {
                let is_bad = turn == 7;
                expected(reason, async {
                    run(LINES);
                    (0..5).filter(|_| is_bad).for_each(|_| run(ORDER));
                })
                .await;
            }
        };
        runs(&found, work).await;
        assert_eq!(counts(&found), [("work".to_owned(), ORDER.to_owned(), 5)], "{reason:?}");
        let Turns { retries, chunks, pages } = found.turns();
        assert_eq!((retries + chunks + pages, [retries, chunks, pages][reason as usize]), (10, 10));
    }
}

#[tokio::test]
async fn what_spawned_tasks_run_counts_together_and_is_reported_when_the_last_has_ended() {
    let found = Found::default();
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let mut late = tokio::task::JoinSet::new();
    let work = async {
        run(ORDER);
        let handed = current();
        tokio::spawn(within(handed.clone(), async { run(ORDER) })).await.unwrap();
        late.spawn(within(handed, async {
            wait.await.unwrap();
            run(ORDER);
        }));
    };
    runs(&found, work).await;
    assert!(found.findings().is_empty());
    go.send(()).unwrap();
    late.join_all().await;
    assert_eq!(counts(&found), [("work".to_owned(), ORDER.to_owned(), 3)]);
}

#[tokio::test]
async fn pieces_of_work_at_the_same_time_are_told_apart() {
    let found = Found::default();
    let one = async |times: usize, name: &str| {
        let work = async {
            for _ in 0..times {
                run(ORDER);
                tokio::task::yield_now().await;
            }
        };
        watch(&found, work, |()| name.to_owned()).await;
    };
    tokio::join!(one(2, "a"), one(2, "b"), one(3, "c"), one(2, "d"), one(9, "e"));
    let expected = [("c".to_owned(), ORDER.to_owned(), 3), ("e".to_owned(), ORDER.to_owned(), 9)];
    assert_eq!(counts(&found), expected);
}

#[tokio::test]
async fn work_that_is_given_up_is_reported_all_the_same() {
    let found = Found::default();
    {
        let work = async {
            (0..3).for_each(|_| run(ORDER));
            std::future::pending::<()>().await;
        };
        let mut work = std::pin::pin!(watch(&found, work, |()| "work".to_owned()));
        assert!(futures::poll!(&mut work).is_pending());
    }
    assert_eq!(counts(&found), [("abandoned".to_owned(), ORDER.to_owned(), 3)]);
}

#[tokio::test]
async fn outside_of_any_work_nothing_is_counted() {
    run(ORDER);
    assert!(current().is_none());
    assert_eq!(within(None, async { 7 }).await, 7);
    assert_eq!(expected(Reason::Retry, async { 7 }).await, 7);
}

#[tokio::test]
async fn the_same_finding_is_one_finding_and_only_the_latest_hundred_are_kept() {
    let found = Found::default();
    let repeat = async |name: String, times: u32| {
        let work = async { (0..times).for_each(|_| run(ORDER)) };
        watch(&found, work, |()| name).await;
    };
    for times in [5, 9, 4] {
        repeat("same".to_owned(), times).await;
    }
    let same = found.findings().remove(0);
    assert_eq!((same.count, same.times), (9, 3));
    assert!(same.first_seen <= same.last_seen);
    for n in 0..150 {
        repeat(format!("work {n}"), 3).await;
    }
    let names: Vec<String> = found.findings().into_iter().map(|finding| finding.work).collect();
    assert_eq!(names.len(), 100);
    assert!(names.contains(&"work 149".to_owned()) && !names.contains(&"same".to_owned()));
}

#[test]
fn texts_that_differ_have_different_fingerprints() {
    let mut seen = std::collections::HashSet::new();
    for length in 0..100 {
        assert!(seen.insert(fingerprint(&"\0".repeat(length))), "{length}");
        assert!(seen.insert(fingerprint(&format!("{}x", "a".repeat(length)))), "{length}");
        assert!(seen.insert(fingerprint(&format!("x{}", "a".repeat(length + 1)))), "{length}");
    }
}
