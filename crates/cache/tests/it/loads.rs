use std::convert::Infallible;
use std::sync::Arc;

use jebi_cache::{Body, LoadError, Loaded};
use tokio::sync::Notify;

use crate::support::{Key, Source, builder, text};

#[tokio::test]
async fn a_caller_who_comes_after_an_invalidation_does_not_get_what_was_loaded_before() {
    let cache = builder().build().expect("a good configuration");
    let pages = cache.namespace("pages").expect("declared");
    let (began, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (pages, began, go) = (pages.clone(), Arc::clone(&began), Arc::clone(&go));
        tokio::spawn(async move {
            let load = |_| async move {
                began.notify_one();
                go.notified().await;
                Ok::<_, Infallible>(Loaded::from(Body::new("old")))
            };
            pages.get_or_load(&Key(1, 1), load).await
        })
    };
    began.notified().await;
    pages.invalidate(&Key(1, 1)).await;
    let source = Source::default();
    assert_eq!(text(&source.get(&pages, &Key(1, 1)).await), "0");
    go.notify_one();
    let old = slow.await.expect("no panic").expect("a value");
    assert_eq!(text(&old), "old", "it came before the invalidation");
    assert_eq!(text(&source.get(&pages, &Key(1, 1)).await), "0");
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn a_loader_that_asks_for_its_own_key_is_told_so() {
    let cache = builder().build().expect("a good configuration");
    let pages = cache.namespace("pages").expect("declared");
    let inner = pages.clone();
    let outer = pages.get_or_load(&Key(1, 1), |_| async move {
        let nested = inner.get_or_load(&Key(1, 1), |at| Source::default().load(at)).await;
        nested.map(|hit| Loaded::from(hit.body().cloned()))
    });
    let error = outer.await.expect_err("it waits for itself");
    assert!(matches!(error.loader(), Some(LoadError::Recursive)), "{error}");
}
