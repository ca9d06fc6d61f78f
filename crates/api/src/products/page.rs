use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_cache::Load;
use jebi_db_optimizer::products::{self, Extras};
use jebi_domain::{
    At, Money, PageSize, PriceRange, ProductFilter, Search, StockLevel, Text, Wholesaler,
};

use super::whole::{ProductBody, statuses};
use crate::auth::{ProductsRead, Seller};
use crate::cached::{Key, answer};
use crate::openapi::{one_of, word_parameter};
use crate::params::{Params, count};
use crate::problem::{Fault, Problem, ProblemBody};
use crate::respond::{Encoded, PageBody};
use crate::state::State;

word_parameter!(StatusWord, statuses());
word_parameter!(WholesalerWord, one_of(Wholesaler::ALL.iter().map(|known| known.as_str())));

/// What a list was asked for.
struct Wanted {
    filter: ProductFilter,
    at: At,
    size: PageSize,
    extras: Extras,
}

const DEFAULT_SIZE: PageSize = PageSize::new(20).expect("20 is between 1 and 100");

impl Wanted {
    fn read(query: &str, state: &State, seller: &Seller<ProductsRead>) -> Result<Self, Problem> {
        let mut params = Params::of(query);
        let size = params.take_page_size(DEFAULT_SIZE);
        let status = params.take("status", |text| text.parse().map_err(Fault::unreadable));
        let wholesaler = params.take("wholesaler", |text| text.parse().map_err(Fault::unreadable));
        let brand = params.take("brand", |text| {
            Text::<100>::new(text).map(Text::into_string).map_err(Fault::unacceptable)
        });
        let search = params.take("search", |text| Search::new(text).map_err(Fault::unacceptable));
        let (min, max) = (params.take("min_price", price), params.take("max_price", price));
        let price = PriceRange::new(min, max).unwrap_or_else(|| {
            params.faults.add("min_price", Fault::unacceptable("must not be above max_price"));
            PriceRange::default()
        });
        let stock = match (params.take_flag("low_stock"), params.take_flag("out_of_stock")) {
            (true, true) => {
                let both = "does not go with out_of_stock; a product is one or the other";
                params.faults.add("low_stock", Fault::unacceptable(both));
                None
            }
            (true, false) => Some(StockLevel::Low),
            (false, true) => Some(StockLevel::Out),
            (false, false) => None,
        };
        let extras = Extras {
            variants: params.take_flag("include_variants"),
            listings: params.take_flag("include_listings"),
        };
        let filter = ProductFilter { status, brand, wholesaler, price, stock, search };
        let at = params.take_place(&state.cursors, seller.keys.seller(), &filter.canonical(), size);
        params.finish()?;
        Ok(Self { filter, at, size, extras })
    }
}

fn price(text: &str) -> Result<i64, Fault> {
    let amount = i64::try_from(count(text)?).ok().filter(|amount| *amount <= Money::MAX);
    amount.ok_or_else(|| Fault::unacceptable(format!("must be between 0 and {}", Money::MAX)))
}

/// A page of products, newest first.
///
/// Statements: 1; with a price or a stock level 2; with a search 2 or 3; and 1 more for variants and for
/// listings, whatever the page's length.
#[utoipa::path(
    path = "/products-optimized/",
    tag = "products",
    security(("api_key" = ["products:read"])),
    params(
        ("page" = Option<u64>, Query, description = "The number of the page, from 1; not with `cursor`", minimum = 1, example = 1),
        ("page_size" = Option<u64>, Query, description = "Products on a page; 20 where absent", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of a page with the same filter"),
        ("search" = Option<String>, Query, description = "In name, code and brand; 1 to 100 characters. `%` and `_` are letters", min_length = 1, max_length = 100),
        ("status" = inline(Option<StatusWord>), Query, description = "Products of this status only"),
        ("brand" = Option<String>, Query, description = "Products of this brand only", min_length = 1, max_length = 100),
        ("wholesaler" = inline(Option<WholesalerWord>), Query, description = "Products from this wholesaler only"),
        ("min_price" = Option<i64>, Query, description = "Of this price or more, in minor units", minimum = 0),
        ("max_price" = Option<i64>, Query, description = "Of this price or less, in minor units", minimum = 0),
        ("low_stock" = Option<bool>, Query, description = "Products of which 1 to 10 are left only"),
        ("out_of_stock" = Option<bool>, Query, description = "Products of which none is left only"),
        ("include_variants" = Option<bool>, Query, description = "With their variants"),
        ("include_listings" = Option<bool>, Query, description = "With where they are offered"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag: 304 where it is still right"),
    ),
    responses(
        (status = 200, description = "The page", body = PageBody<ProductBody>),
        (status = 304, description = "Not changed"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/products-optimized")]
pub(crate) async fn list(
    seller: Seller<ProductsRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Wanted { filter, at, size, extras } =
        Wanted::read(request.query_string(), &state, &seller)?;
    let owner = seller.keys.seller();
    let (name, shown) =
        (filter.canonical(), u64::from(extras.variants) + 2 * u64::from(extras.listings));
    let key = Key::page(owner, None, &name, (at, size), shown);
    let state = State::clone(&state);
    let namespace = if filter.asks_for_offers() {
        &state.clone().caches.inventory
    } else if filter.search.is_some() {
        &state.clone().caches.search
    } else {
        &state.clone().caches.products
    };
    answer(&request, namespace, &key, "page", async move |load: Load| {
        let page = products::page(&state.db, owner, &filter, at, size, extras).await?;
        page.items.iter().for_each(|product| load.add_tag(&product.id.to_string()));
        let cursor = |next| state.cursors.write(owner, &filter.canonical(), next);
        Encoded::of(owner, &PageBody::new(page, (at, size), ProductBody::from, cursor)).map(Some)
    })
    .await
}
