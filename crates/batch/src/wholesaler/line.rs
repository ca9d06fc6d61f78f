//! How calls to a wholesaler are made: when the account may make them, and again where that helps.

use std::time::Duration;

use futures::{StreamExt as _, stream};

use crate::account::Account;
use crate::batch::{Batch, BatchConfig, Strategy};
use crate::clock::Clock;
use crate::http::{Answer, Client, Kind, Request};
use crate::outcome::Failure;
use crate::retry::{Effect, Retry};
use crate::wholesaler::error::Error;

/// The way to a wholesaler: an account, and the client by which its calls go out. A clone is the same.
#[derive(Debug, Clone)]
pub struct Line {
    client: Client,
    account: Account,
    clock: Clock,
    retry: Retry,
}

impl Line {
    /// The account's calls go out by this client, and are repeated as [`Retry::default`] says.
    #[must_use]
    pub fn new(client: Client, account: Account, clock: &Clock) -> Self {
        Self { client, account, clock: clock.clone(), retry: Retry::default() }
    }

    /// The same with another way to repeat.
    #[must_use]
    pub fn with_retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// A call that reads: its answer, judged. What the judge refuses counts as a failed call.
    pub(super) async fn read<T: Send>(
        &self,
        api: &'static str,
        request: Request,
        judge: impl Fn(Answer) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Error> {
        let judge = &judge;
        self.work(api, move || {
            let (client, request) = (self.client.clone(), request.clone());
            async move { judge(client.send(request).await?) }
        })
        .await
    }

    /// The same; `None` where the answer is more than is read. Asked for less, the other side would
    /// have said less: nobody did anything wrong.
    pub(super) async fn read_bounded<T: Send>(
        &self,
        api: &'static str,
        request: Request,
        judge: impl Fn(Answer) -> Result<T, Failure> + Send + Sync,
    ) -> Result<Option<T>, Error> {
        let judge = &judge;
        self.work(api, move || {
            let (client, request) = (self.client.clone(), request.clone());
            async move {
                match client.send(request).await {
                    Ok(answer) => judge(answer).map(Some),
                    Err(error) => match error.kind {
                        Kind::WireTooLarge | Kind::DecodedTooLarge => Ok(None),
                        _ => Err(error.into()),
                    },
                }
            }
        })
        .await
    }

    /// Work that is one call, and can be repeated without harm. It is bounded by its client.
    pub(super) async fn work<T, F>(
        &self,
        api: &'static str,
        work: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let config = BatchConfig {
            strategy: Strategy::Sequential,
            effect: Effect::Read,
            timeout: Duration::MAX,
            retry: self.retry,
            ..BatchConfig::default()
        };
        let batch = Batch::new(config, &self.clock).on(self.account.api(api));
        let run = batch.run(stream::iter([()]), move |()| work());
        let outcome = Box::pin(run).next().await.expect("each item has an outcome");
        outcome.result.map_err(|source| Error::Call { api, source })
    }
}
