//! 오너클랜: GraphQL, by cursors, with a token from another address.

mod answer;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod history;
mod items;
mod login;
mod product;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;
use jebi_domain::{Credential, Wholesaler};
use serde_json::{Value, json};

use crate::http::{Format, HeaderName, HeaderValue, Method, Request, Url};
use crate::outcome::Failure;
use crate::wholesaler::Catalogue;
use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::line::Line;
use crate::wholesaler::page::{Checkpoint, Page, Pages, Place, Window, failed, foreign};
use crate::wholesaler::session::Session;

use history::History;
use items::Items;

/// What logs in to Ownerclan.
#[derive(Debug, Clone)]
pub struct OwnerclanLogin {
    /// The seller's name.
    pub username: Credential,
    /// The seller's password.
    pub password: Credential,
}

/// Ownerclan as one seller sees it. A clone shares the token.
#[derive(Debug, Clone)]
pub struct Ownerclan(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Line,
    login: OwnerclanLogin,
    api_url: Url,
    auth_url: Url,
    session: Session,
}

impl Ownerclan {
    /// The catalogue behind these addresses: that of the API, and that which gives tokens.
    #[must_use]
    pub fn new(line: Line, login: OwnerclanLogin, api_url: Url, auth_url: Url) -> Self {
        let session = Session::new(line.clock(), &[401]);
        Self(Arc::new(Inner { line, login, api_url, auth_url, session }))
    }

    /// What a query says, read; `None` where that is more than is read. A token that is void is
    /// renewed once.
    async fn query<T: Send>(
        &self,
        query: &str,
        api: &'static str,
        variables: Value,
        read: impl Fn(&str) -> Result<T, Failure> + Send + Sync,
    ) -> Result<Option<T>, Error> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let Inner { line, session, api_url, .. } = &*self.0;
        let call = |token: Arc<str>| {
            let request = Request::new(Method::POST, api_url.clone(), api)
                .header(HeaderName::from_static("authorization"), bearer(&token))
                .body("application/json", body.clone())
                .expects(Format::Json);
            line.read_bounded(api, request, |answer| read(&answer.text))
        };
        session.call(|| login::log_in(&self.0), call).await
    }
}

fn bearer(token: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .expect("a token is letters, digits and a few marks");
    value.set_sensitive(true);
    value
}

impl Catalogue for Ownerclan {
    fn wholesaler(&self) -> Wholesaler {
        Wholesaler::Ownerclan
    }

    fn walk(&self, from: Option<&Checkpoint>) -> Pages {
        let after = match from {
            None => None,
            Some(Checkpoint(Place::OwnerclanItems { after })) => Some(after.clone()),
            Some(_) => return foreign(),
        };
        let walk = Items::new(self.clone(), after);
        stream::try_unfold(Some(walk), |walk| async move {
            let Some(walk) = walk else { return Ok(None) };
            walk.page().await.map(Some)
        })
        .boxed()
    }

    /// Three months back at most, in windows of a week.
    fn changes(&self, window: Window, from: Option<&Checkpoint>) -> Pages {
        let begun = match from {
            None => None,
            Some(Checkpoint(Place::OwnerclanHistory { from, to, after })) => {
                Some((*from, *to, after.clone()))
            }
            Some(_) => return foreign(),
        };
        let Some(history) = History::new(self.clone(), window, begun) else {
            return failed(Error::BadWindow);
        };
        stream::try_unfold(Some(history), |history| async move {
            let Some(history) = history else { return Ok(None) };
            history.page().await.map(Some)
        })
        .boxed()
    }

    fn find<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Page, Error>> {
        Box::pin(items::find(self, keys))
    }
}
