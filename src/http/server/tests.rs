//! Bounds of connections, over real sockets.

use axum::extract::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

async fn start(router: Router, connections: usize) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<Served>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let bounds = Bounds { connections, write_timeout: Duration::from_millis(300), stop: Duration::from_secs(5) };
    let shutdown = async {
        let _ = stopped.await;
    };
    (address, stop, tokio::spawn(serve(listener, router, shutdown, bounds)))
}

/// The answer of a server that closes afterwards.
async fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn who_does_not_read_is_cut_and_gives_its_place_away() {
    // More than the kernel buffers on both sides.
    let router = Router::new().route("/", get(|| async { vec![b'x'; 64 << 20] }));
    let (address, _stop, _served) = start(router, 1).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(REQUEST).await.unwrap();
    // There is one place, so this one is answered when the other is cut.
    let answer = tokio::time::timeout(Duration::from_secs(30), ask(address)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"));
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    assert!(rest.len() < 64 << 20, "the answer was cut");
}

#[tokio::test]
async fn requests_know_both_ends_of_their_connection() {
    let router = Router::new().route("/", get(|Extension(ends): Extension<Ends>| async move { format!("{ends:?}") }));
    let (address, stop, served) = start(router, 8).await;
    let answer = ask(address).await;
    assert!(answer.contains(&format!("local: {address}")) && answer.contains("peer: 127.0.0.1:"), "{answer}");
    stop.send(()).unwrap();
    assert_eq!(served.await.unwrap(), Served { cut: 0 });
}
