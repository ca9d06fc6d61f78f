//! Tokens and sessions: few of them, renewed in time, and again where they turn out void.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use jebi_batch::Class;
use jebi_batch::wholesaler::{
    Catalogue, Domeggook, DomeggookLogin, Key, Market, Ownerclan, OwnerclanLogin,
};
use jebi_domain::Wholesaler;
use jebi_simulator::{ExpiredToken, Fault, FaultRule, Quirks, Settings};

use crate::wholesalers::support::{DAY, HOUR, KEY, Outside, calls, secret};

fn first_page(outside: &Outside, client: &dyn Catalogue) -> Option<Class> {
    let mut pages = client.walk(None);
    let page = outside.clock.run(pages.next()).unwrap();
    page.err().map(|error| error.class())
}

#[test]
fn many_calls_at_once_share_one_token_and_it_is_renewed_before_it_ends() {
    for expired_token in [ExpiredToken::Status, ExpiredToken::Errors] {
        let quirks = Quirks { expired_token, ..Quirks::default() };
        let settings = Settings { quirks, token_seconds: 3_600, ..Settings::default() };
        let outside = Outside::with(settings.with_items(50));
        let client = outside.ownerclan();
        let keys = [Key::new("WFFFFFF").unwrap()];
        outside.clock.run(join_all((0..8).map(|_| client.find(&keys))));
        assert_eq!(calls(&outside, "auth"), 1);
        for _ in 0..4 {
            outside.clock.advance(Duration::from_mins(50));
            assert_eq!(first_page(&outside, &client), None);
        }
        // No call was made with a token that had ended.
        assert_eq!(calls(&outside, "auth"), 3);
        assert_eq!(outside.simulator().blocks(), []);
    }
}

#[test]
fn a_token_that_is_revoked_is_renewed_once() {
    for expired_token in [ExpiredToken::Status, ExpiredToken::Errors] {
        let quirks = Quirks { expired_token, ..Quirks::default() };
        let outside = Outside::with(Settings { quirks, ..Settings::default() });
        let client = outside.ownerclan();
        assert_eq!(first_page(&outside, &client), None);
        outside.fault(FaultRule::new(Fault::TokenRevoked).route("allItems").times(1));
        assert_eq!(first_page(&outside, &client), None);
        assert_eq!(calls(&outside, "auth"), 2);
        // Whatever token it is, it is void: that is an error and no loop.
        outside.fault(FaultRule::new(Fault::TokenRevoked).route("allItems"));
        assert_eq!(first_page(&outside, &client), Some(Class::Rejected));
        assert_eq!(calls(&outside, "auth"), 3);
    }
}

#[test]
fn a_session_that_is_revoked_is_renewed_once() {
    let settings = Settings { drift: true, ..Settings::default() };
    let outside = Outside::with(settings);
    let began = outside.now();
    outside.clock.advance(DAY / 4);
    let client = outside.domeggook();
    let changes = |outside: &Outside| {
        let (_, failed) = outside.pages(client.changes(outside.window(began), None));
        failed.map(|error| error.class())
    };
    assert_eq!(changes(&outside), None);
    outside.fault(FaultRule::new(Fault::TokenRevoked).route("getAllSupplyChk").times(1));
    assert_eq!((changes(&outside), calls(&outside, "setLogin")), (None, 2));
    outside.fault(FaultRule::new(Fault::TokenRevoked).route("getAllSupplyChk"));
    assert_eq!(changes(&outside), Some(Class::Rejected));
    assert_eq!(calls(&outside, "setLogin"), 3);
}

#[test]
fn a_wrong_password_is_an_error_and_is_not_tried_until_the_account_is_blocked() {
    let outside = Outside::of(10);
    let url = |path: &str| format!("http://inside/ownerclan{path}").parse().unwrap();
    let login = OwnerclanLogin { username: secret("demo"), password: secret("guessed") };
    let line = outside.line(Wholesaler::Ownerclan);
    let ownerclan = Ownerclan::new(line, login, url("/v1/graphql"), url("/auth"));
    let login = DomeggookLogin { aid: secret(KEY), id: secret("demo"), pw: secret("guessed") };
    let base = "http://inside/domeggook".parse().unwrap();
    let line = outside.line(Wholesaler::Domeggook);
    let domeggook = Domeggook::new(line, login, base, Market::Supply);
    let began = outside.now();
    let mut last = None;
    for _ in 0..40 {
        last = first_page(&outside, &ownerclan);
        assert!(matches!(last, Some(Class::Rejected | Class::Paused)), "{last:?}");
        let window = outside.window(outside.now() - HOUR);
        let (_, failed) = outside.pages(domeggook.changes(window, None));
        let class = failed.unwrap().class();
        assert!(matches!(class, Class::Rejected | Class::Paused), "{class:?}");
    }
    assert_eq!(outside.simulator().blocks(), []);
    // Two in an hour may be refused, and then the account waits by itself.
    let hours = usize::try_from(outside.now().since(began).as_secs() / 3_600).unwrap() + 1;
    for route in ["auth", "setLogin"] {
        let tried = calls(&outside, route);
        assert!((2..=2 * hours).contains(&tried), "{tried} {route} in {hours} h");
    }
    assert_eq!(last, Some(Class::Paused));
}

#[test]
fn no_secret_is_shown() {
    let outside = Outside::of(10);
    let shown =
        format!("{:?} {:?} {:?}", outside.ownerclan(), outside.zentrade(), outside.domeggook());
    assert!(!shown.contains(KEY) && !shown.contains("not-a-real-password"), "{shown}");
}
