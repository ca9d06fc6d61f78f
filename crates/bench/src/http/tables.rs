//! The figures of this part as tables, plots and targets.

use anyhow::Result;
use jebi_load::{Latency, Measured};
use serde_json::Value;

use super::Options;
use super::limit::{Limit, Limits, Turn};
use super::mixed::{Measurement, Mixed, Taken};
use super::overload::{Cores, Overload, Phase, TIMES};
use super::setup::{BASELINE, IN_MEMORY, LIMIT};
use crate::report::{Better, Curve, Figure, Plot, Section, Table, Target, median};

const MEMORY_IS_BOUNDED: &str = "A process alone holds 1,000 answers, the guide's bound, and the mix asks for some ten thousand: \
    with Redis, or a larger JEBI_CACHE_MAX_ENTRIES, they are held.";
/// Within that, what a stall does to the p99.9 is as it is computed.
const STALL_WITHIN: f64 = 0.05;

pub(super) fn section(
    options: &Options,
    mixed: &Mixed,
    limits: &Limits,
    overload: &Overload,
    raw: Value,
) -> Result<Section> {
    let pace = if options.closed {
        "each sending the next request once the last is answered".to_owned()
    } else {
        format!("{} requests a second together, at even distances", options.rate)
    };
    let lead = format!(
        "{} users, {pace}; {:.0} s for each variant in {} rounds; {} orders of {} sellers; {:.1} % of the requests write.",
        options.users,
        options.duration.as_secs_f64(),
        options.rounds,
        options.orders,
        options.sellers,
        options.writes as f64 / 10.0
    );
    let mut targets = mix_targets(mixed);
    targets.extend(limit_targets(limits));
    targets.extend(overload_targets(overload));
    let variants = mixed.variants.iter();
    let doubts = variants.flat_map(|one| {
        one.all.doubts().into_iter().map(|doubt| format!("{}: {doubt}", one.label))
    });
    Ok(Section {
        name: "http",
        title: "Requests over HTTP".to_owned(),
        lead,
        tables: vec![
            mix_table(mixed),
            kinds_table(mixed),
            limits_table(limits),
            overload_table(overload),
        ],
        plots: plots(mixed, overload)?,
        figures: figures(mixed, limits, overload),
        doubts: doubts.collect(),
        targets,
        raw,
    })
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

fn cpu_ms(of: fn(&Taken) -> Option<f64>) -> impl Fn(&Measurement) -> Option<f64> {
    move |one| one.per_request(of).map(|seconds| seconds * 1e3)
}

fn mix_table(mixed: &Mixed) -> Table {
    let head = [
        "",
        "mean ms",
        "p50",
        "p99",
        "p99.9",
        "answered /s",
        "most /s",
        "errors",
        "not sent",
        "hits",
        "hits, reads alone",
        "statements",
        "service CPU ms",
        "PostgreSQL CPU ms",
        "memory MB",
    ];
    let row = |one: &Measurement| {
        let latency = &one.all.latency;
        let statements =
            if one.name == LIMIT { None } else { one.per_request(|taken| taken.statements) };
        vec![
            one.label.to_owned(),
            number(latency.mean_ms(), 2),
            number(latency.quantile_ms(0.5), 2),
            number(latency.quantile_ms(0.99), 2),
            number(latency.quantile_ms(0.999), 2),
            number(Some(one.all.per_second()), 0),
            number(one.capacity_per_second(), 0),
            one.all.counts.errors().to_string(),
            one.all.unsent.to_string(),
            percent(one.all.counts.hit_rate().filter(|_| one.is_jebi)),
            percent(one.reads.as_ref().and_then(|reads| reads.counts.hit_rate())),
            number(statements, 2),
            number(cpu_ms(|taken| taken.service_cpu)(one), 3),
            number(cpu_ms(|taken| taken.postgres_cpu)(one).filter(|_| one.name != LIMIT), 3),
            number(one.resident_mb(), 0),
        ]
    };
    Table {
        title: "The guide's mix".to_owned(),
        note: "Latencies from when a request was to be sent, all rounds together. `most` is what each can do with the same users, each \
               sending the next request once the last is answered. Statements and CPU time are for each request."
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: mixed.variants.iter().map(row).collect(),
    }
}

fn kinds_table(mixed: &Mixed) -> Table {
    let shown = || mixed.variants.iter().filter(|one| one.is_jebi || one.name == BASELINE);
    let head =
        std::iter::once("p50 / p99 ms".to_owned()).chain(shown().map(|one| one.label.to_owned()));
    let kinds = mixed.of(IN_MEMORY).map(|one| &one.all.kinds[..]).unwrap_or_default();
    let row = |kind: &jebi_load::KindMeasured| {
        let of = |one: &Measurement| {
            let same = one.all.kinds.iter().find(|other| other.kind == kind.kind);
            let latency = same.map(|same| &same.latency).filter(|latency| latency.count() > 0);
            latency.map_or_else(
                || "–".to_owned(),
                |latency| {
                    format!(
                        "{} / {}",
                        number(latency.quantile_ms(0.5), 2),
                        number(latency.quantile_ms(0.99), 2)
                    )
                },
            )
        };
        std::iter::once(kind.kind.name.clone()).chain(shown().map(of)).collect()
    };
    Table {
        title: "By kind of request".to_owned(),
        note: String::new(),
        head: head.collect(),
        rows: kinds.iter().map(row).collect(),
    }
}

fn turns(turns: &[Turn], of: fn(&Turn) -> Option<f64>) -> Option<f64> {
    median(&turns.iter().filter_map(of).collect::<Vec<_>>())
}

fn limits_table(limits: &Limits) -> Table {
    let head = [
        "",
        "bytes",
        "ours /s",
        "limit /s",
        "share",
        "ours CPU µs",
        "limit CPU µs",
        "share of CPU",
        "counts",
    ];
    let row = |one: &Limit| {
        vec![
            one.label.to_owned(),
            one.body_bytes.to_string(),
            number(turns(&one.ours, |turn| Some(turn.per_second)), 0),
            number(turns(&one.limit, |turn| Some(turn.per_second)), 0),
            number(median(&one.by_throughput()), 3),
            number(turns(&one.ours, |turn| turn.cpu_us), 2),
            number(turns(&one.limit, |turn| turn.cpu_us), 2),
            number(median(&one.by_cpu()), 3),
            if one.is_of_the_server() { "throughput" } else { "CPU" }.to_owned(),
        ]
    };
    Table {
        title: "A hit beside the limit".to_owned(),
        note: "The service with authentication, limits, metrics and log on, beside the same HTTP server with a constant body; servers on \
               one core, the generator on another. Where the generator was the slower one, what counts is the CPU time of the servers."
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: limits.0.iter().map(row).collect(),
    }
}

fn overload_table(overload: &Overload) -> Table {
    let head = [
        "",
        "asked /s",
        "answered /s",
        "refused",
        "other errors",
        "p50 ms",
        "p99 ms",
        "p99 of refusals ms",
        "not sent",
        "generator cores",
        "service cores",
        "PostgreSQL cores",
    ];
    let cores = |one: &Phase, of: fn(&Cores) -> f64| number(one.cores.as_ref().map(of), 2);
    let row = |(name, one): (&str, &Phase)| {
        vec![
            name.to_owned(),
            number(Some(one.intended as f64 / one.seconds), 0),
            number(Some(one.per_second()), 0),
            one.counts.refused.to_string(),
            (one.counts.errors() - one.counts.refused).to_string(),
            number(one.latency.quantile_ms(0.5), 2),
            number(one.latency.quantile_ms(0.99), 2),
            number(one.refusals.quantile_ms(0.99), 2),
            one.unsent.to_string(),
            cores(one, |cores| cores.generator),
            cores(one, |cores| cores.service),
            cores(one, |cores| cores.postgres),
        ]
    };
    let rows =
        [("before", &overload.normal), ("overload", &overload.over), ("after", &overload.after)];
    Table {
        title: format!(
            "{TIMES} times what it can do, without cache ({:.0} a second)",
            overload.peak
        ),
        note: String::new(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.map(row).to_vec(),
    }
}

fn plots(mixed: &Mixed, overload: &Overload) -> Result<Vec<Plot>> {
    // Evenly in the logarithm of what is above, where the tail is.
    let shares: Vec<f64> = (0..=60).map(|at| 1.0 - 10_f64.powf(-f64::from(at) / 20.0)).collect();
    let curve = |one: &Measurement| {
        let point =
            |share: &f64| Some((-(1.0 - share).log10(), one.all.latency.quantile_ms(*share)?));
        Curve { name: one.label.to_owned(), points: shares.iter().filter_map(point).collect() }
    };
    let latencies: Vec<Curve> = mixed.variants.iter().map(curve).collect();
    let by_second = |of: fn(&jebi_load::Second) -> u64| {
        let all = [&overload.normal, &overload.over, &overload.after];
        let seconds = all.into_iter().flat_map(|one| &one.by_second).map(of);
        seconds.enumerate().map(|(at, count)| (at as f64, count as f64)).collect()
    };
    let over = [
        Curve { name: "answered".to_owned(), points: by_second(|second| second.ok) },
        Curve { name: "refused".to_owned(), points: by_second(|second| second.errors) },
    ];
    Ok(vec![
        Plot::new(
            "Latency by share of requests",
            ("nines: 1 = p90, 2 = p99, 3 = p99.9", "ms"),
            &latencies,
        )?,
        Plot::new(
            "Overload: before, ten times too much, after",
            ("second", "answers in it"),
            &over,
        )?,
    ])
}

fn figures(mixed: &Mixed, limits: &Limits, overload: &Overload) -> Vec<Figure> {
    let mut figures = vec![];
    let mut add =
        |name: String, unit: &str, better: Better, value: Option<f64>, rounds: Vec<f64>| {
            if let Some(value) = value {
                figures.push(Figure { name, value, unit: unit.to_owned(), better, rounds });
            }
        };
    for one in &mixed.variants {
        let name = |what: &str| format!("http/{}/{what}", one.name);
        let by_round = |of: fn(&Latency) -> Option<f64>| {
            one.rounds.iter().filter_map(|round| of(&round.measured.latency)).collect::<Vec<_>>()
        };
        let latency = &one.all.latency;
        let p50: fn(&Latency) -> Option<f64> = |latency| latency.quantile_ms(0.5);
        let p99: fn(&Latency) -> Option<f64> = |latency| latency.quantile_ms(0.99);
        let p999: fn(&Latency) -> Option<f64> = |latency| latency.quantile_ms(0.999);
        for (what, of) in [
            ("mean", Latency::mean_ms as fn(&Latency) -> _),
            ("p50", p50),
            ("p99", p99),
            ("p99.9", p999),
        ] {
            add(name(what), "ms", Better::Lower, of(latency), by_round(of));
        }
        let capacity = one.capacity.iter().map(Measured::per_second).collect();
        add(name("most"), "/s", Better::Higher, one.capacity_per_second(), capacity);
        add(name("errors"), "", Better::Lower, Some(one.all.counts.errors() as f64), vec![]);
        add(name("memory"), "MB", Better::Lower, one.resident_mb(), vec![]);
        add(
            name("service CPU"),
            "ms",
            Better::Lower,
            cpu_ms(|taken| taken.service_cpu)(one),
            vec![],
        );
        if one.name != LIMIT {
            add(
                name("PostgreSQL CPU"),
                "ms",
                Better::Lower,
                cpu_ms(|taken| taken.postgres_cpu)(one),
                vec![],
            );
            add(
                name("statements"),
                "",
                Better::Lower,
                one.per_request(|taken| taken.statements),
                vec![],
            );
        }
        if one.is_jebi {
            add(name("hit rate"), "", Better::Higher, one.all.counts.hit_rate(), vec![]);
        }
    }
    for one in &limits.0 {
        let rounds = if one.is_of_the_server() { one.by_throughput() } else { one.by_cpu() };
        add(format!("http/limit/{}", one.name), "", Better::Higher, one.share(), rounds);
    }
    add("http/overload/goodput".to_owned(), "", Better::Higher, Some(overload.goodput()), vec![]);
    figures
}

fn target(name: &str, figure: f64, target: String, holds: bool) -> Target {
    Target { name: name.to_owned(), figure, target, holds, why: None }
}

fn mix_targets(mixed: &Mixed) -> Vec<Target> {
    let mut targets = vec![];
    let Some(memory) = mixed.of(IN_MEMORY) else { return targets };
    for one in mixed.variants.iter().filter(|one| one.is_jebi && one.all.counts.hits > 0) {
        let reads = one.reads.as_ref().and_then(|reads| reads.counts.hit_rate());
        let rates = [("the mix", one.all.counts.hit_rate(), 0.8), ("reads alone", reads, 0.95)];
        for (of, rate, least) in rates {
            let Some(rate) = rate else { continue };
            let name = format!("hits of {of}, {}", one.name);
            let mut hits = target(&name, rate, format!("≥ {least}"), rate >= least);
            if one.name == IN_MEMORY && !hits.holds {
                hits.why = Some(MEMORY_IS_BOUNDED.to_owned());
            }
            targets.push(hits);
        }
    }
    let errors: u64 =
        mixed.variants.iter().filter(|one| one.is_jebi).map(|one| one.all.counts.errors()).sum();
    targets.push(target("errors of the mix", errors as f64, "0".to_owned(), errors == 0));
    let limit = mixed.of(LIMIT).and_then(|limit| limit.all.latency.quantile_ms(0.99));
    if let (Some(hits), Some(limit), None) = (memory.all.hits.quantile_ms(0.99), limit, mixed.stall)
    {
        let times = hits / limit;
        targets.push(target(
            "p99 of hits beside the p99 of the limit",
            times,
            "≤ 3 times".to_owned(),
            times <= 3.0,
        ));
    }
    if let Some(resident) = memory.resident_mb() {
        targets.push(target(
            "memory under load, MB",
            resident,
            "≤ 200".to_owned(),
            resident <= 200.0,
        ));
    }
    targets.extend(stall_target(mixed, memory));
    targets
}

/// Requests come evenly, so that of those that came during a stall each waits so much less than the one before: the longest
/// `1 - share` of a round wait at least the stall less that share of the round.
fn stall_target(mixed: &Mixed, memory: &Measurement) -> Option<Target> {
    let stall = mixed.stall?;
    let round = &memory.rounds.first()?.measured;
    let expected = (stall - 0.001 * round.seconds) * 1e3;
    let off = round.latency.quantile_ms(0.999)? / expected - 1.0;
    let name = format!(
        "p99.9 of a round with a stall of {stall} s beside the {expected:.0} ms that theory has"
    );
    Some(target(&name, off, "within 0.05".to_owned(), off.abs() <= STALL_WITHIN))
}

/// The pair that tells what of a miss is the head's is no promise itself.
const EXPLAINS: &str = "304 as long";

fn limit_targets(limits: &Limits) -> Vec<Target> {
    let explained = limits.0.iter().find(|limit| limit.name == EXPLAINS).and_then(Limit::share);
    let promised = limits.0.iter().filter(|limit| limit.name != EXPLAINS);
    let of = |limit: &Limit| {
        let share = limit.share()?;
        let name = format!("{} beside the limit", limit.label);
        let holds = share >= limit.least;
        let mut reached = target(&name, share, format!("≥ {}", limit.least), holds);
        reached.why = explained.filter(|_| !holds).map(|explained| {
            format!(
                "An answer has lines of head that the contract wants and a constant does without. Beside the same server \
                 with the same lines in its head a 304 reaches {explained:.3}."
            )
        });
        Some(reached)
    };
    promised.filter_map(of).collect()
}

const MANY_MAY_WAIT: &str = "As many requests as two hundred users may send are let in at first, so that users who come at once are never \
    refused: each of them waits for the others.";
const A_TURN_EACH: &str = "A refusal is measured from when it was sent to when the generator has read it: most of that is waiting for a turn on \
    cores that the generator, the service and PostgreSQL keep busy.";

fn overload_targets(overload: &Overload) -> Vec<Target> {
    let missed = |mut target: Target, why: String| {
        target.why = (!target.holds).then_some(why);
        target
    };
    let mut targets = vec![];
    let goodput = overload.goodput();
    let reached = target(
        "goodput at ten times the peak",
        goodput,
        "≥ 0.8 of the peak".to_owned(),
        goodput >= 0.8,
    );
    targets.push(missed(reached, shared_cores(overload)));
    if let Some(times) = overload.p99_times() {
        let reached = target(
            "p99 of what is answered under overload",
            times,
            "≤ 3 times as before".to_owned(),
            times <= 3.0,
        );
        targets.push(missed(reached, MANY_MAY_WAIT.to_owned()));
    }
    if let Some(p99) = overload.over.refusals.quantile_ms(0.99) {
        let reached = target("p99 of refusals, ms", p99, "≤ 5".to_owned(), p99 <= 5.0);
        targets.push(missed(reached, A_TURN_EACH.to_owned()));
    }
    let counts = overload.over.counts;
    let other = counts.errors() - counts.refused;
    targets.push(target(
        "errors under overload that are no refusals",
        other as f64,
        "0".to_owned(),
        other == 0,
    ));
    let seconds = overload.recovered_after().map_or(f64::INFINITY, |seconds| seconds as f64);
    targets.push(target(
        "seconds until it is well after overload",
        seconds,
        "≤ 5".to_owned(),
        seconds <= 5.0,
    ));
    targets
}

/// Who had the cores, before and under overload.
fn shared_cores(overload: &Overload) -> String {
    let of = |phase: &Phase| {
        let Cores { generator, service, postgres } = phase.cores?;
        Some(format!(
            "with {:.0} sent and {:.0} answered a second generator, service and PostgreSQL kept {generator:.2}, {service:.2} and \
             {postgres:.2} cores busy",
            phase.intended as f64 / phase.seconds,
            phase.per_second(),
        ))
    };
    let told = of(&overload.normal).zip(of(&overload.over));
    let told = told.map(|(normal, over)| format!(": {normal}; {over}")).unwrap_or_default();
    format!("What is refused is sent, refused and read on the same cores{told}.")
}
