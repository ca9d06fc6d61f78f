use std::pin::Pin;

use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::failed;
use crate::Error;

/// A COPY in the binary format, under way.
pub(super) struct Copy {
    writer: Pin<Box<BinaryCopyInWriter>>,
}

impl Copy {
    pub(super) async fn start(
        transaction: &Transaction<'_>,
        table: &str,
        columns: &[(&str, Type)],
    ) -> Result<Self, Error> {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
        let sink = transaction.copy_in(&sql).await.map_err(failed)?;
        Ok(Self { writer: Box::pin(BinaryCopyInWriter::new(sink, &types)) })
    }

    pub(super) async fn row(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.writer.as_mut().write(values).await.map_err(failed)
    }

    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.writer.as_mut().finish().await.map(|_| ()).map_err(failed)
    }
}
