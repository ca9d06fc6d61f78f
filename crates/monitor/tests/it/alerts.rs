use std::time::Duration;

use jebi_monitor::{Alert, Alerter, Change, Outcome, Rule, RuleState, Sample, evaluate};

use crate::support::{MINUTE, Random, monitor};

#[test]
fn noise_on_the_threshold_never_flaps() {
    let rule = Rule::slow_endpoint("a");
    for seed in 0..50 {
        let (mut state, mut changes, random) = (RuleState::default(), 0, &mut Random(seed));
        for second in 0..86_400 {
            let value = 500.0 + 50.0 * random.normal();
            let sample = Sample { at: Duration::from_secs(second), value, traffic: 1_000 };
            let (next, change) = evaluate(&rule, state, &sample);
            (state, changes) = (next, changes + u32::from(change.is_some()));
        }
        assert_eq!(changes, 0, "seed {seed}");
    }
}

#[test]
fn a_slow_endpoint_is_raised_once_survives_a_restart_and_is_cleared_once() {
    let (monitor, clock) = monitor();
    let operation = monitor.track_operation("GET /a");
    let rules = || vec![Rule::slow_endpoint("GET *")];
    let mut alerter = Alerter::new(rules());
    let run = |alerter: &mut Alerter, took: u64| {
        let mut changes = Vec::new();
        for _ in 0..200 {
            (0..30).for_each(|_| operation.record(Duration::from_millis(took), Outcome::Ok));
            changes.extend(alerter.evaluate(&monitor).into_iter().map(|event| event.change));
            clock.advance(Duration::from_secs(1));
        }
        changes
    };
    assert_eq!(run(&mut alerter, 20), []);
    assert_eq!(run(&mut alerter, 900), [Change::Raised]);
    let kept = serde_json::to_string(&alerter.recent().collect::<Vec<_>>()).unwrap();
    let mut alerter = Alerter::new(rules());
    alerter.restore(serde_json::from_str::<Vec<Alert>>(&kept).unwrap());
    assert_eq!(run(&mut alerter, 900), []);
    assert_eq!(run(&mut alerter, 20), [Change::Cleared]);
}

#[test]
fn too_little_traffic_raises_nothing() {
    let rule = Rule { raise_after: Duration::ZERO, ..Rule::low_hit_rate("hits") };
    let sample = |traffic| Sample { at: MINUTE, value: 0.1, traffic };
    assert_eq!(evaluate(&rule, RuleState::default(), &sample(99)).1, None);
    assert_eq!(evaluate(&rule, RuleState::default(), &sample(100)).1, Some(Change::Raised));
}
