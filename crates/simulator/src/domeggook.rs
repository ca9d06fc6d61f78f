//! 도매꾹 and 도매매: one address, a mode and its version in the parameters.

mod asset;
mod feed;
mod list;
mod listings;
mod option;
mod order;
mod placing;
mod session;
mod tree;
mod view;

use self::tree::Tree;
use crate::charset::Charset;
use crate::log::shown;
use crate::request::{Parameters, SimRequest};
use crate::response::SimResponse;
use crate::world::{Reading, World, is_key};

pub(crate) use listings::Listings;
pub use view::Market;
pub(crate) use view::number_text as key_of;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    Call(Box<Call>),
    Nowhere,
}

/// A call of a mode.
#[derive(Debug)]
pub(crate) struct Call {
    mode: Option<Mode>,
    is_post: bool,
    parameters: Parameters,
}

impl Call {
    /// The key, which is the account.
    fn key(&self) -> String {
        self.parameters.word("aid").into_owned()
    }

    fn word(&self, name: &str) -> std::borrow::Cow<'_, str> {
        self.parameters.word(name)
    }

    /// A text in the charset of the input.
    fn text(&self, name: &str) -> String {
        let charset = match self.word("ie").to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Charset::Utf8,
            _ => Charset::EucKr,
        };
        self.parameters.text(name, charset).unwrap_or_default().into_owned()
    }

    fn charset(&self) -> Charset {
        match self.word("oe").to_ascii_lowercase().as_str() {
            "euc-kr" => Charset::EucKr,
            "" if !self.is_json() => Charset::EucKr,
            _ => Charset::Utf8,
        }
    }

    fn is_json(&self) -> bool {
        self.word("om") == "json"
    }
}

/// What can be asked, and in which versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Login,
    LoginCheck,
    ItemList,
    ItemView,
    ItemViews,
    SupplyCheck,
    Categories,
    SetOrder,
    OrderList,
    OrderView,
    OrderReturns,
    DenyOrder,
    Asset,
}

const MODES: &[(&str, &[&str], Mode)] = &[
    ("setLogin", &["4.1"], Mode::Login),
    ("setLoginChk", &["4.0"], Mode::LoginCheck),
    ("getItemList", &["4.1"], Mode::ItemList),
    ("getItemView", &["4.0", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6"], Mode::ItemView),
    ("getItemViewES", &["4.0"], Mode::ItemViews),
    ("getAllSupplyChk", &["1.0", "1.1"], Mode::SupplyCheck),
    ("getCategoryList", &["1.0"], Mode::Categories),
    ("setOrder", &["4.3"], Mode::SetOrder),
    ("getOrderList", &["4.0"], Mode::OrderList),
    ("getOrderView", &["4.0", "4.1"], Mode::OrderView),
    ("getOrderReturn", &["1.0", "4.0"], Mode::OrderReturns),
    ("setOrdDeny", &["1.0"], Mode::DenyOrder),
    ("getMyAsset", &["1.0"], Mode::Asset),
];

/// Why a call is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    status: u16,
    code: &'static str,
    message: &'static str,
    detail: &'static str,
    detail_message: &'static str,
}

impl Failure {
    /// Said with 200.
    const fn new(code: &'static str, message: &'static str) -> Self {
        Self { status: 200, code, message, detail: "", detail_message: "" }
    }

    const fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    const fn because(self, detail: &'static str, detail_message: &'static str) -> Self {
        Self { detail, detail_message, ..self }
    }
}

const UNKNOWN_SERVICE: Failure =
    Failure::new("UNKNOWN_SERVICE", "해당 오픈 API 서비스가 없습니다.").with_status(404);
const UNKNOWN_KEY: Failure =
    Failure::new("INVALID_AID", "유효하지 않은 API 키입니다.").with_status(401);
const TOO_MANY: Failure =
    Failure::new("TOO_MANY_REQUESTS", "호출 한도를 초과했습니다.").with_status(429);
const NOT_FOUND: Failure = Failure::new("NOT_FOUND", "존재하지 않는 상품 또는 주문입니다.");

pub(crate) fn read(request: &SimRequest) -> Reading<Asked> {
    let parameters = request.parameters();
    if request.path().trim_end_matches('/') != "/domeggook/ssl/api" {
        let (route, account, parameters) = ("unknown".to_owned(), String::new(), Vec::new());
        let asked = Asked::Nowhere;
        return Reading { route, account, is_for_token: false, parameters, asked };
    }
    let (mode, version) = (parameters.word("mode"), parameters.word("ver"));
    let named = MODES.iter().find(|(name, ..)| *name == mode);
    let route = named.map_or("unknown", |(name, ..)| name).to_owned();
    let mode = named.filter(|(_, versions, _)| versions.contains(&version.as_ref()));
    let mode = mode.map(|(.., mode)| *mode);
    let call = Call { mode, is_post: request.method == "POST", parameters };
    let named = call.parameters.iter().map(|(name, _)| name);
    let seen = named.map(|name| (name.clone(), shown(name, &call.text(name)))).collect();
    let is_for_token = mode == Some(Mode::Login);
    let account = call.key();
    Reading { route, account, is_for_token, parameters: seen, asked: Asked::Call(Box::new(call)) }
}

pub(crate) fn answer(world: World<'_>, asked: &Asked) -> SimResponse {
    match asked {
        Asked::Nowhere => {
            let mut nowhere = SimResponse::new(404, "text/plain", "");
            nowhere.is_mistake = true;
            nowhere
        }
        Asked::Call(call) => match done(world, call) {
            Ok(answer) => {
                let answer = Tree::Object(vec![("domeggook", answer)]);
                respond(world, call, 200, &answer)
            }
            Err(failure) => failed(world, call, &failure),
        },
    }
}

/// What a blocked account gets. Nothing says when the block ends.
pub(crate) fn block(world: World<'_>, asked: &Asked) -> SimResponse {
    match asked {
        Asked::Call(call) => failed(world, call, &TOO_MANY),
        Asked::Nowhere => SimResponse::new(429, "text/plain", ""),
    }
}

fn done(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let mode = call.mode.ok_or(UNKNOWN_SERVICE)?;
    if !is_key(&call.key()) {
        return Err(UNKNOWN_KEY);
    }
    match mode {
        Mode::Login => session::begin(world, call),
        Mode::LoginCheck => session::check(world, call),
        Mode::ItemList => list::page(world, call),
        Mode::ItemView => view::show(world, call, false),
        Mode::ItemViews => view::show(world, call, true),
        Mode::SupplyCheck => feed::page(world, call),
        Mode::Categories => Ok(list::categories()),
        Mode::SetOrder => placing::place(world, call),
        Mode::OrderList => order::list(world, call),
        Mode::OrderView => order::view(world, call),
        Mode::OrderReturns => order::returns(world, call),
        Mode::DenyOrder => order::deny(world, call),
        Mode::Asset => asset::show(world, call),
    }
}

fn failed(world: World<'_>, call: &Call, failure: &Failure) -> SimResponse {
    let errors = Tree::Object(vec![
        ("code", Tree::text(failure.code)),
        ("message", Tree::text(failure.message)),
        ("dcode", Tree::text(failure.detail)),
        ("dmessage", Tree::text(failure.detail_message)),
    ]);
    let mut body = Tree::Object(vec![("errors", errors)]);
    if world.settings.quirks.errors_below_root {
        body = Tree::Object(vec![("domeggook", body)]);
    }
    let mut response = respond(world, call, failure.status, &body);
    // To ask for what is gone is none.
    response.is_mistake = ![TOO_MANY.code, NOT_FOUND.code].contains(&failure.code);
    response
}

fn respond(world: World<'_>, call: &Call, status: u16, body: &Tree) -> SimResponse {
    let charset = call.charset();
    let (kind, bytes) = if call.is_json() {
        let json = body.json();
        let bytes = match charset {
            Charset::Utf8 => json,
            Charset::EucKr => charset.encode(&Charset::Utf8.decode(&json)),
        };
        ("application/json", bytes)
    } else {
        ("text/xml", charset.encode(&body.xml(charset.label())))
    };
    let content_type = if world.settings.quirks.declares_charset {
        format!("{kind}; charset={}", charset.label())
    } else {
        kind.to_owned()
    };
    SimResponse::new(status, &content_type, bytes)
}
