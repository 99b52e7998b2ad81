//! Private instances of the real services, each in a folder of its own, on ports that nobody else uses.
//!
//! ```no_run
//! # use xtask::services::{Redis, redis};
//! # fn main() -> anyhow::Result<()> {
//! let mut redis = Redis::start(std::path::Path::new("/tmp/a-test/redis"), redis::Options::default())?;
//! redis.pause()?; // clients now wait, as they would for a server that hangs
//! redis.resume()?;
//! redis.kill()?; // no goodbye, as in a power cut of the process
//! redis.restart()?; // same address, same data
//! # Ok(())
//! # }
//! ```
//!
//! Dropping a server ends its process. A server also ends when the process that started it dies without dropping
//! anything, unless it was started with [`Life::Background`].

pub mod kafka;
pub mod port;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod redis_cluster;
pub mod resp;
mod server;

pub use process::{Identity, Life, Process, Signal};
pub use redis_cluster::RedisCluster;
pub use server::{Program, Server};

/// A Kafka broker that is its own controller (KRaft).
pub type Kafka = Server<kafka::Broker>;
/// A Redis.
pub type Redis = Server<redis::Instance>;
/// A PostgreSQL.
pub type Postgres = Server<postgres::Cluster>;
