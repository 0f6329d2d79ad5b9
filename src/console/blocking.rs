//! What takes long is done away from the one thread of the diagnostics server.

use tokio::sync::Semaphore;

use crate::http::problem::{Kind, Problem};

/// How much of it is done at once: one long search and one page beside it. The others wait, and hold no thread.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Does `work` on a thread that may block. Its place stays taken until it is done, also when the client is gone.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = || Problem::new(Kind::EncodingError, "the page could not be made: the log says why");
    let place = PLACES.acquire().await.map_err(|_| failed())?;
    let work = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| failed())
}
