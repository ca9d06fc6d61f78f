use jebi_cache::{Event, Level, Namespace, Scope};

use crate::support::{
    Key, Source, build, builder, connected, node, pages, prefix, stats, text, until,
};

#[tokio::test]
async fn a_value_is_found_in_the_process_then_in_redis_then_at_the_source() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let (pages, pages_there) = (here.namespace("pages"), there.namespace("pages"));
    let (pages, pages_there) = (pages.expect("declared"), pages_there.expect("declared"));
    let source = Source::default();
    let key = Key(1, 1);

    let first = source.get(&pages, &key).await;
    assert_eq!((first.level(), text(&first).as_str()), (Level::Load, "0"));
    assert_eq!(source.get(&pages, &key).await.level(), Level::L1);
    let elsewhere = source.get(&pages_there, &key).await;
    assert_eq!((elsewhere.level(), text(&elsewhere).as_str()), (Level::L2, "0"));
    assert_eq!(source.loads(), 1);

    source.change();
    here.emit(&Event::new("orders:updated", Scope::new(1))).await;
    let after = source.get(&pages, &key).await;
    assert_eq!((after.level(), text(&after).as_str()), (Level::Load, "1"));
    until("the other process has heard", || pages_there.try_get(&key).is_none()).await;
    let after = source.get(&pages_there, &key).await;
    assert_eq!((after.level(), text(&after).as_str()), (Level::L2, "1"));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn a_value_that_got_something_beside_it_is_the_same_value() {
    let cache = build(builder().max_value_bytes(1_000));
    let (pages, source, key) = (pages(&cache), Source::default(), Key(1, 1));
    let first = source.get(&pages, &key).await;
    let body = first.body().expect("it is there").clone();
    let gzip = |at: &Namespace| at.try_get(&key).and_then(|hit| hit.body()?.gzip.clone());
    let bytes = stats(&cache).bytes;

    pages.replace_body(&key, &first, body.clone().with_gzip("smaller"));
    assert_eq!(gzip(&pages).as_deref(), Some(&b"smaller"[..]));
    assert_eq!(source.get(&pages, &key).await.level(), Level::L1);
    assert_eq!((stats(&cache).bytes, stats(&cache).entries), (bytes + 7, 1));

    // Of a hit whose place another took.
    pages.replace_body(&key, &first, body.clone().with_gzip("late"));
    assert_eq!(gzip(&pages).as_deref(), Some(&b"smaller"[..]));
    let now = pages.try_get(&key).expect("it is there");
    pages.replace_body(&key, &now, body.clone().with_gzip(vec![0; 1_000]));
    assert_eq!(gzip(&pages).as_deref(), Some(&b"smaller"[..]), "larger than a value may be");

    source.change();
    pages.invalidate(&key).await;
    assert_eq!(gzip(&pages), None);
    pages.replace_body(&key, &now, body.with_gzip("old"));
    assert_eq!(gzip(&pages), None, "what was invalidated stays so");
    assert_eq!(source.get(&pages, &key).await.level(), Level::Load);
}
