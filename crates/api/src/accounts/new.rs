use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jebi_db_optimizer::accounts::{self, Change};
use jebi_domain::{AccountKind, Pricing};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{AccountBody, Credentials, Name, PricingBody, SentCredentials, kinds};
use crate::auth::{OrdersWrite, Seller};
use crate::body::{Json, not_null};
use crate::params::Params;
use crate::problem::{Fault, Faults, Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// An account to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccount, example = json!({
    "kind": "ownerclan",
    "name": "example",
    "credentials": { "username": "demo", "password": "not-a-real-password" },
    "is_active": false,
}))]
pub(crate) struct NewBody {
    #[schema(schema_with = kinds)]
    kind: String,
    /// What the seller calls it; of each kind every name once.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it takes to log in, by name. `ownerclan`: `username`, `password`. `zentrade`: `id`, `m_skey`. `domeggook`: `aid`,
    /// `id`, `pw`. `coupang`: `vendor_id`, `access_key`, `secret_key`. `naver`: `client_id`, `client_secret`. `11st`: `api_key`.
    #[schema(write_only, value_type = std::collections::BTreeMap<String, String>)]
    credentials: SentCredentials,
    /// Whether it is used; true where absent.
    #[serde(default, deserialize_with = "not_null")]
    is_active: Option<bool>,
    /// How what is collected through it becomes products; of accounts with wholesalers alone.
    #[serde(default, deserialize_with = "not_null")]
    pricing: Option<PricingBody>,
}

struct Checked {
    kind: AccountKind,
    name: Name,
    credentials: Credentials,
    is_active: Option<bool>,
    pricing: Option<Pricing>,
}

impl NewBody {
    fn check(self) -> Result<Checked, Problem> {
        let mut faults = Faults::default();
        let kind = self.kind.parse::<AccountKind>().map_err(Fault::unacceptable);
        let kind = faults.check("kind", kind);
        let name = faults.check("name", Name::new(&self.name).map_err(Fault::unacceptable));
        let credentials =
            kind.map(|kind| Credentials::of_body(kind, self.credentials, true, &mut faults));
        let pricing = match (kind, self.pricing) {
            (Some(kind), Some(sent)) => sent.check(kind.is_wholesaler(), &mut faults),
            (_, None) | (None, _) => None,
        };
        faults.finish()?;
        let all = kind.zip(name).zip(credentials);
        let ((kind, name), credentials) = all.ok_or_else(Problem::internal)?;
        Ok(Checked { kind, name, credentials, is_active: self.is_active, pricing })
    }
}

/// Adds an account, or gives the one of the same kind and name the credentials that were sent: to send it twice is to send it
/// once. Credentials are kept sealed and given back by nothing.
///
/// Statements: 5, also where it is there.
#[utoipa::path(
    path = "/accounts/",
    tag = "accounts",
    security(("api_key" = ["orders:write"])),
    request_body = NewBody,
    responses(
        (status = 201, description = "Added", body = AccountBody),
        (status = 200, description = "It was there, and has these credentials now", body = AccountBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/accounts")]
pub(crate) async fn create(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    request: HttpRequest,
    body: Json<NewBody>,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let Checked { kind, name, credentials, is_active, pricing } = body.value.check()?;
    let (owner, author) = (seller.keys.seller(), author(seller.actor()));
    let transaction = state.db.begin(owner).await?;
    let sealed = |id| Change {
        is_active,
        pricing,
        credentials: credentials.seal(&seller.keys, id),
        ..Change::default()
    };
    let put = accounts::put(&transaction, owner, kind, name.as_str(), sealed, &author).await;
    let put = state.settle(transaction, put.map_err(Problem::from)).await?;
    let (account, is_new) = put.ok_or_else(|| {
        Problem::conflict(format!(
            "a seller has {} accounts at most; take one away",
            accounts::MOST
        ))
    })?;
    let (id, version) = (account.id, account.version);
    let encoded = Encoded::new(owner, &AccountBody::from(account), version)?;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    if is_new {
        response.insert_header(("location", format!("/api/v1/accounts/{id}")));
    }
    Ok(written(response, encoded))
}
