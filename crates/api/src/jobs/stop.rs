use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete};
use jebi_db_optimizer::jobs;

use super::body::{JobBody, job_id};
use crate::auth::{OrdersWrite, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::{Encoded, author, written};
use crate::state::State;

/// Cancels a job: at once where no worker has begun, else when its workers have let go of it, which takes seconds. What is
/// done stays done. A job that has ended is left as it is.
///
/// Statements: 4; 2 where it has ended, or was cancelled before.
#[utoipa::path(
    path = "/jobs/{job_id}",
    tag = "jobs",
    security(("api_key" = ["orders:write"])),
    params(("job_id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands now", body = JobBody),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[delete("/jobs/{job_id}")]
pub(crate) async fn cancel(
    seller: Seller<OrdersWrite>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let owner = seller.keys.seller();
    let id = job_id(&path)?;
    jobs::cancel(&state.db, owner, id, &author(seller.actor())).await?;
    let job = jobs::find(&state.db, owner, id).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    Ok(written(HttpResponse::Ok(), Encoded::of(owner, &JobBody::from(job))?))
}
