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
        let told = Arc::new(Mutex::new(Told::default()));
        let count = requests.len();
        let files = stream::iter(requests).enumerate().flat_map(move |(at, request)| {
            let is_last = at + 1 == count;
            let begin = if count > 1 && at == 0 {
                Some(Checkpoint(Place::ZentradeNormal))
            } else {
                second.clone()
            };
            let behind = second.clone().filter(|_| !is_last);
            file(client.clone(), request, told.clone(), begin, behind)
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

/// What was sent. One that was rejected may be in order in the other file.
struct Told {
    products: Seen,
    rejected: Seen,
}

impl Default for Told {
    fn default() -> Self {
        Self { products: Seen::new(REMEMBERED), rejected: Seen::new(REMEMBERED) }
    }
}

/// One file. The download is a call of the account's from its begin to its end, and goes no faster
/// than its pages are taken: while one of them waits, nothing is waited for that has a time-out.
fn file(
    client: Zentrade,
    request: Request,
    told: Arc<Mutex<Told>>,
    begin: Option<Checkpoint>,
    behind: Option<Checkpoint>,
) -> Pages {
    let (sender, mut pages) = mpsc::channel(1);
    let call = async move {
        let work = || {
            let http = client.0.line.client().clone();
            let reader = Reader::new(told.clone(), sender.clone(), begin.clone(), behind.clone());
            let request = request.clone();
            async move {
                reader.room().await?;
                reader.read(http.open(request).await?).await
            }
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
    told: Arc<Mutex<Told>>,
    pages: mpsc::Sender<Page>,
    begin: Option<Checkpoint>,
    behind: Option<Checkpoint>,
    page: Page,
    bytes: usize,
}

impl Reader {
    fn new(
        told: Arc<Mutex<Told>>,
        pages: mpsc::Sender<Page>,
        begin: Option<Checkpoint>,
        behind: Option<Checkpoint>,
    ) -> Self {
        Self { told, pages, begin, behind, page: Page::default(), bytes: 0 }
    }

    async fn read(mut self, mut reading: crate::http::Reading) -> Result<(), Failure> {
        let mut frames = Frames::new("product");
        let no_list = |why| Failure::new(Class::Unusable).because(why);
        loop {
            self.room().await?;
            let Some(piece) = reading.next().await? else { break };
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

    /// Waits until the page that was sent is taken, however long that takes.
    async fn room(&self) -> Result<(), Failure> {
        let room = self.pages.reserve().await;
        room.map(drop).map_err(|_| Failure::new(Class::Cancelled))
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
            Err(rejected) if self.is_news(&rejected) => self.page.rejected.push(rejected),
            Ok(_) | Err(_) => self.page.repeated += 1,
        }
    }

    /// Neither sent already nor in the page that is made.
    fn is_new(&self, product: &WholesaleProduct) -> bool {
        let is_here = self.page.products.iter().any(|known| known.key == product.key);
        !is_here && !self.told().products.contains(&product.key)
    }

    /// The same of what is rejected. Without a key it may be another one.
    fn is_news(&self, rejected: &Rejected) -> bool {
        let Some(key) = &rejected.key else { return true };
        let is_here = self.page.rejected.iter().any(|known| known.key == rejected.key);
        !is_here && !self.told().rejected.contains(key)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&mut self) -> Page {
        self.bytes = 0;
        std::mem::take(&mut self.page)
    }

    /// What is sent is had: should the file be read again, it does not come again.
    async fn send(&self, page: Page) -> Result<(), Failure> {
        let products: Vec<Key> = page.products.iter().map(|product| product.key.clone()).collect();
        let rejected: Vec<Key> = page.rejected.iter().filter_map(|one| one.key.clone()).collect();
        self.pages.send(page).await.map_err(|_| Failure::new(Class::Cancelled))?;
        let mut told = self.told();
        products.iter().for_each(|key| _ = told.products.insert(key));
        rejected.iter().for_each(|key| _ = told.rejected.insert(key));
        Ok(())
    }
}
