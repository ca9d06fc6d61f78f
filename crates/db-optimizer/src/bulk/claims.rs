use chrono::{DateTime, Utc};
use jebi_domain::{AccountId, ClaimId, ClaimKind, Customer, Money, ProductId};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::batch::{Load, line_columns};
use super::copy::Copy;
use crate::Error;
use crate::random::random;

/// A claim that is to be stored.
#[derive(Debug, Clone)]
pub struct NewClaim {
    /// With which of the seller's accounts.
    pub account: AccountId,
    /// How the platform calls it; unique within the account.
    pub platform_claim_id: String,
    /// Why money or goods go back.
    pub kind: ClaimKind,
    /// The sum of its lines, negative where money goes back.
    pub total: Money,
    /// Whose it is.
    pub customer: Customer,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it is about.
    pub lines: Vec<NewClaimLine>,
}

/// A line of a claim.
#[derive(Debug, Clone)]
pub struct NewClaimLine {
    /// The product.
    pub product_id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name.
    pub product_name: String,
    /// Negative where goods come back.
    pub quantity: i32,
    /// Of one of them.
    pub price: Money,
}

impl Load<'_> {
    pub(super) async fn new_claims<'b>(
        &self,
        claims: &'b [NewClaim],
    ) -> Result<Vec<&'b NewClaim>, Error> {
        let name = |new: &NewClaim| (new.account, new.platform_claim_id.clone());
        let known = self.known("claims", "platform_claim_id", claims.iter().map(name)).await?;
        Ok(claims.iter().filter(|new| !known.contains(&name(new))).collect())
    }

    pub(super) async fn claims(&self, claims: &[&NewClaim]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("id", Type::UUID),
            ("seller_id", Type::UUID),
            ("platform_account_id", Type::UUID),
            ("platform_claim_id", Type::TEXT),
            ("kind", Type::TEXT),
            ("currency", Type::TEXT),
            ("total_amount", Type::INT8),
            ("customer", Type::BYTEA),
            ("created_at", Type::TIMESTAMPTZ),
        ];
        let ids: Vec<Uuid> =
            claims.iter().map(|new| ClaimId::new(new.created_at, random()).as_uuid()).collect();
        let mut copy = Copy::start(self.transaction, "claims", COLUMNS).await?;
        for (claim, id) in claims.iter().zip(&ids) {
            copy.row(&[
                id,
                &self.seller(),
                &claim.account.as_uuid(),
                &claim.platform_claim_id,
                &claim.kind.as_str(),
                &claim.total.currency().as_str(),
                &claim.total.amount(),
                &self.keys.seal_customer(*id, &claim.customer, random()),
                &claim.created_at,
            ])
            .await?;
        }
        copy.finish().await?;

        let mut copy =
            Copy::start(self.transaction, "claim_items", &line_columns("claim_id")).await?;
        for (claim, id) in claims.iter().zip(&ids) {
            for (line, line_no) in claim.lines.iter().zip(1_i32..) {
                copy.row(&[
                    id,
                    &line_no,
                    &self.seller(),
                    &line.product_id.as_uuid(),
                    &line.sku,
                    &line.product_name,
                    &line.quantity,
                    &line.price.amount(),
                ])
                .await?;
            }
        }
        copy.finish().await
    }
}
