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

    tokio::task_local! {
        static LOADING: u64;
    }

    /// The load that this task runs.
    pub(crate) fn loading() -> Option<u64> {
        LOADING.try_with(|id| *id).ok()
    }

    /// Runs `work` as a part of the load `id`.
    pub(crate) async fn within_load<T>(id: u64, work: impl Future<Output = T>) -> T {
        LOADING.scope(id, work).await
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
            // A run is over when its loads are: without its handle dropped, a task is waited for.
            std::mem::forget(shuttle::future::spawn(work));
        }
    }

    /// Shuttle has no time: work under it always ends.
    pub(crate) async fn within<T>(
        _time: std::time::Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        Some(work.await)
    }

    shuttle::thread_local! {
        // All its tasks share one thread of the machine and take turns even within a poll: what tokio keeps for
        // a task would be seen by the others.
        static LOADING: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
    }

    pub(crate) fn loading() -> Option<u64> {
        LOADING.with(std::cell::Cell::get)
    }

    pub(crate) async fn within_load<T>(id: u64, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            let before = LOADING.with(|loading| loading.replace(Some(id)));
            let polled = work.as_mut().poll(context);
            LOADING.with(|loading| loading.set(before));
            polled
        })
        .await
    }
}

pub(crate) use real::{AtomicU64, Mutex, MutexGuard, Tasks, loading, within, within_load};

/// A lock whose holder panicked is as good as before: every section below leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
