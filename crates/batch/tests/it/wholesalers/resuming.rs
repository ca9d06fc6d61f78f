//! A walk that stops at any page goes on from its checkpoint.

use std::collections::BTreeSet;

use jebi_batch::Class;
use jebi_batch::wholesaler::{Checkpoint, Key, Page};
use jebi_domain::Wholesaler;
use jebi_simulator::Settings;

use crate::wholesalers::support::{DAY, Outside};

fn keys<'a>(pages: impl IntoIterator<Item = &'a Page>) -> BTreeSet<&'a Key> {
    let products = pages.into_iter().flat_map(|page| &page.products);
    products.map(|product| &product.key).collect()
}

fn keys_in_order(pages: &[Page]) -> impl Iterator<Item = &Key> {
    pages.iter().flat_map(|page| &page.products).map(|product| &product.key)
}

/// As it is stored and read back by another process.
fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    serde_json::from_str(&serde_json::to_string(checkpoint).unwrap()).unwrap()
}

#[test]
fn from_each_checkpoint_a_walk_finds_all_the_rest() {
    let outside = Outside::of(2_100);
    for &wholesaler in Wholesaler::ALL {
        let whole = outside.walk(wholesaler, None);
        assert!(whole.len() > 2, "{wholesaler:?}");
        for (at, page) in whole.iter().enumerate().filter(|(at, _)| at % 3 != 1) {
            let Some(next) = &page.next else { continue };
            let rest = outside.walk(wholesaler, Some(&stored(next)));
            let both = keys(whole[..=at].iter().chain(&rest));
            assert_eq!(both, keys(&whole), "{wholesaler:?} after page {at}");
            // A file is read again from its begin, nothing else is.
            let again = rest.iter().flat_map(|page| &page.products);
            let again = again.filter(|product| keys(&whole[..=at]).contains(&product.key)).count();
            assert!(again == 0 || wholesaler == Wholesaler::Zentrade, "{again}");
        }
    }
}

#[test]
fn a_checkpoint_that_knows_a_page_alone_loses_nothing_and_reads_one_page_again() {
    let outside = Outside::of(2_100);
    let whole = outside.walk(Wholesaler::Domeggook, None);
    for page in 1..=11 {
        let checkpoint = format!(r#"{{"of":"domeggook_items","page":{page}}}"#);
        let checkpoint: Checkpoint = serde_json::from_str(&checkpoint).unwrap();
        let rest = outside.walk(Wholesaler::Domeggook, Some(&checkpoint));
        let all: Vec<&Key> = keys_in_order(&whole).collect();
        let left = keys_in_order(&rest).count();
        assert!(keys_in_order(&rest).eq(all[all.len() - left..].iter().copied()));
        // Of 200 items each, the page behind which it stands is read again, and some of one more.
        let behind = all.len().saturating_sub((page - 1) * 200);
        assert!((behind..behind + 400).contains(&left) || left == all.len(), "{page}: {left}");
    }
}

#[test]
fn from_each_checkpoint_the_changes_of_a_window_are_found() {
    let settings = Settings { drift: true, ..Settings::default() };
    let outside = Outside::with(settings.with_items(9_000));
    let began = outside.now();
    outside.clock.advance(DAY * 3);
    for wholesaler in [Wholesaler::Ownerclan, Wholesaler::Domeggook] {
        let client = outside.client(wholesaler);
        let window = outside.window(began);
        let (whole, _) = outside.pages(client.changes(window, None));
        for (at, page) in whole.iter().enumerate() {
            let Some(next) = &page.next else { continue };
            let (rest, failed) = outside.pages(client.changes(window, Some(&stored(next))));
            assert!(failed.is_none());
            assert_eq!(keys(whole[..=at].iter().chain(&rest)), keys(&whole));
        }
        assert!(whole.len() >= 4 && keys(&whole).len() > 3_000, "{}", keys(&whole).len());
    }
}

#[test]
fn a_checkpoint_of_another_stream_is_refused() {
    let outside = Outside::of(1_200);
    let checkpoint = |wholesaler| outside.walk(wholesaler, None)[0].next.clone();
    let checkpoints: Vec<Option<Checkpoint>> =
        Wholesaler::ALL.iter().copied().map(checkpoint).collect();
    for &wholesaler in Wholesaler::ALL {
        let client = outside.client(wholesaler);
        for (of, checkpoint) in Wholesaler::ALL.iter().zip(&checkpoints) {
            let checkpoint = checkpoint.as_ref();
            if *of != wholesaler {
                let (pages, failed) = outside.pages(client.walk(checkpoint));
                assert_eq!((pages.len(), failed.unwrap().class()), (0, Class::Rejected));
            }
            if *of != wholesaler || wholesaler != Wholesaler::Zentrade {
                let window = outside.window(outside.now());
                let (pages, failed) = outside.pages(client.changes(window, checkpoint));
                assert_eq!((pages.len(), failed.unwrap().class()), (0, Class::Rejected));
            }
        }
    }
}
