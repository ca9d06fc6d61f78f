use actix_web::HttpResponse;
use actix_web::http::header;
use jebi_db_optimizer::jobs::Enqueued;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::respond::encode;

/// Work that will be done.
#[derive(Serialize, ToSchema)]
#[schema(as = Accepted)]
pub(crate) struct AcceptedBody {
    /// The job; the same one while it is alive.
    job_id: Uuid,
    /// How much there is to do, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_count: Option<u64>,
    /// Where it tells how far it is.
    #[schema(examples("/api/v1/jobs/0190a6b2-0000-7000-8000-000000000000"))]
    status_url: String,
}

/// `202`, for a POST that starts a job or finds the same one alive. To be given once its transaction is committed, and
/// after `state.jobs.wake()`.
pub(crate) fn accepted(
    enqueued: Enqueued,
    accepted_count: Option<u64>,
    status_url: String,
) -> Result<HttpResponse, Problem> {
    let job_id = enqueued.job.as_uuid();
    let location = (header::LOCATION, status_url.clone());
    let body = encode(&AcceptedBody { job_id, accepted_count, status_url })?;
    let mut response = HttpResponse::Accepted();
    response.insert_header(location).insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(response.content_type("application/json").body(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody as _;

    #[test]
    fn what_was_accepted_says_where_it_is_told_of() {
        let enqueued = Enqueued { job: Uuid::from_u128(7).into(), is_new: true, items: 3 };
        let url = "/api/v1/jobs/00000000-0000-0000-0000-000000000007";
        let response = accepted(enqueued, Some(3), url.to_owned()).expect("a body has a form");
        assert_eq!(response.status(), 202);
        assert_eq!(response.headers().get("location").expect("it has one"), url);
        let body = response.into_body().try_into_bytes().expect("it is whole");
        let expected = format!(
            r#"{{"job_id":"00000000-0000-0000-0000-000000000007","accepted_count":3,"status_url":"{url}"}}"#
        );
        assert_eq!(body, expected);
    }
}
