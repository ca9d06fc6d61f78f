//! Chromium without a window, driven by its own protocol over a pipe.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Longer than anything takes here; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page, ended with this value.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    profile: PathBuf,
    session: Option<String>,
    sent: u64,
    /// What the page asked of which address.
    pub(crate) requests: Vec<String>,
    /// What stands in the console as an error.
    pub(crate) errors: Vec<String>,
}

impl Browser {
    /// A new browser in which nothing is remembered; `None`, and a line that says so, where there is none to be had.
    #[expect(clippy::print_stderr, reason = "nobody shall think that it was tested")]
    pub(crate) fn start() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "xtask says which browser there is")]
        let program = std::env::var("JEBI_TEST_BROWSER").ok().filter(|program| !program.is_empty());
        let Some(program) = program else {
            eprintln!("left out: no browser; `cargo xtask test` looks for one");
            return None;
        };
        let name = format!("jebi-browser-{}", u64::from_le_bytes(jebi_db_optimizer::random()));
        let profile = std::env::temp_dir().join(name);
        // It reads commands from descriptor 3 and answers on 4: the shell lays its own there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", &program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let messages = BufReader::new(answers).split(0).map_while(Result::ok);
            for message in messages {
                let message = serde_json::from_slice(&message).unwrap();
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            profile,
            session: None,
            sent: 0,
            requests: vec![],
            errors: vec![],
        };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Sends a command and gives what it came to.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut command = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message = self.from.recv_timeout(PATIENCE).expect("the browser answers in time");
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests.push(text(&params["request"]["url"]));
            }
            Some("Runtime.exceptionThrown") => {
                self.errors.push(params["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.errors.push(format!("{} {}", params["entry"]["text"], params["entry"]["url"]));
            }
            Some("Runtime.consoleAPICalled") if params["type"] == "error" => {
                self.errors.push(params["args"].to_string());
            }
            _ => {}
        }
    }

    /// What a script gives, once it is settled.
    pub(crate) fn evaluate(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", &params);
        assert!(result["exceptionDetails"].is_null(), "{script}: {result}");
        result["result"]["value"].clone()
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait(&format!(
            "location.href.startsWith('{url}') && document.readyState === 'complete'"
        ));
    }

    /// Waits until a condition holds on the page, whichever page that is by then.
    pub(crate) fn wait(&mut self, condition: &str) {
        let began = std::time::Instant::now();
        loop {
            // In the page, so that nothing is asked all the time; a page that goes away ends the wait, not the condition.
            let script = format!(
                "new Promise((settle) => {{
                     const until = Date.now() + 2000;
                     const look = () => {{
                         let holds = false;
                         try {{ holds = Boolean({condition}); }} catch {{ holds = false; }}
                         if (holds || Date.now() > until) settle(holds); else setTimeout(look, 20);
                     }};
                     look();
                 }})"
            );
            let params =
                json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
            self.sent += 1;
            let command = json!({
                "id": self.sent, "sessionId": self.session,
                "method": "Runtime.evaluate", "params": params,
            });
            self.to.write_all(format!("{command}\0").as_bytes()).unwrap();
            let answer = loop {
                let message = self.from.recv_timeout(PATIENCE).expect("the browser answers");
                if message["id"] == self.sent {
                    break message;
                }
                self.note(&message);
            };
            if answer["result"]["result"]["value"] == true {
                return;
            }
            if began.elapsed() > PATIENCE {
                let page = self.evaluate("document.body.innerText");
                panic!("{condition} never held on:\n{page}\nerrors: {:?}", self.errors);
            }
        }
    }

    /// The text of the element of this test id.
    pub(crate) fn text(&mut self, id: &str) -> String {
        let script = format!("document.querySelector('[data-testid=\"{id}\"]').innerText");
        self.evaluate(&script).as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&mut self, id: &str) {
        self.evaluate(&format!("document.querySelector('[data-testid=\"{id}\"]').click()"));
    }

    /// As wide as that many pixels, like a phone or a desk.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the page looks like, as a PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
