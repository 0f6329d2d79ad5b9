//! Bounds of connections, over real sockets.

use axum::extract::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

const BOUNDS: Bounds = Bounds {
    name: "test",
    connections: 8,
    header_timeout: Duration::from_secs(3_600),
    watched: false,
    write_timeout: Duration::from_millis(300),
    stop: Duration::from_secs(5),
};

async fn start(router: Router, bounds: Bounds) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<Served>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    (address, stop, tokio::spawn(serve(listener, router, shutdown, bounds, two_of_others)))
}

const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

/// Two connections of [`OTHER`], any number of everybody else.
fn two_of_others(peer: IpAddr, open: &HashMap<Id, IpAddr>) -> bool {
    peer != OTHER || open.values().filter(|peer| **peer == OTHER).count() < 2
}

async fn connect_from_other(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(OTHER, 0)).unwrap();
    socket.connect(address).await.unwrap()
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
    let (address, _stop, _served) = start(router, Bounds { connections: 1, ..BOUNDS }).await;
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
    let (address, stop, served) = start(router, BOUNDS).await;
    let answer = ask(address).await;
    assert!(answer.contains(&format!("local: {address}")) && answer.contains("peer: 127.0.0.1:"), "{answer}");
    stop.send(()).unwrap();
    assert_eq!(served.await.unwrap(), Served { cut: 0 });
}

#[tokio::test]
async fn who_is_silent_is_cut() {
    let bounds = Bounds { connections: 1, header_timeout: Duration::from_millis(50), ..BOUNDS };
    let (address, _stop, _served) = start(Router::new(), bounds).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    // There is one place, so this one is answered when the other is cut.
    let answer = tokio::time::timeout(Duration::from_secs(30), ask(address)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn who_has_no_room_is_closed_and_hinders_nobody() {
    let (address, _stop, _served) = start(Router::new(), Bounds { connections: 3, ..BOUNDS }).await;
    let first = connect_from_other(address).await;
    let _second = connect_from_other(address).await;
    let mut third = connect_from_other(address).await;
    let closed = tokio::time::timeout(Duration::from_secs(30), third.read(&mut [0; 1])).await.unwrap();
    assert_eq!(closed.unwrap(), 0);
    assert!(ask(address).await.starts_with("HTTP/1.1 404"));
    // A place is free again once its client is gone.
    drop(first);
    let started = std::time::Instant::now();
    loop {
        let mut again = connect_from_other(address).await;
        let mut answer = [0; 12];
        if again.write_all(REQUEST).await.is_ok() && again.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 404");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn who_leaves_is_noticed_though_bytes_are_unread() {
    let (sender, mut dropped) = tokio::sync::mpsc::channel::<()>(1);
    let sender = std::sync::Arc::new(std::sync::Mutex::new(Some(sender)));
    let handler = move || {
        let held = sender.lock().unwrap().take();
        async move {
            pending::<()>().await;
            drop(held);
        }
    };
    let router = Router::new().route("/", get(handler));
    let (address, _stop, _served) = start(router, Bounds { watched: true, ..BOUNDS }).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&[REQUEST, b"G"].concat()).await.unwrap();
    drop(client);
    let dropped = tokio::time::timeout(Duration::from_secs(30), dropped.recv()).await;
    assert_eq!(dropped.unwrap(), None, "the handler was dropped");
}
