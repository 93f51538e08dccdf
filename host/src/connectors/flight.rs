//! One fetch for everybody who needs what it brings.

use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::Error;

/// A value that costs a request, such as a token, shared by all uses of a connection. However many ask at once, one
/// fetch runs, and all get its end: a wrong secret is sent once, not once by every worker.
#[derive(Debug)]
pub struct Flight<T>(Mutex<Arc<OnceCell<Result<T, Error>>>>);

/// A fetched value, and the fetch that it came from.
#[derive(Debug)]
pub struct Fetched<T> {
    pub value: T,
    cell: Arc<OnceCell<Result<T, Error>>>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flight<T> {
    /// The value that is there while `is_good` says so, else what `fetch` brings.
    pub async fn get<F>(&self, is_good: impl Fn(&T) -> bool, fetch: F) -> Result<Fetched<T>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut cell = self.current();
        if matches!(cell.get(), Some(Ok(value)) if !is_good(value)) {
            self.replace(&cell);
            cell = self.current();
        }
        match cell.get_or_init(|| fetch).await {
            Ok(value) => Ok(Fetched { value: value.clone(), cell }),
            Err(error) => {
                // Whoever comes later may try again; whoever waited here has the answer.
                self.replace(&cell);
                Err(error.clone())
            }
        }
    }

    /// Forgets `fetched`, unless somebody already has.
    pub fn forget(&self, fetched: &Fetched<T>) {
        self.replace(&fetched.cell);
    }

    fn current(&self) -> Arc<OnceCell<Result<T, Error>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn replace(&self, old: &Arc<OnceCell<Result<T, Error>>>) {
        let mut current = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if Arc::ptr_eq(&current, old) {
            *current = Arc::default();
        }
    }
}
