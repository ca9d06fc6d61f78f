//! Locks, atomics and tasks: of std and tokio, or of shuttle, which tries the orders they can happen in.

#[cfg(not(feature = "shuttle"))]
mod real {
    pub(crate) use std::sync::atomic::AtomicU64;
    pub(crate) use std::sync::{Mutex, MutexGuard};

    /// Where background work runs: the runtime in which the cache was built.
    #[derive(Debug, Clone)]
    pub(crate) struct Tasks(tokio::runtime::Handle);

    impl Tasks {
        pub(crate) fn current() -> Self {
            Self(tokio::runtime::Handle::current())
        }

        pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
            self.0.spawn(work);
        }
    }

    /// `None` where the time is up first.
    pub(crate) async fn within<T>(
        time: std::time::Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::time::timeout(time, work).await.ok()
    }
}

#[cfg(feature = "shuttle")]
mod real {
    pub(crate) use shuttle::sync::atomic::AtomicU64;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};

    #[derive(Debug, Clone)]
    pub(crate) struct Tasks;

    impl Tasks {
        pub(crate) fn current() -> Self {
            Self
        }

        pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
            shuttle::future::spawn(work);
        }
    }

    /// Shuttle has no time: work under it always ends.
    pub(crate) async fn within<T>(
        _time: std::time::Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        Some(work.await)
    }
}

pub(crate) use real::{AtomicU64, Mutex, MutexGuard, Tasks, within};

/// A lock whose holder panicked is as good as before: every section below leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
