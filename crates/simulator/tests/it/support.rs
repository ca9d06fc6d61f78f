//! A client of all three, without a network.

use std::sync::Arc;
use std::time::Duration;

use jebi_simulator::{
    Clock, InProcess, PASSWORD, Received, Settings, SimRequest, SimResponse, Simulator,
};
use serde_json::{Value, json};

pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const ZENTRADE_KEY: &str = "00000000000000000000000000000001";
pub(crate) const DOMEGGOOK_KEY: &str = "00000000000000000000000000000002";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// All three, and a clock that stands until it is moved.
pub(crate) struct Outside {
    pub(crate) transport: InProcess,
    token: String,
    session: String,
}

impl Outside {
    pub(crate) fn with(settings: Settings) -> Self {
        let clock = Clock::manual();
        let simulator = Arc::new(Simulator::new(settings, clock.now()));
        let transport = InProcess::new(simulator, clock);
        let mut outside = Self { transport, token: String::new(), session: String::new() };
        outside.log_in();
        outside
    }

    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// Fresh tokens of both systems that have them.
    pub(crate) fn log_in(&mut self) {
        self.token = text(&self.answer(&auth("demo-seller", PASSWORD)));
        let form =
            format!("mode=setLogin&ver=4.1&aid={DOMEGGOOK_KEY}&om=json&id=demo&pw={PASSWORD}");
        let form = form + "&loginKeep=on&userAgent=test&ip=192.0.2.1&device=Third+Party";
        let session = json_of(&self.answer(&SimRequest::post(DOMEGGOOK, FORM, form)));
        self.session = session["domeggook"]["sId"].as_str().unwrap_or_default().to_owned();
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        self.transport.simulator()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.transport.clock().advance(time);
    }

    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    pub(crate) fn ask(&self, request: &SimRequest) -> SimResponse {
        self.transport.ask(request)
    }

    /// An answer that arrives whole.
    pub(crate) fn answer(&self, request: &SimRequest) -> Received {
        self.transport.send(request).outcome.unwrap()
    }

    pub(crate) fn graphql_request(&self, query: &str, variables: &Value) -> SimRequest {
        let body = json!({ "query": query, "variables": variables }).to_string();
        SimRequest::post("/ownerclan/v1/graphql", "application/json", body)
            .with_header("Authorization", &format!("Bearer {}", self.token))
    }

    /// An answer of Ownerclan, errors included.
    pub(crate) fn graphql(&self, query: &str, variables: &Value) -> Value {
        json_of(&self.answer(&self.graphql_request(query, variables)))
    }

    /// The data of Ownerclan, where there is no error.
    pub(crate) fn data(&self, query: &str, variables: &Value) -> Value {
        let mut answer = self.graphql(query, variables);
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"].take()
    }

    pub(crate) fn domeggook_request(&self, query: &str) -> SimRequest {
        let (key, session) = (DOMEGGOOK_KEY, &self.session);
        SimRequest::get(format!("{DOMEGGOOK}?aid={key}&sId={session}&{query}"))
    }

    /// An answer of Domeggook in JSON and UTF-8.
    pub(crate) fn domeggook(&self, query: &str) -> Value {
        json_of(&self.answer(&self.domeggook_request(&format!("om=json&oe=utf-8&{query}"))))
    }

    /// The XML of Zentrade.
    pub(crate) fn zentrade(&self, path: &str, query: &str) -> String {
        let received = self.answer(&zentrade_request(path, query));
        encoding_rs::EUC_KR.decode(&received.body).0.into_owned()
    }
}

pub(crate) const DOMEGGOOK: &str = "/domeggook/ssl/api/";

pub(crate) fn auth(name: &str, password: &str) -> SimRequest {
    let body = json!({
        "service": "ownerclan",
        "userType": "seller",
        "username": name,
        "password": password,
    });
    SimRequest::post("/ownerclan/auth", "application/json", body.to_string())
}

pub(crate) fn zentrade_request(path: &str, query: &str) -> SimRequest {
    let target = format!("/zentrade/shop/proc/{path}.php?id=demo&m_skey={ZENTRADE_KEY}&{query}");
    SimRequest::get(target).with_header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
}

pub(crate) fn text(received: &Received) -> String {
    String::from_utf8(received.body.clone()).unwrap()
}

pub(crate) fn json_of(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

/// A list whatever form it has: several, one, or none.
pub(crate) fn many(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(entries) => entries.clone(),
        Value::Object(_) => vec![value.clone()],
        _ => Vec::new(),
    }
}

/// A whole number, also where it is text or has a comma.
pub(crate) fn number(value: &Value) -> i64 {
    match value {
        Value::String(text) => text.replace(',', "").parse().unwrap(),
        #[expect(clippy::cast_possible_truncation, reason = "prices of tests are small and whole")]
        value => value.as_f64().unwrap() as i64,
    }
}
