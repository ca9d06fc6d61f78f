//! The words of Jebi and their arithmetic. No I/O, no async, no clock and no randomness: what needs
//! the time or a random number takes it as an argument.

mod account;
mod cursor;
mod id;
mod job;
mod money;
mod order;
mod page;
mod personal;
mod platform;
mod pricing;
mod product;
mod quantity;
mod scope;
mod search;
mod secret;
mod session;
mod text;
mod word;

pub use account::{AccountKind, BadCredential, Credential};
pub use cursor::{BadCursor, CursorKey};
pub use id::{AccountId, ApiKeyId, ClaimId, EventId, JobId, OrderId, ProductId, SellerId};
pub use job::JobState;
pub use money::{Currency, Money, MoneyError, Rounding};
pub use order::{Amounts, ClaimKind, Forbidden, NewOrder, NewOrderLine, OrderFilter, OrderStatus};
pub use page::{At, Bounds, Page, PageNumber, PageSize, Position, TotalIs};
pub use personal::{Address, Customer, Sight};
pub use platform::{Platform, Wholesaler};
pub use pricing::Pricing;
pub use product::{PriceRange, ProductFilter, ProductStatus, StockChange, StockLevel};
pub use quantity::Quantity;
pub use scope::{Scope, Scopes};
pub use search::Search;
pub use secret::{BadMasterKey, MasterKey, NotOurs, Place, SellerKeys, api_key, api_key_digest};
pub use session::SessionKey;
pub use text::{BadText, Text};
pub use word::UnknownWord;
