//! Sessions, which orders and money need.

use super::tree::Tree;
use super::{Call, Failure};
use crate::time::Time;
use crate::token::{self, Grant};
use crate::world::{PASSWORD, World};

const LOGIN_FAILED: Failure =
    Failure::new("LOGIN_ERROR", "아이디 또는 비밀번호가 올바르지 않습니다.");
const NO_SESSION: Failure =
    Failure::new("INVALID_SESSION", "로그인 정보가 유효하지 않습니다.").with_status(403);

pub(super) fn begin(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let is_good = call.is_post
        && !call.word("id").is_empty()
        && call.word("pw") == PASSWORD
        && call.word("device") == "Third Party";
    if !is_good {
        return Err(LOGIN_FAILED);
    }
    let grant = world.tokens.issue(&call.key(), world.now, world.settings.token_lifetime());
    let days = world.settings.token_seconds / 86_400;
    Ok(Tree::Object(vec![
        ("result", Tree::flag(true)),
        ("sId", Tree::text(token::write(world.settings.seed, &grant))),
        ("cId", Tree::text(format!("client-{}", call.word("id")))),
        ("grade", Tree::text("일반")),
        ("loginKeepTime", Tree::text(days.to_string())),
        ("sIdRenewDate", Tree::text(end_of(&grant))),
    ]))
}

pub(super) fn check(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let grant = required(world, call)?;
    Ok(Tree::Object(vec![
        ("result", Tree::flag(true)),
        ("updateExpire", Tree::text("TRUE")),
        ("expireDate", Tree::text(end_of(&grant))),
        ("sIdRenewDate", Tree::text(end_of(&grant))),
    ]))
}

/// The session of a call that needs one.
pub(super) fn required(world: World<'_>, call: &Call) -> Result<Grant, Failure> {
    let session = call.word("sId");
    let grant = world.tokens.check(world.settings.seed, &session, world.now);
    grant.ok().filter(|grant| grant.account == call.key()).ok_or(NO_SESSION)
}

fn end_of(grant: &Grant) -> String {
    Time::from_unix_ms(grant.expires.saturating_mul(1_000)).korean_text()
}
