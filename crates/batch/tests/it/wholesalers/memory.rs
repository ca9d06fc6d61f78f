//! However large a catalogue is, a page of it is in memory.

use allocation_counter::measure;
use encoding_rs::EUC_KR;
use futures::StreamExt as _;
use jebi_batch::wholesaler::WholesaleProduct;
use jebi_domain::Wholesaler;
use jebi_simulator::Settings;

use crate::wholesalers::support::Outside;

/// Most bytes that were there at once during a walk, those of the simulator included.
fn walk(
    wholesaler: Wholesaler,
    settings: Settings,
    mut look: impl FnMut(&WholesaleProduct),
) -> u64 {
    let outside = Outside::with(Settings { enforce_limits: false, ..settings });
    let client = outside.client(wholesaler);
    let measured = measure(|| {
        let pages = client.walk(None).for_each(|page| {
            page.unwrap().products.iter().for_each(&mut look);
            std::future::ready(())
        });
        outside.clock.run(pages);
    });
    measured.bytes_max
}

#[test]
fn forty_megabytes_of_zentrade_are_read_in_a_few() {
    let settings = Settings { description_bytes: 18_000, ..Settings::default() };
    let (mut products, mut sent) = (0, 0);
    let bytes = walk(Wholesaler::Zentrade, settings.with_items(3_500), |product| {
        products += 1;
        sent += EUC_KR.encode(product.description.as_ref().unwrap()).0.len();
    });
    println!("zentrade: {bytes} bytes for {products} products of {sent}");
    assert!(products > 3_300 && sent > 40_000_000, "{products} of {sent}");
    assert!(bytes < 8_000_000, "{bytes}");
}

#[test]
fn a_million_items_of_ownerclan_are_walked_in_a_few_megabytes() {
    let settings = Settings { description_bytes: 1, ..Settings::default() };
    let mut products = 0;
    let bytes = walk(Wholesaler::Ownerclan, settings.with_items(1_000_000), |_| products += 1);
    println!("ownerclan: {bytes} bytes for {products} products");
    assert!(products > 990_000, "{products}");
    assert!(bytes < 16_000_000, "{bytes}");
}

#[test]
fn pages_of_domeggook_take_as_much_memory_behind_as_in_front() {
    let of = |items| {
        let mut products = 0;
        let settings = Settings::default().with_items(items);
        (walk(Wholesaler::Domeggook, settings, |_| products += 1), products)
    };
    let ((small, few), (large, many)) = (of(3_000), of(20_000));
    println!("domeggook: {small} bytes for {few} products, {large} for {many}");
    assert!(large < small + 1_500_000, "{small} and {large}");
}
