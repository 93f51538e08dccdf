//! What a failed store means for whoever wanted something of it.

use super::batch::Error;
use crate::fault::{Code, Disposition, Fault};

impl Error {
    /// The fault. A tenant learns that our disk failed and not where it lies; the log learns the rest.
    pub fn fault(&self) -> Fault {
        let (code, disposition, message) = match self {
            Error::DiskFull { .. } => (Code::DiskFull, Disposition::StopScheme, "the engine's disk is full"),
            // Nothing was started, and starting without the ledger could write twice.
            Error::Open { .. } => (Code::StoreFailed, Disposition::RefuseStart, "the engine's store cannot be opened"),
            Error::InUse => (Code::StoreFailed, Disposition::RefuseStart, "another engine holds the store"),
            Error::Newer { .. } => (Code::StoreFailed, Disposition::RefuseStart, "a newer Crossdock wrote the store"),
            // Met while opening or while reading one row: going on could take a lost row for one that never was.
            Error::Damaged { .. } => (Code::StoreFailed, Disposition::StopScheme, "the engine's store is damaged"),
            Error::Failed { .. } => (Code::StoreFailed, Disposition::StopScheme, "the engine's store failed"),
            Error::Closed => (Code::StoreFailed, Disposition::StopScheme, "the engine's store is closed"),
        };
        Fault::new(code, disposition, message).with_internal(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_does_not_read_where_the_store_lies() {
        let detail = "/var/lib/crossdock/store: broken".to_owned();
        for error in [
            Error::Open { detail: detail.clone() },
            Error::Damaged { detail: detail.clone() },
            Error::DiskFull { detail: detail.clone() },
            Error::Failed { detail },
        ] {
            let fault = error.fault();
            assert!(!fault.message.contains("/var"), "{fault}");
            assert!(fault.internal.is_some_and(|internal| internal.contains("/var")));
        }
    }
}
