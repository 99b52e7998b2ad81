//! A wire between a hub and Redis that a test can cut or freeze.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the bytes of connections that stand now; later ones pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Pass,
    /// Nothing passes, and nobody is told.
    Freeze,
    /// What the hub says still passes, but the server's next word is lost with the connection.
    CutAnswer,
}

pub struct Proxy {
    pub address: SocketAddr,
    wire: Arc<Mutex<watch::Sender<Wire>>>,
    port: Arc<AtomicU16>,
    /// The words that were lost.
    pub lost: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Mutex::new(watch::Sender::new(Wire::Pass)));
        let lost = Arc::<Mutex<Vec<u8>>>::default();
        let port = Arc::new(AtomicU16::new(port));
        let (current, words, target) = (wire.clone(), lost.clone(), port.clone());
        let task = tokio::spawn(async move {
            while let Ok((hub, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target.load(Ordering::SeqCst))).await else {
                    continue;
                };
                let wire = current.lock().unwrap().subscribe();
                tokio::spawn(carry(hub, server, wire, words.clone()));
            }
        });
        Self { address, wire, port, lost, task }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Leads later connections to another server.
    pub fn lead_to(&self, port: u16) {
        self.port.store(port, Ordering::SeqCst);
    }

    /// Sets what happens to the connections of this moment.
    pub fn set(&self, wire: Wire) {
        let mut current = self.wire.lock().unwrap();
        current.send_replace(wire);
        *current = watch::Sender::new(Wire::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut hub: TcpStream, mut server: TcpStream, wire: watch::Receiver<Wire>, lost: Arc<Mutex<Vec<u8>>>) {
    let (mut said, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = hub.read(&mut said) => {
                let Ok(count @ 1..) = read else { return };
                let now = *wire.borrow();
                if now != Wire::Freeze && server.write_all(&said[..count]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                let now = *wire.borrow();
                match now {
                    Wire::Freeze => {}
                    Wire::CutAnswer => {
                        lost.lock().unwrap().extend_from_slice(&answered[..count]);
                        return;
                    }
                    Wire::Pass => if hub.write_all(&answered[..count]).await.is_err() { return },
                }
            }
        }
    }
}
