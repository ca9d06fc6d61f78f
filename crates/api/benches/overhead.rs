//! What it costs to be observed: CPU time of the service for a request, by turns between two processes.
//!
//! ```console
//! $ cargo xtask dev --background && . target/dev/env
//! $ cargo bench -p jebi-api --bench overhead --profile release-fast
//! ```
//!
//! One process sends traces and metrics to a collector, the other does not; where `JEBI_BENCH_OTHER` names another binary,
//! such as that of an earlier release, it is compared instead. The database is dev's. Each turn asks one of them the same
//! number of requests over the same number of connections, and reads what the kernel says its threads took.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench is told by its environment")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TURNS: usize = 40;
const CONNECTIONS: usize = 4;

struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(binary: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary)
            .arg("serve")
            .envs(settings.iter().copied())
            .env("JEBI_LISTEN", "127.0.0.1:0")
            .env("JEBI_LOG", "info,jebi_api::request_id=off")
            .env("JEBI_PERFORMANCE_LOG", "off")
            .env("JEBI_WORKERS", "0")
            .env("DATABASE_POOL_SIZE", "4")
            // Each caches for itself: what one has loaded the other has not.
            .env("REDIS_URL", "")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the service starts; source target/dev/env first");
        let said = "Listening on http://";
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains(said));
        let line = line.expect("it listens");
        let address = line.split(said).nth(1).and_then(|rest| rest.split('"').next());
        let address = address.expect("it says where").to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// What its threads have run, those that ended included by the process's own account.
    fn cpu_time(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.child.id());
        let of = |task: std::fs::DirEntry| {
            let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            schedstat.split(' ').next()?.parse::<u64>().ok()
        };
        let tasks = std::fs::read_dir(tasks).expect("it runs").filter_map(Result::ok);
        Duration::from_nanos(tasks.filter_map(of).sum())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `count` requests over some connections, each for the next path.
fn ask(served: &Served, key: &str, count: usize, path: impl Fn(usize) -> String + Sync) {
    std::thread::scope(|threads| {
        for connection in 0..CONNECTIONS {
            let path = &path;
            threads.spawn(move || {
                let mut stream = TcpStream::connect(&served.address).expect("it listens");
                stream.set_nodelay(true).expect("a socket");
                let mut answer = vec![0; 1 << 20];
                for n in (connection..count).step_by(CONNECTIONS) {
                    let head = format!(
                        "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n",
                        path(n)
                    );
                    stream.write_all(head.as_bytes()).expect("it reads");
                    read(&mut stream, &mut answer);
                }
            });
        }
    });
}

/// Reads one answer to its end.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut length = 0;
    loop {
        let more = stream.read(&mut buffer[length..]).expect("it answers");
        assert!(more > 0, "it closed the connection");
        length += more;
        let Some(end) = buffer[..length].windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let field = |line: &str| line.strip_prefix("content-length: ").map(str::to_owned);
        let body: usize =
            head.lines().find_map(field).expect("a length").parse().expect("a number");
        if length >= end + 4 + body {
            return;
        }
    }
}

/// A collector that takes everything.
fn collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || take(stream));
        }
    });
    address
}

fn take(stream: TcpStream) {
    let mut answers = stream.try_clone().expect("a socket");
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err()
            || answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err()
        {
            return;
        }
    }
}

/// CPU time of a request on the observed one, as a ratio to that on the other, by turns.
fn compare(
    what: &str,
    (plain, observed): (&Served, &Served),
    key: &str,
    count: usize,
    path: impl Fn(usize, usize) -> String + Sync,
) {
    let (mut ratios, mut took) = (Vec::new(), Duration::ZERO);
    for turn in 0..=TURNS {
        let mut each = [plain, observed].map(|served| {
            let before = served.cpu_time();
            ask(served, key, count, |n| path(turn, n));
            served.cpu_time() - before
        });
        if turn % 2 == 1 {
            // The other one first: what is warm or busy is so for both.
            let again = [observed, plain].map(|served| {
                let before = served.cpu_time();
                ask(served, key, count, |n| path(turn + 1_000, n));
                served.cpu_time() - before
            });
            each = [each[0] + again[1], each[1] + again[0]];
        }
        // The first turn warms up.
        if turn > 0 {
            ratios.push(each[1].as_secs_f64() / each[0].as_secs_f64());
            took += each[0];
        }
    }
    ratios.sort_by(f64::total_cmp);
    let percent = |quarter: usize| (ratios[(TURNS - 1) * quarter / 4] - 1.0) * 100.0;
    let requests = count * (TURNS + TURNS / 2);
    let us = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(requests).unwrap_or(1));
    println!(
        "{what:<10} {:>6.2} %  [{:.2} {:.2}]  of {us:.1} µs of the service's CPU",
        percent(2),
        percent(1),
        percent(3)
    );
}

fn main() {
    let key = std::env::var("JEBI_API_KEY").expect("source target/dev/env first");
    let ours = env!("CARGO_BIN_EXE_jebi");
    let collector = collector();
    let sent = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector)];
    let other = std::env::var("JEBI_BENCH_OTHER").ok();
    let plain = Served::start(other.as_deref().unwrap_or(ours), &[]);
    let observed = Served::start(ours, if other.is_some() { &[] } else { &sent });
    println!("{:<10} {:>8}  [quartiles]", "", "median");
    let orders = "/api/v1/orders-optimized/";
    // A cached page is one of ten that are asked for again and again.
    compare("cached", (&plain, &observed), &key, 10_000, |_, n| {
        format!("{orders}?page_size=50&page={}", n % 10 + 1)
    });
    // What nobody asked before is not cached: each filter begins at a moment of its own.
    compare("uncached", (&plain, &observed), &key, 200, |turn, n| {
        let second = (turn * 1_000 + n) % 86_400;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let day = turn % 28 + 1;
        format!(
            "{orders}?page_size=50&date_from=2010-12-{day:02}T{hour:02}:{minute:02}:{second:02}.{turn:03}Z"
        )
    });
}
