//! The HTTP client against servers that misbehave.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use jebi_batch::http::{
    Client, Config, Error, Format, HeaderName, HeaderValue, Kind, Method, Request,
};
use jebi_batch::{Batch, BatchConfig, Class, Clock, Failure, Verdict};
use tokio::net::TcpSocket;

use crate::server::{Canary, Server, chunked, ok, status};

pub(crate) const JSON: &str = "content-type: application/json\r\n";
const SHORT: Duration = Duration::from_millis(100);

pub(crate) fn client(config: Config) -> Client {
    Client::new(config, &Clock::system()).unwrap()
}

/// The failure of a GET that expects JSON.
pub(crate) async fn failure(config: Config, server: &Server) -> Error {
    client(config).send(server.get().expects(Format::Json)).await.unwrap_err()
}

/// What becomes of these bytes as an answer.
async fn kind(bytes: Vec<u8>) -> Kind {
    failure(Config::default(), &Server::saying(bytes)).await.kind
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(body).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn a_whole_answer_is_read() {
    let body = "{\"이름\": \"무선 이어폰\"}";
    let packed = gzip(body.as_bytes());
    for (bytes, wire) in [
        (ok(JSON, body), body.len()),
        (chunked(JSON, body.as_bytes(), 3), body.len()),
        (ok(&format!("{JSON}content-encoding: gzip\r\n"), &packed), packed.len()),
        (chunked("content-encoding: x-gzip\r\n", &packed, 1), packed.len()),
    ] {
        let server = Server::saying(bytes);
        let request = server.get().query([("쪽", "1 2"), ("a", "&")]).expects(Format::Json);
        let answer = client(Config::default()).send(request).await.unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (200, body));
        assert_eq!((answer.wire_bytes, answer.decoded_bytes), (wire as u64, body.len() as u64));
        assert_eq!((answer.charset, answer.replacements), ("UTF-8", 0));
    }
}

#[tokio::test]
async fn what_is_sent_is_what_was_said() {
    let server = Server::new(|connection, request| _ = connection.write(&ok("", request)));
    let key = HeaderName::from_static("x-key");
    let request = Request::new(Method::POST, server.url(), "/items")
        .header(key, HeaderValue::from_static("1"))
        .query([("mode", "a b")])
        .form([("name", "가&나"), ("id", "1")]);
    let answer = client(Config::default()).send(request).await.unwrap().text.to_lowercase();
    for part in [
        "post /items?mode=a+b http/1.1\r\n",
        "accept-encoding: gzip\r\n",
        "user-agent: jebi/",
        "x-key: 1\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "\r\n\r\nname=%ea%b0%80%26%eb%82%98&id=1",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[tokio::test]
async fn every_bad_answer_has_a_name() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":".to_vec();
    let cut_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{".to_vec();
    let bad_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n".to_vec();
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{\"a\": 1}".to_vec();
    let two = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}  ".to_vec();
    let no_length = b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}".to_vec();
    let html = "<!DOCTYPE html><p>점검 중</p>";
    let packed = gzip(b"{}");
    let korean = encoding_rs::EUC_KR.encode(&"[\"선풍기\"]".repeat(20)).0.into_owned();
    let gzipped = "content-encoding: gzip\r\n";
    let table = [
        (cut, Kind::BodyCut),
        (cut_chunk, Kind::BodyCut),
        (bad_chunk, Kind::Protocol),
        (short, Kind::BodyCut),
        (two, Kind::Protocol),
        (no_length, Kind::Protocol),
        (Vec::new(), Kind::Reset),
        (b"HTTP/1.1 200".to_vec(), Kind::Reset),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Kind::Protocol),
        (ok(JSON, html), Kind::Html),
        (ok(JSON, "<error/>"), Kind::WrongFormat),
        (ok(JSON, ""), Kind::Empty),
        (ok(gzipped, &packed[..packed.len() - 9]), Kind::BodyCut),
        (ok(gzipped, "{\"packed\": false}"), Kind::Undecodable),
        (ok("content-encoding: br\r\n", "{}"), Kind::Undecodable),
        (ok("content-type: text/plain; charset=utf-8\r\n", korean), Kind::Charset),
        (status("302 Found", "location: /\r\n", ""), Kind::Redirect(302)),
        (status("304 Not Modified", "", ""), Kind::Redirect(304)),
        (status("404 Not Found", "", html), Kind::Status(404)),
        (status("500 Oops", JSON, "{"), Kind::Status(500)),
    ];
    for (bytes, expected) in table {
        assert_eq!(kind(bytes.clone()).await, expected, "{}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn what_a_failure_says_is_told() {
    let limited = status("429 Slow Down", "retry-after: 90\r\n", "{\"code\": \"요청 초과\"}");
    let error = failure(Config::default(), &Server::saying(limited)).await;
    assert_eq!((error.kind, error.retry_after), (Kind::Status(429), Some(Duration::from_secs(90))));
    assert_eq!(error.body, "{\"code\": \"요청 초과\"}");
    let failure = Failure::from(error);
    assert_eq!((failure.class, failure.retry_after), (Class::Busy, Some(Duration::from_secs(90))));
    assert!(failure.cause().unwrap().downcast_ref::<Error>().is_some());
    // 60 s by the answer's own clock, whatever ours says.
    let headers =
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    let down = Server::saying(status("502 Bad Gateway", headers, "<html>"));
    let failure = Failure::from(self::failure(Config::default(), &down).await);
    let expected = (Class::ServerError, Some(Duration::from_mins(1)));
    assert_eq!((failure.class, failure.retry_after), expected);
}

#[tokio::test]
async fn silence_and_drops_are_cut_off() {
    let silent = Server::new(|connection, _| connection.waits_for_ever());
    let config = Config { read_timeout: SHORT, ..Config::default() };
    assert_eq!(failure(config.clone(), &silent).await.kind, Kind::ReadTimeout);
    let silent_later = Server::new(|connection, _| {
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{");
        connection.waits_for_ever();
    });
    assert_eq!(failure(config, &silent_later).await.kind, Kind::ReadTimeout);
    let dripping = Server::new(|connection, _| {
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
        while connection.waits(Duration::from_millis(5)) && connection.write(b" ") {}
    });
    let config = Config { total_timeout: SHORT, ..Config::default() };
    assert_eq!(failure(config, &dripping).await.kind, Kind::TotalTimeout);
    assert_eq!(Kind::ReadTimeout.class(), Class::Unanswered);
    assert_eq!(Kind::TotalTimeout.class(), Class::Unanswered);
}

#[tokio::test]
async fn nobody_there_is_known_to_be_unsent() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let get = |address| {
        let url = format!("http://{address}/").parse().unwrap();
        Request::new(Method::GET, url, "/")
    };
    let error = client(Config::default()).send(get(nobody)).await.unwrap_err();
    assert_eq!((error.kind, error.kind.class()), (Kind::Connect, Class::Unreached));
    // The queue of connections is full, and nobody takes them out.
    let full = TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let connect = |_| tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address));
    let _held = join_all((0..8).map(connect)).await;
    let config = Config { connect_timeout: SHORT, ..Config::default() };
    let error = client(config).send(get(address)).await.unwrap_err();
    assert_eq!((error.kind, error.kind.class()), (Kind::ConnectTimeout, Class::Unreached));
    let mail = Request::new(Method::GET, "mailto:a@example.com".parse().unwrap(), "/");
    let error = client(Config::default()).send(mail).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsendable);
}

#[tokio::test]
async fn a_redirect_into_the_house_is_not_followed() {
    let canary = Canary::new();
    for code in ["301", "302", "303", "307", "308"] {
        let location = format!("location: {}\r\n", canary.url());
        let server = Server::saying(status(code, &location, ""));
        let error = failure(Config::default(), &server).await;
        assert_eq!(error.kind, Kind::Redirect(code.parse().unwrap()));
        assert_eq!(error.kind.class(), Class::Unusable);
    }
    assert!(canary.is_untouched());
}

#[test]
fn proxies_of_the_environment_are_not_asked() {
    let canary = Canary::new();
    // A test of this file, which must pass as it does without them.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "http::a_whole_answer_is_read"]).env_remove("NO_PROXY");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        again.env(name, canary.url());
    }
    let output = again.env_remove("no_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    assert!(canary.is_untouched());
}

#[tokio::test]
async fn what_is_large_is_read_in_pieces() {
    let body = "<?xml version=\"1.0\"?><a>".to_owned() + &"<b>가</b>".repeat(100_000) + "</a>";
    let server = Server::saying(ok("", &body));
    let mut reading =
        client(Config::default()).open(server.get().expects(Format::Xml)).await.unwrap();
    assert_eq!((reading.status(), reading.headers().len()), (200, 1));
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = reading.next().await.unwrap() {
        assert!(!piece.is_empty());
        text.push_str(&piece);
        pieces += 1;
    }
    assert!(text == body && pieces > 1, "{pieces} pieces");
    let server = Server::saying(ok("", "<a><b"));
    let mut reading =
        client(Config::default()).open(server.get().expects(Format::Xml)).await.unwrap();
    let mut last = reading.next().await;
    while let Ok(Some(_)) = last {
        last = reading.next().await;
    }
    assert_eq!(last.unwrap_err().kind, Kind::BodyCut);
    assert!(reading.next().await.unwrap().is_none(), "after an error nothing comes");
}

#[tokio::test]
async fn what_follows_an_answer_is_never_taken_for_the_next_one() {
    let server = Server::new(|connection, _| {
        let planted = ok(JSON, "\"planted\"");
        connection.write(&[ok(JSON, "{}"), planted].concat());
    });
    let client = client(Config { max_connections: 1, ..Config::default() });
    let mut good = 0;
    for _ in 0..50 {
        match client.send(server.get().expects(Format::Json)).await {
            Ok(answer) => {
                assert_eq!(answer.text, "{}");
                good += 1;
            }
            Err(error) => assert_eq!(error.kind.class(), Class::Unanswered),
        }
    }
    assert!(good > 0);
}

#[tokio::test]
async fn an_order_that_was_accepted_and_not_answered_is_sent_once() {
    let server = Server::new(|connection, _| connection.close());
    let clock = Clock::system();
    let client = Client::new(Config::default(), &clock).unwrap();
    let place = |_: u64| {
        let request = Request::new(Method::POST, server.url(), "/orders");
        client.send(request.body("application/json", "{}").expects(Format::Json))
    };
    let run = Batch::new(BatchConfig::default(), &clock).run(stream::iter([7]), place);
    let [outcome] = &run.collect::<Vec<_>>().await[..] else { panic!("one outcome") };
    let error = outcome.result.as_ref().unwrap_err();
    assert_eq!((error.verdict, error.failure.class), (Verdict::Ambiguous, Class::Unanswered));
    assert_eq!((outcome.item, outcome.attempts, server.requests()), (7, 1, 1));
}

#[tokio::test]
async fn no_text_of_a_failure_shows_what_was_sent() {
    let server = Server::new(|connection, _| connection.close());
    let request = server.get().query([("aid", "planted-secret")]);
    let request = request.body("text/plain", "planted-secret");
    assert!(!format!("{request:?}").contains("planted"), "{request:?}");
    let failure = Failure::from(client(Config::default()).send(request).await.unwrap_err());
    let mut text = format!("{failure:?} {failure}");
    let mut error: Option<&dyn std::error::Error> = Some(&failure);
    while let Some(one) = error {
        text += &format!("{one} {one:?}");
        error = one.source();
    }
    assert!(!text.contains("planted"), "{text}");
}
