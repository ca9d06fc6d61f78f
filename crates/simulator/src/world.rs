//! What a system looks at while it answers one call.

use jebi_domain::Wholesaler;

use crate::catalogue::Catalogue;
use crate::domeggook::Listings;
use crate::fault::Distortion;
use crate::ledger::Ledger;
use crate::settings::Settings;
use crate::time::Time;
use crate::token::Tokens;

/// What a system looks at while it answers one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) tokens: &'a Tokens,
    pub(crate) ledger: &'a Ledger,
    pub(crate) listings: &'a Listings,
    pub(crate) distortion: Distortion,
    pub(crate) now: Time,
}

impl World<'_> {
    /// How many items there seem to be.
    pub(crate) fn size(&self) -> u64 {
        let size = self.catalogue.size(self.now);
        self.distortion.shrunk_to.map_or(size, |to| size.min(to))
    }
}

/// What a call asks, read before anything is done about it.
#[derive(Debug)]
pub(crate) struct Reading<A> {
    /// What it asks for, as faults and logs name it.
    pub(crate) route: String,
    /// Who asks; empty where nobody is named.
    pub(crate) account: String,
    /// Whether it asks for a token.
    pub(crate) is_for_token: bool,
    /// What the log shows.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) asked: A,
}

impl<A> Reading<A> {
    pub(crate) fn map<B>(self, map: impl FnOnce(A) -> B) -> Reading<B> {
        let Self { route, account, is_for_token, parameters, asked } = self;
        Reading { route, account, is_for_token, parameters, asked: map(asked) }
    }
}

/// The password of every account.
pub const PASSWORD: &str = "not-a-real-password";

/// Where each system is, below the base.
pub(crate) fn prefix(wholesaler: Wholesaler) -> &'static str {
    match wholesaler {
        Wholesaler::Ownerclan => "/ownerclan/",
        Wholesaler::Zentrade => "/zentrade/",
        Wholesaler::Domeggook => "/domeggook/",
    }
}

/// Whether it is 32 hexadecimal digits, as keys are.
pub(crate) fn is_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
