//! Accounts, and what it takes to log in to them, which comes out nowhere.

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{AccountId, AccountKind, MasterKey, Place, Scope, Scopes};
use serde_json::{Value, json};

use crate::app::{TestApp, add_key};
use crate::http::{Request, Response};
use crate::personal::dump;
use crate::process::{Served, jebi, stderr};
use crate::redis::Redis;

const ACCOUNTS: &str = "/api/v1/accounts/";
const CANARIES: [&str; 4] = ["canary-password-1", "canary-password-2", "canary-skey", "canary-cli"];

fn body(kind: &str, name: &str, credentials: &Value) -> Value {
    json!({ "kind": kind, "name": name, "credentials": credentials })
}

fn ownerclan(name: &str, password: &str) -> Value {
    body("ownerclan", name, &json!({ "username": "demo", "password": password }))
}

async fn post(app: &TestApp, body: &Value) -> Response {
    app.send(Request::new("POST", ACCOUNTS).key(&app.key).json(body)).await
}

/// The id of a new account of *demo*.
pub(crate) async fn new_account(app: &TestApp) -> String {
    let name = format!("account {}", u64::from_le_bytes(jebi_db_optimizer::random()));
    let added = post(app, &ownerclan(&name, "sesame")).await.expect(201).json();
    added["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_added_once_changed_and_taken_away() {
    let app = TestApp::new().await;
    let added = post(&app, &ownerclan("가게", "one")).await.expect(201);
    let path = added.header("location").unwrap().to_owned();
    let account = added.json();
    assert_eq!((&account["kind"], &account["is_active"]), (&json!("ownerclan"), &json!(true)));
    assert_eq!(account.as_object().unwrap().len(), 7, "{account}");
    let again = post(&app, &ownerclan("가게", "two")).await.expect(200).json();
    assert_eq!(again["id"], account["id"]);
    let list = app.get(ACCOUNTS).await.expect(200);
    assert!(!list.text().contains("password") && !list.text().contains("username"));
    let kinds: Vec<Value> =
        list.json()["items"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["direct", "ownerclan"]);
    let tag = list.header("etag").unwrap().to_owned();
    let known = Request::new("GET", ACCOUNTS).key(&app.key).header("if-none-match", &tag);
    app.send(known.clone()).await.expect(304);

    let changed = app.patch(&path, &json!({ "name": "새 가게", "is_active": false })).await;
    assert_eq!(changed.expect(200).json()["name"], "새 가게");
    app.send(known).await.expect(200);
    post(&app, &ownerclan("가게", "three")).await.expect(201);
    let taken = app.patch(&path, &json!({ "name": "가게" })).await.expect(409);
    assert!(taken.text().contains("another account"));
    let delete = Request::new("DELETE", &path).key(&app.key);
    app.send(delete.clone()).await.expect(204);
    app.send(delete).await.expect(204);
    app.patch(&path, &json!({ "is_active": true })).await.expect(404);
    let id = account["id"].as_str().unwrap();
    let left = format!("SELECT count(*) FROM account_credentials WHERE account_id = '{id}'");
    assert_eq!(app.db.number(&left).await, 0);
    let audit = format!("SELECT count(*) FROM audit_log WHERE subject_id = '{id}'");
    assert_eq!(app.db.number(&audit).await, 4);

    // The own shop is there for good.
    let shop = list.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let shop = format!("{ACCOUNTS}{shop}");
    app.send(Request::new("DELETE", &shop).key(&app.key)).await.expect(409);
    let refused =
        app.patch(&shop, &json!({ "is_active": false, "credentials": {} })).await.expect(422);
    assert_eq!(refused.fields(), ["credentials", "is_active"]);
    app.patch(&shop, &json!({ "name": "우리 가게" })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_nothing_is_written() {
    let app = TestApp::new().await;
    let before = app.db.number("SELECT count(*) FROM account_credentials").await;
    let long = "x".repeat(1_000_000);
    let own = |credentials: &Value| body("ownerclan", "a", credentials);
    let cases = [
        (body("amazon", "a", &json!({})), 422, vec!["kind"]),
        (body("direct", "a", &json!({})), 422, vec!["kind"]),
        (body("ownerclan", "", &json!({ "username": "a", "password": "b" })), 422, vec!["name"]),
        (own(&json!({ "username": "a" })), 422, vec!["credentials.password"]),
        (own(&json!({})), 422, vec!["credentials.username", "credentials.password"]),
        (
            own(&json!({ "username": "a", "password": "b", "m_skey": "c" })),
            422,
            vec!["credentials.m_skey"],
        ),
        (own(&json!({ "username": "a", "password": long })), 422, vec!["credentials.password"]),
        (own(&json!({ "username": "", "password": "b" })), 422, vec!["credentials.username"]),
        (own(&json!({ "username": "a\r\nb", "password": "b" })), 422, vec!["credentials.username"]),
        (own(&json!({ "username": "a\0", "password": "b" })), 422, vec!["credentials.username"]),
        (own(&json!({ "username": 7, "password": "b" })), 400, vec!["credentials.username"]),
        (own(&json!(["a", "b"])), 400, vec!["credentials"]),
        (
            body("zentrade", "a", &json!({ "id": "a", "m_skey": null })),
            400,
            vec!["credentials.m_skey"],
        ),
    ];
    for (body, status, fields) in cases {
        let shown: String = body.to_string().chars().take(200).collect();
        let response = post(&app, &body).await;
        assert_eq!(response.status, status, "{shown}: {}", response.text());
        assert_eq!(response.fields(), fields, "{shown}");
    }
    assert_eq!(app.db.number("SELECT count(*) FROM account_credentials").await, before);
    for kind in AccountKind::ALL {
        let all: serde_json::Map<String, Value> =
            kind.credentials().iter().map(|name| ((*name).to_owned(), json!("x"))).collect();
        post(&app, &body(kind.as_str(), "all", &all.into())).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_accounts_are_enough_and_twins_are_one() {
    let app = TestApp::new().await;
    let same = ownerclan("same", "sesame");
    let twins = futures::future::join_all((0..20).map(|_| post(&app, &same))).await;
    let added = twins.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((added, twins.iter().filter(|answer| answer.status == 200).count()), (1, 19));
    // With the own shop and this one.
    for n in 0..98 {
        post(&app, &ownerclan(&n.to_string(), "sesame")).await.expect(201);
    }
    post(&app, &ownerclan("one more", "sesame")).await.expect(409);
    post(&app, &same).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_credentials_are_found_nowhere_and_open_in_their_place_only() {
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    let operator = add_key(&db, "demo", [Scope::PerformanceRead].into_iter().collect()).await.0;
    let settings = [("REDIS_URL", &*redis.url()), ("OTEL_TRACES_SAMPLER_ARG", "1")];
    let mut served = Served::with(&db.url(), &settings);
    let at = served.address.clone();
    let mut said = String::new();
    let mut send = async |method: &str, path: &str, key: &str, body: Option<Value>| {
        let request = Request::new(method, path).key(key);
        let request = body.map_or(request.clone(), |body| request.json(&body));
        let answer = request.send(&at).await;
        said += &answer.text();
        answer
    };
    let [one, two, skey, cli] = CANARIES;
    let added = send("POST", ACCOUNTS, &key, Some(ownerclan("a", one))).await.expect(201);
    let path = added.header("location").unwrap().to_owned();
    let other = body("zentrade", "b", &json!({ "id": "demo", "m_skey": skey }));
    let other = send("POST", ACCOUNTS, &key, Some(other)).await.expect(201).json();
    let change = json!({ "credentials": { "password": two } });
    send("PATCH", &path, &key, Some(change)).await.expect(200);
    // In every wrong place.
    let wrong = body("ownerclan", "c", &json!({ "username": one, "password": one, two: skey }));
    let answer = send("POST", ACCOUNTS, &key, Some(wrong)).await.expect(422);
    assert_eq!(answer.fields(), [format!("credentials.{two}")]);
    said.clear();
    let mut send = async |method: &str, path: &str, key: &str, body: Option<Value>| {
        let request = Request::new(method, path).key(key);
        let request = body.map_or(request.clone(), |body| request.json(&body));
        said += &request.send(&at).await.text();
    };
    send(
        "POST",
        ACCOUNTS,
        &key,
        Some(json!({ "kind": "ownerclan", "name": "c", "credentials": [one] })),
    )
    .await;
    send("GET", ACCOUNTS, &key, None).await;
    for path in ["overview", "api", "database", "cache", "real-time"] {
        send("GET", &format!("/api/v1/performance/{path}"), &operator, None).await;
    }
    send("GET", "/metrics", &operator, None).await;
    let run = |arguments: &[&str]| {
        let output = jebi(&db.url()).args(arguments).output().unwrap();
        format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout))
    };
    let add = ["account", "add", "--seller", "demo", "--kind", "11st", "--credential"];
    let added = run(&[&add[..], &[&format!("api_key={cli}")]].concat());
    assert!(added.contains("11st  added"), "{added}");
    let refused = run(&[&add[..], &[&format!("key={cli}")]].concat());
    assert!(refused.contains("key is no credential of an account of this kind"), "{refused}");
    assert!(run(&["account", "list", "--seller", "demo"]).contains("11st"));
    let unsaid = run(&[&add[..], &[cli]].concat());
    assert!(unsaid.contains("NAME=VALUE"), "{unsaid}");

    served.kill();
    let redis_dump = String::from_utf8_lossy(&redis.dump().await).into_owned();
    let places = [
        ("answers", said),
        ("the database", dump(&db).await),
        ("Redis", redis_dump),
        ("the log", served.log()),
        ("the command", format!("{added}{refused}{unsaid}")),
    ];
    for (place, text) in &places {
        for canary in CANARIES {
            let hexadecimal: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [canary, &hexadecimal] {
                assert!(!text.contains(form), "{canary} is in {place}");
            }
        }
    }

    // A credential opens for its seller, account and name, and nowhere else.
    let seller = db.seller("demo").await;
    let id: AccountId = path.rsplit('/').next().unwrap().parse().unwrap();
    let sealed =
        jebi_db_optimizer::accounts::credentials(&db.pool, seller.seller(), id).await.unwrap();
    let (name, value) = &sealed[0];
    assert_eq!(name, "password");
    let opened = seller.open(Place::CredentialOf(id.as_uuid(), "password"), value).unwrap();
    assert_eq!(opened, two.as_bytes());
    let moved = other["id"].as_str().unwrap();
    db.run(&format!(
        "UPDATE account_credentials SET sealed = decode('{}', 'hex') WHERE account_id = '{moved}'",
        value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    ))
    .await;
    let moved: AccountId = moved.parse().unwrap();
    let sealed =
        jebi_db_optimizer::accounts::credentials(&db.pool, seller.seller(), moved).await.unwrap();
    for (name, value) in &sealed {
        assert!(seller.open(Place::CredentialOf(moved.as_uuid(), name), value).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_master_key_is_followed_by_sealing_credentials_anew() {
    let app = TestApp::new().await;
    let id = new_account(&app).await;
    let old = jebi_db_optimizer::testing::MASTER_KEY;
    let new = "5a".repeat(32);
    let rotate = |previous: Option<&str>| {
        let mut command = jebi(&app.db.url());
        command.args(["account", "rotate"]).env("JEBI_MASTER_KEY", &new);
        command.envs(previous.map(|key| ("JEBI_PREVIOUS_MASTER_KEY", key)));
        let output = command.output().unwrap();
        format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout))
    };
    assert!(rotate(None).contains("sealed under neither"), "{}", rotate(None));
    assert_eq!(rotate(Some(old)).trim(), "sealed 2 of 2 credentials under the new key");
    assert_eq!(rotate(Some(old)).trim(), "sealed 0 of 2 credentials under the new key");

    let salt = app.db.text("SELECT encode(key_salt, 'hex') FROM sellers WHERE name = 'demo'").await;
    let salt: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&salt[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let seller = app.db.seller("demo").await.seller();
    let keys = MasterKey::from_hex(&new).unwrap().seller_keys(seller, &salt);
    let id: AccountId = id.parse().unwrap();
    let all = jebi_db_optimizer::accounts::credentials(&app.db.pool, seller, id).await.unwrap();
    let opened: Vec<Vec<u8>> = all
        .iter()
        .map(|(name, value)| keys.open(Place::CredentialOf(id.as_uuid(), name), value).unwrap())
        .collect();
    assert_eq!(opened, [b"sesame".to_vec(), b"demo".to_vec()]);

    // Under the new key and the one before it the service reads and finds what was there.
    let order = app.order().await;
    let served = Served::with(
        &app.db.url(),
        &[("JEBI_MASTER_KEY", &new), ("JEBI_PREVIOUS_MASTER_KEY", old)],
    );
    let get = |path: &str| Request::new("GET", path).key(&app.key);
    let whole = get(&order).send(&served.address).await.expect(200);
    assert!(whole.text().contains("홍길동"));
    let found =
        get("/api/v1/orders-optimized/?search=5678").send(&served.address).await.expect(200);
    assert_eq!(found.json()["total"], 1);
}
