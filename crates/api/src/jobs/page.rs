use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::jobs;
use jebi_domain::PageSize;

use super::body::JobBody;
use crate::auth::{OrdersRead, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::{Encoded, PageBody, fresh};
use crate::state::State;

const DEFAULT_SIZE: PageSize = PageSize::new(50).expect("50 is between 1 and 100");
/// What a cursor of this list is bound to.
const NAME: &str = "jobs";

/// A page of jobs, newest first.
///
/// Statements: 1. `total` is counted up to 10,000, beyond which `total_is` says `capped`; no page by number lies deeper.
#[utoipa::path(
    path = "/jobs/",
    tag = "jobs",
    security(("api_key" = ["orders:read"])),
    params(
        ("page" = Option<u64>, Query, description = "The number of the page, from 1; not with `cursor`", minimum = 1, example = 1),
        ("page_size" = Option<u64>, Query, description = "Jobs on a page; 50 where absent", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of a page"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The page", body = PageBody<JobBody>),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/jobs")]
pub(crate) async fn list(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let owner = seller.keys.seller();
    let mut params = Params::of(request.query_string());
    let size = params.take_page_size(DEFAULT_SIZE);
    let at = params.take_place(&state.cursors, owner, NAME, size);
    params.finish()?;
    let page = jobs::page(&state.db, owner, at, size).await?;
    let cursor = |next| state.cursors.write(owner, NAME, next);
    let body = PageBody::new(page, (at, size), JobBody::from, cursor);
    Ok(fresh(&request, Encoded::of(owner, &body)?))
}
