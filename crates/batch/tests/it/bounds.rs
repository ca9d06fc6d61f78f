//! What the HTTP client takes at most: bytes, memory, connections.

use std::time::Duration;

use allocation_counter::measure;
use futures::future::join_all;
use jebi_batch::Class;
use jebi_batch::http::{Config, Format, Kind};
use tokio::runtime::{Builder, Runtime};

use crate::http::{JSON, client, failure, gzip};
use crate::server::{Server, ok};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The kind of failure that a server makes, and the most bytes that were there at once for it.
fn most_bytes(config: Config, server: &Server) -> (Kind, u64) {
    let (runtime, mut kind) = (runtime(), None);
    let measured = measure(|| kind = Some(runtime.block_on(failure(config, server)).kind));
    (kind.unwrap(), measured.bytes_max)
}

#[test]
fn a_bomb_is_not_unpacked_further_than_the_bound() {
    let packed = gzip(&vec![b' '; 256 << 20]);
    let gzipped = "content-encoding: gzip\r\n";
    let config = Config { max_decoded_bytes: 1 << 20, ..Config::default() };
    let (kind, most) = most_bytes(config.clone(), &Server::saying(ok(gzipped, &packed)));
    println!("{} bytes for 256 MiB: at most {most} at once", packed.len());
    assert_eq!(kind, Kind::DecodedTooLarge);
    assert!(most < 4 << 20, "{most}");
    // What is packed twice is unpacked once, and no text then.
    let (kind, most) = most_bytes(config, &Server::saying(ok(gzipped, gzip(&packed))));
    assert_eq!(kind, Kind::Charset);
    assert!(most < 4 << 20, "{most}");
}

#[test]
fn no_more_is_read_than_the_bound_whatever_the_length_says() {
    let config = Config { max_wire_bytes: 1 << 20, ..Config::default() };
    let huge = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 10000000000000\r\n\r\n{");
    let (kind, most) = most_bytes(config.clone(), &huge);
    assert_eq!(kind, Kind::WireTooLarge);
    assert!(most < 1 << 20, "{most}");
    let endless = Server::new(|connection, _| {
        connection.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        while connection.write(&chunk) {}
    });
    let (kind, most) = most_bytes(config, &endless);
    assert_eq!(kind, Kind::WireTooLarge);
    assert!(most < 4 << 20, "{most}");
}

#[tokio::test]
async fn connections_are_kept_and_never_more_than_the_limit() {
    let server = Server::new(|connection, _| _ = connection.write(&ok(JSON, "{}")));
    let client = client(Config { max_connections: 3, ..Config::default() });
    for _ in 0..3 {
        let calls = (0..20).map(|_| client.send(server.get().expects(Format::Json)));
        assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    }
    assert_eq!(client.in_use(), 0);
    assert_eq!((server.requests(), server.most_open()), (60, server.connections()));
    assert!(server.connections() <= 3, "{} connections", server.connections());
}

#[tokio::test]
async fn who_waits_for_a_connection_for_too_long_has_sent_nothing() {
    let silent = Server::new(|connection, _| {
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
        connection.waits_for_ever();
    });
    let config = Config {
        max_connections: 1,
        total_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let client = client(config);
    let _held = client.open(silent.get()).await.unwrap();
    let error = client.send(silent.get()).await.unwrap_err();
    assert_eq!((error.kind, error.kind.class()), (Kind::NoConnection, Class::Unreached));
    assert_eq!((client.in_use(), silent.requests()), (1, 1));
}
