use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::jobs;

use super::body::{JobBody, job_id};
use crate::auth::{OrdersRead, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::{Encoded, fresh};
use crate::state::State;

/// One job.
///
/// Statements: 1.
#[utoipa::path(
    path = "/jobs/{job_id}",
    tag = "jobs",
    security(("api_key" = ["orders:read"])),
    params(
        ("job_id" = Uuid, Path, description = "The job's id"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The job", body = JobBody),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/jobs/{job_id}")]
pub(crate) async fn find(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let owner = seller.keys.seller();
    let job = jobs::find(&state.db, owner, job_id(&path)?).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    Ok(fresh(&request, Encoded::of(owner, &JobBody::from(job))?))
}
