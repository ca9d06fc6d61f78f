use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::{SinkExt as _, TryStreamExt as _};
use jebi_domain::SellerId;

use super::{Loader, failed};
use crate::Error;

impl Loader {
    /// Loads a seller's rows once more, by bare COPY into tables with the same columns and indexes but
    /// without triggers and foreign keys, and says how long the COPYs took. The tables are dropped again.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn copy_again(&mut self, seller: SellerId) -> Result<Duration, Error> {
        const CHUNK_BYTES: usize = 64 << 10;
        const TABLES: [&str; 9] = [
            "products",
            "product_offers",
            "orders",
            "order_items",
            "order_history",
            "order_search",
            "price_history",
            "claims",
            "claim_items",
        ];
        let mut took = Duration::ZERO;
        for table in TABLES {
            let again = format!("{table}_copied_again");
            let create = format!(
                "DROP TABLE IF EXISTS {again}; CREATE TABLE {again} (LIKE {table} INCLUDING ALL)"
            );
            self.client.batch_execute(&create).await.map_err(failed)?;
            let select = format!(
                "COPY (SELECT * FROM {table} WHERE seller_id = '{seller}') TO STDOUT (FORMAT binary)"
            );
            let rows = self.client.copy_out(&select).await.map_err(failed)?;
            let rows = rows.try_fold(BytesMut::new(), |mut all, row| async move {
                all.extend_from_slice(&row);
                Ok(all)
            });
            let mut rows = rows.await.map_err(failed)?.freeze();

            let started = Instant::now();
            let copy = format!("COPY {again} FROM STDIN (FORMAT binary)");
            let sink = self.client.copy_in(&copy).await.map_err(failed)?;
            let mut sink = std::pin::pin!(sink);
            while !rows.is_empty() {
                let chunk = rows.split_to(rows.len().min(CHUNK_BYTES));
                sink.send(chunk).await.map_err(failed)?;
            }
            sink.finish().await.map_err(failed)?;
            took += started.elapsed();
            self.client.batch_execute(&format!("DROP TABLE {again}")).await.map_err(failed)?;
        }
        Ok(took)
    }
}
