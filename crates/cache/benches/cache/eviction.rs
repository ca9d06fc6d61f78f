//! How many of the questions of a trace are hits, as a share of what Belady's rule would make hits: it throws
//! out what will be asked for latest, and knows the future.

use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use jebi_cache::{Body, Cache, Clock, L1, Level, Loaded, NamespaceConfig};

use crate::measure::{Random, Spread, Zipf};
use crate::report::{Report, Target};

const QUESTIONS: u64 = 1_000_000;

pub(crate) fn run(report: &mut Report) {
    for entries in [1_000, 100_000] {
        for (name, trace) in traces(entries) {
            let best = belady(&trace, entries);
            let ours = hits(&trace, entries);
            #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
            let (ours, best) = (ours as f64, best as f64);
            let of = format!("{name}, {entries} entries");
            let asked = trace.len() as u64;
            #[expect(clippy::cast_precision_loss, reason = "a share needs no 53 bits")]
            report.add(
                format!("hits / all, {of}"),
                Spread::exactly(ours / asked as f64),
                Target::None,
            );
            report.add(
                format!("hits / Belady's hits, {of}"),
                Spread::exactly(ours / best),
                Target::AtLeast(0.90),
            );
        }
    }
}

/// Ten times as many keys as there is room for.
fn traces(entries: u64) -> [(&'static str, Vec<u64>); 3] {
    let keys = entries * 10;
    let zipf = Zipf::new(keys, 0.99);
    let mut random = Random(4);
    let plain = (0..QUESTIONS).map(|_| zipf.rank(&mut random)).collect();
    // Of each ten times the room, the last fifth reads keys that are asked for once.
    let mut next = keys;
    let scan = (0..QUESTIONS).map(|at| {
        let rank = zipf.rank(&mut random);
        if at % (entries * 10) < entries * 8 {
            return rank;
        }
        next += 1;
        next
    });
    let scan = scan.collect();
    // Ten times in the trace, a tenth of the keys become as popular as the first tenth was.
    let shifting = (0..QUESTIONS).map(|at| {
        let shift = at / (QUESTIONS / 10) * (keys / 10);
        (zipf.rank(&mut random) + shift) % keys
    });
    let shifting = shifting.collect();
    [("zipf(0.99)", plain), ("zipf + scan", scan), ("shifting zipf", shifting)]
}

/// Hits of a cache that keeps what it has just loaded, and else what is wanted soonest.
fn belady(trace: &[u64], entries: u64) -> u64 {
    let mut seen = std::collections::HashMap::new();
    let mut next = vec![usize::MAX; trace.len()];
    for (at, key) in trace.iter().enumerate().rev() {
        next[at] = seen.insert(*key, at).unwrap_or(usize::MAX);
    }
    // What is held, by when it is wanted next. What was asked for since stands in the heap as well, with a
    // time that is over, and is passed over there.
    let mut held = std::collections::HashMap::new();
    let mut latest = BinaryHeap::new();
    let mut hits = 0;
    for (at, key) in trace.iter().enumerate() {
        hits += u64::from(held.insert(*key, next[at]).is_some());
        while held.len() as u64 > entries {
            let (wanted, key) = latest.pop().expect("all that is held stands in it");
            if held.get(&key) == Some(&wanted) {
                held.remove(&key);
            }
        }
        latest.push((next[at], *key));
    }
    hits
}

/// Hits of this crate's level in the process.
fn hits(trace: &[u64], entries: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime starts").block_on(async {
        let cache = Cache::builder()
            .l1(L1 { max_bytes: 1 << 30, max_entries: entries })
            .clock(Clock::manual())
            .namespace(NamespaceConfig::new("trace").fresh_for(Duration::from_secs(3_600)));
        let namespace = cache.build().expect("it makes sense").namespace("trace");
        let namespace = namespace.expect("declared");
        let mut hits = 0;
        for key in trace {
            let load = |_| async {
                Ok::<_, Infallible>(Loaded::from(Body::new(Bytes::from_static(b"1"))))
            };
            let hit = namespace.get_or_load(key, load).await.expect("it does not fail");
            hits += u64::from(hit.level() == Level::L1);
        }
        hits
    })
}
