//! A worker in a process of its own: this test program, run again for one test that is a worker.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jebi_db_optimizer::{Config as PoolConfig, Pool};
use jebi_work::{Config, Kinds, Outcome, Policy, Runner, Wake, Work};

use crate::fixture::{effect, quick};

const DATABASE: &str = "JEBI_TEST_WORKER_OF";
const NAME: &str = "JEBI_TEST_WORKER_NAME";
const LEASE_MS: &str = "JEBI_TEST_WORKER_LEASE_MS";

/// A worker, killed with this value.
pub(crate) struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(database_url: &str, name: &str, lease: Duration) -> Self {
        let lease_ms = lease.as_millis().to_string();
        let told = [(DATABASE, database_url), (NAME, name), (LEASE_MS, &lease_ms)];
        Self::of("child::a_worker_of_another_test", &told)
    }

    /// Another test, told so by its environment.
    pub(crate) fn of(test: &str, told: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .envs(told.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it says so.
    pub(crate) fn hear(&mut self, word: &str) {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(word)), "it ended before it said {word:?}");
    }

    /// Lets it go on from where it waits.
    pub(crate) fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    }

    /// The shell's own `kill`: not every machine has the program.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The most memory that it has had, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Waits for its end, and says whether it was a good one.
    pub(crate) fn end(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
pub(crate) fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::print_stdout, reason = "how a child talks to its test")]
pub(crate) fn say(word: &str) {
    println!("{word}");
}

/// Does nothing where no test is its parent. `plain` does its items; `waits` says so and waits to be told to go on,
/// before it commits; `poison` aborts the process at item 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_test() {
    let (Some(url), Some(name), Some(lease)) = (told(DATABASE), told(NAME), told(LEASE_MS)) else {
        return;
    };
    let (plain, waiting) = (name.clone(), name.clone());
    let kinds = Kinds::default()
        .with("plain", Policy { batch: 3 }, move |work| finish(work, plain.clone()))
        .with("waits", Policy { batch: 3 }, move |work: Arc<Work>| {
            let name = waiting.clone();
            async move {
                say("begun");
                tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await.unwrap();
                let result = finish(work, name).await;
                say(if result.is_ok() { "committed" } else { "refused" });
                result
            }
        })
        .with("poison", Policy::default(), move |work: Arc<Work>| {
            let name = name.clone();
            async move {
                if work.open().contains(&7) {
                    say("poisoned");
                    std::process::abort();
                }
                finish(work, name).await
            }
        });
    let pool = Pool::new(&url, &PoolConfig { size: 2, ..PoolConfig::default() }).unwrap();
    let lease = Duration::from_millis(lease.parse().unwrap());
    let config = Config { lease, ..quick() };
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    say("ready");
    let stop = async { terminate.recv().await.unwrap() };
    Runner::new(pool, kinds, config, &Wake::default()).run(stop).await;
    // A blocked read of stdin would keep the runtime from its end.
    std::process::exit(0);
}

/// Writes an effect for each item, and commits them together with the items' end.
async fn finish(work: Arc<Work>, name: String) -> Result<jebi_work::Ended, jebi_work::Failure> {
    let transaction = work.begin().await?;
    let open = work.open();
    for number in &open {
        effect(&transaction, work.claim.seller, *number, &name).await;
    }
    let done = open.into_iter().map(|number| (number, Outcome::Done)).collect();
    work.commit(transaction, done).await?;
    Ok(vec![])
}
