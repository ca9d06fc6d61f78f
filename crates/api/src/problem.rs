//! The only place where a failure becomes a status: `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use jebi_db_optimizer as db;
use jebi_domain::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::request_id;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    fields: Vec<FieldProblem>,
    retry_after_seconds: Option<u64>,
    allow: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// The parameter, header or path into the body, as in `items[0].price`.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// A problem as it is answered (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'static str,
    /// The status.
    status: u16,
    /// What happened, and what to do.
    detail: String,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// Names this request in the service's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// A value that a client sent wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be read as what it should be: 400.
    Unreadable(String),
    /// It can be read, but must not be so: 422.
    Unacceptable(String),
}

impl Fault {
    pub(crate) fn unreadable(error: impl fmt::Display) -> Self {
        Self::Unreadable(error.to_string())
    }

    pub(crate) fn unacceptable(error: impl fmt::Display) -> Self {
        Self::Unacceptable(error.to_string())
    }

    /// The problem with this one field.
    pub(crate) fn at(self, field: &str) -> Problem {
        let mut faults = Faults::default();
        faults.add(field, self);
        faults.into_problem()
    }
}

/// The faults of a request, collected so that its sender hears of all at once.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    is_unreadable: bool,
    fields: Vec<FieldProblem>,
}

impl Faults {
    pub(crate) fn add(&mut self, field: impl Into<String>, fault: Fault) {
        let detail = match fault {
            Fault::Unreadable(detail) => {
                self.is_unreadable = true;
                detail
            }
            Fault::Unacceptable(detail) => detail,
        };
        self.fields.push(FieldProblem { field: field.into(), detail });
    }

    /// The value, or `None` and the fault noted.
    pub(crate) fn check<T>(
        &mut self,
        field: impl Into<String>,
        value: Result<T, Fault>,
    ) -> Option<T> {
        value.map_err(|fault| self.add(field, fault)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The end of checking: all faults as one problem, where there is any.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    pub(crate) fn into_problem(self) -> Problem {
        let status = if self.is_unreadable {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        let named: Vec<String> =
            self.fields.iter().map(|field| format!("{} {}", field.field, field.detail)).collect();
        Problem { fields: self.fields, ..Problem::new(status, named.join("; ")) }
    }
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            fields: vec![],
            retry_after_seconds: None,
            allow: None,
        }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "send a valid API key, as in `Authorization: Bearer jebi_…`",
        )
    }

    pub(crate) fn forbidden(scope: Scope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            format!("this takes {} key with the scope {scope}", whose(scope)),
        )
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(crate) fn method_not_allowed(allowed: String) -> Self {
        let detail = format!("this resource takes {allowed}");
        Self { allow: Some(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(crate) fn precondition_failed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "it has changed since the ETag in If-Match was given; read it again",
        )
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit_bytes} bytes; send less at once"),
        )
    }

    pub(crate) fn unsupported_media_type(what: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what)
    }

    pub(crate) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time; send it again")
    }

    pub(crate) fn too_many_requests(what: &str, retry_after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, what)
        }
    }

    pub(crate) fn busy() -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the service is busy; try again in a moment",
            )
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong here; if it goes on, report it with the request_id",
        )
    }
}

fn whose(scope: Scope) -> &'static str {
    if scope.is_operators() { "an operator's" } else { "a seller's" }
}

/// What an error came from, in one line for the log.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A load of the cache fails with the problem that it came to, for all who waited for it.
impl std::error::Error for Problem {}

impl From<jebi_cache::LoadError> for Problem {
    fn from(error: jebi_cache::LoadError) -> Self {
        if let Some(problem) = error.loader::<Self>() {
            return problem.clone();
        }
        tracing::error!(request.id = request_id::current(), "request failed: {error}");
        match error {
            jebi_cache::LoadError::TimedOut(_) => Self::busy(),
            _ => Self::internal(),
        }
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        use db::Error;
        match &error {
            // Known to the handlers that can cause it; anywhere else it is a bug.
            Error::Exists { .. }
            | Error::Query { .. }
            | Error::CorruptRow { .. }
            | Error::Copy { .. }
            | Error::Migrate(_) => {
                tracing::error!(
                    request.id = request_id::current(),
                    causes = causes(&error),
                    "request failed: {error}"
                );
                Self::internal()
            }
            Error::NoConnection(_) | Error::Busy { .. } => {
                tracing::warn!(
                    request.id = request_id::current(),
                    causes = causes(&error),
                    "request put off: {error}"
                );
                Self::busy()
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.clone()));
        }
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            errors: self.fields.clone(),
            request_id: request_id::current(),
        };
        response.content_type("application/problem+json");
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
