//! The money of an account.

use jebi_domain::Wholesaler;

use super::tree::Tree;
use super::{Call, Failure, session};
use crate::world::World;

pub(super) fn show(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    session::required(world, call)?;
    let left = world.ledger.balance(world.settings, Wholesaler::Domeggook, &call.key());
    let money = Tree::Object(vec![
        ("total", Tree::text(left.to_string())),
        ("card", Tree::text("0")),
        ("cash", Tree::text(left.to_string())),
    ]);
    let data = Tree::Object(vec![("currPoint", Tree::text("0")), ("currEmoney", money)]);
    Ok(Tree::Object(vec![("data", data)]))
}
