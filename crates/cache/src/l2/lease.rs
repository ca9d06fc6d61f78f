//! The right to load a value for all processes: asked for, held, and ended with the value or without.

use std::sync::LazyLock;

use bytes::Bytes;
use redis::Script;

use super::{Failed, L2, LONGEST, MOST_IDS, Question, Stored, generation, script};
use crate::envelope::{Envelope, Generation};
use crate::key::Id;
use crate::stats::{Counters, count};
use crate::value::{Body, Entry, FIXED};

static LEASE: LazyLock<Script> = script!("lease.lua");
static RENEW: LazyLock<Script> = script!("renew.lua");
static TAGS: LazyLock<Script> = script!("tags.lua");
static SETTLE: LazyLock<Script> = script!("settle.lua");

/// The right to store a value, as long as nothing that it hangs on is invalidated.
#[derive(Debug)]
pub(crate) struct Lease {
    name: Vec<u8>,
    token: [u8; 8],
    since: u64,
    /// The state of the scope when it was given.
    changed: Changed,
    generations: Vec<(Id, Generation)>,
}

/// What came of asking for a lease.
pub(super) enum Asked {
    Found(Stored),
    Mine(Lease),
    Theirs,
}

impl L2 {
    /// One round trip.
    pub(super) async fn ask_lease(
        &self,
        question: &Question,
        counters: &Counters,
    ) -> Result<Asked, Failed> {
        let token = crate::random::bits();
        let mut script = LEASE.prepare_invoke();
        script.key(self.keys.value(question.slot)).key(self.keys.changed(question.ids[1]));
        question.ids.iter().for_each(|id| {
            script.key(self.keys.generation(*id));
        });
        script
            .arg(self.keys.leases(question.slot))
            .arg(self.keys.waiters(question.slot))
            .arg(&self.node)
            .arg(&token[..])
            .arg(crate::clock::milliseconds(self.lease).clamp(1, LONGEST))
            .arg(self.keep_generations)
            .arg(&crate::random::bits()[..])
            .arg(self.most_bytes());
        type Answer = (u64, Option<Bytes>, bool, Vec<u8>, Vec<Vec<u8>>);
        let (since, value, is_mine, changed, given): Answer =
            self.call(async |redis| script.invoke_async(redis).await).await?;
        let generations: Option<Vec<Generation>> =
            given.iter().map(|given| generation(given)).collect();
        let generations = generations.filter(|all| all.len() == question.ids.len());
        let (Some(generations), Some(changed)) = (generations, Changed::read(&changed)) else {
            return Err(Failed);
        };
        let mut name = self.keys.leases(question.slot);
        generations.iter().take(FIXED).for_each(|generation| name.extend(generation));
        let lease = Lease {
            name,
            token,
            since,
            changed,
            generations: question.ids.iter().copied().zip(generations.iter().copied()).collect(),
        };
        if let Some(value) = value {
            let now = generations.into_iter().map(Some).collect();
            if let Some(stored) = self.valid(question, value, now, counters).await? {
                if is_mine {
                    self.give_back(question, &lease).await;
                }
                return Ok(Asked::Found(stored));
            }
        }
        Ok(if is_mine { Asked::Mine(lease) } else { Asked::Theirs })
    }

    /// Stores what was loaded under a lease, or gives the lease back; wakes who waits for it. Two round trips
    /// where the loader named tags, else one.
    pub(crate) async fn settle(
        &self,
        question: &Question,
        mut lease: Lease,
        found: Option<(&Entry, (u64, u64))>,
        counters: &Counters,
    ) {
        let mut value = Bytes::new();
        let mut keep = 1;
        if let Some((entry, (fresh_for, keep_for))) = found
            && fresh_for > 0
            && self.add_tags(question, &mut lease, entry).await
        {
            let envelope = Envelope {
                value: entry.value.clone(),
                written: lease.since,
                fresh_for,
                keep_for,
                generations: lease.generations.clone(),
            };
            if let Some(sealed) = envelope.seal(&self.place(question), self.compression)
                && sealed.len() <= self.most_bytes()
            {
                counters.stored(entry.value.as_ref().map_or(0, Body::weight), sealed.len());
                (value, keep) = (sealed, keep_for.clamp(1, LONGEST));
            }
        }
        if self.end(question, &lease, &value, keep).await.is_err() {
            count(&counters.l2_errors);
        }
    }

    /// Takes up the tags that the loader named; false where one was invalidated since the load began.
    async fn add_tags(&self, question: &Question, lease: &mut Lease, entry: &Entry) -> bool {
        let known = |id: &Id| question.ids.contains(id);
        let tags: Vec<Id> = entry.tags().filter(|id| !known(id)).collect();
        if tags.is_empty() {
            return true;
        }
        if question.ids.len() + tags.len() > MOST_IDS {
            return false;
        }
        let mut script = TAGS.prepare_invoke();
        script.key(self.keys.changed(question.ids[1]));
        tags.iter().for_each(|id| {
            script.key(self.keys.generation(*id));
        });
        script.arg(self.keep_generations).arg(&crate::random::bits()[..]);
        let given: Result<Vec<Vec<u8>>, Failed> =
            self.call(async |redis| script.invoke_async(redis).await).await;
        let given = given.unwrap_or_default();
        let is_unchanged = |given: &Vec<u8>| {
            let began = given.get(size_of::<Generation>()..).and_then(Changed::read);
            began.is_some_and(|began| began.is_no_later_than(lease.changed))
        };
        if given.len() != tags.len() || !given.iter().all(is_unchanged) {
            return false;
        }
        let generations = given.iter().filter_map(|given| generation(given));
        lease.generations.extend(tags.into_iter().zip(generations));
        true
    }

    /// Runs a load and renews its lease until it ends.
    pub(crate) async fn hold<T>(&self, lease: &Lease, load: impl Future<Output = T>) -> T {
        let mut load = std::pin::pin!(load);
        let renew = async {
            loop {
                tokio::time::sleep(self.lease / 3).await;
                let mut script = RENEW.prepare_invoke();
                script
                    .key(&lease.name)
                    .arg(&lease.token[..])
                    .arg(crate::clock::milliseconds(self.lease).clamp(1, LONGEST));
                // Where it fails, somebody else may load the value too.
                let _ = self.call(async |redis| script.invoke_async::<i64>(redis).await).await;
            }
        };
        tokio::select! {
            loaded = &mut load => loaded,
            never = renew => never,
        }
    }

    async fn give_back(&self, question: &Question, lease: &Lease) {
        // Where it fails, the lease ends by itself.
        let _ = self.end(question, lease, &Bytes::new(), 1).await;
    }

    async fn end(
        &self,
        question: &Question,
        lease: &Lease,
        value: &[u8],
        keep: u64,
    ) -> Result<bool, Failed> {
        let mut script = SETTLE.prepare_invoke();
        script
            .key(self.keys.value(question.slot))
            .key(&lease.name)
            .key(self.keys.waiters(question.slot))
            .arg(&lease.token[..])
            .arg(value)
            .arg(keep)
            .arg(self.keys.node(""))
            .arg(&question.slot.0[..]);
        for (id, generation) in &lease.generations {
            script.key(self.keys.generation(*id)).arg(&generation[..]);
        }
        self.call(async |redis| script.invoke_async(redis).await).await
    }
}

/// The state of a scope: which of its lives it is in, and how often something in it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed {
    life: [u8; 8],
    count: u64,
}

impl Changed {
    fn read(stored: &[u8]) -> Option<Self> {
        let (life, count) = stored.split_first_chunk()?;
        Some(Self { life: *life, count: std::str::from_utf8(count).ok()?.parse().ok()? })
    }

    /// Whether nothing can have happened between this state and `later` that `later` does not count.
    fn is_no_later_than(self, later: Self) -> bool {
        self.life == later.life && self.count <= later.count
    }
}
