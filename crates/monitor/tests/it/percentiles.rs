use std::time::Duration;

use jebi_monitor::{Histogram, Outcome};
use proptest::prelude::{ProptestConfig, any, proptest};

use crate::support::{Random, monitor};

fn value(shape: u8, random: &mut Random) -> Duration {
    let seconds = match shape {
        0 => 0.002 * random.normal().exp(),
        1 if random.next() < 0.98 => 0.002 * (0.3 * random.normal()).exp(),
        1 => 0.4 * (0.2 * random.normal()).exp(),
        _ => 0.0005 * random.next().powf(-1.0 / 1.2),
    };
    Duration::from_secs_f64(seconds.min(4_000.0))
}

fn check(histogram: &Histogram, exact: &[Duration]) {
    assert_eq!(histogram.count(), exact.len() as u64);
    for (share, rank) in
        [(0.5, 5_000), (0.95, 9_500), (0.99, 9_900), (0.999, 9_990), (0.9999, 9_999)]
    {
        let exact = exact[(exact.len() * rank).div_ceil(10_000) - 1].as_secs_f64();
        let told = histogram.quantile(share).expect("not empty").as_secs_f64();
        assert!((told / exact - 1.0).abs() <= 0.0079, "p{share}: {told} for {exact}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn percentiles_are_within_a_hundredth_after_merge_and_roll_up(
        seed in any::<u64>(), shape in 0..3_u8,
    ) {
        let (random, (monitor, clock)) = (&mut Random(seed), monitor());
        let operation = monitor.track_operation("a");
        let (mut exact, mut parts) = (Vec::new(), vec![Histogram::default(); 3]);
        for at in 0..20_000 {
            let took = value(shape, random);
            exact.push(took);
            parts[at % 3].record(took);
            operation.record(took, Outcome::Ok);
            if at % 100 == 99 {
                monitor.collect();
                clock.advance(Duration::from_secs(1));
            }
        }
        exact.sort_unstable();
        let mut merged = Histogram::default();
        parts.iter().for_each(|part| merged.merge(part));
        check(&merged, &exact);
        let seconds = monitor.histogram("a", Duration::from_mins(15)).expect("registered");
        let minutes = monitor.histogram("a", Duration::from_hours(24)).expect("registered");
        check(&seconds, &exact);
        assert_eq!(seconds, minutes);
    }
}
