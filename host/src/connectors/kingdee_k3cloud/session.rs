//! One log-in for everybody who needs one.

use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::config::Secret;
use crate::connectors::Error;

/// The site's session id, or why there is none, shared by all uses of a connection. However many ask at once, one
/// log-in runs, and all get its end: a wrong password is sent once, not once by every worker until the account locks.
#[derive(Debug, Default)]
pub struct Session {
    flight: Mutex<Arc<Flight>>,
}

#[derive(Debug, Default)]
struct Flight(OnceCell<Result<Secret, Error>>);

/// A session id, and the log-in it came from.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub id: Secret,
    flight: Arc<Flight>,
}

impl Session {
    pub async fn get<F>(&self, login: F) -> Result<Ticket, Error>
    where
        F: Future<Output = Result<Secret, Error>>,
    {
        let flight = self.current();
        match flight.0.get_or_init(|| login).await {
            Ok(id) => Ok(Ticket { id: id.clone(), flight }),
            Err(error) => {
                // Whoever comes later may try again; whoever waited here has the answer.
                self.replace(&flight);
                Err(error.clone())
            }
        }
    }

    /// Forgets the session that `ticket` is of, unless somebody already has.
    pub fn invalidate(&self, ticket: &Ticket) {
        self.replace(&ticket.flight);
    }

    fn current(&self) -> Arc<Flight> {
        self.flight.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn replace(&self, old: &Arc<Flight>) {
        let mut current = self.flight.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if Arc::ptr_eq(&current, old) {
            *current = Arc::default();
        }
    }
}
