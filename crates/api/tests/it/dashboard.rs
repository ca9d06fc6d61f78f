//! The dashboard as an operator sees it, in a browser.

use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_domain::Scope;

use crate::app::{ORDERS, TestApp};
use crate::browser::Browser;
use crate::http::{Request, Response};
use crate::link::Link;
use crate::process::Served;

async fn operator(app: &TestApp) -> String {
    app.key_of("demo", &[Scope::PerformanceRead]).await
}

async fn log_in(app: &TestApp, key: &str) -> Response {
    let form = "application/x-www-form-urlencoded";
    let body = format!("key={key}").into_bytes();
    app.send(Request::new("POST", "/dashboard/login").body(form, body)).await
}

/// The cookie of a session, as it is sent back.
fn session(response: &Response) -> String {
    let set = response.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

/// A browser that has logged in, in this language.
async fn dashboard(app: &TestApp, language: &str) -> Option<Browser> {
    let mut browser = Browser::start()?;
    let accept = serde_json::json!({ "userAgent": "test", "acceptLanguage": language });
    browser.call("Network.setUserAgentOverride", &accept);
    let key = operator(app).await;
    browser.open(&format!("http://{}/dashboard", app.address));
    browser.evaluate(&format!(
        "document.querySelector('[data-testid=\"login-key\"]').value = '{key}';
         document.querySelector('form').requestSubmit()"
    ));
    browser.wait("document.querySelector('[data-testid=\"stream\"]').dataset.state === 'live'");
    Some(browser)
}

fn assert_quiet(browser: &Browser, app: &TestApp) {
    assert_eq!(browser.errors, Vec::<String>::new());
    let here = format!("http://{}/", app.address);
    let elsewhere = |url: &&String| {
        !url.starts_with(&here) && !url.starts_with("data:") && !url.starts_with("about:")
    };
    assert_eq!(browser.requests.iter().filter(elsewhere).count(), 0, "{:?}", browser.requests);
    assert!(!browser.requests.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operators_key_opens_it_and_a_revoked_one_closes_it() {
    let app = TestApp::new().await;
    let page = |cookie: &str| Request::new("GET", "/dashboard").header("cookie", cookie);
    let data = |cookie: &str| {
        Request::new("GET", "/dashboard/api/series?range=15m").header("cookie", cookie)
    };
    let login = app.send(page("")).await.expect(200);
    assert!(login.text().contains("data-testid=\"login-key\""));
    assert!(login.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    app.send(data("")).await.expect(401);
    app.send(data("jebi_session=nonsense")).await.expect(401);

    for (key, failed) in [("jebi_x", "wrong-key"), ("", "wrong-key"), (&*app.key, "wrong-scope")] {
        let refused = log_in(&app, key).await.expect(401);
        assert!(refused.text().contains(&format!("data-failed=\"{failed}\"")), "{failed}");
        assert!(refused.header("set-cookie").is_none());
    }
    let key = operator(&app).await;
    let cookie = session(&log_in(&app, &key).await.expect(303));
    assert!(!cookie.contains(&key));
    assert!(app.send(page(&cookie)).await.expect(200).text().contains("data-testid=\"status\""));
    let series = app.send(data(&cookie)).await.expect(200).json();
    assert_eq!(series["at"].as_array().unwrap().len(), 900);
    // A session opens the dashboard and nothing else, and a key is none.
    let api = Request::new("GET", "/api/v1/performance/overview").header("cookie", &cookie);
    app.send(api).await.expect(401);
    app.send(Request::new("GET", "/dashboard/api/series").key(&key)).await.expect(401);
    let elsewhere =
        Request::new("POST", "/dashboard/logout").header("sec-fetch-site", "cross-site");
    app.send(elsewhere).await.expect(403);
    let out = app.send(Request::new("POST", "/dashboard/logout")).await.expect(303);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));

    app.db
        .run("UPDATE api_keys SET revoked_at = now() WHERE 'performance:read' = ANY(scopes)")
        .await;
    // Known for a second at most.
    while app.send(data(&cookie)).await.status != 401 {
        tokio::task::yield_now().await;
    }
    // The page itself does not open either, and the browser forgets the session.
    let page = app.send(page(&cookie)).await.expect(200);
    assert!(page.text().contains("data-testid=\"login-key\""));
    assert!(page.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_move_under_load_to_the_exact_count() {
    let app = TestApp::new().await;
    let Some(mut browser) = dashboard(&app, "en-GB").await else { return };
    for _ in 0..37 {
        app.get(ORDERS).await.expect(200);
    }
    app.get("/api/v1/orders-optimized/?page=0").await.expect(422);
    let row = "document.querySelector('[data-endpoint=\"GET /api/v1/orders-optimized\"]')";
    browser.wait(&format!("{row}.innerText.split(/\\s+/).includes('38')"));
    let figure =
        |name: &str| format!("document.querySelector('[data-testid=\"{name}\"]').innerText");
    browser.wait(&format!("{} !== '–'", figure("figure-p95")));
    browser.wait(&format!("Number.parseFloat({}) > 0", figure("figure-hit-rate")));
    assert_eq!(browser.text("figure-errors"), "0");
    assert_ne!(browser.text("status"), "Unknown");
    assert_quiet(&browser, &app);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_appears_with_its_plan_by_the_second_look_and_is_no_markup() {
    let app = TestApp::new().await;
    let Some(mut browser) = dashboard(&app, "en-GB").await else { return };
    // Looks come every two seconds: the second one after it ends within five.
    browser.evaluate(
        "window.looks = 0;
         new EventSource('/dashboard/api/stream').addEventListener('database', () => { window.looks += 1; })",
    );
    browser.wait("window.looks > 0");
    let seller = app.db.seller("demo").await.seller();
    let transaction = app.db.pool.begin(seller).await.unwrap();
    let slow = "SELECT count(*) AS \"<img src=x onerror=alert(1)>\", pg_sleep(0.15) FROM orders \
                WHERE seller_id = gen_random_uuid()";
    run_as_service(&transaction, slow).await.unwrap();
    transaction.commit().await.unwrap();
    let before = browser.evaluate("window.looks").as_u64().unwrap();
    let shown = "document.querySelector('[data-testid=\"slow-queries\"]').textContent";
    browser.wait(&format!("{shown}.includes('onerror') && {shown}.includes(' on orders: ')"));
    let looks = browser.evaluate("window.looks").as_u64().unwrap() - before;
    assert!(looks <= 2, "it took {looks} looks");
    assert_eq!(browser.evaluate("document.querySelectorAll('img[src=\"x\"]').length"), 0);
    assert_quiet(&browser, &app);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_the_browsers_language_and_the_one_that_is_chosen() {
    let app = TestApp::new().await;
    let Some(mut browser) = dashboard(&app, "ko-KR").await else { return };
    let language = "document.documentElement.lang";
    assert_eq!(browser.evaluate(language), "ko");
    let korean = browser.evaluate("document.body.innerText");
    assert!(korean.as_str().unwrap().contains("엔드포인트"), "{korean}");
    browser.click("language-en");
    browser.wait("document.documentElement.lang === 'en'");
    // The switch itself names the other language in its own words; the rest changes with the next news.
    browser.wait("(document.body.innerText.match(/[가-힣]/g) ?? []).length <= 3");
    // Remembered by the browser.
    browser.open(&format!("http://{}/dashboard", app.address));
    browser.wait("document.documentElement.lang === 'en'");
    assert_quiet(&browser, &app);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_a_phone_and_both_kinds_of_light() {
    let app = TestApp::new().await;
    app.order().await;
    let Some(mut browser) = dashboard(&app, "ko-KR").await else { return };
    for (width, height) in [(390, 844), (320, 640), (1280, 900)] {
        browser.resize(width, height);
        let fits = "document.documentElement.scrollWidth <= window.innerWidth";
        assert_eq!(browser.evaluate(fits), true, "{width}");
    }
    let paper = "getComputedStyle(document.body).backgroundColor";
    let mut papers = ["light", "dark"].map(|scheme| {
        let features = serde_json::json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.call("Emulation.setEmulatedMedia", &serde_json::json!({ "features": features }));
        browser.evaluate(paper).to_string()
    });
    papers.sort();
    assert_ne!(papers[0], papers[1]);
    assert!(browser.screenshot().len() > 10_000);
    assert_quiet(&browser, &app);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_that_do_not_read_hold_nobody_up() {
    use tokio::io::AsyncWriteExt as _;
    let app = TestApp::new().await;
    let cookie = session(&log_in(&app, &operator(&app).await).await.expect(303));
    let head = format!("GET /dashboard/api/stream HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..256 {
        let mut stream = tokio::net::TcpStream::connect(&app.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let status = async |stream: &mut tokio::net::TcpStream| {
        let mut line = [0; 12];
        tokio::io::AsyncReadExt::read_exact(stream, &mut line).await.unwrap();
        String::from_utf8_lossy(&line).into_owned()
    };
    for stream in &mut open {
        assert_eq!(status(stream).await, "HTTP/1.1 200");
    }
    // One too many is told so; requests go on, and what is told is made once for all.
    let mut late = tokio::net::TcpStream::connect(&app.address).await.unwrap();
    late.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&mut late).await, "HTTP/1.1 503");
    let looks = "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements AS s
                 JOIN pg_database AS d ON d.oid = s.dbid
                 WHERE d.datname = current_database() AND s.query LIKE 'WITH indexes AS%'";
    let (before, mut seen) = (app.db.number(looks).await, 0);
    let reader = open.pop().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
    while seen < 2 {
        app.get(ORDERS).await.expect(200);
        let line = lines.next_line().await.unwrap().expect("the stream goes on");
        seen += u32::from(line == "event: database");
    }
    let looked = app.db.number(looks).await - before;
    assert!((1..=4).contains(&looked), "{looked} looks for {seen} events of 256 streams");
    drop(open);
    let again = Request::new("GET", "/dashboard/api/series").header("cookie", &cookie);
    app.send(again).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_or_silent_the_dashboard_goes_on_and_says_so() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let db = TestDatabase::new().await;
    let scopes = [Scope::PerformanceRead].into_iter().collect();
    let key = crate::app::add_key(&db, "demo", scopes).await.0;
    for is_cut in [true, false] {
        let (link, url) = Link::to_database(&db.url()).await;
        let served = Served::with(&url, &[("JEBI_WORKERS", "0"), ("DATABASE_POOL_TIMEOUT", "30")]);
        let form = "application/x-www-form-urlencoded";
        let login = Request::new("POST", "/dashboard/login");
        let login = login.body(form, format!("key={key}").into_bytes());
        let cookie = session(&login.send(&served.address).await.expect(303));
        let mut stream = tokio::net::TcpStream::connect(&served.address).await.unwrap();
        let head =
            format!("GET /dashboard/api/stream HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut next = async |name: &str| loop {
            let line = lines.next_line().await.unwrap().expect("the stream goes on");
            if line == format!("event: {name}") {
                return lines.next_line().await.unwrap().unwrap();
            }
        };
        assert!(next("database").await.contains("table_sizes"));
        if is_cut {
            link.cut()
        } else {
            link.hush()
        }
        while !next("database").await.contains("PostgreSQL does not answer") {}
        // Still news every second, and a page that is opened again opens.
        for _ in 0..3 {
            next("live").await;
        }
        let page = Request::new("GET", "/dashboard").header("cookie", &cookie);
        let page = page.send(&served.address).await.expect(200);
        assert!(page.text().contains("data-testid=\"status\""), "cut: {is_cut}");
        link.mend();
        while next("database").await.contains("PostgreSQL does not answer") {}
    }
}
