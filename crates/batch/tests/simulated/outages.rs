//! One of ten accounts is down for a minute: the others do not notice, and it is left alone until it
//! answers again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures::future::{join, join_all};
use futures::{StreamExt as _, stream};
use jebi_batch::{AccountConfig, AccountStats, Batch, BatchConfig, BreakerState, Effect};
use jebi_domain::Wholesaler;
use jebi_simulator::{Fault, FaultRule, Settings};

use crate::outside::{MINUTE, Outside, WAY};
use crate::seller::Seller;

/// How long the work goes on after the account is well again.
const AFTERWARDS: Duration = Duration::from_secs(40);
const LATENCY: Duration = Duration::from_millis(450);

struct Seen {
    /// Calls that the other nine have done while the first was down.
    by_the_others: u64,
    /// Items of the first that were taken in by then, and calls that began.
    items: u64,
    calls: u64,
    /// When calls of the first one began after its breaker had opened, until it closed.
    probes: Vec<Duration>,
    /// How the first one stood at the end of the outage, and when all was over.
    down: AccountStats,
    after: AccountStats,
    /// Calls that the first one has done in the last ten seconds.
    done_at_last: u64,
}

fn one_of_ten(fault: Option<Fault>) -> Seen {
    let outside = Outside::new(Settings { enforce_limits: false, ..Settings::default() });
    let sellers: Vec<Seller> = (1..=10)
        .map(|number| Seller::new(&outside.transport, Wholesaler::Zentrade, number))
        .collect();
    let slow = Fault::Latency { ms: u64::try_from(LATENCY.as_millis()).unwrap(), jitter_ms: 0 };
    outside.simulator.add_fault(FaultRule::new(slow));
    let down = |fault| FaultRule::new(fault).account(sellers[0].account());
    let down = fault.map(|fault| outside.simulator.add_fault(down(fault)));
    let config = BatchConfig {
        effect: Effect::Read,
        deadline: Some(MINUTE + AFTERWARDS),
        ..BatchConfig::default()
    };
    let (calls, done_at_last, probes) = (Cell::new(0), Cell::new(0), RefCell::new(Vec::new()));
    let mut all = Vec::new();
    let mut progress = Vec::new();
    for seller in &sellers {
        let account = outside.accounts.open(&seller.name, AccountConfig::default());
        let is_first = seller.name == sellers[0].name;
        let (outside, calls, probes, done_at_last) = (&outside, &calls, &probes, &done_at_last);
        let work = {
            let account = account.clone();
            move |number: u64| {
                let account = account.clone();
                async move {
                    if is_first {
                        calls.set(calls.get() + 1);
                        if account.stats().breaker != BreakerState::Closed {
                            probes.borrow_mut().push(outside.clock.now());
                        }
                    }
                    let received = outside.call(seller, seller.read(number)).await?;
                    let is_late =
                        outside.clock.now() > MINUTE + AFTERWARDS - Duration::from_secs(10);
                    done_at_last.set(done_at_last.get() + u64::from(is_first && is_late));
                    Ok::<_, jebi_batch::Failure>(received)
                }
            }
        };
        let run = Batch::new(config.clone(), &outside.clock).on(account.api("items"));
        let run = run.run(stream::iter(0_u64..), work);
        progress.push(run.progress());
        all.push(run.for_each(async |_| ()));
    }
    let minute = async {
        outside.clock.wait(MINUTE).await;
        down.map(|down| outside.simulator.remove_fault(down));
        let done = progress[1..].iter().map(|progress| progress.snapshot().done).sum::<u64>();
        let first = outside.accounts.find(&sellers[0].name).unwrap().stats();
        (done, progress[0].snapshot().taken, calls.get(), first)
    };
    let ((by_the_others, items, calls, down), _) = outside.clock.run(join(minute, join_all(all)));
    let after = outside.accounts.find(&sellers[0].name).unwrap().stats();
    let (probes, done_at_last) = (probes.take(), done_at_last.get());
    Seen { by_the_others, items, calls, probes, down, after, done_at_last }
}

#[test]
fn the_other_nine_go_on_and_the_one_that_is_down_is_left_alone_until_it_answers() {
    let well = one_of_ten(None);
    let as_many = 9 * 10 * u64::try_from(MINUTE.as_millis() / (WAY + LATENCY).as_millis()).unwrap();
    assert!(well.by_the_others * 100 >= as_many * 99, "{} of {as_many}", well.by_the_others);
    let status = |status| Fault::Answer { status, headers: [].into(), body: String::new() };
    for fault in [Fault::BlackHole, status(503)] {
        let seen = one_of_ten(Some(fault.clone()));
        let share = seen.by_the_others as f64 / well.by_the_others as f64;
        println!(
            "{fault:?}: {:.1} % by the other nine; {} calls for {} items; probes at {:?}",
            share * 100.0,
            seen.calls,
            seen.items,
            seen.probes
        );
        assert!(share >= 0.95, "{share}");
        // A fifth more than the items, and one a second besides.
        let most = 1.2 * seen.items as f64 + 70.0;
        assert!(seen.calls as f64 <= most && seen.calls <= 20, "{} calls", seen.calls);
        assert!(seen.down.breaker != BreakerState::Closed, "{:?}", seen.down);
        assert_eq!((seen.down.breaker_opened, seen.down.is_stopped), (1, false));
        assert!(seen.down.refused > 0 && seen.down.in_use <= 1, "{:?}", seen.down);
        // One call at a time asks whether it is there again, and the last one finds out.
        let apart = seen.probes.windows(2).map(|two| two[1] - two[0]).min();
        assert!(apart >= Some(Duration::from_secs(10)), "{:?}", seen.probes);
        let found = *seen.probes.last().unwrap();
        assert!((MINUTE..MINUTE + Duration::from_secs(16)).contains(&found), "{found:?}");
        assert_eq!((seen.after.breaker, seen.after.breaker_opened), (BreakerState::Closed, 1));
        assert!(seen.done_at_last * 100 >= well.done_at_last * 95, "{}", seen.done_at_last);
    }
}
