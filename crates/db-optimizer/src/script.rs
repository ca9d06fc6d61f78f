//! What the pages of the service send, as scripts that other programs can send as well: so that what this crate costs beside
//! PostgreSQL can be measured.

use std::fmt::Write as _;

use jebi_domain::{At, OrderFilter, OrderId, PageSize, ProductFilter, ProductId, SellerId};

use crate::orders::{self, Lock as OrderLock};
use crate::pool::SNAPSHOT;
use crate::products::{self, Depth, Lock as ProductLock};
use crate::{Bind, Statement};

/// The statements of one page or thing, in the order in which they are sent.
#[derive(Clone, Default)]
pub struct Script {
    lines: Vec<Line>,
}

#[derive(Clone)]
enum Line {
    /// Without values: the begin and end of a transaction.
    Control(String),
    /// Statements that are sent without waiting in between.
    Together(Vec<(String, Vec<Bind>)>),
}

/// What [`orders::page`] sends; `found` are the orders of the page.
#[must_use]
pub fn orders_page(
    seller: SellerId,
    filter: &OrderFilter,
    (at, size): (At, PageSize),
    found: Vec<OrderId>,
) -> Script {
    let ids = found.into_iter().map(OrderId::as_uuid).collect();
    Script::default()
        .alone(orders::page_statement(seller, filter, at, size))
        .alone(orders::lines_statement(seller, ids))
}

/// What [`orders::find`] sends.
#[must_use]
pub fn order(seller: SellerId, id: OrderId) -> Script {
    let together = vec![
        orders::order_statement(seller, id, OrderLock::None).into_parts(),
        orders::lines_statement(seller, vec![id.as_uuid()]).into_parts(),
        orders::history_statement(seller, id).into_parts(),
        orders::purchase_orders_statement(seller, id).into_parts(),
    ];
    Script::default().control(SNAPSHOT).together(together).control("COMMIT")
}

/// What [`products::page`] sends without a search and extras, where no price and no stock is asked for.
#[must_use]
pub fn products_page(seller: SellerId, filter: &ProductFilter, at: At, size: PageSize) -> Script {
    let page = products::page_statement(seller, filter, at, size);
    Script::default().control(SNAPSHOT).alone(page).control("COMMIT")
}

/// What [`products::page`] sends with a search of two characters or more, of which there are enough among the newest products.
///
/// # Panics
/// Where the filter has no search: a bug.
#[must_use]
pub fn products_search(seller: SellerId, filter: &ProductFilter, at: At, size: PageSize) -> Script {
    let begin = format!("{SNAPSHOT}; {}", products::SEARCH_SETTINGS);
    Script::default()
        .control(&begin)
        .alone(products::newest_statement(seller, filter, at, size, Depth::Newest))
        .alone(products::found_statement(seller, filter, at, size))
        .control("COMMIT")
}

/// What [`products::find`] sends.
#[must_use]
pub fn product(seller: SellerId, id: ProductId) -> Script {
    let ids = || vec![id.as_uuid()];
    Script::default()
        .control(SNAPSHOT)
        .alone(products::product_statement(seller, id, ProductLock::None))
        .alone(products::variants_statement(seller, ids()))
        .alone(products::listings_statement(seller, ids()))
        .alone(products::prices_statement(seller, id))
        .control("COMMIT")
}

impl Script {
    fn control(mut self, text: &str) -> Self {
        self.lines.push(Line::Control(text.to_owned()));
        self
    }

    fn alone<Row>(self, statement: Statement<Row>) -> Self {
        self.together(vec![statement.into_parts()])
    }

    fn together(mut self, statements: Vec<(String, Vec<Bind>)>) -> Self {
        self.lines.push(Line::Together(statements));
        self
    }

    /// For `pgbench -M prepared`: a script, and the values that stand in it, as `-D name=value` wants them.
    ///
    /// # Panics
    /// Where a value is absent, which pgbench cannot be told: a bug, no script has one.
    #[must_use]
    pub fn for_pgbench(&self) -> (String, Vec<(String, String)>) {
        let (mut script, mut values) = (String::new(), vec![]);
        for line in &self.lines {
            match line {
                Line::Control(text) => {
                    for part in text.split(';') {
                        let _ = writeln!(script, "{};", part.trim());
                    }
                }
                Line::Together(statements) => {
                    let is_pipeline = statements.len() > 1;
                    script.push_str(if is_pipeline { "\\startpipeline\n" } else { "" });
                    for (text, binds) in statements {
                        let first = values.len();
                        values.extend(
                            binds
                                .iter()
                                .enumerate()
                                .map(|(at, bind)| (format!("v{}", first + at), as_text(bind))),
                        );
                        let _ = writeln!(script, "{};", one_line(&named(text, first)));
                    }
                    script.push_str(if is_pipeline { "\\endpipeline\n" } else { "" });
                }
            }
        }
        (script, values)
    }
}

/// `$1` as `:v0`, where `first` is the number of the first value.
fn named(text: &str, first: usize) -> String {
    let mut pieces = text.split('$');
    let mut named = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let number: usize = number.parse().unwrap_or(1);
        let _ = write!(named, ":v{}{rest}", first + number - 1);
    }
    named
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value as PostgreSQL reads it. Nobody else's business: a value may be personal, and so has no form of its own.
fn as_text(bind: &Bind) -> String {
    fn array<T: std::fmt::Display>(values: &[T]) -> String {
        let values: Vec<String> = values.iter().map(T::to_string).collect();
        format!("{{{}}}", values.join(","))
    }
    let bytes = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        format!("\\x{}", digits.collect::<String>())
    };
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match bind {
        Bind::Uuid(value) | Bind::OptionalUuid(Some(value)) => value.to_string(),
        Bind::Uuids(values) => array(values),
        Bind::BigInt(value) | Bind::OptionalBigInt(Some(value)) => value.to_string(),
        Bind::Integer(value) => value.to_string(),
        Bind::Integers(values) => array(values),
        Bind::BigInts(values) => array(values),
        Bind::Text(value) | Bind::OptionalText(Some(value)) => value.clone(),
        Bind::Texts(values) => array(&values.iter().map(quoted).collect::<Vec<_>>()),
        Bind::Bool(value) => value.to_string(),
        Bind::Bytes(value) => bytes(value),
        Bind::ManyBytes(values) => {
            array(&values.iter().map(|value| quoted(&bytes(value))).collect::<Vec<_>>())
        }
        Bind::Time(value) | Bind::OptionalTime(Some(value)) => value.to_rfc3339(),
        Bind::Day(value) => value.to_string(),
        Bind::Json(value) => value.to_string(),
        Bind::OptionalUuid(None)
        | Bind::OptionalBigInt(None)
        | Bind::OptionalText(None)
        | Bind::OptionalTime(None) => panic!("a script has no value that is absent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jebi_domain::PageNumber;
    use uuid::Uuid;

    #[test]
    fn a_script_has_the_statements_and_their_values_apart() {
        let seller = SellerId::from(Uuid::from_u128(1));
        let order_id = OrderId::from(Uuid::from_u128(2));
        let size = PageSize::new(50).unwrap();
        let first = At::Page(PageNumber::first());
        let page = orders_page(seller, &OrderFilter::default(), (first, size), vec![order_id]);
        let (script, values) = page.for_pgbench();
        assert_eq!(script.lines().count(), 2, "{script}");
        assert!(!script.contains('$'), "{script}");
        for (name, _) in &values {
            assert!(script.contains(&format!(":{name}")), "{name} in {script}");
        }
        assert!(values.iter().any(|(_, value)| *value == format!("{{{}}}", order_id.as_uuid())));
        let (script, _) = order(seller, order_id).for_pgbench();
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(lines.len(), 8, "{script}");
        assert_eq!((lines[0], lines[1]), (&*format!("{SNAPSHOT};"), "\\startpipeline"));
        assert_eq!((lines[6], lines[7]), ("\\endpipeline", "COMMIT;"));
    }

    #[test]
    fn values_are_written_as_postgresql_reads_them() {
        let texts = vec!["a\"b".to_owned(), "가".to_owned()];
        assert_eq!(as_text(&Bind::from(texts)), r#"{"a\"b","가"}"#);
        assert_eq!(as_text(&Bind::from(vec![1_i64, -2])), "{1,-2}");
        assert_eq!(as_text(&Bind::from(vec![0xab_u8, 1])), "\\xab01");
        assert_eq!(as_text(&Bind::from(true)), "true");
    }
}
