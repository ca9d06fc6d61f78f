//! What other processes report, in order and without loss: a stream that each process reads on from where it
//! stopped.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{RedisError, RedisResult, from_redis_value_ref};

use super::connection::{Manager, Reign};
use super::{L2, time};
use crate::config::Vouching;
use crate::generation::Target;
use crate::key::Id;
use crate::trust::Coverage;

/// How long an answer without messages is waited for. The trust in what a process holds lags by this much.
const BLOCK: Duration = Duration::from_millis(100);
/// A longer answer is one that does not come.
const ANSWER: Duration = Duration::from_millis(1_000);
/// Messages at a time.
const COUNT: usize = 512;

/// Follows the others until the cache is dropped.
pub(super) async fn follow(l2: Weak<L2>, manager: Manager) {
    const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    let mut pause = FIRST_PAUSE;
    let mut place = None;
    while l2.strong_count() > 0 {
        if let Ok((mut redis, reign)) = manager.open().await {
            redis.set_response_timeout(ANSWER);
            // What the former one said last may be lost in this one, and with it what it said after that.
            place = place.filter(|read: &Read| read.reign == reign);
            while let Some(l2) = l2.upgrade() {
                match listen(&l2, &mut redis, &reign, &mut place).await {
                    Ok(()) => pause = FIRST_PAUSE,
                    Err(error) => {
                        tracing::debug!("listening to Redis failed: {error}");
                        if error.code() == Some("WRONGTYPE") {
                            place = None;
                            empty(&l2, &mut redis).await;
                        }
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(pause.mul_f64(0.5 + crate::random::share())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How far this process has read.
#[derive(Debug, Clone)]
struct Read {
    reign: Reign,
    messages: String,
    own: String,
}

type Answers = (
    RedisResult<Option<Vec<u8>>>,
    RedisResult<(u64, u64)>,
    RedisResult<StreamRangeReply>,
    RedisResult<Option<StreamReadReply>>,
);

/// Messages are numbered from here where none was sent yet.
const BEGINNING: &str = "0-0";

/// One question: what time it is, what was vouched for, and what was reported since.
async fn listen(
    l2: &Arc<L2>,
    redis: &mut MultiplexedConnection,
    reign: &Reign,
    place: &mut Option<Read>,
) -> Result<(), RedisError> {
    // Before anything there is read again.
    let _ = l2.catch_up().await;
    if place.is_none() {
        let last: StreamRangeReply = last_message(l2).query_async(redis).await?;
        // What this process loaded before it listened may have been invalidated unheard.
        l2.shared.generations.change_all();
        let (reign, own) = (reign.clone(), BEGINNING.to_owned());
        *place = Some(Read { reign, messages: number_of(&last), own });
    }
    let Some(read) = place else { return Ok(()) };
    let asked = l2.shared.clock.exactly();
    let before = read.messages.clone();
    let (beat, at, last, reply): Answers = redis::pipe()
        // One by one below, where each still says what it is.
        .ignore_errors()
        // Before the time: what is vouched for is never of the future.
        .cmd("GET")
        .arg(l2.keys.beat())
        .cmd("TIME")
        .add_command(last_message(l2))
        .cmd("XREAD")
        .arg("COUNT")
        .arg(COUNT)
        .arg("BLOCK")
        .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(0))
        .arg("STREAMS")
        .arg(l2.keys.messages())
        .arg(l2.keys.node(&l2.node))
        .arg(&read.messages)
        .arg(&read.own)
        .query_async(redis)
        .await?;
    let (beat, at, last, reply) = (beat?, at?, last?, reply?);
    let mut is_all = true;
    for stream in reply.into_iter().flat_map(|reply| reply.keys) {
        is_all &= stream.ids.len() < COUNT;
        if stream.key.as_bytes() == l2.keys.messages() {
            stream.ids.iter().for_each(|message| follow_one(l2, read, message));
        } else {
            stream.ids.iter().for_each(|message| wake(l2, read, message));
        }
    }
    let last = number_of(&last);
    if is_lost(&last, &before, &read.messages, is_all) {
        give_up_all(l2);
        read.messages = last;
    }
    if is_all {
        let answered = time(at);
        let covered = match l2.vouching {
            Vouching::Caches => Some(answered),
            Vouching::Outside => {
                beat.and_then(|beat| std::str::from_utf8(&beat).ok()?.parse().ok())
            }
        };
        if let Some(covered) = covered {
            l2.shared.trust.cover(Coverage { asked, answered, covered });
        }
        l2.shared.trust.knows_time(asked, answered);
    }
    Ok(())
}

/// Somebody wrote something else over what is listened to.
async fn empty(l2: &L2, redis: &mut MultiplexedConnection) {
    let mut delete = redis::cmd("DEL");
    delete.arg(l2.keys.messages()).arg(l2.keys.node(&l2.node)).arg(l2.keys.beat());
    // Where it fails, so does listening, and this is tried again.
    let _ = delete.query_async::<()>(redis).await;
}

/// Whether there are messages that cannot be read on from `before`: the last one there is when it was asked for
/// was not among those read, or stands before what was read long ago, in a stream that began anew.
fn is_lost(last: &str, before: &str, read: &str, is_all: bool) -> bool {
    match (number(last), number(before), number(read)) {
        (Some(last), Some(before), Some(read)) => last < before || is_all && last > read,
        (None, _, _) | (_, None, _) | (_, _, None) => true,
    }
}

fn last_message(l2: &L2) -> redis::Cmd {
    let mut last = redis::cmd("XREVRANGE");
    last.arg(l2.keys.messages()).arg("+").arg("-").arg("COUNT").arg(1);
    last
}

fn number_of(last: &StreamRangeReply) -> String {
    last.ids.first().map_or_else(|| BEGINNING.to_owned(), |message| message.id.clone())
}

fn follow_one(l2: &L2, read: &mut Read, message: &StreamId) {
    let field = |name: &str| {
        let value = message.map.get(name)?;
        from_redis_value_ref::<Vec<u8>>(value).ok()
    };
    let before = field("p").unwrap_or_default();
    let expected = if read.messages == BEGINNING { "" } else { &read.messages };
    if before != expected.as_bytes() {
        give_up_all(l2);
    }
    read.messages.clone_from(&message.id);
    l2.followed.fetch_add(1, Relaxed);
    // This process followed its own report before it was sent.
    if field("o").is_some_and(|origin| origin == l2.node.as_bytes()) {
        return;
    }
    match field("d").and_then(|targets| targets_in(&targets)) {
        Some(targets) => {
            l2.shared.generations.change(&targets);
            l2.shared.journal.changed(&targets, "another process", l2.shared.clock.now());
            l2.shared.journal.heard(&events_in(&field("e").unwrap_or_default()));
        }
        None => give_up_all(l2),
    }
}

/// A message is missing: whatever it said, it is true now.
fn give_up_all(l2: &L2) {
    l2.gaps.fetch_add(1, Relaxed);
    l2.shared.generations.change_all();
}

fn wake(l2: &L2, read: &mut Read, message: &StreamId) {
    read.own.clone_from(&message.id);
    let slot = message.map.get("s").and_then(|slot| from_redis_value_ref::<Vec<u8>>(slot).ok());
    if let Some(slot) = slot.and_then(|slot| slot.try_into().ok()) {
        l2.wake(Id(slot));
    }
}

/// The two parts of a message's number.
fn number(id: &str) -> Option<(u64, u64)> {
    let (milliseconds, sequence) = id.split_once('-')?;
    Some((milliseconds.parse().ok()?, sequence.parse().ok()?))
}

const NAMESPACE: u8 = 0;
const SCOPE: u8 = 1;
const TAG: u8 = 2;

/// Targets as bytes: for each one its reach, and the ids down to it.
pub(super) fn targets_as_bytes(targets: &[Target]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(targets.len() * 49);
    for target in targets {
        let reach = match (target.scope, target.tag) {
            (Some(_), Some(_)) => TAG,
            (Some(_), None) => SCOPE,
            (None, _) => NAMESPACE,
        };
        bytes.push(reach);
        let ids = [Some(target.namespace), target.scope, target.tag];
        ids.into_iter().take(usize::from(reach) + 1).flatten().for_each(|id| bytes.extend(id.0));
    }
    bytes
}

fn targets_in(mut bytes: &[u8]) -> Option<Vec<Target>> {
    let mut targets = Vec::new();
    while let Some((reach, rest)) = bytes.split_first() {
        bytes = rest;
        let mut next = || {
            let (id, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(Id(*id))
        };
        let namespace = next()?;
        let scope = if *reach >= SCOPE { Some(next()?) } else { None };
        let tag = if *reach == TAG { Some(next()?) } else { None };
        (*reach <= TAG).then_some(())?;
        targets.push(Target { namespace, scope, tag });
    }
    Some(targets)
}

pub(super) fn events_as_bytes(events: &[u128]) -> Vec<u8> {
    events.iter().flat_map(|event| event.to_be_bytes()).collect()
}

fn events_in(bytes: &[u8]) -> Vec<u128> {
    bytes.as_chunks().0.iter().map(|event| u128::from_be_bytes(*event)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p7_a_stream_that_cannot_be_read_on_is_lost() {
        assert!(!is_lost("0-0", "0-0", "0-0", true), "nothing was ever said");
        assert!(!is_lost("5-1", "5-1", "5-1", true), "nothing new");
        assert!(!is_lost("5-1", "5-1", "7-0", true), "it came after the last one was asked for");
        assert!(!is_lost("9-0", "5-1", "7-0", false), "there is more to be read");
        assert!(is_lost("9-0", "5-1", "7-0", true), "and it is not there");
        assert!(is_lost("0-0", "5-1", "5-1", true), "the stream is gone");
        assert!(is_lost("4-0", "5-1", "5-1", true), "it began anew on a clock that is behind");
        assert!(is_lost("no number", "5-1", "5-1", true));
    }

    #[test]
    fn a_message_says_what_was_written() {
        let (a, b, c) = (Id([1; 16]), Id([2; 16]), Id([3; 16]));
        let targets = [
            Target { namespace: a, scope: None, tag: None },
            Target { namespace: a, scope: Some(b), tag: None },
            Target { namespace: a, scope: Some(b), tag: Some(c) },
        ];
        let bytes = targets_as_bytes(&targets);
        assert_eq!(targets_in(&bytes).as_deref(), Some(&targets[..]));
        assert_eq!(targets_in(&bytes[1..]), None);
        assert_eq!(targets_in(&bytes[..bytes.len() - 1]), None);
        assert_eq!(targets_in(&[]), Some(vec![]));
    }
}
