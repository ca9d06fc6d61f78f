//! Every operation of the document × (no key, a wrong key, a wrong scope, another seller's id). It is
//! made from the document, so that no route can be forgotten.

use jebi_domain::{Scope, Scopes};
use serde_json::Value;

use crate::accounts::new_account;
use crate::app::{EVENTS, ORDERS, PRODUCTS, TestApp, add_product};
use crate::benchmark::ended_benchmark;
use crate::http::{Request, Response};
use crate::jobs::ended_job;
use crate::optimize::ended_optimization;

/// An operation as the document has it.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    /// None where no key is needed.
    scope: Option<Scope>,
    example: Option<Value>,
    headers: Vec<(String, String)>,
    /// What the document says of it, whole.
    pub(crate) document: Value,
}

impl Operation {
    /// A request that is right but for whose it is.
    pub(crate) fn request(&self, ids: &Ids) -> Request {
        let id = |part| match part {
            "{order_id}" => &ids.order,
            "{product_id}" => &ids.product,
            "{job_id}" => &ids.job,
            "{optimization_id}" => &ids.optimization,
            "{benchmark_id}" => &ids.benchmark,
            "{account_id}" if self.method == "DELETE" => &ids.unwanted_account,
            "{account_id}" => &ids.account,
            part => panic!("{part} stands for nothing in the tests' `Ids`"),
        };
        let path: Vec<&str> = self
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { id(part) } else { part })
            .collect();
        let mut request = Request::new(&self.method, &path.join("/"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.example {
            Some(example) => request.json(example),
            None => request,
        }
    }

    fn has_id(&self) -> bool {
        self.path.contains('{')
    }
}

/// What the ids in a path stand for.
pub(crate) struct Ids {
    order: String,
    product: String,
    /// It has ended: its events do.
    job: String,
    /// The installation's own.
    optimization: String,
    benchmark: String,
    account: String,
    /// One to be taken away.
    unwanted_account: String,
}

impl Ids {
    /// Of things that *demo* has.
    pub(crate) async fn of(app: &TestApp) -> Self {
        let id = |path: String| path.rsplit('/').next().unwrap().to_owned();
        Self {
            order: id(app.order().await),
            product: id(app.product("TEA-1").await),
            job: ended_job(app).await,
            optimization: ended_optimization(app).await,
            benchmark: ended_benchmark(app).await,
            account: new_account(app).await,
            unwanted_account: new_account(app).await,
        }
    }

    fn all(id: &str) -> Self {
        let id = || id.to_owned();
        Self {
            order: id(),
            product: id(),
            job: id(),
            optimization: id(),
            benchmark: id(),
            account: id(),
            unwanted_account: id(),
        }
    }
}

pub(crate) async fn operations(app: &TestApp) -> Vec<Operation> {
    let document = app.send(Request::new("GET", "/api/openapi.json")).await.expect(200).json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = &operation["security"][0]["api_key"][0];
            let body = &operation["requestBody"]["content"]["application/json"];
            let schema = body["schema"]["$ref"].as_str().map(|name| {
                let name = name.rsplit('/').next().unwrap();
                document["components"]["schemas"][name]["example"].clone()
            });
            assert!(
                body.is_null() || schema.as_ref().is_some_and(|example| !example.is_null()),
                "{method} {path} has no example of its body"
            );
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let headers = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "header" && parameter["required"] == true)
                .map(|header| {
                    let text = |key: &str| header[key].as_str().unwrap().to_owned();
                    (text("name"), text("example"))
                })
                .collect();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                scope: scope.as_str().map(|scope| scope.parse().unwrap()),
                example: schema,
                headers,
                document: operation.clone(),
            });
        }
    }
    assert!(operations.len() >= 6);
    operations
}

fn problem(response: &Response, status: u16, operation: &Operation) {
    let Operation { method, path, .. } = operation;
    assert_eq!(response.status, status, "{method} {path}: {}", response.text());
    response.fields();
    assert!(response.header("x-request-id").is_some(), "{method} {path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_health_needs_no_key() {
    let app = TestApp::new().await;
    let open: Vec<String> = operations(&app)
        .await
        .into_iter()
        .filter(|operation| operation.scope.is_none())
        .map(|operation| operation.path)
        .collect();
    assert_eq!(open, ["/healthz", "/readyz"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_asks_for_its_key_its_scope_and_its_seller() {
    let app = TestApp::new().await;
    let ids = Ids::of(&app).await;
    let paths = [format!("{ORDERS}{}", ids.order), format!("{PRODUCTS}{}", ids.product)];
    let (mut before, mut tags) = (vec![], vec![]);
    for path in &paths {
        let whole = app.get(path).await.expect(200);
        tags.push(whole.header("etag").unwrap().to_owned());
        before.push(whole.text());
    }
    let tags = tags.join(", ");
    let other = app.key_of("other", &Scopes::all_of_a_seller().iter().collect::<Vec<_>>()).await;
    let operator = app.key_of("demo", Scope::ALL).await;
    add_product(&app.db, "other", "TEA-1").await;

    let (long, misspelt) = ("x".repeat(5_000), app.key.replace("jebi_", "jebj_"));
    let unknown = jebi_domain::api_key([7; 32]);
    let mut wrong_keys = ["jebi_", "nonsense", &*long, &*misspelt, &*unknown].into_iter().cycle();
    for operation in operations(&app).await.iter().filter(|operation| operation.scope.is_some()) {
        let scope = operation.scope.unwrap();
        let request = operation.request(&ids);
        problem(&app.send(request.clone()).await, 401, operation);
        // One after the other: an address may try so many wrong keys, and no more.
        let wrong = wrong_keys.next().unwrap();
        problem(&app.send(request.clone().key(wrong)).await, 401, operation);

        let all_but = Scope::ALL.iter().copied().filter(|known| *known != scope);
        let weak = app.key_of("demo", &all_but.collect::<Vec<_>>()).await;
        problem(&app.send(request.clone().key(&weak)).await, 403, operation);

        if operation.has_id() {
            // What is the installation's is no seller's, and so no other seller's either.
            let asker = if scope.is_operators() { &operator } else { &other };
            for (name, value) in [("x-none", ""), ("if-match", &*tags), ("if-none-match", &*tags)] {
                if scope.is_operators() {
                    break;
                }
                let stolen = request.clone().key(&other).header(name, value);
                problem(&app.send(stolen).await, 404, operation);
            }
            let unknown = Ids::all("00000000-0000-7000-8000-000000000000");
            problem(&app.send(operation.request(&unknown).key(asker)).await, 404, operation);
            let response = app.send(operation.request(&Ids::all("no-uuid")).key(asker)).await;
            problem(&response, 400, operation);
            assert!(response.fields()[0].ends_with("_id"), "{}", response.text());
        }
    }
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(app.get(path).await.text(), before, "nothing of it was changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_again_and_again() {
    let app = TestApp::new().await;
    let key = app.key_of("demo", Scope::ALL).await;
    add_product(&app.db, "demo", "85123A").await;
    let ids = Ids::of(&app).await;
    for operation in operations(&app).await {
        for _ in 0..3 {
            let request = operation.request(&ids).key(&key);
            let response = app.send(request).await;
            let Operation { method, path, .. } = &operation;
            assert!(response.status < 300, "{method} {path}: {}", response.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_described_and_head_is_answered_like_get() {
    let app = TestApp::new().await;
    let document = app.send(Request::new("GET", "/api/openapi.json")).await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let described =
                    response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described, "{method} {path} {status}");
            }
        }
    }
    for path in [ORDERS, PRODUCTS, "/healthz", "/readyz"] {
        let head = app.send(Request::new("HEAD", path).key(&app.key)).await.expect(200);
        assert!(head.body.is_empty(), "{path}");
        let length: usize = head.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, app.get(path).await.body.len(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_key_has_no_orders() {
    let app = TestApp::new().await;
    let key = app.key_of("demo", Scope::ALL).await;
    app.db
        .run("UPDATE api_keys SET seller_id = NULL WHERE 'performance:admin' = ANY(scopes)")
        .await;
    let list = Request::new("GET", ORDERS).key(&key);
    app.send(list).await.expect(403);
}

/// Every object inside a body, by pointer.
fn objects(body: &Value, pointer: &str, found: &mut Vec<String>) {
    match body {
        Value::Object(fields) => {
            found.push(pointer.to_owned());
            for (name, value) in fields {
                objects(value, &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                objects(value, &format!("{pointer}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_and_read_only_fields_are_refused_in_every_object_of_every_body() {
    let app = TestApp::new().await;
    add_product(&app.db, "demo", "85123A").await;
    let ids = Ids::of(&app).await;
    let document = app.send(Request::new("GET", "/api/openapi.json")).await.json();
    // Every name that any body of the document has, and some that none has.
    let mut names: Vec<String> =
        ["seller_id", "__proto__", "unheard of", ""].map(str::to_owned).into();
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        let fields = schema["properties"].as_object().into_iter().flatten();
        names.extend(fields.map(|(name, _)| name.clone()));
    }
    names.sort();
    names.dedup();
    let before = app.db.number(&format!("SELECT count(*) FROM {EVENTS}")).await;
    let mut refused = 0;
    for operation in operations(&app).await {
        let Some(example) = &operation.example else { continue };
        let mut pointers = vec![];
        objects(example, "", &mut pointers);
        let known = writable(&document);
        for (pointer, name) in pointers.iter().flat_map(|p| names.iter().map(move |n| (p, n))) {
            if known.contains(name) {
                continue;
            }
            let mut body = example.clone();
            body.pointer_mut(pointer).unwrap()[name] = Value::Null;
            let request = Operation { example: Some(body), ..operation.clone() }.request(&ids);
            let response = app.send(request.key(&app.key)).await;
            let Operation { method, path, .. } = &operation;
            assert_eq!(
                response.status,
                422,
                "{method} {path} {pointer}/{name}: {}",
                response.text()
            );
            assert!(response.fields()[0].ends_with(name.as_str()), "{}", response.text());
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(
        app.db.number(&format!("SELECT count(*) FROM {EVENTS}")).await,
        before,
        "nothing was written"
    );
}

/// The fields that some body of a request has: elsewhere they may be refused for other reasons.
fn writable(document: &Value) -> Vec<String> {
    let mut writable = vec![];
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if ["New", "OrderChange", "ProductChange", "BulkStock", "AccountChange"]
            .iter()
            .any(|p| name.starts_with(p))
            && !name.starts_with("BulkStockResult")
        {
            writable.extend(schema["properties"].as_object().unwrap().keys().cloned());
        }
    }
    writable
}
