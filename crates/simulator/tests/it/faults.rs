//! Each kind of fault as it is on the wire.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use jebi_domain::Wholesaler;
use jebi_simulator::{Fault, FaultRule, PASSWORD, Settings, SimRequest, When};
use serde_json::{Value, json};

use crate::sockets::{Served, header, read_to_end, split, written};
use crate::support::{DOMEGGOOK, DOMEGGOOK_KEY, auth, many, number, zentrade_request};

/// An answer of a known size in JSON.
fn list() -> SimRequest {
    SimRequest::get(format!(
        "{DOMEGGOOK}?aid={DOMEGGOOK_KEY}&om=json&mode=getItemList&ver=4.1&market=dome&mnp=0&sz=20"
    ))
}

/// A simulator with one fault, and the good body without it.
fn with(fault: Fault) -> (Served, Vec<u8>) {
    let served = Served::new();
    let (_, good) = served.answer(&list());
    served.simulator.add_fault(FaultRule::new(fault));
    (served, good)
}

#[test]
fn without_a_fault_bytes_come_whole_and_the_connection_is_kept() {
    let served = Served::new();
    let (head, good) = served.answer(&list());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(header(&head, "Content-Length"), Some(good.len().to_string().as_str()));
    assert_eq!(header(&head, "Connection"), Some("close"));

    let mut stream = served.connect();
    // Two at once, in any pieces.
    let both = [written(&list(), true), written(&list(), false)].concat();
    for piece in both.chunks(50) {
        stream.write_all(piece).unwrap();
    }
    let (bytes, end) = read_to_end(&mut stream);
    end.unwrap();
    let (first_head, rest) = split(&bytes);
    assert_eq!(header(&first_head, "Connection"), None);
    let (second_head, second) = split(&rest[good.len()..]);
    assert!(second_head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!((&rest[..good.len()], second.as_slice()), (good.as_slice(), good.as_slice()));
}

#[test]
fn latency_comes_before_the_first_byte() {
    let (served, good) = with(Fault::Latency { ms: 150, jitter_ms: 0 });
    let began = Instant::now();
    let (_, body) = served.answer(&list());
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!(body, good);
}

#[test]
fn a_drip_keeps_its_pace() {
    let served = Served::new();
    let page = zentrade_request("product_api", "goodsno=10001");
    let (_, good) = served.answer(&page);
    let bytes_per_second = good.len() as u64 * 4;
    served.simulator.add_fault(FaultRule::new(Fault::Drip { bytes_per_second }));
    let began = Instant::now();
    assert_eq!(served.answer(&page).1, good);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_truncated_body_is_shorter_than_its_length_says() {
    let (served, good) = with(Fault::Truncate { after_bytes: 101 });
    let (head, body) = served.answer(&list());
    assert_eq!(header(&head, "Content-Length"), Some(good.len().to_string().as_str()));
    assert_eq!(body, good[..101]);
}

#[test]
fn a_chunked_body_can_be_cut_inside_a_character() {
    let served = Served::new();
    served.simulator.add_fault(FaultRule::new(Fault::Truncate { after_bytes: 1_001 }));
    let (head, body) = served.answer(&zentrade_request("product_api", ""));
    assert_eq!(header(&head, "Transfer-Encoding"), Some("chunked"));
    let start = body.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(body.len() - start, 1_001);
    assert!(!body.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_reset_comes_at_once_or_inside_the_body() {
    let (served, _) = with(Fault::Reset { after_bytes: 0 });
    let (bytes, end) = served.exchange(&list());
    assert_eq!(bytes, b"");
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);

    let (served, good) = with(Fault::Reset { after_bytes: 50 });
    let (bytes, end) = served.exchange(&list());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // A reset may overtake what was sent before it.
    assert!(bytes.is_empty() || good.starts_with(&split(&bytes).1));
}

#[test]
fn a_dropped_connection_ends_without_a_byte_and_the_call_was_served() {
    let (served, _) = with(Fault::AcceptThenDrop);
    let (bytes, end) = served.exchange(&list());
    assert_eq!(bytes, b"");
    end.unwrap();
    assert_eq!(served.simulator.log().last().unwrap().status, 200);
}

#[test]
fn a_black_hole_keeps_the_connection_and_says_nothing() {
    let (served, _) = with(Fault::BlackHole);
    let mut stream = served.connect();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.write_all(&written(&list(), true)).unwrap();
    while served.simulator.in_flight().is_empty() {
        std::thread::yield_now();
    }
    let kind = stream.read(&mut [0; 1]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    // Who comes on another connection waits for nobody.
    served.simulator.clear_faults();
    assert!(served.answer(&list()).0.starts_with("HTTP/1.1 200 OK"));
    let in_flight = served.simulator.in_flight();
    assert_eq!((in_flight.len(), in_flight[0].account.as_str()), (1, DOMEGGOOK_KEY));
    assert_eq!((in_flight[0].now >= 1, in_flight[0].most), (true, 2));
}

#[test]
fn a_length_can_lie_both_ways() {
    for by in [7, -7] {
        let (served, good) = with(Fault::LyingLength { by });
        let (head, body) = served.answer(&list());
        let told: i64 = header(&head, "Content-Length").unwrap().parse().unwrap();
        assert_eq!(told, i64::try_from(good.len()).unwrap() + by);
        assert_eq!(body, good);
    }
}

#[test]
fn any_answer_can_be_given() {
    let headers =
        [("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), ("Location", "http://127.0.0.1:1/")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fault = Fault::Answer { status: 302, headers: headers.into(), body: "gone".to_owned() };
    let (served, _) = with(fault);
    let (head, body) = served.answer(&list());
    assert!(head.starts_with("HTTP/1.1 302 Found"));
    assert_eq!(header(&head, "Retry-After"), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    assert_eq!(header(&head, "Location"), Some("http://127.0.0.1:1/"));
    assert_eq!(body, b"gone");
}

#[test]
fn the_other_charset_than_the_declared_one_can_come() {
    let (served, good) = with(Fault::WrongCharset);
    let (head, body) = served.answer(&list());
    assert_eq!(header(&head, "Content-Type"), Some("application/json; charset=UTF-8"));
    assert!(String::from_utf8(body.clone()).is_err());
    let text = encoding_rs::EUC_KR.decode(&body).0.into_owned();
    assert_eq!(text.as_bytes(), good);
}

#[test]
fn pages_for_people_and_nothing_at_all_come_with_200() {
    let (served, _) = with(Fault::Html { content_type: "application/json".to_owned() });
    let (head, body) = served.answer(&list());
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(header(&head, "Content-Type"), Some("application/json"));
    assert!(body.starts_with(b"<!DOCTYPE html>"));

    let (served, _) = with(Fault::Empty);
    let (head, body) = served.answer(&list());
    assert!(head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!((header(&head, "Content-Length"), body), (Some("0"), Vec::new()));
}

#[test]
fn a_bomb_of_gzip_is_small_on_the_wire() {
    let (served, _) = with(Fault::GzipBomb { mib: 64 });
    let (head, body) = served.answer(&list());
    assert_eq!(header(&head, "Content-Encoding"), Some("gzip"));
    assert!((1_000..600_000).contains(&body.len()), "{}", body.len());
}

#[test]
fn a_bomb_of_xml_has_entities() {
    let (served, _) = with(Fault::XmlBomb);
    let (_, body) = served.answer(&zentrade_request("product_api", ""));
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("<!ENTITY a9 \"&a8;&a8;") && text.contains("SYSTEM \"file:///"));
    assert!(text.len() < 2_000);
}

#[test]
fn lists_that_are_wrong_and_tokens_that_are_void_come_over_the_wire() {
    let served = Served::new();
    let numbers = || {
        let (_, body) = served.answer(&list());
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let header = &answer["domeggook"]["header"];
        let items = many(&answer["domeggook"]["list"]["item"]);
        let items: Vec<i64> = items.iter().map(|item| number(&item["no"])).collect();
        (number(&header["numberOfItems"]), items)
    };
    let after = |fault| {
        served.simulator.clear_faults();
        served.simulator.add_fault(FaultRule::new(fault));
        numbers()
    };
    let (total, items) = numbers();
    assert_eq!(after(Fault::ShiftPages { by: 2 }).1[..18], items[2..]);
    assert_eq!(after(Fault::LyingTotals { by: -9 }).0, total - 9);
    assert!(after(Fault::ShrunkCatalogue { to: 2 }).0 <= 2);

    served.simulator.clear_faults();
    let (_, token) = served.answer(&auth("demo-seller", PASSWORD));
    let query = "query=%7BallItems(first:3)%7BpageInfo%7BendCursor%20hasNextPage%7D%7D%7D";
    let query = SimRequest::get(format!("/ownerclan/v1/graphql?{query}"));
    let token = String::from_utf8(token).unwrap();
    let query = query.with_header("Authorization", &format!("Bearer {token}"));
    served.simulator.add_fault(FaultRule::new(Fault::StuckCursor));
    let (_, body) = served.answer(&query);
    let stuck = json!({ "endCursor": "Y3Vyc29yOjA=", "hasNextPage": true });
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["data"]["allItems"]["pageInfo"], stuck);
    served.simulator.add_fault(FaultRule::new(Fault::TokenRevoked).account("demo-seller"));
    assert!(served.answer(&query).0.starts_with("HTTP/1.1 401 Unauthorized"));
}

#[test]
fn a_share_of_calls_fails_and_which_ones_follows_from_the_seed() {
    let fails = || {
        let served = Served::with(Settings { enforce_limits: false, ..Settings::default() });
        let rule = FaultRule::new(Fault::Empty).when(When::Share(0.3));
        served.simulator.add_fault(rule.on(Wholesaler::Domeggook));
        let mut stream = served.connect();
        (0..200).for_each(|_| stream.write_all(&written(&list(), true)).unwrap());
        stream.write_all(&written(&zentrade_request("order_api", "ordno=1"), false)).unwrap();
        let (bytes, end) = read_to_end(&mut stream);
        end.unwrap();
        let met = served.simulator.log().iter().map(|entry| entry.faults).collect::<Vec<_>>();
        (met, bytes)
    };
    let (one, same) = (fails(), fails());
    assert_eq!(one, same);
    let met = one.0.iter().sum::<usize>();
    assert!((35..85).contains(&met), "{met}");
    assert_eq!(one.0.last(), Some(&0));
}

#[test]
fn odd_items_come_as_they_were_ordered() {
    let settings = Settings::default().patched(json!({ "oddities": {
        "domeggook": {
            "0": "negative_price", "1": "absurd_price", "2": "nul_in_name",
            "3": "lone_surrogate", "4": "many_options",
        },
        "zentrade": { "0": "blank_price" },
    } }));
    let served = Served::with(settings.unwrap());
    let view = |number: u32| {
        let (_, body) = served.answer(&SimRequest::get(format!(
            "{DOMEGGOOK}?aid={DOMEGGOOK_KEY}&om=json&mode=getItemView&ver=4.6&no={number}"
        )));
        body
    };
    let json = |number| serde_json::from_slice::<Value>(&view(number)).unwrap()["domeggook"].take();
    assert_eq!(json(10_000_001)["price"]["supply"], -1_200);
    assert!(json(10_000_002)["price"]["supply"].as_i64().unwrap() > 90_000_000_000_000_000);
    assert!(json(10_000_003)["basis"]["title"].as_str().unwrap().ends_with('\0'));
    assert!(String::from_utf8(view(10_000_004)).unwrap().contains("\\ud83d"));
    assert!(serde_json::from_slice::<Value>(&view(10_000_004)).is_err());
    let options = json(10_000_005)["selectOpt"].as_str().unwrap().to_owned();
    let options: Value = serde_json::from_str(&options).unwrap();
    assert!(options["data"].as_object().unwrap().len() >= 5_000);
    let (_, product) = served.answer(&zentrade_request("product_api", "goodsno=10001"));
    assert!(String::from_utf8_lossy(&product).contains("buyprice=\"\""));
}

#[test]
fn what_is_no_request_is_answered_400_and_closed() {
    let served = Served::new();
    let mut stream = served.connect();
    stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let (bytes, end) = read_to_end(&mut stream);
    end.unwrap();
    assert!(split(&bytes).0.starts_with("HTTP/1.1 400 Bad Request"));
}
