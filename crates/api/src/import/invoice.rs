//! The second reading: rows become invoices, and invoices orders or claims.

use std::collections::HashMap;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use jebi_db_optimizer::bulk::{Batch, LoadedOrder, NewClaim, NewClaimLine, PriceChange};
use jebi_db_optimizer::random;
use jebi_domain::{
    AccountId, Address, Amounts, ClaimKind, Customer, Money, MoneyError, NewOrder, NewOrderLine,
    OrderId, OrderStatus, Platform, ProductId, Quantity,
};

use super::retail::{BrokenRow, CURRENCY, Row, Rows};

/// Gathers rows until an invoice is whole.
pub(super) struct Invoices {
    account: AccountId,
    products: HashMap<String, ProductId>,
    last_rows: HashMap<String, u64>,
    open: HashMap<String, Invoice>,
    /// The price at which each product was last sold. A price of nothing is a gift, not a price.
    prices: HashMap<ProductId, Money>,
    report: Report,
}

/// An invoice of which more rows may come.
#[derive(Default)]
struct Invoice {
    rows: Vec<(u64, Row)>,
    prices: Vec<PriceChange>,
}

/// What the reading came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) orders: u64,
    pub(super) claims: u64,
    pub(super) broken: u64,
    /// Prices with digits beyond the penny, by line.
    pub(super) rounded: Vec<String>,
}

impl Invoices {
    pub(super) fn new(
        account: AccountId,
        products: HashMap<String, ProductId>,
        last_rows: HashMap<String, u64>,
    ) -> Self {
        Self {
            account,
            products,
            last_rows,
            open: HashMap::new(),
            prices: HashMap::new(),
            report: Report::default(),
        }
    }

    /// Reads all rows and hands them on in batches of whole invoices; `hand_on` says whether more is
    /// wanted. Gives the last price of each product.
    pub(super) fn read(
        mut self,
        mut rows: Rows,
        batch_lines: usize,
        bar: &ProgressBar,
        mut hand_on: impl FnMut(Batch) -> bool,
    ) -> anyhow::Result<(HashMap<ProductId, Money>, Report)> {
        let (mut batch, mut lines) = (Batch::default(), 0);
        for number in 0_u64.. {
            let Some(row) = rows.next()? else { break };
            bar.inc(1);
            let row = match row {
                Ok(row) => row,
                Err(broken) => {
                    self.refuse(bar, &broken);
                    continue;
                }
            };
            let invoice = row.invoice.clone();
            self.note(rows.line(), row)?;
            if self.last_rows.get(&invoice) == Some(&number)
                && let Some(whole) = self.open.remove(&invoice)
            {
                lines += whole.rows.len();
                self.close(invoice, whole, &mut batch, bar)?;
            }
            if lines >= batch_lines {
                lines = 0;
                if !hand_on(std::mem::take(&mut batch)) {
                    break;
                }
            }
        }
        hand_on(batch);
        Ok((self.prices, self.report))
    }

    #[expect(clippy::print_stderr, reason = "how a command tells what it could not do")]
    fn refuse(&mut self, bar: &ProgressBar, broken: &BrokenRow) {
        self.report.broken += 1;
        bar.suspend(|| eprintln!("{broken}"));
    }

    fn note(&mut self, line: u64, row: Row) -> anyhow::Result<()> {
        let product = self.product(&row)?;
        if let Some(price) = &row.rounded {
            let Row { invoice, sku, .. } = &row;
            let stored = row.price.amount();
            self.report.rounded.push(format!(
                "line {line}: {sku} on invoice {invoice} costs {price}, stored as {stored} pence"
            ));
        }
        let invoice = self.open.entry(row.invoice.clone()).or_default();
        let is_sale = Kind::of(&row.invoice) == Kind::Plain && row.quantity > 0;
        if is_sale
            && row.price.amount() > 0
            && self.prices.insert(product, row.price) != Some(row.price)
        {
            invoice.prices.push(PriceChange { product, price: row.price, at: row.at });
        }
        invoice.rows.push((line, row));
        Ok(())
    }

    fn product(&self, row: &Row) -> anyhow::Result<ProductId> {
        self.products.get(&row.sku).copied().context("the file changed while it was read")
    }

    fn close(
        &mut self,
        number: String,
        invoice: Invoice,
        batch: &mut Batch,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        let is_order = Kind::of(&number) == Kind::Plain
            && invoice.rows.iter().any(|(_, row)| row.quantity > 0);
        let (rows, strange): (Vec<_>, Vec<_>) =
            invoice.rows.into_iter().partition(|(_, row)| !is_order || is_order_line(row));
        for (line, _) in strange {
            let reason = "a line of an order must have a positive quantity and no negative price";
            self.refuse(bar, &BrokenRow { line, reason: reason.to_owned() });
        }
        if rows.is_empty() {
            return Ok(());
        }
        if sum(&rows).is_err() {
            for (line, _) in rows {
                let reason = format!("the sum of invoice {number} is too large");
                self.refuse(bar, &BrokenRow { line, reason });
            }
            return Ok(());
        }
        let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
        if is_order {
            let order = self.order(number, rows)?;
            batch.orders.push(LoadedOrder { order, prices: invoice.prices });
            self.report.orders += 1;
        } else {
            batch.claims.push(self.claim(number, rows)?);
            self.report.claims += 1;
        }
        Ok(())
    }

    fn order(&self, number: String, rows: Vec<Row>) -> anyhow::Result<NewOrder> {
        let created_at = first_time(&rows);
        let customer = customer(&rows);
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            lines.push(NewOrderLine {
                product_id: self.product(&row)?,
                quantity: Quantity::new(i64::from(row.quantity)).context("it was checked")?,
                price: row.price,
                product_name: row.description.unwrap_or_else(|| row.sku.clone()),
                sku: row.sku,
            });
        }
        let nothing = Money::zero(CURRENCY);
        let each = lines.iter().map(|line| (line.quantity, line.price));
        let amounts = Amounts::of(CURRENCY, each, nothing, nothing)?;
        Ok(NewOrder {
            id: OrderId::new(created_at, random()),
            platform: Platform::Direct,
            account: self.account,
            platform_order_id: number.clone(),
            order_number: number,
            status: OrderStatus::Delivered,
            lines,
            amounts,
            customer,
            memo: None,
            created_at,
        })
    }

    fn claim(&self, number: String, rows: Vec<Row>) -> anyhow::Result<NewClaim> {
        let created_at = first_time(&rows);
        let customer = customer(&rows);
        let mut total = Money::zero(CURRENCY);
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            total = total.plus(row.price.times(i64::from(row.quantity))?)?;
            lines.push(NewClaimLine {
                product_id: self.product(&row)?,
                quantity: row.quantity,
                price: row.price,
                product_name: row.description.unwrap_or_else(|| row.sku.clone()),
                sku: row.sku,
            });
        }
        let kind = match Kind::of(&number) {
            Kind::Cancellation => ClaimKind::Cancel,
            Kind::Adjustment => ClaimKind::Adjustment,
            Kind::Plain => ClaimKind::WriteOff,
        };
        let account = self.account;
        Ok(NewClaim {
            account,
            platform_claim_id: number,
            kind,
            total,
            customer,
            created_at,
            lines,
        })
    }
}

/// What the first letter of an invoice's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cancellation,
    Adjustment,
    Plain,
}

impl Kind {
    fn of(invoice: &str) -> Self {
        match invoice.as_bytes().first() {
            Some(b'C') => Self::Cancellation,
            Some(b'A') => Self::Adjustment,
            _ => Self::Plain,
        }
    }
}

fn is_order_line(row: &Row) -> bool {
    row.quantity > 0 && row.price.amount() >= 0
}

fn sum(rows: &[(u64, Row)]) -> Result<Money, MoneyError> {
    rows.iter().try_fold(Money::zero(CURRENCY), |sum, (_, row)| {
        sum.plus(row.price.times(i64::from(row.quantity))?)
    })
}

fn first_time(rows: &[Row]) -> DateTime<Utc> {
    rows.iter().map(|row| row.at).min().unwrap_or(DateTime::UNIX_EPOCH)
}

fn customer(rows: &[Row]) -> Customer {
    let first = rows.first();
    let country = first.and_then(|row| row.country.clone());
    Customer {
        name: first.and_then(|row| row.customer.clone()),
        address: country.map(|country| Address { country: Some(country), ..Address::default() }),
        ..Customer::default()
    }
}
