//! The figures of this part as a table, a plot and targets.

use anyhow::Result;
use serde_json::json;

use super::world::{Measured, OverHttp, Turn};
use super::{Options, Size, first_page};
use crate::report::{Better, Curve, Figure, Plot, Section, Table, Target, median};

/// What a page is to reach of what pgbench does with its statements.
const LEAST: f64 = 0.75;
const BY_NUMBER: &str = "A page by number has to be found: the totals of each month, then of the days of one, say on which day it \
    begins, and its rows of that day are skipped. That is bounded, not free; a page by cursor, which is how a client walks, costs the \
    same at any depth.";
const OVER_HTTP: &str = "The service does on top what pgbench does not: it decodes rows, opens customers, writes and tags JSON, and leads a \
    load to another thread and back. It may take as much as PostgreSQL itself.";
/// What service and PostgreSQL together may take over HTTP of what PostgreSQL takes under pgbench.
const MOST_OVER_HTTP: f64 = 2.0;
/// What a cost may be off, where it is to be flat.
const FLAT: f64 = 0.2;

pub(super) fn section(
    all: &[Measured],
    over_http: Option<&OverHttp>,
    options: &Options,
) -> Result<Section> {
    let us =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
    let rate = |turns: &[Turn]| us(Measured::of(turns, |turn| Some(turn.per_second)));
    let row = |one: &Measured| {
        let ours = one.ours.as_slice();
        vec![
            one.label.clone(),
            one.size.orders.to_string(),
            one.size.sellers.to_string(),
            rate(ours),
            rate(&one.pgbench),
            format!("{:.3}", median(&one.shares()).unwrap_or(0.0)),
            us(Measured::of(ours, |turn| turn.postgres_us)),
            us(one.postgres_us()),
            us(Measured::of(ours, |turn| turn.own_us)),
        ]
    };
    let head = [
        "",
        "orders",
        "sellers",
        "ours /s",
        "pgbench /s",
        "share",
        "PostgreSQL CPU µs",
        "under pgbench",
        "query layer CPU µs",
    ];
    let table = Table {
        title: "Statements through the query layer, beside pgbench".to_owned(),
        note: "The same statements with the same values, `pgbench -M prepared`. The query layer also opens what is sealed and makes \
               orders of rows; pgbench throws rows away."
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: all.iter().map(row).collect(),
    };
    let mut targets = vec![];
    for one in all {
        let share = median(&one.shares()).unwrap_or(0.0);
        let name = format!("{} beside pgbench ({})", one.label, one.size.label());
        targets.push(Target {
            name,
            figure: share,
            target: format!("≥ {LEAST}"),
            holds: share >= LEAST,
            why: None,
        });
    }
    targets.extend(flat(all));
    if let Some(over_http) = over_http {
        let times = median(&over_http.times()).unwrap_or(f64::INFINITY);
        let us = |turns: &[f64]| median(turns).unwrap_or(0.0);
        targets.push(Target {
            name: format!(
                "a page over HTTP without cache ({:.0} µs of the service, {:.0} of PostgreSQL) beside PostgreSQL under pgbench ({:.0} µs)",
                us(&over_http.service_us), us(&over_http.postgres_us), us(&over_http.pgbench_us)
            ),
            figure: times,
            target: format!("≤ {MOST_OVER_HTTP} times"),
            holds: times <= MOST_OVER_HTTP,
            why: (times > MOST_OVER_HTTP).then(|| OVER_HTTP.to_owned()),
        });
    }
    let mut figures = vec![];
    for one in all {
        let name = |what: &str| format!("db/{}, {}/{what}", one.size.label(), one.label);
        let shares = one.shares();
        if let Some(value) = median(&shares) {
            let unit = String::new();
            figures.push(Figure {
                name: name("share of pgbench"),
                value,
                unit,
                better: Better::Higher,
                rounds: shares,
            });
        }
        if let Some(value) = one.postgres_us() {
            let rounds = one.pgbench.iter().filter_map(|turn| turn.postgres_us).collect();
            figures.push(Figure {
                name: name("PostgreSQL CPU"),
                value,
                unit: "µs".to_owned(),
                better: Better::Lower,
                rounds,
            });
        }
    }
    let points = |sellers: u32| {
        let of = all
            .iter()
            .filter(|one| one.label == first_page().label() && one.size.sellers == sellers);
        of.filter_map(|one| Some(((one.size.orders as f64).log10(), one.postgres_us()?))).collect()
    };
    let curve = Curve { name: "first page, one seller".to_owned(), points: points(1) };
    let plots = vec![Plot::new(
        "What a page costs PostgreSQL",
        ("orders: 4 = ten thousand, 6 = a million", "CPU µs"),
        &[curve],
    )?];
    Ok(Section {
        name: "db",
        title: "Statements".to_owned(),
        lead: format!(
            "{} connections, {} turns of {:.0} s each.",
            options.clients,
            options.turns,
            options.turn.as_secs_f64()
        ),
        tables: vec![table],
        plots,
        figures,
        targets,
        doubts: vec![],
        raw: json!({ "measured": all, "over_http": over_http, "clients": options.clients }),
    })
}

/// How much more a page costs where there is more.
fn flat(all: &[Measured]) -> Vec<Target> {
    let first =
        |size: Size| all.iter().find(|one| one.label == first_page().label() && one.size == size);
    let target = |name: String, cost: Option<f64>, base: Option<f64>| {
        let times = cost? / base?;
        let target = format!("at most {} times", 1.0 + FLAT);
        Some(Target { name, figure: times, target, holds: times <= 1.0 + FLAT, why: None })
    };
    let mut targets = vec![];
    let small = first(Size { orders: 10_000, sellers: 1 }).and_then(Measured::postgres_us);
    let alone = first(Size { orders: 100_000, sellers: 1 }).and_then(Measured::postgres_us);
    for one in all.iter().filter(|one| one.label == first_page().label()) {
        let cost = one.postgres_us();
        if one.size.sellers > 1 {
            let name = format!("cost of a page of {} beside one seller", one.size.label());
            targets.extend(target(name, cost, alone));
        } else if one.size.orders > 10_000 {
            let name = format!("cost of a page of {} beside 10000 orders", one.size.orders);
            targets.extend(target(name, cost, small));
        }
    }
    for one in all {
        let base = first(one.size).and_then(Measured::postgres_us);
        let name = format!("cost of {} beside page 1 ({})", one.label, one.size.label());
        match one.label.as_str() {
            "orders, page 1000" | "orders, page 18000" => {
                let mut deep = target(name, one.postgres_us(), base);
                if let Some(deep) = deep.as_mut().filter(|deep| !deep.holds) {
                    deep.why = Some(BY_NUMBER.to_owned());
                }
                targets.extend(deep);
            }
            label if label.starts_with("orders, by cursor") => {
                targets.extend(target(name, one.postgres_us(), base));
            }
            _ => {}
        }
    }
    targets
}
