//! All connections of a generator, in one thread that never waits.

use crate::body::Reader;
use crate::dialect::{Dialect, Heard};
use crate::link::{Link, SCRATCH, Said};
use anyhow::{Result, ensure};
use mio::{Events, Poll, Token};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long all connections may take to be open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach a server, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// How it speaks.
    pub dialect: Dialect,
    /// Where it listens; connections are spread evenly over several.
    pub addresses: Vec<SocketAddr>,
    /// What every connection says that it is.
    pub token: String,
}

/// Connections, by their number.
pub struct Fleet {
    target: Target,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    reader: Reader,
    links: Vec<Link>,
    /// The room that each is to be in, if any.
    rooms: Vec<Option<u32>>,
    /// The links that have something to send.
    waiting: Vec<usize>,
    /// How many have entered, and said all that there is to say before.
    ready: usize,
    begun: Instant,
}

impl Fleet {
    /// Nobody yet.
    pub fn new(target: Target) -> Result<Self> {
        Ok(Self {
            target,
            poll: Poll::new()?,
            events: Events::with_capacity(4096),
            scratch: vec![0; SCRATCH],
            reader: Reader::default(),
            links: Vec::new(),
            rooms: Vec::new(),
            waiting: Vec::new(),
            ready: 0,
            begun: Instant::now(),
        })
    }

    /// Nanoseconds since the beginning.
    pub fn now(&self) -> u64 {
        nanoseconds(self.begun)
    }

    /// Opens one connection for each of `rooms`, at most `at_once` at a time, until all are there.
    pub fn open(&mut self, rooms: impl IntoIterator<Item = Option<u32>>, at_once: usize) -> Result<()> {
        let deadline = Instant::now() + OPEN_TIMEOUT;
        let mut rooms = rooms.into_iter();
        let mut more = true;
        while more || self.ready < self.links.len() {
            while more && self.links.len() - self.ready < at_once {
                match rooms.next() {
                    Some(room) => self.open_one(room)?,
                    None => more = false,
                }
            }
            self.turn(|_, _, _| Ok(()))?;
            let (ready, all) = (self.ready, self.links.len());
            ensure!(Instant::now() < deadline, "only {ready} of {all} connections were open after {OPEN_TIMEOUT:?}");
        }
        Ok(())
    }

    fn open_one(&mut self, room: Option<u32>) -> Result<()> {
        let number = self.links.len();
        let addresses = &self.target.addresses;
        let address = addresses[number % addresses.len()];
        let link = Link::open(self.poll.registry(), Token(number), address, self.target.dialect)?;
        self.links.push(link);
        self.rooms.push(room);
        Ok(())
    }

    /// Takes what has come from any of them, then sends what there is to be sent. Deliveries and acknowledgements go to
    /// `each`, with the link's number and the time.
    pub fn turn(&mut self, mut each: impl FnMut(usize, Heard, u64) -> Result<()>) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let Target { dialect, token, .. } = &self.target;
        let (reader, ready) = (&self.reader, &mut self.ready);
        for event in &self.events {
            let number = event.token().0;
            // A link that was cut may have been told something before.
            let Some(link) = self.links.get_mut(number) else { continue };
            if event.is_readable() {
                let now = nanoseconds(self.begun);
                let room = self.rooms[number];
                link.read(&mut self.scratch, |said| match said {
                    Said::Upgraded(output) => {
                        if !dialect.server_begins() && !dialect.hello(output, token) {
                            *ready += usize::from(!enter(*dialect, output, room));
                        }
                        Ok(())
                    }
                    Said::Text { text, place, output } => dialect.read(text, reader, place, |heard| {
                        match heard {
                            Heard::Open => _ = dialect.hello(output, token),
                            Heard::Welcome => *ready += usize::from(!enter(*dialect, output, room)),
                            Heard::Joined => *ready += 1,
                            Heard::Ping => dialect.pong(output),
                            Heard::Done(_) | Heard::Refused(..) | Heard::Delivery(_) => each(number, heard, now)?,
                        }
                        Ok(())
                    }),
                })?;
            }
            if link.waits() {
                link.flush()?;
            }
        }
        self.flush()
    }

    /// Where a link's next frame is written. It leaves at the end of the next turn, or with [`Fleet::flush`].
    pub fn output(&mut self, link: usize) -> &mut Vec<u8> {
        if !self.links[link].waits() {
            self.waiting.push(link);
        }
        self.links[link].output()
    }

    /// Sends what there is to be sent.
    pub fn flush(&mut self) -> Result<()> {
        for link in std::mem::take(&mut self.waiting) {
            self.links[link].flush()?; // what its socket does not take now leaves when it does
        }
        Ok(())
    }

    /// Cuts all connections.
    pub fn cut(&mut self) {
        self.links.drain(..).for_each(Link::cut);
        self.rooms.clear();
        self.waiting.clear();
        self.ready = 0;
    }
}

/// Asks to enter; false if there is no room to enter.
fn enter(dialect: Dialect, output: &mut Vec<u8>, room: Option<u32>) -> bool {
    if let Some(room) = room {
        dialect.join(output, room, None);
    }
    room.is_some()
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
