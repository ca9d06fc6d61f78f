//! A token for a name and a password.

use serde::Deserialize;

use super::{Asked, mistake};
use crate::request::SimRequest;
use crate::response::SimResponse;
use crate::settings::TokenForm;
use crate::token;
use crate::world::{PASSWORD, Reading, World};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credentials {
    service: String,
    user_type: String,
    username: String,
    password: String,
}

impl Credentials {
    fn are_good(&self) -> bool {
        self.service == "ownerclan"
            && self.user_type == "seller"
            && self.password == PASSWORD
            && !self.username.is_empty()
    }
}

pub(super) fn read(request: &SimRequest) -> Reading<Asked> {
    let is_json = request
        .header("Content-Type")
        .is_some_and(|content_type| content_type.starts_with("application/json"));
    let credentials: Option<Credentials> = (request.method == "POST" && is_json)
        .then(|| serde_json::from_slice(&request.body).ok())
        .flatten();
    let account = credentials.as_ref().map(|given| given.username.clone()).unwrap_or_default();
    let mut parameters = Vec::new();
    if let Some(given) = &credentials {
        parameters.push(("service".to_owned(), given.service.clone()));
        parameters.push(("userType".to_owned(), given.user_type.clone()));
        parameters.push(("username".to_owned(), given.username.clone()));
    }
    let (route, asked) = ("auth".to_owned(), Asked::Token(credentials));
    Reading { route, account, is_for_token: true, parameters, asked }
}

pub(super) fn answer(world: World<'_>, credentials: Option<&Credentials>) -> SimResponse {
    let Some(credentials) = credentials else {
        return mistake(SimResponse::new(400, "text/plain; charset=utf-8", "Bad Request"));
    };
    if !credentials.are_good() {
        return mistake(SimResponse::new(401, "text/plain; charset=utf-8", "Unauthorized"));
    }
    let lifetime = world.settings.token_lifetime();
    let grant = world.tokens.issue(&credentials.username, world.now, lifetime);
    let token = token::write(world.settings.seed, &grant);
    let (content_type, body) = match world.settings.quirks.token_form {
        TokenForm::Raw => ("text/plain; charset=utf-8", token),
        TokenForm::Quoted => ("text/plain; charset=utf-8", format!("\"{token}\"\n")),
        TokenForm::Object => ("application/json", format!("{{\"token\":\"{token}\"}}")),
    };
    SimResponse::new(200, content_type, body)
}
