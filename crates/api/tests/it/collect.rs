//! What wholesalers have becomes products.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use jebi_domain::{Scope, Wholesaler};
use jebi_simulator::{Availability, Fault, FaultRule, Item, Settings, Simulator, Stock, item_key};
use serde_json::{Value, json};

use crate::app::{PRODUCTS, TestApp};
use crate::http::Request;
use crate::jobs::Events;
use crate::outside::{add, credentials, end, outside_with};
use crate::process::jebi;

/// The three accounts of *demo*, by their ids.
async fn accounts(app: &TestApp) -> BTreeMap<&'static str, String> {
    let mut accounts = BTreeMap::new();
    for kind in ["ownerclan", "zentrade", "domeggook"] {
        accounts.insert(kind, add(app, kind, "demo", &credentials(kind, "demo")).await);
    }
    accounts
}

async fn start(app: &TestApp, query: &str) -> Value {
    let path = format!("{PRODUCTS}collect{query}");
    app.send(Request::new("POST", &path).key(&app.key)).await.expect(202).json()
}

async fn collect(app: &TestApp, query: &str) -> Value {
    let accepted = start(app, query).await;
    end(app, accepted["status_url"].as_str().unwrap()).await
}

/// Cost and stock of every collected product, by wholesaler and key.
async fn stored(app: &TestApp) -> BTreeMap<(String, String), (i64, Option<i64>)> {
    let rows = "SELECT coalesce(jsonb_agg(jsonb_build_array(i.wholesaler, i.key, o.cost_amount,
                    o.wholesale_stock)), '[]')::text
                FROM wholesale_items AS i JOIN product_offers AS o
                  ON o.product_id = i.product_id AND o.seller_id = i.seller_id";
    let rows: Vec<(String, String, i64, Option<i64>)> =
        serde_json::from_str(&app.db.text(rows).await).unwrap();
    rows.into_iter().map(|(who, key, cost, stock)| ((who, key), (cost, stock))).collect()
}

/// What a seller of a wholesaler pays, and how many there are, as the catalogue is to have it.
fn truth(wholesaler: Wholesaler, item: &Item<'_>) -> (i64, Option<i64>) {
    let cost = match wholesaler {
        Wholesaler::Domeggook => item.price() * 12 / 100 * 10,
        Wholesaler::Ownerclan | Wholesaler::Zentrade => item.price(),
    };
    let stock = match (item.availability(), item.stock()) {
        (Availability::OnSale, _) if wholesaler == Wholesaler::Zentrade => None,
        (Availability::OnSale, Stock::Units(units)) => Some(units.into()),
        (Availability::OnSale, Stock::Untracked) => None,
        _ => Some(0),
    };
    (cost, stock)
}

/// Holds every stored product against what is so.
async fn assert_true(app: &TestApp, simulator: &Simulator, at: jebi_simulator::Time) -> usize {
    let stored = stored(app).await;
    let mut checked = 0;
    for &wholesaler in Wholesaler::ALL {
        for item in simulator.catalogue(wholesaler).items(at) {
            let key = item_key(wholesaler, item.number());
            let Some(known) = stored.get(&(wholesaler.to_string(), key.clone())) else { continue };
            let (cost, stock) = truth(wholesaler, &item);
            // What is gone has no cost any more: the last one stays.
            let is_told =
                matches!(item.availability(), Availability::OnSale | Availability::SoldOut);
            let expected = (if is_told { cost } else { known.0 }, stock);
            assert_eq!(*known, expected, "{wholesaler} {key}");
            checked += 1;
        }
    }
    assert_eq!(checked, stored.len());
    checked
}

/// Everything that a run could have written.
async fn written(app: &TestApp) -> String {
    app.db
        .text(
            "SELECT jsonb_build_array(
                 (SELECT jsonb_agg(to_jsonb(o) ORDER BY o.product_id) FROM product_offers AS o),
                 (SELECT jsonb_agg(to_jsonb(i) ORDER BY i.key) FROM wholesale_items AS i),
                 (SELECT jsonb_agg(to_jsonb(v) ORDER BY v.id) FROM product_variants AS v),
                 (SELECT count(*) FROM products), (SELECT count(*) FROM cost_history),
                 (SELECT count(*) FROM price_history), (SELECT count(*) FROM wholesale_details),
                 (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events)
             )::text",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_accounts_are_collected_and_a_second_run_changes_nothing() {
    let (simulator, app) = outside_with(Settings::default()).await;
    let accounts = accounts(&app).await;
    let accepted = start(&app, "").await;
    assert_eq!(accepted["accepted_count"], 3);
    let job = accepted["job_id"].as_str().unwrap().to_owned();
    // While it is alive a repeat is the same.
    assert_eq!(start(&app, "?wholesalers=zentrade").await["job_id"], *job);
    let mut events = Events::open(&app, &job).await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        seen.push((event["done"].as_u64().unwrap(), event["total"].as_u64().unwrap()));
    }
    assert!(seen.iter().any(|(done, total)| 0 < *done && done < total), "{seen:?}");
    let job = end(&app, accepted["status_url"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["failed"]), (&json!("done"), &json!(0)), "{job}");
    assert_eq!((&job["done"], &job["total"]), (&json!(3_000), &json!(3_000)), "{job}");
    for (kind, account) in &accounts {
        let told = &job["result"][account];
        let items: u64 =
            ["created", "skipped", "rejected"].iter().map(|of| told[of].as_u64().unwrap()).sum();
        assert_eq!((&told["wholesaler"], items), (&json!(kind), 1_000), "{told}");
        assert!(told["created"].as_u64().unwrap() > 900, "{told}");
        assert_eq!(told["rejected"], 0, "{told}");
    }
    let products = assert_true(&app, &simulator, jebi_simulator::Clock::system().now()).await;
    assert!(products > 2_800, "{products}");

    // Found in Korean, priced by the rule, in won.
    let found = app.get(&format!("{PRODUCTS}?search=%EB%AC%B4%EC%84%A0&page_size=100")).await;
    let found = found.expect(200).json();
    let items = found["items"].as_array().unwrap();
    assert!(items.len() > 20, "{}", items.len());
    for item in items {
        assert!(item["name"].as_str().unwrap().contains("무선"), "{item}");
        let (cost, price) =
            (item["cost_amount"].as_i64().unwrap(), item["price"].as_i64().unwrap());
        assert_eq!((price, &item["currency"]), ((cost * 130 + 999) / 1_000 * 10, &json!("KRW")));
        assert_eq!(item["status"], "draft");
    }
    let list = format!("{PRODUCTS}?wholesaler=ownerclan&include_variants=true&page_size=100");
    let items = app.get(&list).await.expect(200).json()["items"].as_array().unwrap().clone();
    let variants = items.iter().flat_map(|item| item["variants"].as_array().unwrap());
    let counted = variants.filter(|one| one["wholesale_stock"].is_i64());
    assert!(counted.count() > 20);

    let total = format!("{PRODUCTS}?wholesaler=domeggook&status=draft&page_size=1");
    let counted = app.get(&total).await.expect(200).json()["total"].as_i64().unwrap();
    let rows = "SELECT count(*) FROM wholesale_items WHERE wholesaler = 'domeggook'";
    assert_eq!(counted, app.db.number(rows).await);

    let before = written(&app).await;
    let again = collect(&app, "").await;
    assert_eq!(again["state"], "done");
    for account in accounts.values() {
        let told = &again["result"][account];
        assert_eq!((&told["created"], &told["changed"]), (&json!(0), &json!(0)), "{told}");
    }
    assert!(written(&app).await == before);
    assert!(simulator.blocks().is_empty());
}

/// `jebi collect` of *demo*.
async fn jebi_collect(app: &TestApp, options: &[&str]) -> Output {
    let mut command = jebi(&app.db.url());
    command.args(["collect", "--seller", "demo"]).args(options);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// What a page of figures says once it says what is waited for.
async fn figures_with(app: &TestApp, path: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let path = format!("/api/v1/performance/{path}");
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let waiting = async {
        loop {
            tick.tick().await;
            let told = app.send(Request::new("GET", &path).key(&key)).await.expect(200).json();
            if is_there(&told) {
                return told;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("it comes to that")
}

/// The alert that is raised about collections from Zentrade, where there is one.
fn alert(told: &Value) -> Option<&Value> {
    let alerts = told["alerts"].as_array()?;
    alerts.iter().find(|alert| {
        alert["rule"] == "collection_fails"
            && alert["subject"] == "collected zentrade"
            && alert["is_raised"] == true
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_and_answers_that_are_none_mark_nothing_as_gone_and_are_told() {
    let settings = Settings::default().with_items(3_500);
    let (simulator, app) = outside_with(Settings { enforce_limits: false, ..settings }).await;
    accounts(&app).await;
    let whole = jebi_collect(&app, &["--wholesaler", "zentrade"]).await;
    assert!(whole.status.success(), "{}", said(&whole));
    assert!(said(&whole).contains("items read"), "{}", said(&whole));
    let before = written(&app).await;
    let stock = app.db.number("SELECT count(*) FROM wholesale_items").await;
    assert!(stock > 3_300, "{stock}");

    // 3 of 3,500.
    let cut = FaultRule::new(Fault::ShrunkCatalogue { to: 3 }).on(Wholesaler::Zentrade);
    simulator.add_fault(cut);
    let output = jebi_collect(&app, &["--wholesaler", "zentrade"]).await;
    assert!(!output.status.success());
    assert!(said(&output).contains("no item was marked as gone"), "{}", said(&output));
    let told = figures_with(&app, "real-time", |told| alert(told).is_some()).await;
    let cause = alert(&told).unwrap()["cause"].as_str().unwrap();
    assert!(cause.contains("the catalogue lacks 3"), "{cause}");
    assert!(written(&app).await == before);

    // Nothing under 200, and a page for people under 200. Each is tried again and again: nobody waits for the last attempt.
    for fault in [Fault::Empty, Fault::Html { content_type: "text/html".to_owned() }] {
        simulator.clear_faults();
        simulator.add_fault(FaultRule::new(fault).on(Wholesaler::Zentrade));
        let output = jebi_collect(&app, &["--wholesaler", "zentrade", "--detach"]).await;
        assert!(output.status.success(), "{}", said(&output));
        let why = "is no catalogue that can be read";
        let is_told = |told: &Value| {
            let troubles = told["troubles"].as_array().unwrap();
            troubles.iter().any(|trouble| trouble["why"].as_str().unwrap().contains(why))
        };
        figures_with(&app, "wholesaler-apis", is_told).await;
        figures_with(&app, "real-time", |told| {
            alert(told).is_some_and(|alert| alert["cause"].as_str().unwrap().contains(why))
        })
        .await;
        assert!(written(&app).await == before);
        let jobs = app.get("/api/v1/jobs/").await.expect(200).json();
        let job = format!("/api/v1/jobs/{}", jobs["items"][0]["id"].as_str().unwrap());
        app.send(Request::new("DELETE", &job).key(&app.key)).await;
        assert_eq!(end(&app, &job).await["state"], "cancelled");
    }
    let gone = "SELECT count(*) FROM wholesale_items WHERE availability = 'gone'";
    assert_eq!(app.db.number(gone).await, 0);

    // All is well again.
    simulator.clear_faults();
    let whole = jebi_collect(&app, &["--wholesaler", "zentrade"]).await;
    assert!(whole.status.success(), "{}", said(&whole));
    figures_with(&app, "wholesaler-apis", |told| told["troubles"] == json!([])).await;
    assert!(written(&app).await == before);
    let told = figures_with(&app, "wholesaler-apis", |told| told["freshness"] != json!([])).await;
    let fresh = &told["freshness"][0];
    assert_eq!((&fresh["wholesaler"], &fresh["items"]), (&json!("zentrade"), &json!(stock)));
    assert!(fresh["age_p99_seconds"].as_f64().unwrap() < 60.0, "{fresh}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_collected_is_refused_and_says_why() {
    let app = TestApp::new().await;
    let refused = async |query: &str, status: u16| {
        let path = format!("{PRODUCTS}collect{query}");
        app.send(Request::new("POST", &path).key(&app.key)).await.expect(status).json()
    };
    let none = refused("", 409).await;
    assert!(none["detail"].as_str().unwrap().contains("add one at"), "{none}");
    refused("?wholesalers=coupang", 422).await;
    refused("?wholesalers=", 422).await;
    refused("?wholesalers=ownerclan,zentrade", 422).await;
    refused("?max_products_per_wholesaler=0", 422).await;
    refused("?max_products_per_wholesaler=10000001", 422).await;
    refused("?max_products_per_wholesaler=many", 400).await;
    refused("?max_products=1", 422).await;
    let reader = app.key_of("demo", &[Scope::ProductsRead]).await;
    let path = format!("{PRODUCTS}collect");
    app.send(Request::new("POST", &path).key(&reader)).await.expect(403);
    assert_eq!(app.db.number("SELECT count(*) FROM jobs").await, 0);
    let output = jebi_collect(&app, &[]).await;
    assert!(!output.status.success());
    assert!(said(&output).contains("jebi account add"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_priced_by_their_accounts_rule_and_stay_the_sellers() {
    let (simulator, app) = outside_with(Settings::default().with_items(50)).await;
    let accounts = accounts(&app).await;
    let path = format!("/api/v1/accounts/{}", accounts["ownerclan"]);
    let rule = |margin: i64, minimum: i64, status: &str| json!({ "pricing": { "margin_percent": margin, "minimum_price": minimum, "default_status": status } });
    for bad in [
        rule(-1, 0, "draft"),
        rule(1_001, 0, "draft"),
        rule(0, -1, "draft"),
        rule(0, 0, "discontinued"),
    ] {
        let answer = app.patch(&path, &bad).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.json());
    }
    let changed = app.patch(&path, &rule(50, 20_000, "active")).await.expect(200).json();
    assert_eq!(changed["pricing"], rule(50, 20_000, "active")["pricing"]);
    collect(&app, "?wholesalers=ownerclan").await;
    let list = format!("{PRODUCTS}?wholesaler=ownerclan&page_size=100");
    let items = app.get(&list).await.expect(200).json()["items"].as_array().unwrap().clone();
    assert!(items.len() > 30);
    for item in &items {
        let (cost, price) =
            (item["cost_amount"].as_i64().unwrap(), item["price"].as_i64().unwrap());
        let expected = ((cost * 150 + 999) / 1_000 * 10).max(20_000);
        assert_eq!((price, &item["status"]), (expected, &json!("active")), "{item}");
    }
    // What the seller decides stays, whatever the wholesaler does.
    let id = items[0]["id"].as_str().unwrap();
    let own = json!({ "price": 12_340, "stock": 7, "status": "paused" });
    app.patch(&format!("{PRODUCTS}{id}"), &own).await.expect(200);
    let settings = Settings { seed: 2, ..Settings::default() }.with_items(50);
    simulator.set(settings, jebi_simulator::Clock::system().now());
    let job = collect(&app, "?wholesalers=ownerclan").await;
    assert!(job["result"][&accounts["ownerclan"]]["changed"].as_u64().unwrap() > 20, "{job}");
    let after = app.get(&format!("{PRODUCTS}{id}")).await.expect(200).json();
    for (field, value) in own.as_object().unwrap() {
        assert_eq!(after[field], *value, "{field}");
    }
    assert_true(&app, &simulator, jebi_simulator::Clock::system().now()).await;
}
