use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, patch};
use jebi_db_optimizer::accounts::{self, Change};
use jebi_db_optimizer::{Error, Transaction};
use jebi_domain::AccountId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{AccountBody, Credentials, Name, PricingBody, SentCredentials, account_id};
use crate::auth::{OrdersWrite, Seller};
use crate::body::{Json, not_null};
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// What is to change; an absent field stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange, example = json!({ "is_active": true }))]
pub(crate) struct ChangeBody {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[serde(default, deserialize_with = "not_null")]
    is_active: Option<bool>,
    /// How what is collected from now on becomes products; of accounts with wholesalers alone.
    #[serde(default, deserialize_with = "not_null")]
    pricing: Option<PricingBody>,
    /// Those that are replaced, by name; the others stay.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(write_only, value_type = Option<std::collections::BTreeMap<String, String>>)]
    credentials: Option<SentCredentials>,
}

/// Changes an account: its name, whether it is used, its credentials, how what is collected through it is priced.
///
/// The own shop has a name alone. A change that changes nothing is no new version. Statements: 4, 5 with credentials; 2 where
/// nothing changes.
#[utoipa::path(
    path = "/accounts/{account_id}",
    tag = "accounts",
    security(("api_key" = ["orders:write"])),
    params(("account_id" = Uuid, Path, description = "The account's id")),
    request_body = ChangeBody,
    responses(
        (status = 200, description = "The account as it is now", body = AccountBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[patch("/accounts/{account_id}")]
pub(crate) async fn update(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
    body: Json<ChangeBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let id = account_id(&path)?;
    let transaction = state.db.begin(seller.keys.seller()).await?;
    let done = apply(&transaction, &seller, id, body.value).await;
    Ok(written(HttpResponse::Ok(), state.settle(transaction, done).await?))
}

async fn apply(
    transaction: &Transaction<'_>,
    seller: &Seller<OrdersWrite>,
    id: AccountId,
    body: ChangeBody,
) -> Result<Encoded, Problem> {
    let owner = seller.keys.seller();
    let account = accounts::lock(transaction, owner, id).await?;
    let account = account.ok_or_else(|| Problem::not_found("account"))?;
    let mut faults = Faults::default();
    let name = body
        .name
        .and_then(|name| faults.check("name", Name::new(&name).map_err(Fault::unacceptable)));
    let credentials = match (account.kind, body.credentials) {
        (_, None) => None,
        (Some(kind), Some(sent)) => Some(Credentials::of_body(kind, sent, false, &mut faults)),
        (None, Some(_)) => {
            faults.add("credentials", Fault::unacceptable("the own shop needs no login"));
            None
        }
    };
    if account.kind.is_none() && body.is_active == Some(false) {
        faults.add("is_active", Fault::unacceptable("the own shop is always used"));
    }
    let is_wholesaler = account.pricing.is_some();
    let pricing = body.pricing.and_then(|sent| sent.check(is_wholesaler, &mut faults));
    faults.finish()?;
    let change = Change {
        name: name.map(Name::into_string),
        is_active: body.is_active,
        pricing,
        credentials: credentials.map(|all| all.seal(&seller.keys, id)).unwrap_or_default(),
    };
    let author = author(seller.actor());
    let account = accounts::update(transaction, owner, account, change, &author).await;
    let account = account.map_err(|error| match error {
        Error::Exists { .. } => Problem::conflict("another account of this kind has the name"),
        other => other.into(),
    })?;
    let version = account.version;
    Encoded::new(owner, &AccountBody::from(account), version)
}
