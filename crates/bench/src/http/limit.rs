//! What a hit costs beside the least that can be: the same server, answering bytes that it had before. The servers have one
//! core, the generator has another, and they take turns.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jebi_load::{Connection, Measured, Mix, Pace, Plan, Request, run};
use serde::Serialize;
use serde_json::Value;

use super::Options;
use super::setup::World;
use crate::process;
use crate::progress::Steps;
use crate::report::median;
use crate::served::Served;

const ORDERS: &str = "/api/v1/orders-optimized/";
const SERVER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;
const USERS: usize = 32;
/// Of one turn.
const TURN: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(20);

/// Two that are held against each other.
struct Pair {
    name: &'static str,
    label: &'static str,
    /// What it is to be of the other, at least.
    least: f64,
    ours: Mix,
    limit: Served,
}

/// One turn of one of the two.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Turn {
    pub(crate) per_second: f64,
    /// CPU time of the server for a request.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) generator_busy: Option<f64>,
}

#[derive(Serialize)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) least: f64,
    pub(crate) body_bytes: u64,
    pub(crate) ours: Vec<Turn>,
    pub(crate) limit: Vec<Turn>,
}

pub(crate) struct Limits(pub(crate) Vec<Limit>);

impl Limits {
    pub(crate) fn raw(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

impl Limit {
    /// The share of the limit's throughput, of each round.
    pub(crate) fn by_throughput(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.limit);
        pairs.map(|(ours, limit)| ours.per_second / limit.per_second).collect()
    }

    /// What the limit takes of a core for a request, as a share of what we take: what the share of throughput is where the
    /// server is what is slow.
    pub(crate) fn by_cpu(&self) -> Vec<f64> {
        let pairs = self.ours.iter().zip(&self.limit);
        pairs.filter_map(|(ours, limit)| Some(limit.cpu_us? / ours.cpu_us?)).collect()
    }

    /// Whether a server was what was slow, in every turn.
    pub(crate) fn is_of_the_server(&self) -> bool {
        let all = self.ours.iter().chain(&self.limit);
        all.filter_map(|turn| turn.generator_busy).all(|busy| busy < 0.95)
    }

    /// The share that counts.
    pub(crate) fn share(&self) -> Option<f64> {
        let by_cpu = median(&self.by_cpu());
        if self.is_of_the_server() { median(&self.by_throughput()) } else { by_cpu }
    }
}

/// The bytes of the first page of orders.
///
/// # Errors
/// Where the service does not answer.
pub(crate) async fn body(
    address: SocketAddr,
    key: &str,
    headers: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let mut body = vec![];
    let status = ask(address, &request(key, headers), &mut body).await?;
    ensure!(status == 200, "the service answers {status}");
    Ok(body)
}

/// The lines of the head of an answer that the framework does not write by itself.
fn head(address: SocketAddr, request: &Request) -> Result<Vec<String>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.bytes())?;
    let lines = BufReader::new(stream).lines().skip(1).map_while(Result::ok);
    let own = ["date: ", "content-length: ", "connection: "];
    let is_ours = |line: &String| own.iter().all(|own| !line.starts_with(own));
    Ok(lines.take_while(|line| !line.is_empty()).filter(is_ours).collect())
}

async fn ask(address: SocketAddr, request: &Request, body: &mut Vec<u8>) -> Result<u16> {
    let mut connection = Connection::new(address, PATIENCE);
    let answer = connection.exchange(request.bytes(), |piece| body.extend_from_slice(piece)).await;
    Ok(answer.context("the service does not answer")?.status)
}

fn request(key: &str, headers: &[(&str, &str)]) -> Request {
    let authorization = format!("Bearer {key}");
    let own = [("authorization", authorization.as_str())];
    Request::new(0, ("GET", ORDERS), &[&own, headers].concat(), None)
}

/// Measures by turns.
///
/// # Errors
/// Where a server cannot be started.
pub(crate) async fn measure(world: &mut World<'_>, options: &Options) -> Result<Limits> {
    let core = Some(SERVER_CORE);
    let key = world.key.clone();
    let jebi = world.starter.serve("jebi_bench_memory", &[], core)?;
    let gzip = [("accept-encoding", "gzip")];
    let plain_body = body(jebi.address, &key, &[]).await?;
    let packed_body = body(jebi.address, &key, &gzip).await?;
    let lines = head(jebi.address, &request(&key, &[("if-none-match", "*")]))?;
    let constant = |world: &mut World<'_>, name: &str, body: &[u8]| {
        world.starter.constant((name, body), &[], core)
    };
    let pairs = [
        Pair {
            name: "page",
            label: "Cached page of orders",
            least: 0.9,
            ours: Mix::of("page", [request(&key, &[])]),
            limit: constant(world, "page-plain", &plain_body)?,
        },
        Pair {
            name: "page gzip",
            label: "Cached page of orders, gzip",
            least: 0.9,
            ours: Mix::of("page", [request(&key, &gzip)]),
            limit: constant(world, "page-gzip", &packed_body)?,
        },
        Pair {
            name: "304",
            label: "304 beside 11 bytes",
            least: 0.85,
            ours: Mix::of("304", [request(&key, &[("if-none-match", "*")])]),
            limit: constant(world, "eleven", b"hello world")?,
        },
        // What of the difference are the lines of the head that the contract wants, and a constant does without.
        Pair {
            name: "304 as long",
            label: "304 beside 11 bytes with the same head",
            least: 0.85,
            ours: Mix::of("304", [request(&key, &[("if-none-match", "*")])]),
            limit: world.starter.constant(("eleven", b"hello world"), &lines, core)?,
        },
    ];
    let rounds = options.rounds.max(3) as usize;
    let bar = Steps::new(pairs.len() * (rounds + 1));
    let mut limits = vec![];
    for Pair { name, label, least, ours, limit } in pairs {
        let mut both = Limit { name, label, least, body_bytes: 0, ours: vec![], limit: vec![] };
        for round in 0..=rounds {
            bar.next(&format!("{label}: round {round} of {rounds}"));
            let (us, bytes) = turn(&jebi, &ours)?;
            // The same requests: what is in their headers is read by both.
            let (them, _) = turn(&limit, &ours)?;
            // The first one warms.
            if round > 0 {
                both.ours.push(us);
                both.limit.push(them);
                both.body_bytes = bytes;
            }
        }
        limits.push(both);
    }
    Ok(Limits(limits))
}

fn turn(served: &Served, mix: &Mix) -> Result<(Turn, u64)> {
    let plan = Plan { users: USERS, duration: TURN, pace: Pace::Closed, patience: PATIENCE };
    let before = process::cpu(served.pid());
    let addresses = [served.address];
    let send = || run(&plan, &addresses, mix, |_| ControlFlow::Continue(()));
    let measured = tokio::task::block_in_place(|| {
        std::thread::scope(|threads| {
            threads.spawn(|| process::on_core(GENERATOR_CORE, |_| send())).join()
        })
    });
    let measured: Measured = measured.map_err(|_| jebi_load::Unfit::BrokenOff)??;
    let counts = measured.counts;
    ensure!(counts.errors() == 0 && counts.ok > 0, "the server did not answer well: {counts:?}");
    let cpu =
        process::cpu(served.pid()).zip(before).map(|(now, before)| now.saturating_sub(before));
    let cpu_us = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / counts.ok as f64);
    let per_second = measured.per_second();
    let turn = Turn { per_second, cpu_us, generator_busy: measured.generator.busy };
    Ok((turn, measured.body_bytes / counts.ok))
}
