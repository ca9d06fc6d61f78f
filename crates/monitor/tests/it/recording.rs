use std::future::pending;
use std::time::Duration;

use allocation_counter::measure;
use futures::FutureExt as _;
use jebi_monitor::{Config, Monitor, Outcome, Resolution};

use crate::support::{MINUTE, Random, monitor};

#[test]
fn recording_allocates_nothing() {
    let (monitor, _) = monitor();
    let operation = monitor.track_operation("a");
    let measured = measure(|| {
        for _ in 0..1_000 {
            operation.record(MINUTE, Outcome::Error);
            operation.scope().ok();
            _ = operation.track(async { Ok::<_, ()>(()) }).now_or_never();
        }
    });
    assert_eq!(measured.count_total, 0, "{measured:?}");
}

#[test]
fn nothing_is_lost_or_counted_twice_while_threads_record_and_one_collects() {
    let (monitor, clock) = monitor();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            let operation = monitor.track_operation("a");
            threads.spawn(move || (0..50_000).for_each(|_| operation.scope().error()));
        }
        for _ in 0..200 {
            monitor.collect();
            clock.advance(Duration::from_secs(1));
        }
    });
    let told = monitor.since_start("a").unwrap();
    let seconds = monitor.summary("a", Duration::from_mins(15)).unwrap();
    assert_eq!((told.count, told.errors), (200_000, 200_000));
    assert_eq!((seconds.count, seconds.errors), (200_000, 200_000));
    assert_eq!(monitor.in_flight("a").unwrap().count, 0);
}

#[test]
fn what_is_dropped_is_cancelled() {
    let (monitor, _) = monitor();
    let operation = monitor.track_operation("a");
    assert!(operation.track(pending::<Result<(), ()>>()).now_or_never().is_none());
    drop(operation.scope());
    let told = monitor.since_start("a").unwrap();
    assert_eq!((told.count, told.errors, told.cancelled), (2, 0, 2));
}

#[test]
fn a_task_that_never_ends_is_seen_with_its_age() {
    let (monitor, clock) = monitor();
    let operation = monitor.track_operation("a");
    let forever = operation.scope();
    clock.advance(MINUTE);
    let many: Vec<_> = (0..1_000).map(|_| operation.scope()).collect();
    let told = monitor.in_flight("a").unwrap();
    assert_eq!((told.count, told.oldest), (1_001, Some(MINUTE)));
    drop(many);
    assert_eq!(monitor.in_flight("a").unwrap().count, 1);
    drop(forever);
    assert_eq!(monitor.in_flight("a").unwrap().oldest, None);
}

#[test]
fn steps_of_the_clock_lose_nothing_and_count_nothing_twice() {
    let (monitor, clock) = monitor();
    let operation = monitor.track_operation("a");
    for at in [7_200, 60, 3_600, 0, 61] {
        clock.step_to(Duration::from_secs(at));
        clock.set_unix_ms(at);
        operation.record(MINUTE, Outcome::Ok);
        monitor.collect();
    }
    assert_eq!(monitor.summary("a", Duration::from_hours(24)).unwrap().count, 5);
    clock.step_to(Duration::from_hours(1_000_000));
    assert_eq!(monitor.summary("a", Duration::from_hours(24)).unwrap().count, 0);
    assert!(monitor.series("a", Resolution::Minute).unwrap().is_empty());
    assert_eq!(monitor.since_start("a").unwrap().count, 5);
}

#[test]
fn a_flood_of_names_goes_into_one_operation() {
    let (monitor, _) = monitor();
    for name in 0..10_000 {
        monitor.track_operation(&format!("name {name}")).record(MINUTE, Outcome::Ok);
    }
    assert_eq!(monitor.operations().len(), 257);
    assert_eq!(monitor.since_start("other").unwrap().count, 9_744);
    assert_eq!(monitor.stats().operations_refused, 9_744);
}

#[test]
fn an_injected_slow_span_is_the_first_bottleneck_for_every_seed() {
    for seed in 0..50 {
        let ((monitor, _), random) = (monitor(), &mut Random(seed));
        let operations: Vec<_> =
            (0..10).map(|at| monitor.track_operation(&format!("{at}"))).collect();
        for at in (0..10).cycle().take(2_000) {
            let took = 0.002 * random.normal().exp() + if at == 4 { 0.05 } else { 0.0 };
            operations[at].record(Duration::from_secs_f64(took), Outcome::Ok);
        }
        assert_eq!(monitor.bottlenecks("*", MINUTE)[0].operation, "4", "seed {seed}");
    }
}

#[test]
fn memory_stays_within_what_the_configuration_says() {
    let clock = jebi_monitor::Clock::manual();
    let config = Config {
        max_operations: 8,
        max_gauges: 2,
        max_window_bytes: 1 << 19,
        clock: clock.clone(),
        ..Config::default()
    };
    let (bound, random) = (config.max_bytes(), &mut Random(1));
    let measured = measure(|| {
        let monitor = Monitor::new(config);
        let operations: Vec<_> =
            (0..20).map(|at| monitor.track_operation(&format!("{at}"))).collect();
        for second in 0..1_500 {
            for operation in &operations {
                let took = Duration::from_secs_f64(0.01 * (2.0 * random.normal()).exp());
                (0..20).for_each(|_| operation.record(took * (1 + second % 50), Outcome::Ok));
            }
            (0..4).for_each(|at| monitor.gauge(&format!("{at}")).set(1.0));
            monitor.collect();
            clock.advance(Duration::from_secs(1));
        }
        let stats = monitor.stats();
        assert!(stats.windows_evicted > 0 && stats.window_bytes <= 1 << 19, "{stats:?}");
    });
    assert!(measured.bytes_max <= bound as u64, "{} of {bound}", measured.bytes_max);
}

#[test]
fn gauges_and_ratios_are_merged_over_a_span() {
    let (monitor, clock) = monitor();
    for wait in [1.0, 5.0, 3.0] {
        monitor.gauge("wait").set(wait);
        monitor.ratio("hits").add(3, 4);
        monitor.collect();
        clock.advance(Duration::from_secs(1));
    }
    let told = monitor.gauge_level("wait", MINUTE).unwrap();
    assert_eq!((told.mean(), told.min, told.max, told.last), (Some(3.0), 1.0, 5.0, 3.0));
    assert_eq!(monitor.ratio_level("hits", MINUTE).unwrap().mean(), Some(0.75));
}

#[test]
fn operations_that_begin_alike_are_read_together() {
    let (monitor, clock) = monitor();
    for (name, outcome) in
        [("http a", Outcome::Ok), ("http b", Outcome::Refused), ("sql a", Outcome::Error)]
    {
        monitor.track_operation(name).record(MINUTE, outcome);
    }
    monitor.collect();
    clock.advance(Duration::from_secs(1));
    monitor.track_operation("http b").record(Duration::from_millis(1), Outcome::Ok);
    let sql = monitor.track_operation("sql a");
    let _under_way = sql.scope();
    let http = monitor.summary("http *", MINUTE).unwrap();
    assert_eq!((http.count, http.refused, http.errors), (3, 1, 0));
    assert_eq!(monitor.since_start("http *"), Some(http));
    let series = monitor.series("http *", Resolution::Second).unwrap();
    assert_eq!(series.iter().map(|window| window.value.count).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(monitor.in_flight("http *").unwrap().count, 0);
    assert_eq!(monitor.in_flight("*").unwrap().count, 1);
    assert_eq!(monitor.bottlenecks("sql *", MINUTE).len(), 1);
    assert_eq!(monitor.histogram("http *", MINUTE).unwrap().count_within(MINUTE / 2), 1);
    assert_eq!(monitor.summary("none *", MINUTE), None);
}

#[test]
fn the_last_whole_window_is_over_and_does_not_change() {
    let (monitor, clock) = monitor();
    let operation = monitor.track_operation("a");
    let count = || monitor.latest("a", Resolution::Second).unwrap().count;
    operation.record(MINUTE, Outcome::Ok);
    monitor.gauge("level").set(2.0);
    assert_eq!(count(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(count(), 1);
    operation.record(MINUTE, Outcome::Ok);
    assert_eq!(count(), 1);
    let level = || monitor.latest_level("level", Resolution::Second).unwrap().mean();
    assert_eq!(level(), Some(2.0));
    clock.advance(Duration::from_secs(5));
    assert_eq!((count(), level()), (0, None));
    assert_eq!(monitor.latest("none", Resolution::Second), None);
}
