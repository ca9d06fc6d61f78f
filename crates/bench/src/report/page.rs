//! The report as one page: no network, no script, readable on a phone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::compare::Change;
use super::{Report, Section, Table, Target};

const STYLE: &str = include_str!("page.css");

pub(super) fn page(report: &Report, sections: &[Section], changes: Option<&[Change]>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Jebi: measured, " (report.began_at.format("%F %R")) " UTC" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Jebi, measured" }
                    p { (report.began_at.format("%F %R")) " UTC, " (format!("{:.0} s", report.seconds)) }
                }
                main {
                    @if !report.is_valid {
                        section class="invalid" {
                            h2 { "This run is not valid" }
                            ul { @for doubt in &report.doubts { li { (doubt) } } }
                        }
                    }
                    (targets(&report.targets))
                    @if let Some(changes) = changes { (compared(changes)) }
                    @for section in sections { (part(section)) }
                    (method())
                    section {
                        h2 { "On what" }
                        dl { @for (name, value) in &report.environment { dt { (name) } dd { (value) } } }
                    }
                }
                footer { p { "All of it, with the histograms, is in " code { "report.json" } " beside this page." } }
            }
        }
    }
}

fn targets(targets: &[Target]) -> Markup {
    html! {
        @if !targets.is_empty() {
            section {
                h2 { "Targets" }
                ul class="targets" {
                    @for Target { name, figure, target, holds, why } in targets {
                        li class=(if *holds { "holds" } else { "missed" }) {
                            span class="mark" { (if *holds { "✓" } else { "✗" }) }
                            span class="name" { (name) }
                            b { (format!("{figure:.3}")) }
                            span class="target" { (target) }
                            @if let Some(why) = why { p { (why) } }
                        }
                    }
                }
            }
        }
    }
}

fn compared(changes: &[Change]) -> Markup {
    let told = || changes.iter().filter(|change| change.is_worse || change.is_better);
    html! {
        section {
            h2 { "Against the run of before" }
            @if told().next().is_none() { p { "Nothing has changed by more than the noise of both runs." } }
            ul class="changes" {
                @for change in told() {
                    li class=(if change.is_worse { "missed" } else { "holds" }) {
                        b { (if change.is_worse { "worse" } else { "better" }) } " " (change.to_string())
                    }
                }
            }
        }
    }
}

fn part(section: &Section) -> Markup {
    html! {
        section id=(section.name) {
            h2 { (section.title) }
            p { (section.lead) }
            @for table in &section.tables { (shown(table)) }
            @for plot in &section.plots {
                figure { figcaption { (plot.title) } (PreEscaped(&plot.svg)) }
            }
        }
    }
}

fn shown(table: &Table) -> Markup {
    html! {
        h3 { (table.title) }
        div class="wide" {
            table {
                thead { tr { @for cell in &table.head { th { (cell) } } } }
                tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
        @if !table.note.is_empty() { p class="note" { (table.note) } }
    }
}

fn method() -> Markup {
    html! {
        section {
            h2 { "How" }
            ul {
                li { "Each request has a time at which it is to be sent, fixed before the run, and its latency counts from there: "
                    "what a slow service keeps waiting is in the figures (no coordinated omission)." }
                li { "Variants take turns in one run, each against a copy of the same data; a figure is of all its rounds, and ratios are "
                    "the median of the ratios of rounds." }
                li { "CPU time is what the kernel counts for the processes of the service and of PostgreSQL, less what they take when nothing "
                    "is asked: it stays the same on a machine on which others work, where throughput does not." }
                li { "Percentiles are within 0.78 % of what was measured." }
                li { "A run in which the generator was what was slow says so, and is not valid." }
            }
        }
    }
}
