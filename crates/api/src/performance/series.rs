use std::collections::HashMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::timings;
use jebi_monitor::{Monitor, Resolution, Summary, Window};
use serde::Serialize;

use super::figures::{milliseconds, no_store};
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::{CACHE, CPU, HTTP, POOL_IN_USE};
use crate::params::Params;
use crate::problem::{Fault, Problem};
use crate::state::State;

/// Curves, for the dashboard: a point for each window, the oldest first, up to the last one that is over.
#[derive(Serialize)]
struct SeriesBody {
    range: &'static str,
    step_seconds: u64,
    /// Unix seconds.
    at: Vec<u64>,
    requests_per_second: Vec<Option<f64>>,
    errors_per_second: Vec<Option<f64>>,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
    p99_ms: Vec<Option<f64>>,
    hit_rate: Vec<Option<f64>>,
    statements_per_second: Vec<Option<f64>>,
    pool_in_use: Vec<Option<f64>>,
    cpu_share: Vec<Option<f64>>,
}

/// The points of a range, of which the first may lie before the process began.
struct Axis {
    step: u64,
    at: Vec<u64>,
    /// When the process began.
    began: u64,
}

impl Axis {
    /// One value for each point: of the window that began then, where there is one.
    fn values<T>(
        &self,
        windows: Option<&[Window<T>]>,
        value: impl Fn(&T) -> Option<f64>,
        without: Option<f64>,
    ) -> Vec<Option<f64>> {
        let windows = windows.unwrap_or_default();
        // Windows begin on the clock of the monitor, points on that of the day.
        let point = |window: &Window<T>| (window.began_unix_ms / 1_000 + self.step / 2) / self.step;
        let by_point: HashMap<u64, &T> =
            windows.iter().map(|window| (point(window), &window.value)).collect();
        let of = |at: &u64| match by_point.get(&(at / self.step)) {
            Some(window) => value(window),
            // Nothing came; before the process began nothing is known.
            None if *at + self.step > self.began => without,
            None => None,
        };
        self.at.iter().map(of).collect()
    }
}

impl SeriesBody {
    fn new(monitor: &Monitor, range: &'static str, resolution: Resolution, points: u64) -> Self {
        let (step, now) = (resolution.seconds(), monitor.unix_ms() / 1_000);
        let last = now / step;
        let axis = Axis {
            step,
            at: (last.saturating_sub(points)..last).map(|point| point * step).collect(),
            began: now.saturating_sub(monitor.elapsed().as_secs()),
        };
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let seconds = step as f64;
        let of = |prefix: &str| monitor.series(&format!("{prefix}*"), resolution);
        let (http, statements) = (of(HTTP), of(timings::PREFIX));
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
        let rate = |windows: &Option<Vec<_>>, count: fn(&Summary) -> u64| {
            axis.values(windows.as_deref(), |all| Some(count(all) as f64 / seconds), Some(0.0))
        };
        let timed = |time: fn(&Summary) -> std::time::Duration| {
            let shown = |all: &Summary| (all.count > 0).then(|| milliseconds(time(all)));
            axis.values(http.as_deref(), shown, None)
        };
        let mean = |name| {
            let levels = monitor.level_series(name, resolution);
            axis.values(levels.as_deref(), jebi_monitor::Level::mean, None)
        };
        Self {
            range,
            step_seconds: step,
            requests_per_second: rate(&http, |all| all.count),
            errors_per_second: rate(&http, |all| all.errors),
            p50_ms: timed(|all| all.p50),
            p95_ms: timed(|all| all.p95),
            p99_ms: timed(|all| all.p99),
            hit_rate: mean(CACHE),
            statements_per_second: rate(&statements, |all| all.count),
            pool_in_use: mean(POOL_IN_USE),
            cpu_share: mean(CPU),
            at: axis.at,
        }
    }
}

/// The curves of the last 15 minutes or 24 hours.
#[get("/series")]
pub(crate) async fn series_figures(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let range = params.take("range", |text| match text {
        "15m" => Ok(("15m", Resolution::Second, 900)),
        "24h" => Ok(("24h", Resolution::Minute, 1_440)),
        _ => Err(Fault::unacceptable("must be 15m or 24h")),
    });
    params.finish()?;
    let (range, resolution, points) = range.unwrap_or(("15m", Resolution::Second, 900));
    Ok(no_store(&SeriesBody::new(&state.monitoring.monitor, range, resolution, points)))
}
