//! The fields of the root: what a query reads and what a mutation does.

use serde_json::Value;

use super::graphql::{Error, Field, Operation};
use super::{Data, category, history, item, order, placing};
use crate::json::Json;
use crate::world::World;

/// A field of the root, and who asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) world: World<'a>,
    pub(super) account: &'a str,
    pub(super) field: &'a Field,
}

/// Why a field of the root has no value.
pub(super) type Failure = String;

/// Runs an operation for an account: what was found, and what was not.
pub(super) fn run(world: World<'_>, account: &str, operation: &Operation) -> (Data, Vec<Error>) {
    let mut errors = Vec::new();
    let mut data = Data::new();
    for field in &operation.fields {
        let mut json = Json::default();
        let value = match resolve(Ask { world, account, field }, &mut json) {
            Ok(()) => Some(json),
            Err(message) => {
                let path = Some(field.key.clone());
                errors.push(Error { path, ..Error::new(message, field.at) });
                None
            }
        };
        data.push((field.key.clone(), value));
    }
    (data, errors)
}

fn resolve(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let Ask { world, field, .. } = ask;
    match field.name.as_str() {
        "item" => item::one(world, field, json),
        "itemsByKeys" | "items" => item::by_keys(world, field, json),
        "allItems" => item::all(world, field, json),
        "itemHistories" => history::page(world, field, json),
        "category" => category::one(field, json),
        "allCategories" => category::all(field, json),
        "order" => order::one(ask, json),
        "allOrders" => order::all(ask, json),
        "createOrder" => placing::create(ask, json),
        "simulateCreateOrder" => placing::simulate(world, field, json),
        "cancelOrder" => order::cancel(ask, json),
        "requestOrderCancellation" => order::request_cancellation(ask, json),
        "updateOrderNotes" => order::update_notes(ask, json),
        "requestRefundOrExchange" | "checkOrder" => order::one(ask, json),
        _ => {
            json.text(field.parent);
            Ok(())
        }
    }
}

/// A text that must be given.
pub(super) fn required<'a>(field: &'a Field, name: &str) -> Result<&'a str, Failure> {
    let missing = || format!("Argument \"{name}\" of field \"{}\" is required.", field.name);
    field.text(name).ok_or_else(missing)
}

/// A list of texts that must be given.
pub(super) fn required_texts<'a>(field: &'a Field, name: &str) -> Result<Vec<&'a str>, Failure> {
    let missing = || format!("Argument \"{name}\" of field \"{}\" is required.", field.name);
    let list = field.argument(name).and_then(Value::as_array).ok_or_else(missing)?;
    Ok(list.iter().filter_map(Value::as_str).collect())
}
