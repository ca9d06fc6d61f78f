//! Bulk loads by COPY, as the database's owner: COPY does not work under row security, so that each
//! function writes the one seller it is given.

mod accounts;
mod batch;
mod claims;
pub(crate) mod copy;
mod copy_again;
mod orders;
mod products;

use std::str::FromStr as _;

use jebi_domain::SellerId;
use tokio_postgres::{Client, NoTls};

use crate::housekeeping::{FOLD_ORDERS, FOLD_PRODUCTS};
use crate::{Error, Refused};

pub use accounts::Accounts;
pub use batch::{Batch, Stored};
pub use claims::{NewClaim, NewClaimLine};
pub use orders::{LoadedOrder, PriceChange};
pub use products::{LoadedListing, LoadedProduct, LoadedVariant, NewProduct};

/// A connection for bulk loads.
pub struct Loader {
    client: Client,
}

impl Loader {
    /// Connects as the role that the URL names, which has to own the tables.
    ///
    /// # Errors
    /// [`Error::NoConnection`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let no_connection = |error| Error::NoConnection(Box::new(error));
        let mut config = tokio_postgres::Config::from_str(url).map_err(no_connection)?;
        config.application_name("jebi import");
        let (client, driver) = config.connect(NoTls).await.map_err(no_connection)?;
        // It ends with the client, whose next call reports what went wrong.
        tokio::spawn(driver);
        Ok(Self { client })
    }

    /// Folds the totals of a seller after a load, which leaves a difference for nearly every order, and clears
    /// away what folding leaves: until then every total would read all of it.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn fold_totals(&mut self, seller: SellerId) -> Result<(), Error> {
        for fold in [FOLD_ORDERS, FOLD_PRODUCTS] {
            self.client.query(fold, &[&seller.as_uuid()]).await.map_err(failed)?;
        }
        for table in ["order_total_deltas", "product_total_deltas"] {
            self.client.batch_execute(&format!("VACUUM {table}")).await.map_err(failed)?;
        }
        Ok(())
    }
}

const ACTION: &str = "load orders";

fn failed(source: tokio_postgres::Error) -> Error {
    Error::Copy { action: ACTION, source: Refused(source) }
}
