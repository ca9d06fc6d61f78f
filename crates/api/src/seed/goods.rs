use chrono::{DateTime, Duration, Utc};
use jebi_db_optimizer::bulk::{Accounts, LoadedListing, LoadedProduct, LoadedVariant};
use jebi_domain::{Currency, Money, Platform, ProductId, ProductStatus, Wholesaler};

use super::random::Random;
use super::words::{BRANDS, GOODS, KINDS, MAKES};

const PRODUCT: u64 = 1;

/// The products of a seed. Each can be made by its number alone, so that none is kept in memory.
#[derive(Debug, Clone)]
pub(super) struct Goods {
    seed: u64,
    count: u64,
    until: DateTime<Utc>,
}

/// A product, as an order's line shows it.
pub(super) struct Good {
    pub(super) id: ProductId,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) price: Money,
    created_at: DateTime<Utc>,
    random: Random,
}

impl Goods {
    pub(super) const fn new(seed: u64, count: u64, until: DateTime<Utc>) -> Self {
        Self { seed, count, until }
    }

    /// A product that somebody orders: one in four of the first hundredth, as few products sell most.
    pub(super) fn sold(&self, random: &mut Random) -> anyhow::Result<Good> {
        let few = if random.in_thousand(250) { self.count.div_ceil(100) } else { self.count };
        self.good(random.below(few))
    }

    fn good(&self, index: u64) -> anyhow::Result<Good> {
        let mut random = Random::of(self.seed, PRODUCT, index);
        // Three years back, the first product the newest.
        let minutes = index * 3 * 365 * 24 * 60 / self.count;
        let created_at = self.until - Duration::minutes(i64::try_from(minutes)?);
        let id = ProductId::new(created_at, random.bytes());
        let (make, good, kind) =
            (random.one_of(&MAKES), random.one_of(&GOODS), random.one_of(&KINDS));
        let blank = if random.in_thousand(400) { " " } else { "" };
        let name = format!("{make}{blank}{good} {kind} {}", random.below(1_000));
        let price = 1_000 + 100 * random.below(random.clone().below(600) + 50);
        let price = Money::new(i64::try_from(price)?, Currency::Krw)?;
        Ok(Good { id, sku: format!("S{}-{index}", self.seed), name, price, created_at, random })
    }

    /// A product with all that belongs to it.
    pub(super) fn product(&self, index: u64, accounts: &Accounts) -> anyhow::Result<LoadedProduct> {
        let Good { id, sku, name, price, created_at, mut random } = self.good(index)?;
        let brand = random.in_thousand(700).then(|| random.one_of(&BRANDS).to_owned());
        let wholesaler = random.one_of(Wholesaler::ALL);
        let status = match random.below(1_000) {
            0..900 => ProductStatus::Active,
            900..950 => ProductStatus::Paused,
            950..980 => ProductStatus::Draft,
            _ => ProductStatus::Discontinued,
        };
        let stock = match random.below(1_000) {
            0..30 => 0,
            30..100 => 1 + random.below(10),
            _ => 11 + random.below(500),
        };
        let stock = i64::try_from(stock)?;
        let colours = if random.in_thousand(200) { 3 } else { 0 };
        let variants =
            ["블랙", "화이트", "네이비"].iter().take(colours).map(|colour| LoadedVariant {
                sku: format!("{sku}-{colour}"),
                name: (*colour).to_owned(),
                extra_amount: 0,
                stock: stock / 3,
            });
        let sold_on = [Platform::Coupang, Platform::Naver, Platform::ElevenSt];
        let listings = sold_on.into_iter().filter(|_| random.in_thousand(400));
        let listings = listings.map(|platform| LoadedListing {
            account: accounts.of(platform),
            platform_product_id: format!("{platform}-{sku}"),
        });
        Ok(LoadedProduct {
            id,
            currency: price.currency(),
            price: price.amount(),
            cost_amount: price.amount() * 7 / 10,
            stock,
            wholesale_stock: stock * 3,
            brand,
            wholesaler,
            status,
            created_at,
            listings: listings.collect(),
            variants: variants.collect(),
            sku,
            name,
        })
    }
}
