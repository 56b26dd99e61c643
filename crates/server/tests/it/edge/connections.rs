//! More connections than there is room for.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use countersign_server::ListenOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use super::{field, mirror, serve, status};

/// A connection that is kept open, without a request under way.
struct Idle(tokio::net::TcpStream);

impl Idle {
    async fn open(address: SocketAddr, sent: &[u8]) -> Self {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        Self(stream)
    }

    async fn read(&mut self) -> String {
        let mut bytes = [0; 4_096];
        let read = self.0.read(&mut bytes).await.unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    async fn ask(&mut self) -> String {
        if self.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_err() {
            return String::new();
        }
        self.read().await
    }
}

fn few(most_connections: usize) -> ListenOptions {
    ListenOptions { most_connections, ..ListenOptions::default() }
}

/// Where all places are taken by connections that do nothing, the one that has done nothing for longest makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_room_for_new_ones_in_a_storm() {
    let served = serve(mirror(), few(4)).await;
    // In the order in which they became idle: one that has said nothing, half a head, and two that are kept.
    let mut silent = Idle::open(served.address, b"").await;
    let mut half = Idle::open(served.address, b"GET / HT").await;
    let mut kept = Idle::open(served.address, b"").await;
    let mut newer = Idle::open(served.address, b"").await;
    assert!(kept.ask().await.ends_with("127.0.0.1"));
    assert!(newer.ask().await.ends_with("127.0.0.1"));

    let mut first = Idle::open(served.address, b"").await;
    assert!(first.ask().await.ends_with("127.0.0.1"), "served at once");
    assert_eq!(silent.read().await, "", "the oldest is closed");
    let mut second = Idle::open(served.address, b"").await;
    assert!(second.ask().await.ends_with("127.0.0.1"));
    assert_eq!(half.read().await, "", "then the next");
    // Those who have asked since are younger, and stay.
    assert!(kept.ask().await.ends_with("127.0.0.1"));
    let mut third = Idle::open(served.address, b"").await;
    assert!(third.ask().await.ends_with("127.0.0.1"));
    assert_eq!(newer.read().await, "");
    assert!(kept.ask().await.ends_with("127.0.0.1"));

    // Thousands that do nothing keep nobody out.
    let mut storm = Vec::new();
    for _ in 0..300 {
        storm.push(Idle::open(served.address, b"").await);
    }
    let mut client = Idle::open(served.address, b"").await;
    assert!(client.ask().await.ends_with("127.0.0.1"));
}

/// A request that is under way is never cut off for a new one: that one is told when to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_connections_are_not_cut_off_and_a_new_one_is_told_to_come_back() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            async move {
                begun.notify_one();
                go_on.notified().await;
                "slow"
            }
        }
    };
    let router = Router::new().route("/", get(async || "quick")).route("/slow", get(slow));
    let served = serve(router, few(2)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(Idle::open(served.address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await);
        begun.notified().await;
    }
    let mut new = Idle::open(served.address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = new.read().await;
    assert_eq!(status(&answer), 503, "{answer}");
    assert_eq!(field(&answer, "retry-after"), Some("1"), "{answer}");
    assert_eq!(field(&answer, "connection"), Some("close"));
    for busy in &mut busy {
        go_on.notify_one();
        assert!(busy.read().await.ends_with("slow"));
    }
    // Now they are idle, and there is room.
    let mut next = Idle::open(served.address, b"").await;
    assert!(next.ask().await.ends_with("quick"));
}
