use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete};
use jebi_db_optimizer::Transaction;
use jebi_db_optimizer::accounts;
use jebi_domain::AccountId;

use super::body::account_id;
use crate::auth::{OrdersWrite, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::author;
use crate::state::State;

/// Takes an account away and erases its credentials. Orders that came by it keep it as theirs.
///
/// Statements: 5; 3 where it is gone already.
#[utoipa::path(
    path = "/accounts/{account_id}",
    tag = "accounts",
    security(("api_key" = ["orders:write"])),
    params(("account_id" = Uuid, Path, description = "The account's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[delete("/accounts/{account_id}")]
pub(crate) async fn remove_account(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id = account_id(&path)?;
    let transaction = state.db.begin(seller.keys.seller()).await?;
    let done = take_away(&transaction, &seller, id).await;
    state.settle(transaction, done).await?;
    Ok(HttpResponse::NoContent().insert_header(("cache-control", "no-store")).finish())
}

async fn take_away(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    id: AccountId,
) -> Result<(), Problem> {
    let owner = seller.keys.seller();
    let account = accounts::lock(transaction, owner, id).await?;
    let Some(account) = account else {
        // Whoever sends it twice wants it gone, and it is.
        let is_gone = accounts::was_removed(transaction, owner, id).await?;
        return if is_gone { Ok(()) } else { Err(Problem::not_found("account")) };
    };
    if account.kind.is_none() {
        return Err(Problem::conflict("the own shop cannot be taken away: orders are made in it"));
    }
    Ok(accounts::remove(transaction, owner, &account, &author(seller.actor())).await?)
}
