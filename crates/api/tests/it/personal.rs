//! Personal data is where it belongs and nowhere else.

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::Scopes;
use serde_json::json;

use crate::app::{ORDERS, add_key, add_product, post};
use crate::http::Request;
use crate::process::{Served, jebi, stderr};

const CANARIES: [&str; 6] = [
    "카나리아-이름",
    "010-7777-3141",
    "canary@example.kr",
    "카나리아로 59번길",
    "canary flat 26",
    "98765-43210-canary",
];

/// Every row of every table, as text; bytes are hexadecimal in it.
pub(crate) async fn dump(db: &TestDatabase) -> String {
    let tables = "SELECT string_agg(oid::regclass::text, ' ') FROM pg_class
                  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let mut dump = String::new();
    for table in db.text(tables).await.split(' ') {
        let rows = format!("SELECT coalesce(string_agg(row::text, '|'), '') FROM {table} AS row");
        dump += &db.text(&rows).await;
    }
    dump
}

fn assert_clean(place: &str, text: &str) {
    for canary in CANARIES {
        let hexadecimal: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        // As JSON escapes it, should a log do so.
        let escaped: String = canary.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for form in [canary, &hexadecimal, &escaped] {
            assert!(!text.contains(form), "{canary} is in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_names_phones_and_addresses_are_found_nowhere() {
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    let masked = add_key(&db, "demo", Scopes::parse(["orders:read"]).unwrap()).await.0;
    add_product(&db, "demo", "TEA-1").await;
    let mut served = Served::start(&db.url());
    let at = served.address.clone();
    let [name, phone, email, line1, line2, customer_id] = CANARIES;
    let body = json!({
        "currency": "KRW",
        "items": [{ "sku": "TEA-1", "quantity": 1, "price": 1_000 }],
        "customer": {
            "name": name, "phone": phone, "email": email,
            "address": { "line1": line1, "line2": line2 },
        },
    });

    // Every route, in all the ways it can go.
    let created = post(&key, "k", &body).send(&at).await.expect(201);
    assert!(created.text().contains(phone));
    post(&key, "k", &body).send(&at).await.expect(201);
    let order = created.header("location").unwrap();
    let mut wrong = body.clone();
    wrong["customer"]["phone"] = json!([phone]);
    post(&key, "k-2", &wrong).send(&at).await.expect(400);
    wrong["customer"]["phone"] = json!(phone.repeat(9));
    post(&key, "k-2", &wrong).send(&at).await.expect(422);
    wrong["customer"][name] = json!(1);
    post(&key, "k-2", &wrong).send(&at).await.expect(422);
    wrong = body.clone();
    wrong["items"][0]["sku"] = json!(name);
    post(&key, "k-2", &wrong).send(&at).await.expect(422);
    let get = |path: &str, key: &str| Request::new("GET", path).key(key);
    let whole = get(order, &key).send(&at).await.expect(200).text();
    assert!(whole.contains(line1) && whole.contains(line2) && whole.contains(email));
    let veiled = get(order, &masked).send(&at).await.expect(200).text();
    assert!(veiled.contains(name) && !veiled.contains(phone) && !veiled.contains(line1));
    let list = get(ORDERS, &masked).send(&at).await.expect(200).text();
    assert!(list.contains("010-****-3141") && !list.contains(phone));
    assert!(get(ORDERS, &key).send(&at).await.expect(200).text().contains(phone));
    let found = get(&format!("{ORDERS}?search={phone}"), &masked).send(&at).await.expect(200);
    assert_eq!(found.json()["total"], 1);
    get(&format!("{ORDERS}?search={}", phone.repeat(9)), &key).send(&at).await.expect(422);
    get(&format!("{ORDERS}{phone}"), &key).send(&at).await.expect(400);
    get(&format!("/{phone}"), &key).send(&at).await.expect(404);
    let patch = Request::new("PATCH", order).key(&key);
    patch.clone().json(&json!({ "status": "confirmed" })).send(&at).await.expect(200);
    patch.clone().json(&json!({ "status": "shipped" })).send(&at).await.expect(409);
    patch.json(&json!({ "status": phone })).send(&at).await.expect(400);

    // The import, with a broken row.
    let folder = std::env::temp_dir().join(format!("jebi-personal-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("orders.csv");
    let rows = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                1,A,x,1,2011-01-01 10:00:00,1.00,98765-43210-canary,EIRE\n\
                C2,A,x,-1,2011-01-01 10:00:00,1.00,98765-43210-canary,EIRE\n\
                3,A,x,one,2011-01-01 10:00:00,1.00,98765-43210-canary,EIRE\n";
    std::fs::write(&file, rows).unwrap();
    let import = jebi(&db.url()).args(["import", "--seller", "demo"]).arg(&file).output().unwrap();
    assert!(!import.status.success());
    std::fs::remove_dir_all(&folder).unwrap();
    let imported = get(ORDERS, &key).send(&at).await.expect(200).text();
    assert!(imported.contains(customer_id));
    assert_clean("the import's output", &stderr(&import));
    assert_clean("the import's output", &String::from_utf8_lossy(&import.stdout));

    assert_clean("the database", &dump(&db).await);

    // A row that another one's customer was moved to fails, and tells nobody whose.
    db.run(
        "UPDATE orders SET customer = (SELECT customer FROM orders WHERE order_number = '1')
         WHERE order_number <> '1'",
    )
    .await;
    let failed = get(order, &key).send(&at).await.expect(500);
    assert!(failed.json()["request_id"].is_string());
    assert_clean("a failure's answer", &failed.text());

    served.kill();
    let log = served.log();
    assert!(log.contains("answered 201") && log.contains("bad customer"), "{log}");
    assert_clean("the log", &log);
}
