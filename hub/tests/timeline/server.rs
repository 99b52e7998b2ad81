//! A Redis server of one test, started and ended by it.

use crate::world::{DEADLINE, eventually};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The server. It keeps nothing on disk: a restart comes back empty.
pub struct RedisServer {
    child: Child,
    pub port: u16,
    folder: TempDir,
    options: Vec<String>,
}

impl RedisServer {
    pub async fn start() -> Self {
        Self::start_with(&[], false).await
    }

    /// With `tls` the port speaks TLS only; `options` may use `{dir}` for the server's folder.
    pub async fn start_with(options: &[&str], tls: bool) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options, tls).await
    }

    pub async fn start_in(folder: TempDir, options: &[&str], tls: bool) -> Self {
        // Another process may take the port between our asking for it and the server's binding it: then try again.
        let mut folder = Some(folder);
        for _ in 0..5 {
            let dir = folder.take().unwrap();
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut all: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            let (plain, secure) = if tls { (0, port) } else { (port, 0) };
            all.extend(["--port".into(), plain.to_string()]);
            if tls {
                all.extend(["--tls-port".into(), secure.to_string()]);
            }
            let child = spawn(&dir, &all);
            let mut server = Self { child, port, folder: dir, options: all };
            if server.is_up().await {
                return server;
            }
            server.stop();
            folder = Some(std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap()));
        }
        panic!("no redis-server came up");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the server as a crash would.
    pub fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Starts it again at the same port, empty.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.folder, &self.options);
        assert!(self.is_up().await, "redis-server came up again");
    }

    /// A connection for the test itself.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        connection(&self.url()).await
    }

    async fn is_up(&mut self) -> bool {
        let deadline = std::time::Instant::now() + DEADLINE;
        while std::time::Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(folder: &TempDir, options: &[String]) -> Child {
    let dir = folder.path().to_str().unwrap();
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir])
        .args(options.iter().map(|option| option.replace("{dir}", dir)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

/// A connection for the test itself.
pub async fn connection(url: &str) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    eventually("the test reaches redis", async || client.get_multiplexed_async_connection().await.ok()).await
}
