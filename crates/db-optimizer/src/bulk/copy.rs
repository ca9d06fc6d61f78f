use std::pin::Pin;

use bytes::Bytes;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, Transaction};

use super::failed;
use crate::Error;

/// A COPY in the binary format, under way.
pub(crate) struct Copy {
    writer: Pin<Box<BinaryCopyInWriter>>,
}

impl Copy {
    pub(crate) async fn start(
        transaction: &Transaction<'_>,
        table: &str,
        columns: &[(&str, Type)],
    ) -> Result<Self, Error> {
        let sink = transaction.copy_in(&Self::statement(table, columns)).await.map_err(failed)?;
        Ok(Self::over(sink, columns))
    }

    /// One that a statement made by [`Copy::statement`] has begun.
    pub(crate) fn over(sink: CopyInSink<Bytes>, columns: &[(&str, Type)]) -> Self {
        let types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
        Self { writer: Box::pin(BinaryCopyInWriter::new(sink, &types)) }
    }

    pub(crate) fn statement(table: &str, columns: &[(&str, Type)]) -> String {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "))
    }

    pub(crate) async fn row(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.writer.as_mut().write(values).await.map_err(failed)
    }

    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        self.writer.as_mut().finish().await.map(|_| ()).map_err(failed)
    }
}
