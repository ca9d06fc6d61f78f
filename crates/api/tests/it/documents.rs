//! The pages that are made from the code.

use crate::app::TestApp;
use crate::http::Request;

#[test]
fn the_settings_page_is_what_the_settings_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let page = jebi_api::settings::documentation();
    #[expect(clippy::disallowed_methods, reason = "set by `cargo xtask codegen`")]
    if std::env::var("JEBI_CODEGEN").is_ok() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/settings.md is out of date; run `cargo xtask codegen`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_3_1_and_its_page_needs_no_key_and_no_network() {
    let app = TestApp::new().await;
    let document = app.send(Request::new("GET", "/api/openapi.json")).await.expect(200);
    assert_eq!(document.json()["openapi"], "3.1.0");
    // Each reference leads somewhere.
    let text = document.text();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document.json()["components"]["schemas"][name].is_object(), "{name} is missing");
    }
    let moved = app.send(Request::new("GET", "/api/docs")).await.expect(302);
    let page = app.send(Request::new("GET", moved.header("location").unwrap())).await.expect(200);
    let page = page.text();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
}
