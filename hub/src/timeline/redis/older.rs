//! What older generations left behind: the positions of rooms in which nobody has spoken since.

use super::super::Error;
use super::client::Client;
use super::failure::failed;
use super::fence::Fence;
use super::scripts::Script;
use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;

/// How many names one look of the scan goes through.
const SCANNED_AT_ONCE: usize = 500;

impl Client {
    /// Forgets rooms' positions of older generations, beside everything else, after a generation was opened here. What is left
    /// because this hub ends meanwhile goes with the next generation.
    pub(super) async fn forget_older(&self, fence: &Fence) {
        let servers = fence.primaries.all().iter().map(|shard| self.forget_at(fence, shard.it.connection.clone()));
        match try_join_all(servers).await {
            Ok(rooms) => {
                let rooms: usize = rooms.into_iter().sum();
                tracing::info!(rooms, generation = fence.generation, "forgot rooms' positions of older generations");
            }
            Err(error) => tracing::warn!(%error, "could not forget rooms' positions of older generations"),
        }
    }

    async fn forget_at(&self, fence: &Fence, mut server: MultiplexedConnection) -> Result<usize, Error> {
        let mut cursor: u64 = 0;
        let mut rooms = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(self.keys.every_meta()).arg("COUNT").arg(SCANNED_AT_ONCE);
            let asked = scan.query_async::<(u64, Vec<String>)>(&mut server).await;
            let (next, names) = asked.map_err(|error| failed(&error))?;
            rooms += names.len();
            let calls = names.into_iter().filter_map(|meta| {
                let bucket = self.keys.bucket_of(&meta)?;
                let args = vec![fence.generation.to_string().into_bytes()];
                Some((Script::Forget, vec![self.keys.generation(bucket), meta], args))
            });
            fence.primaries.run_all(&calls.collect::<Vec<_>>()).await.map_err(|error| failed(&error))?;
            if next == 0 {
                return Ok(rooms);
            }
            cursor = next;
        }
    }
}
