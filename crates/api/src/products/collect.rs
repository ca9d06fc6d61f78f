use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use jebi_db_optimizer::accounts::{self, Account};
use jebi_db_optimizer::jobs;
use jebi_domain::{AccountKind, Wholesaler};
use jebi_work::{Extent, collect_job};

use crate::auth::{ProductsWrite, Seller};
use crate::jobs::{AcceptedBody, accepted};
use crate::params::{Params, count};
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::author;
use crate::state::State;

/// Products of each account, where the client says nothing.
const MOST: u64 = 1_000;
/// A wholesaler has some ten million.
const MOST_OF_ALL: u64 = 10_000_000;

/// Collects products of the seller's wholesalers into the catalogue, the first ones of each. While a collection is alive a repeat
/// answers with that one, whatever it asks for.
///
/// New products are priced by their account's rule; of known ones the cost and the wholesaler's stock are brought up to date, and
/// nothing else. What comes of each account is told in the job's result. Statements: 5; 3 where one is alive.
#[utoipa::path(
    path = "/products-optimized/collect",
    tag = "products",
    security(("api_key" = ["products:write"])),
    params(
        ("wholesalers" = Option<String>, Query, description = "Of which, separated by commas: `ownerclan`, `zentrade`, `domeggook`; of all that the seller has accounts with where absent", example = "ownerclan,zentrade"),
        ("max_products_per_wholesaler" = Option<u64>, Query, description = "As many items are read of each account; 1000 where absent", minimum = 1, maximum = 10_000_000),
    ),
    responses(
        (status = 202, description = "It will be collected", body = AcceptedBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[post("/products-optimized/collect")]
pub(crate) async fn start_collection(
    seller: Seller<ProductsWrite>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let wanted = params.take("wholesalers", wholesalers);
    let most = params.take("max_products_per_wholesaler", |text| {
        let most = Some(count(text)?).filter(|most| (1..=MOST_OF_ALL).contains(most));
        most.ok_or_else(|| Fault::unacceptable(format!("must be between 1 and {MOST_OF_ALL}")))
    });
    params.finish()?;
    let owner = seller.keys.seller();
    let all = accounts::list(&state.db, owner).await?;
    let accounts = chosen(all, wanted.as_deref())?;
    let extent = Extent { most: Some(most.unwrap_or(MOST)), ..Extent::default() };
    let (job, items) = collect_job(&accounts, extent);
    let transaction = state.db.begin(owner).await?;
    let author = author(seller.actor());
    let enqueued = jobs::enqueue(&transaction, owner, &job, &items, &author).await;
    let enqueued = state.settle(transaction, enqueued.map_err(Problem::from)).await?;
    state.jobs.wake();
    let url = format!("/api/v1/jobs/{}", enqueued.job);
    accepted(enqueued, Some(enqueued.items), url)
}

fn wholesalers(text: &str) -> Result<Vec<Wholesaler>, Fault> {
    text.split(',').map(|word| word.trim().parse().map_err(Fault::unacceptable)).collect()
}

/// There is nobody to collect from: with this wholesaler, or with any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAccount {
    #[error("no account with {0} is in use")]
    With(Wholesaler),
    #[error("no account with a wholesaler is in use")]
    AtAll,
}

impl From<NoAccount> for Problem {
    fn from(no_account: NoAccount) -> Self {
        let why = format!("{no_account}; add one at /api/v1/accounts");
        match no_account {
            NoAccount::With(_) => Fault::unacceptable(why).at("wholesalers"),
            NoAccount::AtAll => Self::conflict(why),
        }
    }
}

/// The accounts that are in use, of these wholesalers; each that is named has to have one.
pub(crate) fn chosen(
    all: Vec<Account>,
    wanted: Option<&[Wholesaler]>,
) -> Result<Vec<Account>, NoAccount> {
    let with = |account: &Account| account.kind.and_then(AccountKind::wholesaler);
    let usable: Vec<Account> =
        all.into_iter().filter(|account| account.is_active && with(account).is_some()).collect();
    for wholesaler in wanted.unwrap_or_default() {
        if !usable.iter().any(|account| with(account) == Some(*wholesaler)) {
            return Err(NoAccount::With(*wholesaler));
        }
    }
    let is_wanted = |account: &Account| {
        wanted.is_none_or(|wanted| with(account).is_some_and(|with| wanted.contains(&with)))
    };
    let chosen: Vec<Account> = usable.into_iter().filter(is_wanted).collect();
    if chosen.is_empty() { Err(NoAccount::AtAll) } else { Ok(chosen) }
}
