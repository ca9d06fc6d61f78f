//! How often an API key may knock, and how often an address may knock with a wrong one.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use jebi_domain::ApiKeyId;

/// Wrong keys that one address may try at once; then one a second. A right key is never refused for
/// them, so that nobody can lock out others behind the same address.
const WRONG_KEYS: NonZeroU32 = NonZeroU32::new(60).expect("60 is not 0");

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

type PerKey = RateLimiter<
    ApiKeyId,
    DefaultKeyedStateStore<ApiKeyId>,
    DefaultClock,
    StateInformationMiddleware,
>;
type PerAddress = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>;

pub(crate) struct Limits {
    requests: Option<(Policy, PerKey)>,
    wrong_keys: PerAddress,
}

/// What every key may do, and how the header says it, which is the same in every answer.
#[derive(Clone)]
struct Policy {
    per_minute: NonZeroU32,
    header: HeaderValue,
}

/// The request may go on, and this is what is left of the key's budget.
pub(crate) struct Budget {
    policy: Policy,
    left: u32,
}

impl Limits {
    pub(crate) fn new(per_minute: Option<NonZeroU32>) -> Self {
        let requests = per_minute.map(|per_minute| {
            let limiter = RateLimiter::keyed(Quota::per_minute(per_minute));
            let policy = format!("\"default\";q={per_minute};w=60");
            let header = HeaderValue::from_str(&policy).expect("digits and signs are a header");
            (Policy { per_minute, header }, limiter.with_middleware())
        });
        let wrong_keys =
            RateLimiter::keyed(Quota::per_second(NonZeroU32::MIN).allow_burst(WRONG_KEYS));
        Self { requests, wrong_keys }
    }

    /// Takes one request from a key's budget; `None` where there is no limit.
    ///
    /// # Errors
    /// How many seconds to wait, and the budget that is used up.
    pub(crate) fn take(&self, key: ApiKeyId) -> Result<Option<Budget>, (u64, Budget)> {
        let Some((policy, limiter)) = &self.requests else { return Ok(None) };
        let budget = |left| Budget { policy: policy.clone(), left };
        match limiter.check_key(&key) {
            Ok(state) => Ok(Some(budget(state.remaining_burst_capacity()))),
            Err(not_until) => {
                let wait = seconds(not_until.wait_time_from(DefaultClock::default().now()));
                Err((wait, budget(0)))
            }
        }
    }

    /// Notes a wrong key from an address.
    ///
    /// # Errors
    /// How many seconds to wait, where there were too many.
    pub(crate) fn note_wrong_key(&self, address: IpAddr) -> Result<(), u64> {
        self.wrong_keys
            .check_key(&address)
            .map_err(|not_until| seconds(not_until.wait_time_from(DefaultClock::default().now())))
    }

    /// Forgets keys and addresses that have their whole budget again.
    pub(crate) fn forget_the_rested(&self) {
        if let Some((_, limiter)) = &self.requests {
            limiter.retain_recent();
        }
        self.wrong_keys.retain_recent();
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

impl Budget {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers spells them.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { policy: Policy { per_minute, header }, left } = self;
        // The budget fills evenly: what is used comes back at `per_minute` a minute.
        let full_in = u64::from(per_minute.get() - left) * 60 / u64::from(per_minute.get());
        headers.insert(RATELIMIT_POLICY, header.clone());
        if let Ok(value) = HeaderValue::from_str(&format!("\"default\";r={left};t={full_in}")) {
            headers.insert(RATELIMIT, value);
        }
    }
}
