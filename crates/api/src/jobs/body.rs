use chrono::{DateTime, Utc};
use jebi_db_optimizer::jobs::Job;
use jebi_domain::{AccountId, JobId, JobState};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use uuid::Uuid;

use crate::openapi::one_of;
use crate::problem::{Fault, Problem};

/// A job as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobBody {
    id: Uuid,
    /// What there is to do.
    #[schema(examples("batch-process"))]
    kind: String,
    /// The account that it is done for, if it is for one.
    account_id: Option<Uuid>,
    #[schema(schema_with = states)]
    state: JobState,
    /// How many items are done.
    done: u64,
    /// Of how many; may grow while work is found.
    total: u64,
    /// How many failed for good. They do not keep a job from being `done`.
    failed: u64,
    /// Items in a second, up to the last change.
    rate_per_second: Option<f64>,
    /// How long the rest takes at that rate.
    eta_seconds: Option<u64>,
    /// The first 100 of those that failed; 10 in a list.
    failures: Vec<FailureBody>,
    /// Why a job `failed`.
    error: Option<String>,
    /// What came of it, where its kind says so.
    result: Option<Value>,
    /// How often a worker took items of it.
    attempts: u64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// An item that failed.
#[derive(Serialize, ToSchema)]
#[schema(as = JobFailure)]
struct FailureBody {
    /// What it was about.
    item: String,
    reason: String,
}

pub(crate) fn states() -> Schema {
    one_of(JobState::ALL.iter().map(|state| state.as_str()))
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        let (rate_per_second, eta_seconds) = (job.rate_per_second(), job.eta_seconds());
        let failure = |failure: jebi_db_optimizer::jobs::Failure| FailureBody {
            item: failure.item,
            reason: failure.reason.unwrap_or_default(),
        };
        Self {
            id: job.id.as_uuid(),
            kind: job.kind,
            account_id: job.account.map(AccountId::as_uuid),
            state: job.state,
            done: job.done,
            total: job.total,
            failed: job.failed,
            rate_per_second,
            eta_seconds,
            failures: job.failures.into_iter().map(failure).collect(),
            error: job.error,
            result: job.result,
            attempts: job.attempts,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

pub(super) fn job_id(path: &str) -> Result<JobId, Problem> {
    path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("job_id"))
}
