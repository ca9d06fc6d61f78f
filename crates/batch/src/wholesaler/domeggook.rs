//! 도매꾹 and 도매매: one address with modes, pages by number, and the items themselves by a second
//! call.

mod answer;
mod feed;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod list;
mod options;
mod product;
mod session;
mod tiers;
mod view;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use jebi_domain::{Credential, Wholesaler};

use crate::http::{Format, Method, Request, Url};
use crate::outcome::Failure;
use crate::wholesaler::Catalogue;
use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::line::Line;
use crate::wholesaler::page::{Checkpoint, Page, Pages, Place, Window, failed, foreign};
use crate::wholesaler::session::Session;

use feed::Feed;
use list::List;

/// What logs in to Domeggook: a key, and for what is private a name and a password.
#[derive(Debug, Clone)]
pub struct DomeggookLogin {
    /// The key.
    pub aid: Credential,
    /// The member's name.
    pub id: Credential,
    /// The member's password.
    pub pw: Credential,
}

/// Where one buys: the same item has a price in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Market {
    /// 도매꾹: in quantities, and cheaper by quantity.
    Dome,
    /// 도매매: one by one, sent to the seller's customer.
    #[default]
    Supply,
}

impl Market {
    const fn word(self) -> &'static str {
        match self {
            Self::Dome => "dome",
            Self::Supply => "supply",
        }
    }
}

/// Domeggook as one member sees it. A clone shares the session.
#[derive(Debug, Clone)]
pub struct Domeggook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Line,
    login: DomeggookLogin,
    base_url: Url,
    market: Market,
    session: Session,
}

impl Domeggook {
    /// The market below this address.
    #[must_use]
    pub fn new(line: Line, login: DomeggookLogin, base_url: Url, market: Market) -> Self {
        let session = Session::new(line.clock(), &[401, 403]);
        Self(Arc::new(Inner { line, login, base_url, market, session }))
    }
}

impl Inner {
    fn url(&self) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}/ssl/api/", self.base_url.path().trim_end_matches('/')));
        url
    }

    /// What every call says: JSON in UTF-8 is asked for, whatever the default is.
    fn parameters<'a>(&'a self, mode: &'a str, version: &'a str) -> [(&'a str, &'a str); 6] {
        let aid = self.login.aid.expose();
        [
            ("ver", version),
            ("mode", mode),
            ("aid", aid),
            ("om", "json"),
            ("ie", "utf-8"),
            ("oe", "utf-8"),
        ]
    }

    /// What a mode says, read; `None` where that is more than is read.
    async fn call<T: Send>(
        &self,
        mode: &'static str,
        version: &str,
        parameters: &[(&str, &str)],
        read: impl Fn(&str) -> Result<T, Failure> + Send + Sync,
    ) -> Result<Option<T>, Error> {
        let request = Request::new(Method::GET, self.url(), mode)
            .query(self.parameters(mode, version))
            .query(parameters.iter().copied())
            .expects(Format::Json);
        self.line.read_bounded(mode, request, |answer| read(answer::body(&answer.text)?)).await
    }
}

impl Catalogue for Domeggook {
    fn wholesaler(&self) -> Wholesaler {
        Wholesaler::Domeggook
    }

    /// What is on sale in the market, the newest first. What is sold out is not listed.
    fn walk(&self, from: Option<&Checkpoint>) -> Pages {
        let list = match from {
            None => List::new(self.0.clone(), 1, 0, &[]),
            Some(Checkpoint(Place::DomeggookItems { page, within, after })) => {
                List::new(self.0.clone(), *page, *within, after)
            }
            Some(_) => return foreign(),
        };
        stream::try_unfold(Some(list), |list| async move {
            let Some(list) = list else { return Ok(None) };
            list.page().await.map(Some)
        })
        .boxed()
    }

    /// Of both markets: what is not sold in this one is [`Availability::Unavailable`].
    ///
    /// [`Availability::Unavailable`]: crate::wholesaler::Availability::Unavailable
    fn changes(&self, window: Window, from: Option<&Checkpoint>) -> Pages {
        let begun = match from {
            None => None,
            Some(Checkpoint(Place::DomeggookChanges { day, page })) => Some((*day, *page)),
            Some(_) => return foreign(),
        };
        let Some(feed) = Feed::new(self.0.clone(), window, begun) else {
            return failed(Error::BadWindow);
        };
        stream::try_unfold(Some(feed), |feed| async move {
            let Some(feed) = feed else { return Ok(None) };
            feed.page().await.map(Some)
        })
        .boxed()
    }

    fn find<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Page, Error>> {
        Box::pin(view::find(&self.0, keys))
    }
}
