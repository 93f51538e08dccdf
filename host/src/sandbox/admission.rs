//! The gate before a pool of slots: an exhausted pool would be an error, a full gate is a wait.

use std::sync::{Condvar, Mutex, PoisonError};

/// Lets a fixed number in at once; the others block. Callers are on blocking threads.
pub struct Gate {
    free: Mutex<u32>,
    freed: Condvar,
}

impl Gate {
    pub fn new(places: u32) -> Self {
        Self { free: Mutex::new(places), freed: Condvar::new() }
    }

    pub fn enter(&self) -> Pass<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Pass(self)
    }
}

/// One place behind the gate, given back when dropped.
pub struct Pass<'a>(&'a Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
