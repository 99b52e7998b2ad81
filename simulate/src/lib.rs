//! The services of the cluster in memory, to try the protocol against them without waiting: so far Redis.

pub mod redis;
