//! What comes is written to a file while it comes, so that a slow sender costs a file and no memory. The file has no name:
//! it is gone with its last handle, also where the engine is killed.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::Limits;
use crate::api::extract::{too_large, too_slow};
use crate::api::problem::{Answer, Code, Problem};
use crate::fault;

/// An upload that came to its end.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    pub length: u64,
}

/// Takes a body of at most `limit` bytes; not one more is read.
pub async fn receive(body: Body, directory: &Path, limit: u64, limits: &Limits) -> Answer<Spooled> {
    let directory = directory.to_owned();
    let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(directory)).await;
    let file = made.map_err(Problem::internal)?.map_err(|error| unwritable(&error))?;
    let mut file = tokio::fs::File::from_std(file);
    let taken = tokio::time::timeout(limits.timeout, pour(body, &mut file, limit, limits)).await;
    let length = taken.unwrap_or_else(|_| Err(too_slow("the upload took longer than it may")))?;
    file.flush().await.map_err(|error| unwritable(&error))?;
    Ok(Spooled { file: file.into_std().await, length })
}

/// Whoever is slower after a while holds a place that others want: a component of ten megabytes would take twenty minutes.
const LEAST_BYTES_PER_SECOND: u64 = 8 << 10;
const SLOWNESS_FROM: std::time::Duration = std::time::Duration::from_secs(10);

async fn pour(body: Body, file: &mut tokio::fs::File, limit: u64, limits: &Limits) -> Answer<u64> {
    let mut stream = body.into_data_stream();
    let (mut length, began) = (0_u64, tokio::time::Instant::now());
    loop {
        let late = || too_slow("no more of the upload came for too long");
        let next = tokio::time::timeout(limits.piece_timeout, stream.next()).await.map_err(|_| late())?;
        let Some(piece) = next else { return Ok(length) };
        let piece = piece.map_err(|_| Problem::invalid("the upload ends early").closing())?;
        length += piece.len() as u64;
        if length > limit {
            return Err(too_large(limit));
        }
        let since = began.elapsed();
        if since > SLOWNESS_FROM && length < since.as_secs() * LEAST_BYTES_PER_SECOND {
            return Err(too_slow("the upload comes too slowly"));
        }
        file.write_all(&piece).await.map_err(|error| unwritable(&error))?;
    }
}

fn unwritable(error: &std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            tracing::error!("an upload cannot be kept: {error}");
            Problem::new(Code::Fault(fault::Code::DiskFull), "the engine's disk is full").closing()
        }
        _ => Problem::internal(format!("an upload cannot be kept: {error}")).closing(),
    }
}

impl Spooled {
    /// All of it, once. Blocking.
    pub fn read(mut self) -> Answer<Bytes> {
        let length = usize::try_from(self.length).map_err(Problem::internal)?;
        let mut bytes = Vec::with_capacity(length);
        self.file.rewind().and_then(|()| self.file.read_to_end(&mut bytes)).map_err(|error| unwritable(&error))?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What becomes of a body that comes at so many bytes a second, by a clock that the test moves.
    async fn taken(seconds: usize, bytes_per_second: usize) -> Answer<u64> {
        let pieces = futures::stream::iter(0..seconds).then(move |_| async move {
            tokio::time::advance(Duration::from_secs(1)).await;
            Ok::<_, std::io::Error>(vec![b'x'; bytes_per_second])
        });
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { timeout: Duration::MAX, piece_timeout: Duration::MAX, ..Limits::default() };
        let spooled = receive(Body::from_stream(pieces), directory.path(), u64::MAX, &limits).await?;
        Ok(spooled.length)
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_comes_too_slowly_loses_its_place_after_ten_seconds() {
        let (least, late) = (8 << 10, Code::UploadTimeout);
        assert_eq!(taken(30, least).await.unwrap(), 30 * 8_192);
        let refused = taken(30, least - 1).await.unwrap_err();
        assert_eq!((refused.code(), refused.detail()), (late, "the upload comes too slowly"));
        assert_eq!(taken(10, 1).await.unwrap(), 10, "whoever is done by then may be slow");
        assert_eq!(taken(11, 1).await.unwrap_err().code(), late);
    }
}
