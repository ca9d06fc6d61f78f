use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::accounts;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::AccountBody;
use crate::auth::{OrdersRead, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::{Encoded, fresh};
use crate::state::State;

/// All accounts of the seller, the oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Accounts)]
struct AccountsBody {
    items: Vec<AccountBody>,
    total: usize,
}

/// The seller's accounts with wholesalers and platforms, and the own shop.
///
/// Statements: 1.
#[utoipa::path(
    path = "/accounts/",
    tag = "accounts",
    security(("api_key" = ["orders:read"])),
    params(("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right")),
    responses(
        (status = 200, description = "The accounts", body = AccountsBody),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/accounts")]
pub(crate) async fn list_accounts(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let owner = seller.keys.seller();
    let items: Vec<AccountBody> =
        accounts::list(&state.db, owner).await?.into_iter().map(AccountBody::from).collect();
    let body = AccountsBody { total: items.len(), items };
    Ok(fresh(&request, Encoded::of(owner, &body)?))
}
