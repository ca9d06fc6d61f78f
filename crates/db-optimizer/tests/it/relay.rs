use jebi_db_optimizer::relay::{News, announced, last, move_events, news, rotate};
use jebi_db_optimizer::testing::{TestDatabase, assert_statements, run_as_service};
use jebi_domain::SellerId;
use uuid::Uuid;

const HERE: Uuid = Uuid::from_u128(1);
const THERE: Uuid = Uuid::from_u128(2);

/// An event of order `aggregate`, as a statement.
fn event(seller: SellerId, id: u128, aggregate: u128, version: i64) -> String {
    let (id, aggregate) = (Uuid::from_u128(id), Uuid::from_u128(aggregate));
    format!(
        "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload)
         VALUES ('{id}', '{seller}', 'orders:updated', '{aggregate}', {version}, '{{}}')"
    )
}

fn ids(news: &News) -> Vec<u128> {
    news.events.iter().map(|happened| happened.id.as_uuid().as_u128()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_moved_once_in_the_order_of_their_aggregates() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    // Made by processes whose clocks differ: the ids are not in the order of the versions.
    for (seller, id, aggregate, version) in
        [(one, 10, 7, 3), (one, 11, 7, 2), (other, 12, 7, 1), (one, 13, 8, 1), (one, 14, 7, 4)]
    {
        db.run(&event(seller, id, aggregate, version)).await;
    }
    assert!(assert_statements(&db.pool, 1, move_events(&db.pool, HERE)).await.unwrap());
    assert_eq!(db.number("SELECT count(*) FROM outbox").await, 0);
    let first = assert_statements(&db.pool, 1, news(&db.pool, 0)).await.unwrap();
    assert_eq!(ids(&first), [11, 10, 14, 12, 13]);
    assert_eq!((first.upto, first.is_broken), (5, false));
    assert!(first.complete_until.is_some());
    let positions = "SELECT string_agg(position::text, ' ' ORDER BY sequence) FROM events
                     WHERE seller_id = (SELECT id FROM sellers WHERE name = 'one')";
    assert_eq!(db.text(positions).await, "1 2 3 4");

    db.run(&event(one, 15, 8, 2)).await;
    assert!(move_events(&db.pool, HERE).await.unwrap());
    assert_eq!(ids(&news(&db.pool, 5).await.unwrap()), [15]);
    assert_eq!(last(&db.pool).await.unwrap(), 6);
    assert_eq!(ids(&news(&db.pool, 6).await.unwrap()), Vec::<u128>::new());
    assert_eq!(db.text(positions).await, "1 2 3 4 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_commits_late_is_moved_late_and_not_lost() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let late = db.pool.begin(seller).await.unwrap();
    run_as_service(&late, &event(seller, 1, 7, 1)).await.unwrap();
    db.run(&event(seller, 2, 8, 1)).await;
    assert!(move_events(&db.pool, HERE).await.unwrap());
    let first = news(&db.pool, 0).await.unwrap();
    assert_eq!(ids(&first), [2]);
    late.commit().await.unwrap();
    assert!(move_events(&db.pool, HERE).await.unwrap());
    assert_eq!(ids(&news(&db.pool, first.upto).await.unwrap()), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_moves_events_and_another_takes_over() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    assert!(move_events(&db.pool, HERE).await.unwrap());
    db.run(&event(seller, 1, 7, 1)).await;
    db.run("UPDATE relay SET held_until = clock_timestamp() + interval '1 hour'").await;
    assert!(!move_events(&db.pool, THERE).await.unwrap());
    assert_eq!(db.number("SELECT count(*) FROM outbox").await, 1);
    // The holder died.
    db.run("UPDATE relay SET held_until = clock_timestamp()").await;
    assert!(move_events(&db.pool, THERE).await.unwrap());
    assert_eq!(ids(&news(&db.pool, 0).await.unwrap()), [1]);
    assert_eq!(news(&db.pool, 0).await.unwrap().announced, 0);
    announced(&db.pool, 1).await.unwrap();
    announced(&db.pool, 0).await.unwrap();
    assert_eq!(news(&db.pool, 1).await.unwrap().announced, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_movers_at_once_move_each_event_once() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let all = "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload)
               SELECT gen_random_uuid(), id, 'orders:updated', gen_random_uuid(), 1, '{}'
               FROM sellers, generate_series(1, 5000)";
    db.run(all).await;
    let movers = (0..8).map(|_| move_events(&db.pool, HERE));
    for moved in futures::future::join_all(movers).await {
        moved.unwrap();
    }
    let (mut after, mut seen) = (0, std::collections::HashSet::new());
    loop {
        let news = news(&db.pool, after).await.unwrap();
        assert!(!news.is_broken);
        if news.events.is_empty() {
            assert!(news.complete_until.is_some());
            break;
        }
        assert!(news.events.iter().all(|happened| happened.seller == seller));
        seen.extend(ids(&news));
        after = news.upto;
    }
    assert_eq!((seen.len(), after), (5_000, 5_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_move_events_does_not_wait_for_who_does() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    db.run(&event(seller, 1, 7, 1)).await;
    let moving = db.pool.begin(seller).await.unwrap();
    let move_one = format!("SELECT jebi_move_events('{HERE}', 10)");
    run_as_service(&moving, &move_one).await.unwrap();
    // Not committed: the row is locked.
    assert!(!move_events(&db.pool, THERE).await.unwrap());
    assert_eq!(ids(&news(&db.pool, 0).await.unwrap()), Vec::<u128>::new());
    moving.commit().await.unwrap();
    assert_eq!(ids(&news(&db.pool, 0).await.unwrap()), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_missed_events_that_are_gone_is_told() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    for id in 1..=3 {
        db.run(&event(seller, id, id, 1)).await;
    }
    move_events(&db.pool, HERE).await.unwrap();
    db.run("DELETE FROM events WHERE sequence <= 2").await;
    assert!(news(&db.pool, 0).await.unwrap().is_broken);
    assert!(news(&db.pool, 1).await.unwrap().is_broken);
    assert!(!news(&db.pool, 2).await.unwrap().is_broken);
    db.run("DELETE FROM events").await;
    let gone = news(&db.pool, 2).await.unwrap();
    assert_eq!((gone.is_broken, gone.upto), (true, 3));
    assert!(!news(&db.pool, 3).await.unwrap().is_broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_old_days_go_with_their_partition() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
    rotate(&db.pool).await.unwrap();
    rotate(&db.pool).await.unwrap();
    assert_eq!(db.number(partitions).await, 3, "the default, tomorrow, and the day after");
    db.run(
        "CREATE TABLE events_20200101 PARTITION OF events
             FOR VALUES FROM ('2020-01-01T00:00:00Z') TO ('2020-01-02T00:00:00Z')",
    )
    .await;
    for (id, days) in [(1, 0), (2, 1), (3, 30)] {
        let at = format!("now() + interval '{days} days'");
        db.run(&event(seller, id, id, 1)).await;
        db.run(&format!("UPDATE outbox SET occurred_at = {at}")).await;
        move_events(&db.pool, HERE).await.unwrap();
    }
    db.run("UPDATE events SET occurred_at = now() - interval '8 days' WHERE sequence = 1").await;
    rotate(&db.pool).await.unwrap();
    assert_eq!(db.number(partitions).await, 3);
    assert_eq!(
        db.text("SELECT string_agg(sequence::text, ' ' ORDER BY 1) FROM events").await,
        "2 3"
    );
}
