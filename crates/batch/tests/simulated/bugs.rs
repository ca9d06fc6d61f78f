//! What goes wrong on our side, and must not get us blocked.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::{StreamExt as _, stream};
use jebi_batch::{Account, AccountConfig, Batch, BatchConfig, Effect};
use jebi_simulator::{Fault, FaultRule, PASSWORD, SimRequest};

use crate::outside::{HOUR, MINUTE, Outside};
use crate::seller::Seller;

/// Who is refused without a call comes back after this: time passes by waiting alone.
const AGAIN: Duration = MINUTE;
/// More than may wait at one API: those that are refused come back.
const STORM: u64 = 1_200;

/// What an account does wrong, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A price that is always answered 400 is sent again at once.
    WrongCalls,
    /// Log-ins are off specification, or have a wrong password.
    WrongLogIns,
    /// Each of many pieces of work asks for a token of its own.
    StormsOfLogIns,
    /// An order is sent again at once whatever comes back.
    IgnoresBeingTold,
}

impl Bug {
    pub(crate) async fn go_on(self, outside: &Outside, seller: &Seller, account: &Account) {
        let login = AccountConfig::LOGIN;
        match self {
            Self::WrongCalls => {
                sends_for_ever(outside, seller, account, "prices", || seller.wrong()).await;
            }
            Self::WrongLogIns => {
                let off_specification = || seller.log_in_wrongly();
                let wrong_password = || seller.log_in("wrong");
                join(
                    sends_for_ever(outside, seller, account, login, off_specification),
                    sends_for_ever(outside, seller, account, login, wrong_password),
                )
                .await;
            }
            Self::StormsOfLogIns => asks_for_tokens_in_storms(outside, seller, account).await,
            Self::IgnoresBeingTold => ignores_being_told_to_wait(outside, seller, account).await,
        }
    }
}

async fn sends_for_ever(
    outside: &Outside,
    seller: &Seller,
    account: &Account,
    api: &str,
    request: impl Fn() -> SimRequest,
) {
    let batch = Batch::new(BatchConfig::default(), &outside.clock).on(account.api(api));
    loop {
        let run = batch.run(stream::iter([()]), async |()| outside.call(seller, request()).await);
        let progress = run.progress();
        run.for_each(async |_| ()).await;
        if progress.snapshot().calls == 0 {
            outside.clock.wait(AGAIN).await;
        }
    }
}

async fn asks_for_tokens_in_storms(outside: &Outside, seller: &Seller, account: &Account) {
    let api = account.api(AccountConfig::LOGIN);
    let one = |_| async {
        while api.call(MINUTE, outside.call(seller, seller.log_in(PASSWORD))).await.is_err() {
            outside.clock.wait(MINUTE * 10).await;
        }
    };
    join_all((0..STORM).map(one)).await;
}

async fn ignores_being_told_to_wait(outside: &Outside, seller: &Seller, account: &Account) {
    let api = account.api("orders");
    for number in 0.. {
        for _ in 0..20 {
            let call = outside.call(seller, seller.read(number));
            if api.call(MINUTE, call).await.is_ok() {
                break;
            }
        }
        outside.clock.wait(MINUTE * 10).await;
    }
}

/// Our date is wrong by a minute and a half, now in one direction, now in the other; and once an hour
/// all of our time takes such a step.
pub(crate) async fn has_a_wrong_clock(outside: &Outside) {
    let off = Duration::from_secs(90);
    for step in 0_u32.. {
        outside.clock.wait(MINUTE * 7).await;
        outside.clock.set_today(match step % 3 {
            0 => outside.date() + off,
            1 => outside.date() - off,
            _ => outside.date(),
        });
        if step % 8 == 7 {
            outside.slip(off);
        }
    }
}

/// The other side's part: a 429 now and then, with whatever it says about waiting.
pub(crate) async fn are_told_to_wait<'a>(
    outside: &Outside,
    sellers: impl Iterator<Item = &'a Seller> + Clone,
) {
    for hour in 0.. {
        outside.clock.wait(HOUR).await;
        let date = |after| httpdate::fmt_http_date(outside.date() + Duration::from_secs(after));
        let (soon, now) = (date(40), date(0));
        let headers: &[(&str, &str)] = match hour % 10 {
            0 => &[("Retry-After", "30")],
            1 => &[("Retry-After", "0")],
            2 => &[("Retry-After", "-5")],
            3 => &[("Retry-After", "잠시 후")],
            4 => &[("Retry-After", &soon), ("Date", &now)],
            5 => &[],
            6 => &[("Retry-After", "1e9")],
            7 => &[("Retry-After", &now), ("Date", &soon)],
            8 => &[("Retry-After", "  7 ")],
            _ => &[("Retry-After", "315360000")],
        };
        let pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let headers: BTreeMap<String, String> = pairs.collect();
        for seller in sellers.clone() {
            let fault =
                Fault::Answer { status: 429, headers: headers.clone(), body: String::new() };
            let rule = FaultRule::new(fault).on(seller.wholesaler).account(seller.account());
            outside.simulator.add_fault(rule.times(1));
        }
    }
}

/// Endless work that is as it should be, until a moment: how much of it was done.
pub(crate) async fn works(
    outside: &Outside,
    seller: &Seller,
    account: &Account,
    until: Duration,
) -> u64 {
    let mut done = 0;
    while outside.clock.now() < until {
        let config = BatchConfig {
            effect: Effect::Read,
            deadline: Some(until - outside.clock.now()),
            ..BatchConfig::default()
        };
        let run = Batch::new(config, &outside.clock)
            .on(account.api("items"))
            .run(stream::iter(0_u64..), async |number| {
                outside.call(seller, seller.read(number)).await
            });
        let progress = run.progress();
        run.for_each(async |_| ()).await;
        done += progress.snapshot().done;
        // Where the run has ended before its time.
        let left = until.saturating_sub(outside.clock.now());
        outside.clock.wait(account.stats().paused_for.unwrap_or(AGAIN).min(left)).await;
    }
    done
}
