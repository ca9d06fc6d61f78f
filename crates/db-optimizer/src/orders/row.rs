use std::collections::HashMap;

use diesel::Queryable;
use diesel::sql_types::{BigInt, Integer, Text};
use jebi_domain::{Customer, ProductId, SellerId, SellerKeys};
use uuid::Uuid;

use crate::{Bind, Error, Statement};

pub(super) type UuidSql = diesel::sql_types::Uuid;

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name when it was ordered.
    pub product_name: String,
    /// How many.
    pub quantity: u32,
    /// Of one of them, in minor units of the order's currency.
    pub price: i64,
}

/// Rows being turned into values: for whom, and what to say where a row is wrong.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) action: &'static str,
    pub(super) keys: &'a SellerKeys,
}

impl Reading<'_> {
    /// Every row says whose it is, and is believed only when it is the seller who asked: a statement
    /// that forgot its seller fails here instead of showing another's orders.
    pub(super) fn check_seller(self, seller: Uuid) -> Result<(), Error> {
        if seller == self.keys.seller().as_uuid() { Ok(()) } else { Err(self.corrupt("seller")) }
    }

    pub(super) fn word<T: std::str::FromStr>(
        self,
        what: &'static str,
        text: &str,
    ) -> Result<T, Error> {
        text.parse().map_err(|_| self.corrupt(what))
    }

    pub(super) fn customer(self, of: Uuid, sealed: &[u8]) -> Result<Customer, Error> {
        self.keys.open_customer(of, sealed).map_err(|_| self.corrupt("customer"))
    }

    pub(super) fn corrupt(self, what: &'static str) -> Error {
        Error::CorruptRow { action: self.action, what }
    }
}

pub(crate) type LineSql = (UuidSql, UuidSql, UuidSql, Text, Text, Integer, BigInt);

#[derive(Queryable)]
pub(super) struct LineRow {
    order_id: Uuid,
    seller_id: Uuid,
    product_id: Uuid,
    sku: String,
    product_name: String,
    quantity: i32,
    price: i64,
}

/// The lines of some orders, by order and number.
pub(crate) fn lines_statement(seller: SellerId, orders: Vec<Uuid>) -> Statement<LineSql> {
    Statement::new(
        "SELECT order_id, seller_id, product_id, sku, product_name, quantity, price
         FROM order_items WHERE order_id = ANY($1) AND seller_id = $2
         ORDER BY order_id, line_no",
        vec![Bind::from(orders), Bind::from(seller)],
    )
}

pub(super) fn lines_by_order(
    reading: Reading<'_>,
    rows: Vec<LineRow>,
) -> Result<HashMap<Uuid, Vec<OrderLine>>, Error> {
    let mut lines: HashMap<Uuid, Vec<OrderLine>> = HashMap::new();
    for row in rows {
        reading.check_seller(row.seller_id)?;
        lines.entry(row.order_id).or_default().push(OrderLine {
            product_id: row.product_id.into(),
            sku: row.sku,
            product_name: row.product_name,
            quantity: u32::try_from(row.quantity).map_err(|_| reading.corrupt("quantity"))?,
            price: row.price,
        });
    }
    Ok(lines)
}
