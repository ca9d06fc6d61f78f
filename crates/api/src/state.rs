//! What the handlers share.

use std::sync::Arc;

use jebi_db_optimizer::Pool;
use jebi_domain::{CursorKey, MasterKey};

use crate::auth::KnownKeys;
use crate::limits::Limits;
use crate::settings::Settings;

/// Built once at the start and handed to every worker.
#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) db: Pool,
    pub(crate) cursors: CursorKey,
    pub(crate) known_keys: KnownKeys,
    pub(crate) limits: Limits,
    pub(crate) master_key: MasterKey,
}

impl State {
    pub(crate) fn new(settings: Settings, db: Pool) -> Self {
        Self(Arc::new(Shared {
            db,
            cursors: settings.master_key.cursor_key(),
            known_keys: KnownKeys::default(),
            limits: Limits::new(settings.rate_limit_per_minute),
            master_key: settings.master_key,
        }))
    }
}

impl std::ops::Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
