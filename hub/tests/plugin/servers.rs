//! Servers that plugins ask: one that answers as it is told, one that never answers, and nobody.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server of one test.
pub struct Server {
    pub address: SocketAddr,
    /// The heads of requests, as they came.
    pub heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Its origin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

/// A server that serves each connection so.
async fn serving<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
) -> Server {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&heads);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&seen)));
        }
    });
    Server { address, heads, task }
}

/// A server that answers each request with these bytes, and then, if `endless`, goes on with as many more as are taken.
pub async fn answering(answer: impl Into<Vec<u8>>, endless: bool) -> Server {
    let answer = Arc::new(answer.into());
    serving(move |mut stream, heads| {
        let answer = Arc::clone(&answer);
        async move {
            while let Some(head) = read_head(&mut stream).await {
                heads.lock().unwrap().push(head);
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
                if endless {
                    while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                    return;
                }
            }
        }
    })
    .await
}

/// A server that takes connections and requests, and never says anything.
pub async fn silent() -> Server {
    serving(|mut stream, heads| async move {
        while let Some(head) = read_head(&mut stream).await {
            heads.lock().unwrap().push(head);
        }
    })
    .await
}

/// An address where nobody listens.
pub async fn nobody_at() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap()
}

/// An answer with this status, header fields and body.
pub fn answer(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}content-length: {}\r\n\r\n{body}", body.len())
}

/// Reads up to the end of a request's head, and over a body of the length that it gives.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 1 << 20 {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0).min(1 << 20)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}
