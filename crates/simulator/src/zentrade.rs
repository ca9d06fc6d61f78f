//! 젠트레이드: one XML for all products, in what is called EUC-KR; orders are looked up and not
//! placed.

mod order;
mod product;

use crate::charset::Charset;
use crate::log::shown;
use crate::request::{Parameters, SimRequest};
use crate::response::SimResponse;
use crate::world::{Reading, World, is_key};

pub(crate) use order::register;
pub use order::{Receiver, RegisteredItem, Registration};
pub(crate) use product::code_of;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Products(Parameters),
    Orders {
        account: String,
        parameters: Parameters,
    },
    /// The firewall has turned it away: its User-Agent is no browser's.
    Suspicious,
    /// Without a name and a key.
    Stranger,
    Nowhere,
}

pub(crate) fn read(request: &SimRequest, has_firewall: bool) -> Reading<Asked> {
    let parameters = request.parameters();
    let account = parameters.word("id").into_owned();
    let is_known = !account.is_empty() && is_key(&parameters.word("m_skey"));
    let agent = request.header("User-Agent").unwrap_or_default();
    let seen = parameters
        .iter()
        .map(|(name, value)| (name.clone(), shown(name, &Charset::EucKr.decode(value))));
    let seen = seen.collect();
    let path = request.path().rsplit('/').next().unwrap_or_default();
    let route = match path {
        "product_api.php" => "product_api",
        "order_api.php" => "order_api",
        _ => "unknown",
    };
    let asked = match route {
        "unknown" => Asked::Nowhere,
        _ if has_firewall && !agent.starts_with("Mozilla/") => Asked::Suspicious,
        _ if !is_known => Asked::Stranger,
        "product_api" => Asked::Products(parameters),
        _ => Asked::Orders { account: account.clone(), parameters },
    };
    Reading { route: route.to_owned(), account, is_for_token: false, parameters: seen, asked }
}

pub(crate) fn answer(world: World<'_>, asked: &Asked) -> SimResponse {
    let mistake = |mut response: SimResponse| {
        response.is_mistake = true;
        response
    };
    match asked {
        Asked::Products(parameters) => product::list(world, parameters),
        Asked::Orders { account, parameters } => order::find(world, account, parameters),
        Asked::Suspicious => mistake(page(400, "400", "잘못된 요청입니다")),
        Asked::Stranger => {
            mistake(SimResponse::text(200, "text/html", Charset::EucKr, "인증에 실패하였습니다."))
        }
        Asked::Nowhere => mistake(page(404, "404", "페이지를 찾을 수 없습니다")),
    }
}

/// What a blocked account gets.
pub(crate) fn block() -> SimResponse {
    page(403, "403", "접근이 차단되었습니다")
}

fn page(status: u16, title: &str, text: &str) -> SimResponse {
    let html = format!(
        "<!DOCTYPE html>\n<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=euc-kr\"><title>{title}</title></head><body><h1>{text}</h1></body></html>\n"
    );
    SimResponse::new(status, "text/html", Charset::EucKr.encode(&html))
}

/// An empty answer of XML.
fn xml(world: World<'_>) -> SimResponse {
    let declared = if world.settings.quirks.declares_charset { "; charset=euc-kr" } else { "" };
    SimResponse::new(200, &format!("text/xml{declared}"), "")
}

/// Text in CDATA, padded as it is.
fn cdata(text: &str) -> String {
    format!("\n        <![CDATA[ {text}  ]]>\n    ")
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
