//! A time that is moved by hand, and who waits for it.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

#[derive(Debug)]
pub(super) struct Manual {
    state: Mutex<State>,
    monitor: jebi_monitor::Clock,
}

impl Default for Manual {
    fn default() -> Self {
        Self { state: Mutex::default(), monitor: jebi_monitor::Clock::manual() }
    }
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    /// Who waits, by moment and then by who came first.
    waiting: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    seeds: u64,
    /// What the day was when somebody set it, and when that was.
    set: Option<(SystemTime, Duration)>,
}

impl Manual {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    pub(super) fn today(&self) -> SystemTime {
        let state = self.state();
        let (today, at) = state.set.unwrap_or((SystemTime::UNIX_EPOCH, Duration::ZERO));
        today + (state.now - at)
    }

    pub(super) fn set_today(&self, today: SystemTime) {
        let mut state = self.state();
        state.set = Some((today, state.now));
    }

    pub(super) fn seed(&self) -> u64 {
        let mut state = self.state();
        // Far from each other: a seed is also how far its numbers have come.
        state.seeds = state.seeds.wrapping_add(0x5851_f42d_4c95_7f2d);
        state.seeds
    }

    pub(super) fn monitor(&self) -> &jebi_monitor::Clock {
        &self.monitor
    }

    pub(super) fn wait_until(&self, at: Duration) -> Wait<'_> {
        Wait { manual: self, at, place: None }
    }

    pub(super) fn advance(&self, by: Duration) {
        let due = {
            let mut state = self.state();
            state.now = state.now.saturating_add(by);
            let now = state.now;
            let later = state.waiting.split_off(&(now, u64::MAX));
            std::mem::replace(&mut state.waiting, later)
        };
        self.monitor.advance(by);
        due.into_values().for_each(Waker::wake);
    }

    /// Moves on to the next moment that is waited for, where that is so near; whether it did.
    pub(super) fn skip(&self, near: Duration) -> bool {
        let next = {
            let state = self.state();
            state.waiting.keys().next().map(|(at, _)| at.saturating_sub(state.now))
        };
        next.filter(|by| *by <= near).inspect(|by| self.advance(*by)).is_some()
    }

    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        let mut future = pin!(future);
        loop {
            if woken.0.swap(false, SeqCst) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    return output;
                }
            } else {
                assert!(
                    self.skip(Duration::MAX),
                    "the future waits for something that cannot come any more"
                );
            }
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Waits for a moment, and leaves the queue when it is dropped.
pub(super) struct Wait<'a> {
    manual: &'a Manual,
    at: Duration,
    place: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let mut state = self.manual.state();
        if state.now >= at {
            return Poll::Ready(());
        }
        // What never comes is not moved on to.
        if at == Duration::MAX {
            return Poll::Pending;
        }
        let next = state.next;
        let place = self.place.unwrap_or(next);
        state.next += u64::from(place == next);
        state.waiting.insert((at, place), context.waker().clone());
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.manual.state().waiting.remove(&(self.at, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;

    use crate::Clock;

    #[test]
    fn a_day_is_waited_for_in_no_time_and_in_order() {
        let clock = Clock::manual();
        let order = std::sync::Mutex::new(Vec::new());
        let wait = async |hours: u64| {
            clock.wait(Duration::from_hours(hours)).await;
            order.lock().unwrap().push((hours, clock.now()));
        };
        clock.run(join_all([24, 1, 6].map(wait)));
        let expected = [1, 6, 24].map(|hours| (hours, Duration::from_hours(hours)));
        assert_eq!(*order.lock().unwrap(), expected);
    }

    #[test]
    fn what_is_dropped_waits_no_longer() {
        let clock = Clock::manual();
        let first = clock.run(clock.before(Duration::from_secs(9), async { 1 }));
        let late = clock.before(Duration::from_secs(9), clock.wait(Duration::from_secs(10)));
        assert_eq!((first, clock.run(late)), (Some(1), None));
        assert_eq!(clock.now(), Duration::from_secs(9));
    }

    #[test]
    #[should_panic(expected = "cannot come any more")]
    fn waiting_for_nothing_is_told() {
        Clock::manual().run(std::future::pending::<()>());
    }
}
