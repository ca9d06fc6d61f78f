//! The report as one page: no network, no script, readable on a phone.

use jebi_db_optimizer::optimize::{Endpoint, Outcome, QueryReport, Report, SetBy, StepReport};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

pub(super) fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Jebi: indexes, " (report.began_at.format("%F %R")) " UTC" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Indexes" }
                    p {
                        (report.began_at.format("%F %R")) " UTC, level " b { (report.level) }
                        ", PostgreSQL " (report.server_version) ", "
                        (format!("{:.1} s", report.seconds))
                        @if report.is_dry_run { ", a dry run: nothing was changed" }
                    }
                    @if let Some(run) = report.run {
                        p { "Run " code { (run) } ". Take it back: " code { "jebi optimize --rollback " (run) } }
                    }
                }
                main {
                    (summary(report))
                    (lines("Could not be done", &report.failures))
                    (endpoints(&report.endpoints()))
                    (steps(&report.steps))
                    (settings(report))
                    (queries(&report.queries))
                    (unmeasured(report))
                    (lines("Worth knowing", &report.notes))
                    (lines("Before a run", &report.advice))
                    (left_out(report))
                }
            }
        }
    }
}

fn summary(report: &Report) -> Markup {
    let count =
        |outcome: Outcome| report.steps.iter().filter(|step| step.outcome == outcome).count();
    let bytes: i64 = report.steps.iter().filter_map(|step| step.bytes).sum();
    let changed = report.queries.iter().filter(|query| query.is_changed()).count();
    html! {
        ul class="figures" {
            li { b { (count(Outcome::Done)) } " done" }
            li { b { (count(Outcome::Rejected)) } " rejected" }
            li { b { (count(Outcome::Failed)) } " failed" }
            @if report.is_dry_run { li { b { (count(Outcome::Planned)) } " to be done" } }
            li { b { (size(bytes)) } " of indexes" }
            li { b { (report.queries.len()) } " statements measured" }
            li { b { (changed) } " read more or less" }
        }
    }
}

fn lines(title: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            section { h2 { (title) } ul { @for line in lines { li { (line) } } } }
        }
    }
}

/// What all statements of an endpoint read together, before and after.
fn endpoints(endpoints: &[Endpoint<'_>]) -> Markup {
    html! {
        @if !endpoints.is_empty() {
            section {
                h2 { "What each endpoint reads" }
                p { "Pages of 8 kB that its statements read, all samples together; the shorter, the better." }
                @for Endpoint { name, statements, before, after } in endpoints {
                    article {
                        h3 { (name) " " small { (statements) " statements" } }
                        (bars(*before, *after))
                    }
                }
            }
        }
    }
}

/// Two bars on one scale.
fn bars(before: u64, after: u64) -> Markup {
    let most = before.max(after).max(1);
    let bar = |name: &str, value: u64| {
        html! {
            span class="name" { (name) }
            span class="track" { span class=(format!("bar {name}")) style=(format!("width:{:.1}%", percent(value, most))) {} }
            span class="value" { (grouped(value)) }
        }
    };
    html! {
        div class="bars" role="img" aria-label=(format!("before {before}, after {after} pages")) {
            (bar("before", before)) (bar("after", after))
        }
    }
}

/// In groups of three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

#[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
fn percent(value: u64, most: u64) -> f64 {
    value as f64 * 100.0 / most as f64
}

fn steps(steps: &[StepReport]) -> Markup {
    html! {
        section {
            h2 { "Indexes" }
            @if steps.is_empty() { p { "All that the level wants is there." } }
            @for step in steps {
                article {
                    h3 { (step.doing) " " (badge(step.outcome)) }
                    @if let Some(because) = &step.because { p { (because) } }
                    @if let Some(index) = &step.index {
                        p {
                            (index.kind) ", on " (index.table) ", wanted from " (index.level) " on, for "
                            (index.serves.join(", ")) ". Writes " (index.entries) "."
                        }
                    }
                    p class="small" {
                        @if let Some(bytes) = step.bytes { (size(bytes)) " " }
                        @if let Some(seconds) = step.seconds { (format!("{seconds:.1} s")) }
                    }
                    @for sql in &step.sql { pre { (sql) } }
                }
            }
        }
    }
}

fn badge(outcome: Outcome) -> Markup {
    let (class, word) = match outcome {
        Outcome::Planned => ("planned", "to be done"),
        Outcome::Done => ("done", "done"),
        Outcome::Rejected => ("rejected", "rejected"),
        Outcome::Failed => ("failed", "failed"),
    };
    html! { span class=(format!("badge {class}")) { (word) } }
}

fn settings(report: &Report) -> Markup {
    html! {
        @if !report.settings.is_empty() {
            section {
                h2 { "Settings" }
                @for setting in &report.settings {
                    article {
                        p { (setting.because) " " (badge(match (setting.by, setting.is_done) { (_, true) => Outcome::Done, (SetBy::Run | SetBy::Operator, false) => Outcome::Planned })) }
                        pre { (setting.sql) }
                    }
                }
            }
        }
    }
}

/// Those that changed first, and of them those that read most.
fn queries(queries: &[QueryReport]) -> Markup {
    let mut sorted: Vec<&QueryReport> = queries.iter().collect();
    sorted.sort_by_key(|query| {
        (!query.is_changed(), std::cmp::Reverse(query.before_buffers.max(query.after_buffers)))
    });
    html! {
        @if !sorted.is_empty() {
            section {
                h2 { "Statements" }
                p { "Each was run twice in a transaction that cannot write, with values taken from the data." }
                @for query in sorted { (one_query(query)) }
            }
        }
    }
}

fn one_query(query: &QueryReport) -> Markup {
    html! {
        details {
            summary {
                b { (query.name) } " " small { (query.endpoint) @if let Some(calls) = query.calls { ", " (calls) " calls" } }
                @match (query.before_buffers, query.after_buffers) {
                    (Some(before), Some(after)) => { (bars(before, after)) }
                    _ => { p { "not measured: " (query.because.as_deref().unwrap_or("unknown")) } }
                }
            }
            div class="plans" {
                @for (title, plan) in [("Plan before", &query.before_plan), ("Plan after", &query.after_plan)] {
                    @if let Some(plan) = plan { div { h4 { (title) } pre { (plan) } } }
                }
            }
            h4 { "Statement" }
            pre { (query.text) }
        }
    }
}

fn unmeasured(report: &Report) -> Markup {
    html! {
        @if report.capture.is_some() || !report.unmeasured.is_empty() {
            section {
                h2 { "Not measured" }
                @if let Some(because) = &report.capture { p { "What the server has seen is not known: " (because) } }
                @for one in &report.unmeasured { article { p { (one.because) } pre { (one.text) } } }
            }
        }
    }
}

fn left_out(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Left out of the catalogue" }
            @for left in &report.left_out {
                article { h3 { (left.index) } p { b { (left.because) } ": " (left.detail) } }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn size(bytes: i64) -> String {
    match bytes {
        0..=1_048_575 => format!("{} kB", bytes / 1024),
        _ => format!("{:.1} MB", bytes as f64 / 1_048_576.0),
    }
}
