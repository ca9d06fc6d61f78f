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
    let mut alerter = Alerter::new(rules()).unwrap();
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
    let mut alerter = Alerter::new(rules()).unwrap();
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

#[test]
fn rules_that_cannot_be_followed_are_refused_by_name() {
    let refused = |rules: Vec<Rule>| Alerter::new(rules).unwrap_err().to_string();
    let flaps = Rule { clear_at: 500.0, ..Rule::slow_endpoint("*") };
    assert!(refused(vec![flaps]).starts_with("the rule \"slow_endpoint\""));
    assert!(refused(vec![Rule { raise_at: f64::NAN, ..Rule::slow_query("*") }]).contains("raised"));
    let two = vec![Rule::slow_query("a"), Rule::slow_query("b")];
    assert!(refused(two).contains("another one has its name"));
}

#[test]
fn a_piece_of_work_that_never_ends_is_told_once_and_cleared_when_it_is_given_up() {
    let (monitor, clock) = monitor();
    let operation = monitor.track_operation("GET /a");
    let mut alerter = Alerter::new(vec![Rule::never_ending("GET *")]).unwrap();
    let forever = operation.scope();
    let mut changes = Vec::new();
    let mut minutes = |alerter: &mut Alerter, count| {
        for _ in 0..count * 60 {
            changes.extend(alerter.evaluate(&monitor).into_iter().map(|event| event.change));
            clock.advance(Duration::from_secs(1));
        }
        std::mem::take(&mut changes)
    };
    assert_eq!(minutes(&mut alerter, 1), []);
    assert_eq!(minutes(&mut alerter, 5), [Change::Raised]);
    drop(forever);
    assert_eq!(minutes(&mut alerter, 5), [Change::Cleared]);
}

#[test]
fn what_is_raised_of_a_rule_that_is_no_more_is_forgotten_at_a_restart() {
    let (monitor, _) = monitor();
    monitor.track_operation("a").record(MINUTE, Outcome::Ok);
    let rule = Rule { raise_after: Duration::ZERO, min_traffic: 1, ..Rule::slow_query("a") };
    let mut alerter = Alerter::new(vec![rule]).unwrap();
    assert_eq!(alerter.evaluate(&monitor).len(), 1);
    let kept: Vec<Alert> = alerter.recent().cloned().collect();
    let mut other = Alerter::new(vec![Rule::slow_endpoint("a")]).unwrap();
    other.restore(kept);
    assert_eq!(other.recent().count(), 0);
}
