//! Accepts connections; one port speaks HTTP/1.1 and HTTP/2, so both protocols.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::shared::{Hangup, Shared};
use crate::{grpc, http_protobuf};

/// Largest request, compressed or not: room for the export of 100,000 series.
pub(crate) const MAX_BODY_BYTES: usize = 64 << 20;

/// Whether the message of a gRPC request really is compressed: the flag before it says so, the header only how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compressed(Arc<OnceLock<bool>>);

impl Compressed {
    pub(crate) fn get(&self) -> bool {
        self.0.get().copied().unwrap_or_default()
    }

    fn look_at(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(flag) = frame.data_ref().and_then(|data| data.first()) {
            self.0.get_or_init(|| *flag != 0);
        }
        frame
    }
}

/// Runs until `stop` fires or its sender is gone.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: oneshot::Receiver<()>) {
    let routes = grpc::routes(&shared);
    loop {
        let accepted = tokio::select! {
            _ = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, routes.clone(), Arc::clone(&shared)))),
            Err(error) => {
                return shared.fault(format!("the receiver stopped: accept failed: {error}"));
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Routes, shared: Arc<Shared>) {
    let hangup = Hangup::default();
    let handle = hangup.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(handle.clone());
        let (routes, shared) = (routes.clone(), Arc::clone(&shared));
        async move {
            let content_type = request.headers().get(http::header::CONTENT_TYPE);
            if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
                let compressed = Compressed::default();
                request.extensions_mut().insert(compressed.clone());
                let request = request.map(|body| body.map_frame(move |frame| compressed.look_at(frame)));
                return routes.oneshot(request).await;
            }
            Ok::<_, Infallible>(http_protobuf::answer(request, &shared).await.map(Body::new))
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let io = TokioIo::new(stream);
    tokio::select! {
        // A client that goes away in the middle is no fault of the receiver.
        _ = server.serve_connection(io, service) => {}
        () = hangup.0.notified() => {}
    }
}
