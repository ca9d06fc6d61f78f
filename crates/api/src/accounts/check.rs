use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, post};
use jebi_db_optimizer::jobs::{self, Enqueued};
use jebi_db_optimizer::{Transaction, accounts};
use jebi_domain::{AccountId, AccountKind};
use jebi_work::check_job;

use super::body::account_id;
use crate::auth::{OrdersWrite, Seller};
use crate::jobs::{AcceptedBody, accepted};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::author;
use crate::state::State;

/// Finds out whether an account with a wholesaler can be used: a job that logs in and reads the first page of the catalogue.
/// While one is alive a repeat answers with that one.
///
/// Statements: 6; 4 where one is alive.
#[utoipa::path(
    path = "/accounts/{account_id}/check",
    tag = "accounts",
    security(("api_key" = ["orders:write"])),
    params(("account_id" = Uuid, Path, description = "The account's id")),
    responses(
        (status = 202, description = "It will be checked", body = AcceptedBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/accounts/{account_id}/check")]
pub(crate) async fn check_account(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id = account_id(&path)?;
    let transaction = state.db.begin(seller.keys.seller()).await?;
    let enqueued = enqueue(&transaction, &seller, id).await;
    let enqueued = state.settle(transaction, enqueued).await?;
    state.jobs.wake();
    let url = format!("/api/v1/jobs/{}", enqueued.job);
    accepted(enqueued, None, url)
}

async fn enqueue(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    id: AccountId,
) -> Result<Enqueued, Problem> {
    let owner = seller.keys.seller();
    let account = accounts::lock(transaction, owner, id).await?;
    let account = account.ok_or_else(|| Problem::not_found("account"))?;
    if !account.kind.is_some_and(AccountKind::is_wholesaler) {
        return Err(Problem::conflict("only accounts with wholesalers can be checked"));
    }
    if !account.is_active {
        return Err(Problem::conflict("the account is not in use; set is_active to use it"));
    }
    let (job, item) = check_job(&account);
    Ok(jobs::enqueue(transaction, owner, &job, &[item], &author(seller.actor())).await?)
}
