//! However large a catalogue is, a page of it is in memory.

use allocation_counter::measure;
use futures::StreamExt as _;
use jebi_domain::Wholesaler;
use jebi_simulator::Settings;

use crate::wholesalers::support::Outside;

/// How many products a walk has found, and the most bytes that were there at once, those of the
/// simulator included.
fn walk(wholesaler: Wholesaler, settings: Settings) -> (usize, u64) {
    let outside = Outside::with(Settings { enforce_limits: false, ..settings });
    let client = outside.client(wholesaler);
    let mut products = 0;
    let measured = measure(|| {
        let pages = client.walk(None).for_each(|page| {
            products += page.unwrap().products.len();
            std::future::ready(())
        });
        outside.clock.run(pages);
    });
    (products, measured.bytes_max)
}

#[test]
fn forty_megabytes_of_zentrade_are_read_in_a_few() {
    let settings = Settings { description_bytes: 12_500, ..Settings::default() };
    let (products, bytes) = walk(Wholesaler::Zentrade, settings.with_items(3_500));
    println!("zentrade: {bytes} bytes for {products} products of 12.5 kB");
    assert!(products > 3_300, "{products}");
    assert!(bytes < 16_000_000, "{bytes}");
}

#[test]
fn a_million_items_of_ownerclan_are_walked_in_a_few_megabytes() {
    let settings = Settings { description_bytes: 1, ..Settings::default() };
    let (products, bytes) = walk(Wholesaler::Ownerclan, settings.with_items(1_000_000));
    println!("ownerclan: {bytes} bytes for {products} products");
    assert!(products > 990_000, "{products}");
    assert!(bytes < 32_000_000, "{bytes}");
}

#[test]
fn pages_of_domeggook_take_as_much_memory_behind_as_in_front() {
    let of = |items| walk(Wholesaler::Domeggook, Settings::default().with_items(items));
    let ((few, small), (many, large)) = (of(3_000), of(20_000));
    println!("domeggook: {small} bytes for {few} products, {large} for {many}");
    assert!(large < small + 1_500_000, "{small} and {large}");
}
