use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{DateTime, Utc};
use jebi_cache::Load;
use jebi_db_optimizer::products::{self, Listing, PriceEntry, Product, Variant, Whole};
use jebi_domain::{Currency, Platform, ProductId, ProductStatus, SellerId, Wholesaler};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use uuid::Uuid;

use crate::auth::{ProductsRead, Seller};
use crate::cached::{Key, answer};
use crate::openapi::one_of;
use crate::params::Params;
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::Encoded;
use crate::state::State;

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub(super) struct ProductBody {
    id: Uuid,
    /// The seller's code for it.
    #[schema(examples("85123A"))]
    sku: String,
    name: String,
    brand: Option<String>,
    /// Who ships it; absent where the seller does.
    #[schema(schema_with = wholesalers)]
    wholesaler: Option<Wholesaler>,
    #[schema(schema_with = statuses)]
    status: ProductStatus,
    #[schema(schema_with = currencies)]
    currency: Currency,
    /// What the seller takes for it; absent where it is not known.
    price: Option<i64>,
    /// What the wholesaler takes for it; collection keeps it.
    cost_amount: Option<i64>,
    /// How many the seller has; absent where it is not tracked.
    stock: Option<i64>,
    /// How many the wholesaler has; collection keeps it.
    wholesale_stock: Option<i64>,
    /// Rises with every change.
    version: i64,
    /// When it was first seen.
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<VariantBody>>,
    /// Where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    listings: Option<Vec<ListingBody>>,
}

/// A product in one colour, one size.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductVariant)]
struct VariantBody {
    id: Uuid,
    sku: String,
    name: String,
    /// On top of the product's price.
    extra_amount: i64,
    /// On top of the product's cost, where the wholesaler says so.
    extra_cost_amount: Option<i64>,
    stock: Option<i64>,
    /// How many the wholesaler has, if that is tracked.
    wholesale_stock: Option<i64>,
}

/// A product offered on a platform account.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductListing)]
struct ListingBody {
    id: Uuid,
    #[schema(schema_with = platforms)]
    platform: Platform,
    platform_product_id: String,
    status: String,
}

/// A product with the prices it had.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductDetail)]
pub(super) struct WholeBody {
    #[serde(flatten)]
    product: ProductBody,
    /// The last 100, newest first.
    price_history: Vec<PriceBody>,
}

/// A price that a product once had.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceEntry)]
struct PriceBody {
    changed_at: DateTime<Utc>,
    price: i64,
    #[schema(examples("KRW"))]
    currency: String,
}

pub(super) fn statuses() -> Schema {
    one_of(ProductStatus::ALL.iter().map(|status| status.as_str()))
}

fn wholesalers() -> Schema {
    maybe_one_of(Wholesaler::ALL.iter().map(|wholesaler| wholesaler.as_str()))
}

fn platforms() -> Schema {
    one_of(Platform::ALL.iter().map(|platform| platform.as_str()))
}

fn currencies() -> Schema {
    one_of(Currency::ALL.iter().map(|currency| currency.as_str()))
}

fn maybe_one_of(words: impl IntoIterator<Item = &'static str>) -> Schema {
    use utoipa::openapi::schema::SchemaType;
    use utoipa::openapi::{ObjectBuilder, Type};
    let words = words.into_iter().map(Some).chain([None]);
    let text = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(words));
    Schema::Object(text.build())
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.as_uuid(),
            sku: product.sku,
            name: product.name,
            brand: product.brand,
            wholesaler: product.wholesaler,
            status: product.status,
            currency: product.currency,
            price: product.price,
            cost_amount: product.cost_amount,
            stock: product.stock,
            wholesale_stock: product.wholesale_stock,
            version: product.version,
            created_at: product.created_at,
            updated_at: product.updated_at,
            variants: product.variants.map(|all| all.into_iter().map(VariantBody::from).collect()),
            listings: product.listings.map(|all| all.into_iter().map(ListingBody::from).collect()),
        }
    }
}

impl From<Variant> for VariantBody {
    fn from(variant: Variant) -> Self {
        let Variant { id, sku, name, extra_amount, extra_cost_amount, stock, wholesale_stock } =
            variant;
        Self { id, sku, name, extra_amount, extra_cost_amount, stock, wholesale_stock }
    }
}

impl From<Listing> for ListingBody {
    fn from(Listing { id, platform, platform_product_id, status }: Listing) -> Self {
        Self { id, platform, platform_product_id, status }
    }
}

impl From<PriceEntry> for PriceBody {
    fn from(PriceEntry { changed_at, price, currency }: PriceEntry) -> Self {
        Self { changed_at, price, currency }
    }
}

/// A product as bytes, and their tag.
pub(super) fn encoded(seller: SellerId, whole: Whole) -> Result<Encoded, Problem> {
    let version = whole.product.version;
    let price_history = whole.prices.into_iter().map(PriceBody::from).collect();
    Encoded::new(seller, &WholeBody { product: whole.product.into(), price_history }, version)
}

pub(super) fn product_id(path: &str) -> Result<ProductId, Problem> {
    path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("product_id"))
}

/// One product, with its variants, its listings and the prices it had.
///
/// Statements: 4, in one snapshot.
#[utoipa::path(
    path = "/products-optimized/{product_id}",
    tag = "products",
    security(("api_key" = ["products:read"])),
    params(
        ("product_id" = Uuid, Path, description = "The product's id"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The product; `ETag` for If-Match and If-None-Match", body = WholeBody),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/products-optimized/{product_id}")]
pub(crate) async fn find(
    seller: Seller<ProductsRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let owner = seller.keys.seller();
    let id = product_id(&path)?;
    let key = Key::one(owner, None, id.as_uuid());
    let state = State::clone(&state);
    answer(
        &request,
        &state.clone().caches.products_detail,
        &key,
        "product",
        async move |load: Load| {
            load.add_tag(&id.to_string());
            let whole = products::find(&state.db, owner, id).await?;
            whole.map(|whole| encoded(owner, whole)).transpose()
        },
    )
    .await
}
