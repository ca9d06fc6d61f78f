//! A file of products, read while it comes in.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::frames::{Frame, Frames};
use super::{PRODUCTS, Zentrade, product};
use crate::http::Request;
use crate::outcome::{Class, Failure};
use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::page::{Checkpoint, Page, Pages, Place};
use crate::wholesaler::product::{Reason, Rejected, WholesaleProduct};
use crate::wholesaler::seen::Seen;

/// Products of a page.
const PAGE: usize = 100;
/// Bytes of XML of a page: it is not larger by more than one product.
const PAGE_BYTES: usize = 4 << 20;
/// Codes that are remembered: an item may move from one file into the other.
const REMEMBERED: usize = 200_000;

/// Some files, one after another.
pub(super) struct Download {
    client: Zentrade,
    requests: Vec<Request>,
    /// Where it goes on behind the first of several files.
    second: Option<Checkpoint>,
}

impl Download {
    pub(super) fn new(
        client: Zentrade,
        requests: Vec<Request>,
        second: Option<Checkpoint>,
    ) -> Self {
        Self { client, requests, second }
    }

    /// The pages of all files, up to the first error.
    pub(super) fn pages(self) -> Pages {
        let Self { client, requests, second } = self;
        let seen = Arc::new(Mutex::new(Seen::new(REMEMBERED)));
        let count = requests.len();
        let files = stream::iter(requests).enumerate().flat_map(move |(at, request)| {
            let is_last = at + 1 == count;
            let begin = if count > 1 && at == 0 {
                Some(Checkpoint(Place::ZentradeNormal))
            } else {
                second.clone()
            };
            let behind = second.clone().filter(|_| !is_last);
            file(client.clone(), request, seen.clone(), begin, behind)
        });
        let mut has_failed = false;
        let until_failed = files.take_while(move |page| {
            let goes_on = !has_failed;
            has_failed |= page.is_err();
            ready(goes_on)
        });
        until_failed.boxed()
    }
}

/// One file. The download is a call of the account's from its begin to its end, and goes no faster
/// than its pages are taken.
fn file(
    client: Zentrade,
    request: Request,
    seen: Arc<Mutex<Seen>>,
    begin: Option<Checkpoint>,
    behind: Option<Checkpoint>,
) -> Pages {
    let (sender, mut pages) = mpsc::channel(1);
    let call = async move {
        let work = || {
            let http = client.0.line.client().clone();
            let reader = Reader::new(seen.clone(), sender.clone(), begin.clone(), behind.clone());
            let request = request.clone();
            async move { reader.read(http.open(request).await?).await }
        };
        client.0.line.work(PRODUCTS, work).await
    };
    let (mut call, mut failed) = (Some(Box::pin(call)), None);
    stream::poll_fn(move |context| {
        if let Some(running) = &mut call
            && let Poll::Ready(result) = running.as_mut().poll(context)
        {
            (call, failed) = (None, result.err());
        }
        // The sender ends with the call.
        match pages.poll_recv(context) {
            Poll::Ready(Some(page)) => Poll::Ready(Some(Ok(page))),
            Poll::Ready(None) => Poll::Ready(failed.take().map(Err::<Page, Error>)),
            Poll::Pending => Poll::Pending,
        }
    })
    .boxed()
}

/// Makes pages of a file.
struct Reader {
    seen: Arc<Mutex<Seen>>,
    pages: mpsc::Sender<Page>,
    begin: Option<Checkpoint>,
    behind: Option<Checkpoint>,
    page: Page,
    bytes: usize,
}

impl Reader {
    fn new(
        seen: Arc<Mutex<Seen>>,
        pages: mpsc::Sender<Page>,
        begin: Option<Checkpoint>,
        behind: Option<Checkpoint>,
    ) -> Self {
        Self { seen, pages, begin, behind, page: Page::default(), bytes: 0 }
    }

    async fn read(mut self, mut reading: crate::http::Reading) -> Result<(), Failure> {
        let mut frames = Frames::new("product");
        let no_list = |why| Failure::new(Class::Unusable).because(why);
        while let Some(piece) = reading.next().await? {
            frames.push(&piece);
            while let Some(frame) = frames.next().map_err(no_list)? {
                self.add(frame);
                if self.page.read >= PAGE || self.bytes >= PAGE_BYTES {
                    let page = Page { next: self.begin.clone(), ..self.take() };
                    self.send(page).await?;
                }
            }
        }
        if !frames.has_ended() {
            return Err(Failure::new(Class::Unanswered).because("the list was cut"));
        }
        let page = Page { next: self.behind.clone(), ..self.take() };
        self.send(page).await
    }

    fn add(&mut self, frame: Frame) {
        self.page.read += 1;
        let item = match frame {
            Frame::Element(xml) => {
                self.bytes += xml.len();
                product::read(&xml)
            }
            Frame::TooLarge(begin) => {
                let (key, reason) = (product::key_of(&begin), Reason::TooLarge("item"));
                Err(Rejected { key, reason })
            }
        };
        match item {
            Ok(product) if self.is_new(&product) => self.page.products.push(product),
            Ok(_) => self.page.repeated += 1,
            Err(rejected) => self.page.rejected.push(rejected),
        }
    }

    /// Neither sent already nor in the page that is made.
    fn is_new(&self, product: &WholesaleProduct) -> bool {
        let is_here = self.page.products.iter().any(|known| known.key == product.key);
        !is_here && !self.seen().contains(&product.key)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&mut self) -> Page {
        self.bytes = 0;
        std::mem::take(&mut self.page)
    }

    /// What is sent is had: should the file be read again, it does not come again.
    async fn send(&self, page: Page) -> Result<(), Failure> {
        let keys: Vec<Key> = page.products.iter().map(|product| product.key.clone()).collect();
        self.pages.send(page).await.map_err(|_| Failure::new(Class::Cancelled))?;
        let mut seen = self.seen();
        keys.iter().for_each(|key| _ = seen.insert(key));
        Ok(())
    }
}
