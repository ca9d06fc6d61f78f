use std::convert::Infallible;
use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use futures::FutureExt as _;
use jebi_cache::{Body, Hit, Load, Loaded, Namespace};

use crate::support::{Key, builder};

async fn page() -> Namespace {
    let cache = builder().build().expect("a good configuration");
    let pages = cache.namespace("pages").expect("declared");
    let load = |at: Load| async move {
        ["one", "two", "three"].into_iter().for_each(|tag| at.add_tag(tag));
        Ok::<_, Infallible>(Loaded::from(Body::new("a page")))
    };
    pages.get_or_load(&Key(1, 1), load).await.expect("a value");
    pages
}

fn of_a_hit(get: impl Fn() -> Hit) -> AllocationInfo {
    // What a thread sets up once.
    black_box(get());
    measure(|| {
        // More than are between two that are timed.
        for _ in 0..1_000 {
            black_box(get());
        }
    })
}

#[tokio::test]
async fn a_hit_in_the_process_allocates_nothing() {
    let pages = page().await;
    let tried = of_a_hit(|| pages.try_get(&Key(1, 1)).expect("it is there"));
    assert_eq!(tried.count_total, 0, "{tried:?}");
    let load = |_| async { Ok::<_, Infallible>(Loaded::absent()) };
    let loaded = of_a_hit(|| {
        let hit = pages.get_or_load(&Key(1, 1), load).now_or_never();
        hit.expect("a hit does not wait").expect("a hit does not fail")
    });
    assert_eq!(loaded.count_total, 0, "{loaded:?}");
}
