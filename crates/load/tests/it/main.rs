//! The generator against a server that can be told to stall.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jebi_load::{Measured, Mix, Pace, Plan, Progress, Request, run};

/// Closed while the service stalls.
#[derive(Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let closed = self.is_closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |is_closed| *is_closed).unwrap());
    }

    fn set(&self, is_closed: bool) {
        *self.is_closed.lock().unwrap() = is_closed;
        self.opened.notify_all();
    }
}

fn serve(answer: &'static str) -> (SocketAddr, Arc<Gate>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::<Gate>::default();
    let held = Arc::clone(&gate);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let gate = Arc::clone(&held);
            std::thread::spawn(move || talk(stream, &gate, answer));
        }
    });
    (address, gate)
}

fn talk(stream: TcpStream, gate: &Gate, answer: &str) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut answers = stream.try_clone().ok()?;
    for line in BufReader::new(stream).lines() {
        if line.ok()?.is_empty() {
            gate.pass();
            answers.write_all(answer.as_bytes()).ok()?;
        }
    }
    Some(())
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn mix() -> Mix {
    Mix::of("hello", [Request::new(0, ("GET", "/"), &[], None)])
}

fn plan(users: usize, pace: Pace, duration: Duration) -> Plan {
    Plan { users, duration, pace, patience: Duration::from_secs(20) }
}

/// A run of three seconds in whose second one the service stalls.
fn stalled(users: usize, pace: Pace) -> Measured {
    let (address, gate) = serve(HELLO);
    let (over, never) = mpsc::channel::<()>();
    let stall = std::thread::spawn(move || {
        for is_closed in [true, false] {
            let _ = never.recv_timeout(Duration::from_secs(1));
            gate.set(is_closed);
        }
    });
    let plan = plan(users, pace, Duration::from_secs(3));
    let measured = run(&plan, &[address], &mix(), |_| ControlFlow::Continue(())).unwrap();
    drop(over);
    stall.join().unwrap();
    measured
}

/// Answers that took at least half a second.
fn slow(measured: &Measured) -> u64 {
    let slow = measured.latency.buckets().into_iter().filter(|(ms, _)| *ms >= 500.0);
    slow.map(|(_, count)| count).sum()
}

#[test]
fn what_a_stall_keeps_waiting_is_measured_and_a_closed_loop_would_hide_it() {
    let open = stalled(20, Pace::Open { per_second: 200.0 });
    assert_eq!((open.intended, open.counts.ok, open.unsent), (600, 600, 0));
    assert_eq!(open.latency.count(), 600);
    // Those of the first half of the stall: a hundred, and what a busy machine adds.
    assert!(slow(&open) >= 95, "{}", slow(&open));
    let closed = stalled(20, Pace::Closed);
    assert_eq!(closed.counts.errors(), 0);
    assert!(closed.counts.ok > 600, "{}", closed.counts.ok);
    let share = |measured: &Measured| slow(measured) as f64 / measured.latency.count() as f64;
    assert!(share(&closed) < share(&open) / 10.0, "{} {}", share(&closed), share(&open));
}

#[test]
fn what_nobody_was_free_to_send_is_counted_with_what_it_has_waited() {
    let (address, gate) = serve(HELLO);
    gate.set(true);
    let plan = plan(3, Pace::Open { per_second: 100.0 }, Duration::from_secs(1));
    // The service answers three requests, when nothing more is sent.
    let watch = |progress: Progress| {
        if progress.elapsed > Duration::from_millis(2_100) {
            gate.set(false);
        }
        ControlFlow::Continue(())
    };
    let measured = run(&plan, &[address], &mix(), watch).unwrap();
    assert_eq!((measured.intended, measured.counts.ok, measured.unsent), (100, 3, 97));
    assert_eq!(measured.latency.count(), 100);
    assert!(measured.latency.quantile_ms(0.01).unwrap() >= 1_000.0);
}

#[test]
fn a_run_ends_when_who_watches_has_seen_enough() {
    let (address, _) = serve(HELLO);
    for pace in [Pace::Open { per_second: 50.0 }, Pace::Closed] {
        let plan = plan(2, pace, Duration::from_secs(600));
        let measured = run(&plan, &[address], &mix(), |progress| {
            if progress.counts.ok > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let measured = measured.unwrap();
        assert!(measured.counts.ok > 5);
        assert!(measured.seconds < 60.0, "it was to be ten minutes");
    }
}

#[test]
fn refusals_and_what_cannot_be_read_are_no_answers() {
    let refused = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let plan = plan(2, Pace::Open { per_second: 50.0 }, Duration::from_millis(200));
    let measure =
        |answer| run(&plan, &[serve(answer).0], &mix(), |_| ControlFlow::Continue(())).unwrap();
    let measured = measure(refused);
    assert_eq!((measured.counts.refused, measured.counts.errors()), (10, 10));
    assert_eq!((measured.latency.count(), measured.refusals.count()), (0, 10));
    let measured = measure("SSH-2.0-hello\r\n\r\n");
    assert_eq!((measured.counts.broken, measured.counts.ok), (10, 0));
    assert!(run(&plan, &[], &mix(), |_| ControlFlow::Continue(())).is_err(), "nowhere");
}

/// Where the generator of the next test is to send, when this program is run once more as that.
const CHILD: &str = "JEBI_LOAD_CHILD";
const DOUBTS: &str = "doubts: ";

/// Does nothing but where the next test says so.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a child is told, and tells")]
fn a_generator_of_its_own() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let plan = plan(5, Pace::Open { per_second: 200.0 }, Duration::from_secs(3));
    let addresses = [address.parse().unwrap()];
    let measured = run(&plan, &addresses, &mix(), |_| ControlFlow::Continue(())).unwrap();
    println!("{DOUBTS}{}", measured.doubts().join("; "));
}

#[test]
fn a_generator_that_gets_a_tenth_of_a_core_says_that_it_was_the_slow_one() {
    let (address, _) = serve(HELLO);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_generator_of_its_own", "--nocapture", "--test-threads", "1"])
        .env(CHILD, address.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let (_over, never) = mpsc::channel::<()>();
    while child.try_wait().unwrap().is_none() {
        for (signal, ms) in [("-STOP", 90), ("-CONT", 10)] {
            // It may have ended: then there is nobody to stop.
            let _ = Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status();
            let _ = never.recv_timeout(Duration::from_millis(ms));
        }
    }
    let output = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let doubts = output.lines().find_map(|line| line.split_once(DOUBTS)).unwrap().1;
    assert!(doubts.contains("kept from running"), "{output}");
    assert!(doubts.contains("late"), "{output}");
}
