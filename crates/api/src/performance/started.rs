use actix_web::HttpResponse;
use jebi_db_optimizer::jobs::{self, NewItem, NewJob};
use jebi_domain::SellerId;

use crate::auth::{Operator, PerformanceAdmin};
use crate::jobs::accepted;
use crate::problem::Problem;
use crate::respond::author;
use crate::state::State;

/// Starts a job of the installation, of one item, or finds the same one alive; it is told of at `url` with its id behind.
/// Statements: 4; 2 where one is alive.
pub(super) async fn start(
    operator: &Operator<PerformanceAdmin>,
    state: &State,
    (job, item): (NewJob<'_>, NewItem),
    url: &str,
) -> Result<HttpResponse, Problem> {
    let owner = SellerId::INSTALLATION;
    let transaction = state.db.begin(owner).await?;
    let author = author(operator.actor());
    let enqueued = jobs::enqueue(&transaction, owner, &job, &[item], &author).await;
    let enqueued = state.settle(transaction, enqueued.map_err(Problem::from)).await?;
    state.jobs.wake();
    let url = format!("{url}/{}", enqueued.job);
    accepted(enqueued, None, url)
}
