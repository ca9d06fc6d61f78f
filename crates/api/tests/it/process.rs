//! The binary itself, as an operator starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use jebi_db_optimizer::testing::{MASTER_KEY, TestDatabase};
use jebi_domain::Scopes;

use crate::app::{ORDERS, add_key, add_product, order_body, post};
use crate::http::Request;

/// `jebi` with the settings of a test.
pub(crate) fn jebi(database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jebi"));
    command
        .env_clear()
        .env("DATABASE_URL", database_url)
        .env("JEBI_MASTER_KEY", MASTER_KEY)
        .env("JEBI_LISTEN", "127.0.0.1:0")
        .env("JEBI_LOG", "debug")
        .env("JEBI_PERFORMANCE_LOG", "off")
        // Nobody outside is called by a test.
        .env("OWNERCLAN_API_URL", "http://127.0.0.1:1")
        .env("OWNERCLAN_AUTH_URL", "http://127.0.0.1:1")
        .env("ZENTRADE_BASE_URL", "http://127.0.0.1:1")
        .env("DOMEGGOOK_BASE_URL", "http://127.0.0.1:1")
        .env("DATABASE_POOL_SIZE", "2");
    command
}

/// A `jebi serve` that runs, killed with this value.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(database_url: &str) -> Self {
        Self::with(database_url, &[])
    }

    /// A process with some settings of its own.
    pub(crate) fn with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = jebi(database_url);
        let served = command.arg("serve").envs(settings.iter().copied()).stderr(Stdio::piped());
        let mut child = served.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::new(Mutex::new(String::new()));
        let said = "Listening on http://";
        let listening = lines.by_ref().find(|line| {
            log.lock().unwrap().push_str(line);
            line.contains(said)
        });
        let listening = listening.unwrap_or_else(|| panic!("{}", log.lock().unwrap()));
        let address = listening.split(said).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || lines.for_each(|line| log.lock().unwrap().push_str(&line))
        });
        Self { child, address, log, reader: Some(reader) }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills it; from then on the log is whole.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_joins_the_first() {
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    add_product(&db, "demo", "TEA-1").await;
    let (first, second) = (Served::start(&db.url()), Served::start(&db.url()));
    let created = post(&key, "k", &order_body()).send(&first.address).await.expect(201);
    let again = post(&key, "k", &order_body()).send(&second.address).await.expect(201);
    assert_eq!(created.body, again.body);
    let list = |at: &Served| {
        let address = at.address.clone();
        let request = Request::new("GET", ORDERS).key(&key);
        async move { request.send(&address).await.expect(200) }
    };
    let (one, other) = (list(&first).await, list(&second).await);
    assert_eq!(one.body, other.body);
    assert_eq!(one.header("etag"), other.header("etag"));
    let page = Request::new("GET", "/api/v1/orders-optimized/?page_size=1").key(&key);
    post(&key, "k-2", &order_body()).send(&second.address).await.expect(201);
    let cursor = page.send(&first.address).await.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = Request::new("GET", &format!("{ORDERS}?cursor={cursor}")).key(&key);
    next.send(&second.address).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_succeed_says_why_in_one_sentence() {
    let db = TestDatabase::new().await;
    let fails = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    let said = fails(jebi(&db.url()).arg("serve").env_remove("JEBI_MASTER_KEY"));
    assert!(said.contains("JEBI_MASTER_KEY is not set"), "{said}");
    let said = fails(jebi(&db.url()).arg("serve").env("DATABASE_POOL_SIZE", "many"));
    assert_eq!(said.trim(), "error: DATABASE_POOL_SIZE=\"many\" is not a count above 0");
    let said = fails(jebi(&db.url()).arg("serve").env("JEBI_LISTEN", "192.0.2.1:1"));
    assert!(said.contains("cannot listen on 192.0.2.1:1"), "{said}");
    let said = fails(jebi("postgres://nobody@127.0.0.1:1/none").arg("migrate"));
    assert!(said.contains("cannot connect to the database of DATABASE_URL"), "{said}");
    let said = fails(jebi(&db.url()).args(["seller", "add", "x", "--scope", "performance:admin"]));
    assert!(said.contains("is an operator's scope"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_is_added_once_and_each_key_printed_once() {
    let db = TestDatabase::new().await;
    let run = |arguments: &[&str]| {
        let output = jebi(&db.url()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (first, second) = (run(&["seller", "add", "가게"]), run(&["seller", "add", "가게"]));
    assert!(first.starts_with("jebi_") && first.lines().count() == 1, "{first}");
    assert_ne!(first, second);
    assert_eq!(db.number("SELECT count(*) FROM sellers").await, 1);
    let keys = run(&["seller", "keys"]);
    assert_eq!(keys.lines().count(), 2);
    assert!(!keys.contains(&first) && !keys.contains(&second));
    run(&["seller", "revoke", keys.split_whitespace().next().unwrap()]);

    // An operator's key is nobody's, and reads figures only.
    let operator = run(&["operator", "add", "--scope", "performance:read"]);
    assert_eq!(run(&["operator", "keys"]).lines().count(), 1);
    assert_eq!(run(&["seller", "keys"]).lines().count(), 2);
    let refused = jebi(&db.url()).args(["operator", "add", "--scope", "orders:read"]).output();
    assert!(stderr(&refused.unwrap()).contains("is a seller's scope"));

    let served = Served::start(&db.url());
    let figures = Request::new("GET", "/api/v1/performance/overview").key(&operator);
    figures.send(&served.address).await.expect(200);
    let orders = Request::new("GET", ORDERS).key(&operator);
    orders.send(&served.address).await.expect(403);
    let list = |key: &str| Request::new("GET", ORDERS).key(key);
    list(&first).send(&served.address).await.expect(401);
    list(&second).send(&served.address).await.expect(200);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_is_under_way() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    add_product(&db, "demo", "TEA-1").await;
    let mut served = Served::start(&db.url());
    // A request whose body comes only after the signal.
    let body = order_body().to_string();
    let head = format!(
        "POST {ORDERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(&served.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The service waits for the body once it says so.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    // The shell's own `kill`: not every machine has the program.
    let kill = format!("kill -TERM {}", served.child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    while tokio::net::TcpStream::connect(&served.address).await.is_ok() {}
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}\n{}", served.log());
    assert!(served.child.wait().unwrap().success());
}
