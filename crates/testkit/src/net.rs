//! Addresses for servers under test, and what they answer.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

/// A port on 127.0.0.1 that nothing listens on, for a server that must come back under the address
/// it had. Where port 0 will do, prefer it: between this answer and its use, a test in another
/// process may be given the same number (unlikely: where to begin is random). In this process, no
/// number is given twice before all have been.
///
/// It lies below the range that the system gives to outgoing connections, so that none of these
/// takes it while the server is down.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let [.., high, low] = *uuid::Uuid::now_v7().as_bytes();
        AtomicU16::new(u16::from_be_bytes([high, low]) % 12_000)
    });
    for _ in 0..1000 {
        let port = 20_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 32000 on 127.0.0.1");
}

/// Head and body of the next HTTP answer on a connection, where nothing may be read that lies behind it.
/// Panics when it tells no length of its body, or does not come within 20 s.
pub async fn answer(connection: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let len = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap();
        let mut body = vec![0; len.parse().unwrap()];
        connection.read_exact(&mut body).await.unwrap();
        (head, body)
    };
    timeout(Duration::from_secs(20), read).await.expect("is answered promptly")
}
