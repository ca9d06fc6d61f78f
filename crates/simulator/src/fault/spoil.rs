//! What the faults do to an answer.

use std::num::NonZeroU64;
use std::time::Duration;

use super::{Fault, bomb};
use crate::charset::Charset;
use crate::random::mix;
use crate::response::{Body, End, SimResponse};

/// The answer of a call that met these faults. The server's own is asked for only where a fault
/// does not stand in its place.
pub(crate) fn spoil(
    faults: &[Fault],
    chance: u64,
    serve: impl FnOnce() -> SimResponse,
) -> SimResponse {
    let mut response = faults.iter().find_map(instead).unwrap_or_else(serve);
    for fault in faults {
        response = alter(response, fault, chance);
    }
    response
}

/// The answer that a fault gives in place of the server's.
fn instead(fault: &Fault) -> Option<SimResponse> {
    match fault {
        Fault::BlackHole => {
            let mut silence = SimResponse::new(200, "text/plain", "");
            silence.script.end = End::Silence;
            Some(silence)
        }
        Fault::Answer { status, headers, body } => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
            let mut answer = SimResponse::text(*status, kind, Charset::Utf8, body);
            if headers.keys().any(|name| name.eq_ignore_ascii_case("Content-Type")) {
                answer.headers.clear();
            }
            let pairs = headers.iter().map(|(name, value)| (name.clone(), value.clone()));
            answer.headers.extend(pairs);
            Some(answer)
        }
        Fault::Html { content_type } => Some(SimResponse::new(200, content_type, PAGE)),
        Fault::Empty => Some(SimResponse::new(200, "text/html", "")),
        Fault::GzipBomb { mib } => {
            let bomb = SimResponse::new(200, "application/json", "");
            let bomb = bomb.with_header("Content-Encoding", "gzip");
            Some(SimResponse { body: bomb::gzip(*mib), ..bomb })
        }
        Fault::XmlBomb => Some(SimResponse::new(200, "text/xml", bomb::xml())),
        Fault::Latency { .. }
        | Fault::Drip { .. }
        | Fault::Truncate { .. }
        | Fault::Reset { .. }
        | Fault::AcceptThenDrop
        | Fault::LyingLength { .. }
        | Fault::WrongCharset
        | Fault::TokenRevoked
        | Fault::ShiftPages { .. }
        | Fault::StuckCursor
        | Fault::LyingTotals { .. }
        | Fault::ShrunkCatalogue { .. } => None,
    }
}

fn alter(mut response: SimResponse, fault: &Fault, chance: u64) -> SimResponse {
    let script = &mut response.script;
    match fault {
        Fault::Latency { ms, jitter_ms } => {
            let jitter_ms = mix(chance, &[*ms]) % jitter_ms.saturating_add(1).max(1);
            script.delay += Duration::from_millis(ms.saturating_add(jitter_ms));
        }
        Fault::Drip { bytes_per_second } => {
            script.bytes_per_second = NonZeroU64::new((*bytes_per_second).max(1));
        }
        Fault::Truncate { after_bytes } => {
            script.end = End::Truncated { after_bytes: *after_bytes };
        }
        Fault::Reset { after_bytes } => script.end = End::Reset { after_bytes: *after_bytes },
        Fault::AcceptThenDrop => script.end = End::Dropped,
        Fault::LyingLength { by } => script.end = End::LyingLength { by: *by },
        Fault::WrongCharset => return in_the_other_charset(response),
        Fault::BlackHole
        | Fault::Answer { .. }
        | Fault::Html { .. }
        | Fault::Empty
        | Fault::GzipBomb { .. }
        | Fault::XmlBomb
        | Fault::TokenRevoked
        | Fault::ShiftPages { .. }
        | Fault::StuckCursor
        | Fault::LyingTotals { .. }
        | Fault::ShrunkCatalogue { .. } => {}
    }
    response
}

fn in_the_other_charset(response: SimResponse) -> SimResponse {
    let bytes = response.body.into_bytes();
    let is_utf8 = std::str::from_utf8(&bytes).is_ok();
    let is = if is_utf8 { Charset::Utf8 } else { Charset::EucKr };
    let body = Body::Whole(is.other().encode(&is.decode(&bytes)));
    SimResponse { body, ..response }
}

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>안내</title></head><body><h1>서비스 점검 중입니다</h1></body></html>\n";
