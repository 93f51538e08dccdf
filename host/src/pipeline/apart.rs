//! Work that keeps a thread busy, done apart from the runtime's threads.
//!
//! The one place of the pipeline where real threads come in, and with them an order that nobody chose. A simulation does
//! the work in its own order instead, so that a story can be told again.

/// Does the work on a thread that may block. Where the work panics, so does whoever waits for it. Work that has begun is
/// done to its end, whether or not anybody waits.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(test)]
    if let Some(takes) = simulated::takes() {
        tokio::time::sleep(takes).await;
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and nobody waits any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// How long work takes in a simulation. It holds for the thread, on which the whole simulation runs.
#[cfg(test)]
pub mod simulated {
    use std::cell::RefCell;
    use std::time::Duration;

    type Takes = Box<dyn Fn() -> Duration>;

    thread_local! {
        static TAKES: RefCell<Option<Takes>> = const { RefCell::new(None) };
    }

    pub(super) fn takes() -> Option<Duration> {
        TAKES.with_borrow(|takes| takes.as_ref().map(|takes| takes()))
    }

    /// Until dropped, work of this thread is done in place.
    pub struct InPlace;

    impl InPlace {
        pub fn taking(takes: impl Fn() -> Duration + 'static) -> Self {
            TAKES.set(Some(Box::new(takes)));
            Self
        }
    }

    impl Drop for InPlace {
        fn drop(&mut self) {
            TAKES.set(None);
        }
    }
}
