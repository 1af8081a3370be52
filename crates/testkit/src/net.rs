//! Addresses for servers under test.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

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
