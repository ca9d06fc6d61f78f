//! What the fuzz targets assert, of answers with some changes in them.

use std::ops::Range;

use proptest::prelude::*;

use super::{domeggook_list, domeggook_view, options, ownerclan_items, tiers, zentrade_file};

const CASES: u32 = 1_000;

/// A seed, or a text of marks, with some of it replaced by something else.
fn changed(seeds: &'static [&'static str]) -> impl Strategy<Value = String> {
    let marks = r#"(null|true|""|"\\u0000"|"\\ud83d"|\\u0000|�|-1|0|1e99|9999999999|1\.5|\{|\}|\[|\]|,|:|<!\[CDATA\[|\]\]>|<!--|-->|</product>|<product code="7">|&#0;|&|↑=↑|\^\|\^|\+|\||[ -~가]){0,3}"#;
    let change = (any::<prop::sample::Index>(), 0_usize..40, marks);
    (prop::sample::select(seeds), prop::collection::vec(change, 0..6)).prop_map(
        |(seed, changes)| {
            let mut text = seed.to_owned();
            for (at, length, by) in changes {
                let begin = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.ceil_char_boundary((begin + length).min(text.len()));
                text.replace_range(Range { start: begin, end }, &by);
            }
            text
        },
    )
}

macro_rules! seeds {
    ($($path:literal),*) => {
        &[$(include_str!(concat!("../../../tests/seeds/", $path))),*]
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn items_of_ownerclan_are_sound(text in changed(seeds![
        "ownerclan_items/page.json", "ownerclan_items/by_keys.json", "ownerclan_items/histories.json"
    ])) {
        let _: usize = ownerclan_items(&text);
    }

    #[test]
    fn lists_of_domeggook_are_sound(text in changed(seeds![
        "domeggook_list/page.json", "domeggook_list/single.json", "domeggook_list/changes.json"
    ])) {
        domeggook_list(&text);
    }

    #[test]
    fn items_of_domeggook_are_sound(text in changed(seeds![
        "domeggook_view/view.json", "domeggook_view/views.json"
    ])) {
        let _: usize = domeggook_view(&text);
    }

    #[test]
    fn files_of_zentrade_are_the_same_in_any_pieces_and_sound(
        text in changed(seeds![
            "zentrade_file/products.xml", "zentrade_file/products_single.xml",
            "zentrade_file/products_broken_cdata.xml", "zentrade_file/order_status.xml"
        ]),
        sizes in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let _: usize = zentrade_file(&text, &sizes);
    }

    #[test]
    fn prices_by_quantity_are_sound(text in changed(seeds!["tiers/table.txt", "tiers/one.txt"])) {
        tiers(&text);
    }

    #[test]
    fn options_are_sound(text in changed(seeds!["options/domeggook.json", "options/zentrade.txt"])) {
        options(&text);
    }
}

/// Else the properties would be of nothing but refusals.
#[test]
fn seeds_are_read() {
    let items = |seeds: &[&str], count: fn(&str, &[u8]) -> usize| {
        seeds.iter().for_each(|seed| assert!(count(seed, &[3]) > 0, "{seed}"));
    };
    let ownerclan = seeds!["ownerclan_items/page.json", "ownerclan_items/by_keys.json"];
    items(ownerclan, |text, _| ownerclan_items(text));
    let domeggook = seeds!["domeggook_view/view.json", "domeggook_view/views.json"];
    items(domeggook, |text, _| domeggook_view(text));
    let zentrade = seeds!["zentrade_file/products.xml", "zentrade_file/products_single.xml"];
    items(zentrade, zentrade_file);
}
