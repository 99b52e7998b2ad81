//! A wire between a program and a service that a test can cut, slow down, or let swallow everything.
//!
//! Faults can be laid on every connection, or only on those that have said a word: Redis's subscription connections say
//! `SSUBSCRIBE`, and no others do.

use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass.
    #[default]
    None,
    /// Bytes arrive so much later.
    Delay(Duration),
    /// Nothing arrives, and nobody is told. What was said arrives once this ends, as after a parted network.
    BlackHole,
    /// Connections break, new ones as well.
    Cut,
}

/// The most words that a wire listens for.
pub const WORDS_MAX: usize = 8;

/// Which of the words a connection has said, a bit each.
type Said = Arc<AtomicU8>;

#[derive(Clone, Debug, Default)]
struct Rules {
    target: String,
    all: Fault,
    /// How often the connections that stood were broken.
    cuts: u64,
    /// For connections that have said one of these words.
    saying: Vec<(Vec<u8>, Fault)>,
}

/// The wire. Dropping it cuts it.
pub struct Proxy {
    /// Where the program connects.
    pub address: SocketAddr,
    rules: watch::Sender<Rules>,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A wire to `target`, given as `host:port`.
    pub async fn to(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let rules = watch::Sender::new(Rules { target: target.to_owned(), ..Rules::default() });
        let connections = Arc::<AtomicUsize>::default();
        let accepting = tokio::spawn(accept(listener, rules.subscribe(), connections.clone()));
        Ok(Self { address, rules, connections, accepting })
    }

    /// Lays a fault on every connection, also on later ones.
    pub fn set(&self, fault: Fault) {
        self.rules.send_modify(|rules| rules.all = fault);
    }

    /// Lays a fault on the connections that have said `word`, also on later ones. Words are listened for from the first call
    /// on that names them, which may lay [`Fault::None`]; there can be [`WORDS_MAX`].
    pub fn set_for(&self, word: &str, fault: Fault) {
        self.rules.send_modify(|rules| match rules.saying.iter_mut().find(|(known, _)| known == word.as_bytes()) {
            Some((_, laid)) => *laid = fault,
            None => {
                assert!(rules.saying.len() < WORDS_MAX, "a wire listens for {WORDS_MAX} words at most");
                rules.saying.push((word.as_bytes().to_vec(), fault));
            }
        });
    }

    /// Breaks the connections that stand; later ones pass.
    pub fn cut_once(&self) {
        self.rules.send_modify(|rules| rules.cuts += 1);
    }

    /// Leads later connections to another target.
    pub fn lead_to(&self, target: &str) {
        self.rules.send_modify(|rules| target.clone_into(&mut rules.target));
    }

    /// How many connections stand.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Fault::Cut);
    }
}

async fn accept(listener: TcpListener, rules: watch::Receiver<Rules>, connections: Arc<AtomicUsize>) {
    while let Ok((near, _)) = listener.accept().await {
        let (mut rules, connections) = (rules.clone(), connections.clone());
        rules.mark_unchanged();
        tokio::spawn(async move {
            let now = rules.borrow().clone();
            if now.all == Fault::Cut {
                return;
            }
            let Ok(far) = TcpStream::connect(&now.target).await else { return };
            // A test that measures nothing of the network should not wait for Nagle either.
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            connections.fetch_add(1, Ordering::SeqCst);
            let (near_reads, near_writes) = near.into_split();
            let (far_reads, far_writes) = far.into_split();
            let said = Said::default();
            tokio::select! {
                () = carry(near_reads, far_writes, rules.clone(), said.clone(), true) => {}
                () = carry(far_reads, near_writes, rules, said, false) => {}
            }
            connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries bytes one way until either end is gone or the wire is cut.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rules: watch::Receiver<Rules>,
    said: Said,
    outward: bool,
) {
    let mut bytes = vec![0; 64 * 1024];
    let cuts = rules.borrow().cuts;
    loop {
        let count = tokio::select! {
            read = from.read(&mut bytes) => match read {
                Ok(count @ 1..) => count,
                _ => return,
            },
            changed = rules.changed() => {
                let now = rules.borrow_and_update();
                if changed.is_err() || now.cuts != cuts || fault(&now, &said) == Fault::Cut {
                    return;
                }
                continue;
            }
        };
        if outward {
            listen(&rules.borrow(), &bytes[..count], &said);
        }
        loop {
            let now = fault(&rules.borrow_and_update(), &said);
            match now {
                Fault::None => break,
                Fault::Cut => return,
                Fault::Delay(time) => {
                    tokio::time::sleep(time).await;
                    break;
                }
                Fault::BlackHole => {
                    if rules.changed().await.is_err() || rules.borrow().cuts != cuts {
                        return;
                    }
                }
            }
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Notes which words are said for the first time.
fn listen(rules: &Rules, bytes: &[u8], said: &AtomicU8) {
    for (n, (word, _)) in rules.saying.iter().enumerate() {
        let known = said.load(Ordering::SeqCst) & (1 << n) != 0;
        if !known && bytes.windows(word.len()).any(|window| window == word) {
            said.fetch_or(1 << n, Ordering::SeqCst);
        }
    }
}

fn fault(rules: &Rules, said: &AtomicU8) -> Fault {
    let said = said.load(Ordering::SeqCst);
    let laid = |(n, (_, fault)): (usize, &(_, Fault))| (said & (1 << n) != 0).then_some(*fault);
    let mut of_words = rules.saying.iter().enumerate().filter_map(laid);
    of_words.find(|fault| *fault != Fault::None).unwrap_or(rules.all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(10);
    const A_MOMENT: Duration = Duration::from_millis(200);

    /// A service that says everything again.
    async fn echo() -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.into_split();
                    drop(tokio::io::copy(&mut reads, &mut writes).await);
                });
            }
        });
        Ok(address)
    }

    async fn said(stream: &mut TcpStream, word: &str) -> Result<String> {
        stream.write_all(word.as_bytes()).await?;
        heard(stream, word.len()).await
    }

    async fn heard(stream: &mut TcpStream, length: usize) -> Result<String> {
        let mut answer = vec![0; length];
        timeout(SOON, stream.read_exact(&mut answer)).await??;
        Ok(String::from_utf8(answer)?)
    }

    #[tokio::test]
    async fn a_wire_passes_swallows_and_is_cut() -> Result<()> {
        let proxy = Proxy::to(&echo().await?).await?;
        let mut stream = TcpStream::connect(proxy.address).await?;
        assert_eq!(said(&mut stream, "one").await?, "one");
        assert_eq!(proxy.connections(), 1);
        proxy.set(Fault::Delay(A_MOMENT));
        let begun = std::time::Instant::now();
        assert_eq!(said(&mut stream, "late").await?, "late");
        assert!(begun.elapsed() >= A_MOMENT);
        proxy.set(Fault::BlackHole);
        stream.write_all(b"two").await?;
        let mut answer = [0; 3];
        assert!(timeout(A_MOMENT, stream.read_exact(&mut answer)).await.is_err(), "nothing arrives");
        proxy.set(Fault::None);
        assert_eq!(heard(&mut stream, 3).await?, "two", "afterwards it does");
        proxy.set(Fault::Cut);
        assert_eq!(timeout(SOON, stream.read(&mut answer)).await?.unwrap_or(0), 0);
        Ok(())
    }

    #[tokio::test]
    async fn a_fault_can_be_laid_on_those_who_said_a_word() -> Result<()> {
        let proxy = Proxy::to(&echo().await?).await?;
        proxy.set_for("SSUBSCRIBE", Fault::None);
        let (mut ear, mut mouth) = (TcpStream::connect(proxy.address).await?, TcpStream::connect(proxy.address).await?);
        assert_eq!(said(&mut ear, "SSUBSCRIBE a").await?, "SSUBSCRIBE a");
        proxy.set_for("SSUBSCRIBE", Fault::BlackHole);
        ear.write_all(b"b").await?;
        assert!(timeout(A_MOMENT, ear.read(&mut [0; 1])).await.is_err(), "the ear is deaf");
        assert_eq!(said(&mut mouth, "c").await?, "c", "the mouth is not");
        Ok(())
    }
}
