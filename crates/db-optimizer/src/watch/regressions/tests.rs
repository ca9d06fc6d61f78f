use proptest::prelude::*;

use super::*;
use crate::testing::Numbers;

/// A statement in a replay: how often it runs, and what a call costs.
struct Replayed {
    counter: Counter,
    calls_per_second: f64,
    cost: fn(&mut Numbers, f64) -> f64,
    /// What every call costs more from some moment on.
    factor: f64,
}

/// From 0 to 1.
fn share(numbers: &mut Numbers) -> f64 {
    f64::from(u32::try_from(numbers.below(1 << 31)).unwrap()) / f64::from(1_u32 << 31)
}

/// Normally distributed, about.
fn normal(numbers: &mut Numbers) -> f64 {
    (0..12).map(|_| share(numbers)).sum::<f64>() - 6.0
}

/// What calls cost at some hour of the day: noise as statements have it.
const COSTS: [fn(&mut Numbers, f64) -> f64; 7] = [
    // Always the same.
    |_, _| 200.0,
    // A few more or fewer.
    |numbers, _| 60.0 + 80.0 * share(numbers),
    // Log-normal: mostly little, sometimes much.
    |numbers, _| 100.0 * normal(numbers).exp(),
    // One filter in a hundred is fifty times as dear.
    |numbers, _| if share(numbers) < 0.01 { 5_000.0 } else { 100.0 },
    // Two plans, by what is asked for.
    |numbers, _| if share(numbers) < 0.2 { 2_000.0 } else { 40.0 },
    // Twice as dear by night.
    |numbers, hour| {
        (2.0 + (hour / 24.0 * std::f64::consts::TAU).cos()) * (90.0 + 20.0 * share(numbers))
    },
    // Grows by half within the day.
    |numbers, hour| (300.0 + 6.0 * hour) * (0.5 + share(numbers)),
];

fn statements() -> Vec<Replayed> {
    let rates = [0.2, 2.0, 6.0];
    let pairs = COSTS.iter().flat_map(|cost| rates.map(|rate| (*cost, rate)));
    pairs
        .zip(1..)
        .map(|((cost, calls_per_second), query_id)| Replayed {
            counter: Counter { query_id, calls: 1_000, buffers: 7_000 },
            calls_per_second,
            cost,
            factor: 1.0,
        })
        .collect()
}

impl Replayed {
    #[expect(clippy::cast_possible_truncation, reason = "small and positive")]
    fn run(&mut self, numbers: &mut Numbers, seconds: f64, hour: f64) {
        let expected = self.calls_per_second * seconds;
        let calls = (expected + expected.sqrt() * normal(numbers)).round().max(0.0) as i64;
        for _ in 0..calls {
            self.counter.buffers += ((self.cost)(numbers, hour) * self.factor) as i64;
        }
        self.counter.calls += calls;
    }
}

fn at(seconds: f64) -> DateTime<Utc> {
    #[expect(clippy::cast_possible_truncation, reason = "a day")]
    let ms = (seconds * 1e3) as i64;
    DateTime::from_timestamp_millis(ms).unwrap()
}

/// The same days in every run: a day of chance may hold a second alarm.
const SEEDS: [u64; 3] = [1, 20, 300];

#[test]
fn a_day_of_normal_noise_gives_one_false_alarm_at_most() {
    SEEDS.into_iter().for_each(quiet_day);
}

fn quiet_day(seed: u64) {
    let mut numbers = Numbers::new(seed);
    let (mut all, mut regressions, mut alarms) = (statements(), Regressions::default(), vec![]);
    for sample in 0..5_760_u32 {
        let seconds = f64::from(sample) * 15.0;
        all.iter_mut().for_each(|one| one.run(&mut numbers, 15.0, seconds / 3_600.0));
        let counters: Vec<Counter> = all.iter().map(|one| one.counter).collect();
        alarms.extend(regressions.add(at(seconds), &counters));
    }
    assert!(alarms.len() <= 1, "{alarms:?}");
}

#[test]
fn a_threefold_rise_of_one_statement_is_found_within_a_minute_whenever_it_comes() {
    let mut numbers = Numbers::new(7);
    for every in [15.0, 20.0, 30.0] {
        for tenth in 0..10 {
            let mut all = statements();
            let mut regressions = Regressions::default();
            let (mut seconds, mut found_after) = (0.0, HashMap::new());
            let broken: Vec<i64> = all
                .iter()
                // Enough calls in a window, and no noise of the same size as what is looked for.
                .filter(|one| {
                    one.calls_per_second * every >= if every > 20.0 { 150.0 } else { 20.0 }
                })
                .filter(|one| {
                    ![COSTS[3], COSTS[4]].iter().any(|cost| std::ptr::fn_addr_eq(*cost, one.cost))
                })
                .map(|one| one.counter.query_id)
                .collect();
            let change = 3_600.0 + every * f64::from(tenth) / 10.0;
            while seconds < change + 60.0 {
                let next = seconds + every;
                for one in &mut all {
                    let hour = seconds / 3_600.0;
                    let before = (change.min(next) - seconds).max(0.0);
                    one.run(&mut numbers, before, hour);
                    if next > change && broken.contains(&one.counter.query_id) {
                        // Where the mean of a window is off by half, three times may look like two.
                        let is_rough = std::ptr::fn_addr_eq(one.cost, COSTS[2]);
                        one.factor = if is_rough { 6.0 } else { 3.0 };
                    }
                    one.run(&mut numbers, every - before, hour);
                }
                seconds = next;
                let counters: Vec<Counter> = all.iter().map(|one| one.counter).collect();
                for found in regressions.add(at(seconds), &counters) {
                    assert!(seconds > change, "too early: {found:?}");
                    found_after.insert(found.query_id, seconds - change);
                }
            }
            let late: Vec<&i64> = broken
                .iter()
                .filter(|id| found_after.get(id).is_none_or(|after| *after > 60.0))
                .collect();
            assert!(late.is_empty(), "every {every} s, {tenth}: {late:?} of {broken:?}");
        }
    }
}

/// Samples of one statement, from the calls and the pages of each.
fn follow(windows: &[(i64, i64)]) -> (Regressions, Vec<Regression>) {
    let (mut regressions, mut found) = (Regressions::default(), vec![]);
    let mut counter = Counter { query_id: 1, calls: 5, buffers: 500 };
    regressions.add(at(0.0), &[counter]);
    for (calls, buffers) in windows {
        counter.calls += calls;
        counter.buffers += buffers;
        found.extend(regressions.add(at(1.0), &[counter]));
    }
    (regressions, found)
}

#[test]
fn a_regression_lasts_until_the_statement_reads_little_again() {
    let mut windows = vec![(100, 10_000); 30];
    windows.extend([(100, 400_000); 5]);
    let (regressions, found) = follow(&windows);
    assert_eq!(found.len(), 1, "told once: {found:?}");
    assert_eq!((found[0].before, found[0].now, found[0].calls), (100.0, 4_000.0, 100));
    assert_eq!(regressions.current(), found);
    windows.push((100, 11_000));
    let (regressions, found) = follow(&windows);
    assert_eq!((regressions.current(), found.len()), (vec![], 1));
}

#[test]
fn few_calls_small_rises_and_resets_are_no_regressions() {
    let usual = vec![(100, 10_000); 30];
    let with = |more: &[(i64, i64)]| follow(&[usual.as_slice(), more].concat()).1;
    assert_eq!(with(&[(19, 1_900_000)]), [], "too few calls");
    assert_eq!(with(&[(100, 24_000); 5]), [], "not threefold");
    assert_eq!(with(&[(-2_900, -290_000), (100, 10_000)]), [], "a reset");
    assert_eq!(with(&[(19, 1_900_000), (1, 100)]).len(), 1, "enough calls in two samples");
    let small = vec![(100, 400); 30];
    assert_eq!(
        follow(&[small.as_slice(), &[(100, 4_400); 5]].concat()).1,
        [],
        "an index-only scan"
    );
}

#[test]
fn what_is_new_is_learned_first_and_only_a_thousand_statements_are_followed() {
    let mut regressions = Regressions::default();
    for sample in 1..=30 {
        let counters: Vec<Counter> = (0..1_500)
            .map(|query_id| Counter { query_id, calls: sample * 50, buffers: sample * 50_000 })
            .collect();
        assert_eq!(regressions.add(at(0.0), &counters), []);
    }
    assert_eq!(regressions.tracks.len(), MOST);
}

proptest! {
    /// Counters come from a server: whatever it says, nothing panics, and a steady statement is no regression.
    #[test]
    fn any_counters_can_be_added(samples in proptest::collection::vec((0..5_i64, any::<u32>(), any::<u32>()), 0..60)) {
        let mut regressions = Regressions::default();
        for (query_id, calls, buffers) in samples {
            let counter = Counter { query_id, calls: calls.into(), buffers: buffers.into() };
            for found in regressions.add(at(0.0), &[counter]) {
                prop_assert!(found.now >= RISE * found.before);
            }
        }
    }

    #[test]
    fn a_steady_statement_is_never_a_regression(calls in 1..500_i64, cost in 0..100_000_i64) {
        prop_assert_eq!(follow(&vec![(calls, calls * cost); 50]).1, []);
    }
}
