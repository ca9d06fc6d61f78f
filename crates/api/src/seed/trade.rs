use chrono::{DateTime, Duration, Utc};
use jebi_db_optimizer::bulk::{Accounts, LoadedOrder};
use jebi_domain::{
    Address, Amounts, Currency, Customer, Money, NewOrder, NewOrderLine, OrderId, OrderStatus,
    Platform, Quantity,
};

use super::goods::Goods;
use super::random::Random;
use super::words::{GIVEN, STREETS, SURNAMES};

const ORDER: u64 = 2;

/// Two years of them.
const MINUTES: u64 = 2 * 365 * 24 * 60;

/// The orders of a seed, each made by its number alone.
pub(super) struct Trade {
    seed: u64,
    goods: Goods,
    accounts: Accounts,
    until: DateTime<Utc>,
}

impl Trade {
    pub(super) const fn new(
        seed: u64,
        goods: Goods,
        accounts: Accounts,
        until: DateTime<Utc>,
    ) -> Self {
        Self { seed, goods, accounts, until }
    }

    pub(super) fn order(&self, index: u64) -> anyhow::Result<LoadedOrder> {
        let mut random = Random::of(self.seed, ORDER, index);
        let seconds = random.below(MINUTES * 60);
        let created_at = self.until - Duration::seconds(i64::try_from(seconds)?);
        let platform = match random.below(1_000) {
            0..450 => Platform::Coupang,
            450..800 => Platform::Naver,
            800..920 => Platform::ElevenSt,
            _ => Platform::Direct,
        };
        let number = format!("{}-{}-{index:09}", platform.as_str().to_uppercase(), self.seed);
        let mut lines = Vec::new();
        for _ in 0..=random.below(random.clone().below(5) + 1) {
            let good = self.goods.sold(&mut random)?;
            let quantity = Quantity::new(i64::try_from(1 + random.below(3))?);
            lines.push(NewOrderLine {
                product_id: good.id,
                sku: good.sku,
                product_name: good.name,
                quantity: quantity.unwrap_or(Quantity::ONE),
                price: good.price,
            });
        }
        let shipping = Money::new(if random.in_thousand(600) { 0 } else { 3_000 }, Currency::Krw)?;
        let nothing = Money::zero(Currency::Krw);
        let each = lines.iter().map(|line| (line.quantity, line.price));
        let amounts = Amounts::of(Currency::Krw, each, shipping, nothing)?;
        let order = NewOrder {
            id: OrderId::new(created_at, random.bytes()),
            platform,
            account: self.accounts.of(platform),
            platform_order_id: number.clone(),
            order_number: number,
            status: status(&mut random),
            lines,
            amounts,
            customer: customer(&mut random),
            memo: None,
            created_at,
        };
        Ok(LoadedOrder { order, prices: vec![] })
    }
}

/// As measured on real orders: 89.5 % delivered, 0.4 % pending.
fn status(random: &mut Random) -> OrderStatus {
    match random.below(1_000) {
        0..895 => OrderStatus::Delivered,
        895..899 => OrderStatus::Pending,
        899..905 => OrderStatus::Confirmed,
        905..917 => OrderStatus::Paid,
        917..927 => OrderStatus::Processing,
        927..947 => OrderStatus::Shipped,
        947..975 => OrderStatus::Cancelled,
        975..987 => OrderStatus::Returned,
        987..998 => OrderStatus::Refunded,
        _ => OrderStatus::Failed,
    }
}

fn customer(random: &mut Random) -> Customer {
    let name = format!("{}{}", random.one_of(&SURNAMES), random.one_of(&GIVEN));
    let phone = format!("010-{:04}-{:04}", random.below(10_000), random.below(10_000));
    let street = random.one_of(&STREETS);
    Customer {
        name: Some(name),
        phone: Some(phone),
        email: None,
        address: Some(Address {
            postal_code: Some(format!("{:05}", random.below(63_000))),
            line1: Some(format!("{street} {}", 1 + random.below(500))),
            line2: Some(format!("{}동 {}호", 101 + random.below(20), 101 + random.below(1_500))),
            country: Some("KR".to_owned()),
        }),
    }
}
