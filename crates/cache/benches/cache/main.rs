//! `cargo bench -p jebi-cache`: the promises about speed, as ratios to a peer in the same run.
//!
//! `cargo bench -p jebi-cache -- hit eviction body l2 tag` runs these parts of it; without names all of
//! them run. Redis is the one at `REDIS_URL`, else a private one for the run. The exit code is 0 whether
//! the promises hold or not: a machine may be busy, and a reader judges the figures.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod body;
mod eviction;
mod hit;
mod l2;
mod measure;
mod redis_server;
mod report;
mod tag;

use report::Report;

type Part = (&'static str, fn(&mut Report));

const PARTS: [Part; 5] = [
    ("hit", hit::run),
    ("eviction", eviction::run),
    ("body", body::run),
    ("l2", l2::run),
    ("tag", tag::run),
];

fn main() -> std::io::Result<()> {
    // Cargo adds `--bench`.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut report = Report::default();
    println!("{:<72} {:>9}  [quartiles]", "", "median");
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run(&mut report);
        }
    }
    println!("written to {}", report.write()?.display());
    Ok(())
}
