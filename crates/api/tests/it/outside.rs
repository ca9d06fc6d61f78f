//! The service and the wholesalers: accounts that are called, and what the figures say of them.

use std::sync::Arc;

use jebi_domain::{Scope, Wholesaler};
use jebi_simulator::{Clock, Fault, FaultRule, PASSWORD, Server, Settings, Simulator};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::http::Request;

const ACCOUNTS: &str = "/api/v1/accounts/";
const KEY: &str = "00000000000000000000000000000000";

/// The wholesalers, and a service that calls them.
async fn outside() -> (Arc<Simulator>, TestApp) {
    outside_with(Settings::default()).await
}

/// The wholesalers as they are set, and a service that calls them when it is asked to.
pub(crate) async fn outside_with(settings: Settings) -> (Arc<Simulator>, TestApp) {
    let clock = Clock::system();
    let simulator = Arc::new(Simulator::new(settings, clock.now()));
    let server = Server::bind("127.0.0.1:0", Arc::clone(&simulator), clock).await.unwrap();
    let urls = server.urls();
    tokio::spawn(server.run());
    let app = TestApp::with(&[
        ("OWNERCLAN_API_URL", &urls.ownerclan_api),
        ("OWNERCLAN_AUTH_URL", &urls.ownerclan_auth),
        ("ZENTRADE_BASE_URL", &urls.zentrade_base),
        ("DOMEGGOOK_BASE_URL", &urls.domeggook_base),
        ("JEBI_WORKERS", "4"),
        ("JEBI_WALK_SCHEDULE", "off"),
        ("JEBI_FOLLOW_SCHEDULE", "off"),
    ])
    .await;
    (simulator, app)
}

pub(crate) fn credentials(kind: &str, name: &str) -> Value {
    match kind {
        "ownerclan" => json!({ "username": name, "password": PASSWORD }),
        "zentrade" => json!({ "id": name, "m_skey": KEY }),
        _ => json!({ "aid": KEY, "id": name, "pw": PASSWORD }),
    }
}

pub(crate) async fn add(app: &TestApp, kind: &str, name: &str, credentials: &Value) -> String {
    let body = json!({ "kind": kind, "name": name, "credentials": credentials });
    let request = Request::new("POST", ACCOUNTS).key(&app.key).json(&body);
    let added = app.send(request).await.expect(201).json();
    added["id"].as_str().unwrap().to_owned()
}

/// Starts a check, and tells where it is told of.
async fn start(app: &TestApp, account: &str) -> String {
    let path = format!("{ACCOUNTS}{account}/check");
    let accepted = app.send(Request::new("POST", &path).key(&app.key)).await.expect(202);
    accepted.json()["status_url"].as_str().unwrap().to_owned()
}

/// The job once it has ended.
pub(crate) async fn end(app: &TestApp, job: &str) -> Value {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tick.tick().await;
        let told = app.get(job).await.expect(200).json();
        if !told["finished_at"].is_null() {
            return told;
        }
    }
}

async fn check(app: &TestApp, account: &str) -> Value {
    let job = start(app, account).await;
    end(app, &job).await
}

pub(crate) async fn figures(app: &TestApp) -> Vec<Value> {
    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let path = "/api/v1/performance/wholesaler-apis";
    let told = app.send(Request::new("GET", path).key(&key)).await.expect(200).json();
    told["accounts"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_of_ten_is_down_its_breaker_shows_and_the_nine_lose_nothing() {
    let (simulator, app) = outside().await;
    let answer = Fault::Answer { status: 503, headers: [].into(), body: String::new() };
    let rule = FaultRule::new(answer).on(Wholesaler::Ownerclan).route("allItems");
    simulator.add_fault(rule.account("seller-0"));
    let mut accounts = Vec::new();
    for n in 0..10 {
        let kind = ["ownerclan", "zentrade", "domeggook"][n % 3];
        let name = format!("seller-{n}");
        let account = add(&app, kind, &name, &credentials(kind, &name)).await;
        let job = start(&app, &account).await;
        accounts.push((format!("{kind} {account}"), job));
    }
    let mut ended = Vec::new();
    for (_, job) in &accounts {
        ended.push(end(&app, job).await);
    }
    for job in &ended[1..] {
        assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(1)), "{job}");
    }
    assert_eq!(ended[0]["failed"], 1, "{}", ended[0]);
    assert!(ended[0].to_string().contains("could not be asked"), "{}", ended[0]);
    let figures = figures(&app).await;
    for (n, (name, _)) in accounts.iter().enumerate() {
        let told = figures.iter().find(|one| one["account"] == **name).unwrap();
        let calls = told["calls"].as_u64().unwrap();
        if n == 0 {
            assert_eq!(told["breaker"]["state"], "open", "{told}");
            // All but the login.
            assert_eq!(told["errors"]["unavailable"].as_u64().unwrap(), calls - 1, "{told}");
        } else {
            let breaker = json!({ "state": "closed", "opened": 0 });
            assert_eq!((&told["breaker"], &told["errors"]), (&breaker, &json!({})), "{told}");
            assert!(calls > 0, "{told}");
        }
    }
    // Both sides counted the same.
    let calls: u64 = figures.iter().map(|one| one["calls"].as_u64().unwrap()).sum();
    assert_eq!(calls, simulator.log().len() as u64);
    assert!(simulator.blocks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_told_of_without_them_and_good_ones_mend_the_account() {
    let (_simulator, app) = outside().await;
    let bad = json!({ "username": "seller", "password": "canary-wrong" });
    let account = add(&app, "ownerclan", "가게", &bad).await;
    let job = check(&app, &account).await;
    assert_eq!(job["failed"], 1, "{job}");
    let told = job.to_string();
    assert!(told.contains("check the account's credentials") && !told.contains("canary"), "{told}");
    // Wholesalers block who guesses: after two refused logins in an hour there is no third.
    check(&app, &account).await;
    let told = figures(&app).await;
    assert!(told[0]["paused_apis"]["login"].as_f64().unwrap() > 0.0, "{told:?}");
    let path = format!("{ACCOUNTS}{account}");
    let good = json!({ "credentials": { "password": PASSWORD } });
    app.patch(&path, &good).await.expect(200);
    let job = check(&app, &account).await;
    assert_eq!(job["done"], 1, "{job}");
    assert!(job["result"]["items_read"].as_u64().unwrap() > 0, "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_no_reason_to_guess_again() {
    let (_simulator, app) = outside().await;
    let bad = json!({ "username": "seller", "password": "wrong" });
    let account = add(&app, "ownerclan", "가게", &bad).await;
    for _ in 0..2 {
        assert_eq!(check(&app, &account).await["failed"], 1);
    }
    let before = figures(&app).await[0].clone();
    let path = format!("{ACCOUNTS}{account}");
    app.patch(&path, &json!({ "name": "새 가게" })).await.expect(200);
    start(&app, &account).await;
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    let after = loop {
        tick.tick().await;
        let told = figures(&app).await[0].clone();
        if told["refused"] != before["refused"] || told["calls"] != before["calls"] {
            break told;
        }
    };
    assert_eq!((&after["account"], &after["calls"]), (&before["account"], &before["calls"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_accounts_with_wholesalers_that_are_in_use_are_checked() {
    let app = TestApp::new().await;
    let platform = add(&app, "11st", "shop", &json!({ "api_key": KEY })).await;
    let idle = add(&app, "zentrade", "shop", &credentials("zentrade", "shop")).await;
    app.patch(&format!("{ACCOUNTS}{idle}"), &json!({ "is_active": false })).await.expect(200);
    for account in [platform, idle] {
        let path = format!("{ACCOUNTS}{account}/check");
        app.send(Request::new("POST", &path).key(&app.key)).await.expect(409);
    }
    let nobody = format!("{ACCOUNTS}0199f4c0-0000-7000-8000-000000000000/check");
    app.send(Request::new("POST", &nobody).key(&app.key)).await.expect(404);
}
