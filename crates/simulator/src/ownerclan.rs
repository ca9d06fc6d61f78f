//! 오너클랜: GraphQL over HTTP, in UTF-8, with a token from another address.

mod auth;
mod category;
mod graphql;
mod history;
mod item;
mod order;
mod page;
mod placing;
mod root;
mod schema;

use serde_json::{Map, Value};

use self::graphql::{Error, Operation};
use crate::charset::Charset;
use crate::json::Json;
use crate::limits;
use crate::log::shown;
use crate::request::SimRequest;
use crate::response::SimResponse;
use crate::settings::ExpiredToken;
use crate::time::Time;
use crate::token::{self, BadToken, Grant, Tokens};
use crate::world::{Reading, World};

pub(crate) use item::key_of;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A token, with these credentials.
    Token(Option<auth::Credentials>),
    Query {
        grant: Result<Grant, BadToken>,
        operation: Result<Operation, Vec<Error>>,
    },
    /// A way to ask that there is not.
    NotAllowed,
    /// An address that there is not.
    Nowhere,
}

pub(crate) fn read(request: &SimRequest, seed: u64, tokens: &Tokens, now: Time) -> Reading<Asked> {
    match request.path().trim_end_matches('/') {
        "/ownerclan/auth" => auth::read(request),
        "/ownerclan/v1/graphql" => read_graphql(request, seed, tokens, now),
        _ => nothing("unknown", Asked::Nowhere),
    }
}

fn nothing(route: &str, asked: Asked) -> Reading<Asked> {
    let (account, parameters) = (String::new(), Vec::new());
    Reading { route: route.to_owned(), account, is_for_token: false, parameters, asked }
}

/// A URL may not be longer. The real bound is unknown; clients turn to POST at 4,000.
const LONGEST_URL: usize = 8_000;

fn read_graphql(request: &SimRequest, seed: u64, tokens: &Tokens, now: Time) -> Reading<Asked> {
    let (text, variables, name) = match request.method.as_str() {
        "GET" if request.target.len() <= LONGEST_URL => {
            let parameters = request.parameters();
            let variables = serde_json::from_str(&parameters.word("variables"));
            let name = parameters.text("operationName", Charset::Utf8).map(String::from);
            (parameters.word("query").into_owned(), variables.unwrap_or_default(), name)
        }
        "POST" => {
            let body: Map<String, Value> =
                serde_json::from_slice(&request.body).unwrap_or_default();
            let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
            let variables = body.get("variables").and_then(Value::as_object).cloned();
            let name = body.get("operationName").and_then(Value::as_str).map(str::to_owned);
            (text.to_owned(), variables.unwrap_or_default(), name)
        }
        _ => return nothing("graphql", Asked::NotAllowed),
    };
    let bearer = request.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    let bearer = bearer.unwrap_or_default().trim();
    let grant = tokens.check(seed, bearer, now);
    let account = token::read(seed, bearer).map(|grant| grant.account).unwrap_or_default();
    let mut operation = graphql::read(&text, &variables, name.as_deref());
    let is_mutation = operation.as_ref().is_ok_and(|operation| operation.is_mutation);
    if is_mutation && request.method == "GET" {
        operation = Err(vec![Error::nowhere("Mutations are sent by POST")]);
    }
    let field = operation.as_ref().ok().and_then(|operation| operation.fields.first());
    let route = field.map_or_else(|| "graphql".to_owned(), |field| field.name.clone());
    let variables = serde_json::to_string(&variables).unwrap_or_default();
    let parameters = vec![
        ("query".to_owned(), shown("query", &text)),
        ("variables".to_owned(), shown("variables", &variables)),
    ];
    let asked = Asked::Query { grant, operation };
    Reading { route, account, is_for_token: false, parameters, asked }
}

pub(crate) fn answer(world: World<'_>, asked: &Asked) -> SimResponse {
    match asked {
        Asked::Token(credentials) => auth::answer(world, credentials.as_ref()),
        Asked::Query { grant: Err(bad), .. } => unauthorized(world, *bad),
        Asked::Query { operation: Err(errors), .. } => {
            mistake(respond(200, &written(errors, None)))
        }
        Asked::Query { grant: Ok(grant), operation: Ok(operation) } => {
            let (data, errors) = root::run(world, &grant.account, operation);
            let response = respond(200, &written(&errors, Some(data)));
            // To ask for what is gone is none.
            let is_mistake = operation.is_mutation && !errors.is_empty();
            if is_mistake { mistake(response) } else { response }
        }
        Asked::NotAllowed => mistake(SimResponse::new(405, "text/plain", "")),
        Asked::Nowhere => mistake(SimResponse::new(404, "text/plain", "")),
    }
}

fn mistake(mut response: SimResponse) -> SimResponse {
    response.is_mistake = true;
    response
}

fn unauthorized(world: World<'_>, bad: BadToken) -> SimResponse {
    let message = match bad {
        BadToken::NotOurs => "Unauthorized",
        BadToken::Expired => "jwt expired",
        BadToken::Revoked => "jwt revoked",
    };
    let body = written(&[Error::nowhere(message)], None);
    match (bad, world.settings.quirks.expired_token) {
        (BadToken::Expired, ExpiredToken::Errors) => mistake(respond(200, &body)),
        _ => mistake(respond(401, &body)),
    }
}

/// What a call above the limit gets.
pub(crate) fn refusal(asked: &Asked) -> SimResponse {
    let field = match asked {
        Asked::Query { operation: Ok(operation), .. } => operation.fields.first(),
        _ => None,
    };
    let error = Error {
        message: "Too many requests.".to_owned(),
        at: field.map(|field| (field.at.line, field.at.column)),
        path: field.map(|field| field.key.clone()),
    };
    respond(200, &written(&[error], None))
}

/// What a blocked account gets.
pub(crate) fn block(until: Time, now: Time) -> SimResponse {
    let page = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n";
    let seconds = limits::seconds_until(until, now).to_string();
    SimResponse::text(502, "text/html", Charset::Utf8, page).with_header("Retry-After", &seconds)
}

fn respond(status: u16, body: &[u8]) -> SimResponse {
    SimResponse::new(status, "application/json; charset=utf-8", body)
}

/// Fields by their keys, each written; none where it failed.
pub(crate) type Data = Vec<(String, Option<Json>)>;

/// `{"errors": …, "data": …}`. Data of which nothing is there is null.
fn written(errors: &[Error], data: Option<Data>) -> Vec<u8> {
    let mut json = Json::default();
    json.raw("{");
    if !errors.is_empty() {
        json.raw("\"errors\":");
        json.list(errors, write_error);
        json.raw(",");
    }
    json.raw("\"data\":");
    match data.filter(|data| data.iter().any(|(_, value)| value.is_some()) || errors.is_empty()) {
        None => json.null(),
        Some(data) => json.object(
            data,
            |(key, _)| key,
            |(_, value), json| match value {
                Some(value) => json.append(value),
                None => json.null(),
            },
        ),
    }
    json.raw("}");
    json.into_bytes()
}

fn write_error(error: &Error, json: &mut Json) {
    json.raw("{\"message\":");
    json.text(&error.message);
    if let Some((line, column)) = error.at {
        json.raw(&format!(",\"locations\":[{{\"line\":{line},\"column\":{column}}}]"));
    }
    if let Some(path) = &error.path {
        json.raw(",\"path\":");
        json.texts([path]);
    }
    json.raw("}");
}
