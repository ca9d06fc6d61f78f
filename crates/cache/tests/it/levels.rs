use jebi_cache::{Event, Level, Scope};

use crate::support::{Key, Source, connected, node, prefix, text, until};

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
