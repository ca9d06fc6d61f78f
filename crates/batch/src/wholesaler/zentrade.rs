//! 젠트레이드: one XML for everything, which is read as it comes.

mod download;
mod element;
mod frames;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod options;
mod order;
mod product;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use jebi_domain::{Credential, Wholesaler};

use crate::http::{Format, Method, Request, Url};
use crate::wholesaler::Catalogue;
use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::line::Line;
use crate::wholesaler::page::{Checkpoint, Page, Pages, Place, Window, failed, foreign};

use download::Download;
pub use order::{OrderBy, ZentradeOrder};

/// What logs in to Zentrade, with every call.
#[derive(Debug, Clone)]
pub struct ZentradeLogin {
    /// The member's name.
    pub id: Credential,
    /// The member's key.
    pub m_skey: Credential,
}

/// Zentrade as one member sees it. A clone is the same.
///
/// It tells no stock, and has no feed: what has changed is found by reading everything.
#[derive(Debug, Clone)]
pub struct Zentrade(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Line,
    login: ZentradeLogin,
    base_url: Url,
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Normal,
    SoldOut,
}

impl Part {
    const fn parameter(self) -> (&'static str, &'static str) {
        match self {
            Self::Normal => ("runout", "0"),
            Self::SoldOut => ("runout", "1"),
        }
    }
}

const PRODUCTS: &str = "product_api";
const ORDERS: &str = "order_api";

impl Zentrade {
    /// The shop below this address.
    #[must_use]
    pub fn new(line: Line, login: ZentradeLogin, base_url: Url) -> Self {
        Self(Arc::new(Inner { line, login, base_url }))
    }

    /// The orders of a number: those that were placed under it, oldest first as they come.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn orders(&self, by: OrderBy<'_>) -> Result<Vec<ZentradeOrder>, Error> {
        let request = self.request(ORDERS, &[by.parameter()]);
        self.0.line.read(ORDERS, request, |answer| order::read(&answer.text)).await
    }

    /// A form, so that the key is in no address.
    fn request(&self, api: &'static str, parameters: &[(&str, &str)]) -> Request {
        let Inner { login, base_url, .. } = &*self.0;
        let mut url = base_url.clone();
        let base = base_url.path().trim_end_matches('/');
        url.set_path(&format!("{base}/shop/proc/{api}.php"));
        let login = [("id", login.id.expose()), ("m_skey", login.m_skey.expose())];
        Request::new(Method::POST, url, api)
            .form(login.into_iter().chain(parameters.iter().copied()))
            .expects(Format::Xml)
    }

    fn products(&self, part: Part) -> Request {
        self.request(PRODUCTS, &[part.parameter()])
    }

    /// One item, in the file in which it would stand: what is given without a file is not stated.
    async fn find_in(&self, part: Part, key: &Key) -> Result<Page, Error> {
        let request = self.request(PRODUCTS, &[("goodsno", key.as_str()), part.parameter()]);
        let mut pages = Download::new(self.clone(), vec![request], None).pages();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let Page { products, rejected, .. } = page?;
            items.extend(products.into_iter().map(Ok));
            items.extend(rejected.into_iter().map(Err));
        }
        let mut page = Page { read: 1, ..Page::default() };
        page.sort(std::slice::from_ref(key), items.into_iter());
        Ok(page)
    }
}

impl Catalogue for Zentrade {
    fn wholesaler(&self) -> Wholesaler {
        Wholesaler::Zentrade
    }

    /// What is on sale, and then what is sold out. A file cannot be entered in the middle: its
    /// checkpoints lead to its beginning.
    fn walk(&self, from: Option<&Checkpoint>) -> Pages {
        let parts = match from {
            None => &[Part::Normal, Part::SoldOut][..],
            Some(Checkpoint(Place::ZentradeNormal)) => &[Part::Normal, Part::SoldOut],
            Some(Checkpoint(Place::ZentradeSoldOut)) => &[Part::SoldOut],
            Some(_) => return foreign(),
        };
        let requests = parts.iter().map(|part| self.products(*part)).collect();
        let second = Some(Checkpoint(Place::ZentradeSoldOut));
        Download::new(self.clone(), requests, second).pages()
    }

    /// All items: there is no feed.
    fn changes(&self, window: Window, from: Option<&Checkpoint>) -> Pages {
        if window.since > window.until {
            return failed(Error::BadWindow);
        }
        self.walk(from)
    }

    /// A call for each, and a second one for what is not on sale.
    fn find<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Page, Error>> {
        Box::pin(async move {
            let mut page = Page::default();
            for key in keys {
                let mut found = self.find_in(Part::Normal, key).await?;
                if !found.missing.is_empty() {
                    found = self.find_in(Part::SoldOut, key).await?;
                }
                page.read += found.read;
                page.products.extend(found.products);
                page.rejected.extend(found.rejected);
                page.missing.extend(found.missing);
            }
            Ok(page)
        })
    }
}
