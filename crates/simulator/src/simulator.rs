//! The path of a call: limits, faults, the system that answers, the log.

use std::sync::{Arc, PoisonError, RwLock};

use jebi_domain::Wholesaler;

use crate::catalogue::{Catalogue, Drift, Plan};
use crate::domeggook::{self, Listings};
use crate::fault::{Distortion, Fault, FaultRule, FaultStatus, Faults, Met, spoil};
use crate::flight::{Flights, InFlight};
use crate::ledger::{Ledger, PlacedOrder};
use crate::limits::{Block, Caller, Limits, Verdict};
use crate::log::{Counters, Entry, Log, Outcome};
use crate::ownerclan;
use crate::random::mix;
use crate::request::SimRequest;
use crate::response::SimResponse;
use crate::settings::{PerWholesaler, Settings};
use crate::time::Time;
use crate::token::Tokens;
use crate::world::{Reading, World, prefix};
use crate::zentrade::{self, Registration};

/// Three wholesalers. It has no clock and does no I/O: an answer follows from the request, the
/// moment, and what was asked before.
#[derive(Debug)]
pub struct Simulator {
    state: RwLock<State>,
    tokens: PerWholesaler<Tokens>,
    ledger: Ledger,
    limits: Limits,
    faults: Faults,
    log: Log,
    flights: Flights,
    listings: Listings,
}

/// What settings have made.
#[derive(Debug, Clone)]
struct State {
    settings: Arc<Settings>,
    drift: Drift,
    catalogues: PerWholesaler<Arc<Catalogue>>,
}

impl State {
    fn new(settings: Settings, drift: Drift) -> Self {
        let catalogue = |wholesaler| {
            Arc::new(Catalogue::new(Plan {
                wholesaler,
                seed: settings.seed,
                items: *settings.items.of(wholesaler),
                drift,
                description_bytes: settings.description_bytes,
                oddities: Arc::new(settings.oddities.of(wholesaler).clone()),
            }))
        };
        let catalogues = PerWholesaler {
            ownerclan: catalogue(Wholesaler::Ownerclan),
            zentrade: catalogue(Wholesaler::Zentrade),
            domeggook: catalogue(Wholesaler::Domeggook),
        };
        Self { settings: Arc::new(settings), drift, catalogues }
    }
}

/// What is asked of which system.
enum Asked {
    Ownerclan(ownerclan::Asked),
    Zentrade(zentrade::Asked),
    Domeggook(domeggook::Asked),
}

impl Simulator {
    /// With these settings. Drift, where it is on, begins now.
    #[must_use]
    pub fn new(settings: Settings, now: Time) -> Self {
        let drift = if settings.drift { Drift::Never.on(now) } else { Drift::Never };
        Self {
            state: RwLock::new(State::new(settings, drift)),
            tokens: PerWholesaler::default(),
            ledger: Ledger::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            log: Log::default(),
            flights: Flights::default(),
            listings: Listings::default(),
        }
    }

    /// Answers a request that came at a moment.
    #[must_use]
    pub fn handle(&self, request: &SimRequest, now: Time) -> SimResponse {
        let belongs = |wholesaler: &&Wholesaler| request.path().starts_with(prefix(**wholesaler));
        let Some(wholesaler) = Wholesaler::ALL.iter().find(belongs).copied() else {
            return SimResponse::new(404, "text/plain", "nobody is here\n");
        };
        let state = self.state();
        let reading = self.read(&state, wholesaler, request, now);
        let met = Met { wholesaler, route: &reading.route, account: &reading.account };
        let faults = self.faults.meet(state.settings.seed, met);
        if faults.contains(&Fault::TokenRevoked) {
            self.revoke_tokens(wholesaler, &reading.account);
        }
        // Read again: a token that is revoked by this call is void for it.
        let reading = if faults.contains(&Fault::TokenRevoked) {
            self.read(&state, wholesaler, request, now)
        } else {
            reading
        };
        let world = self.world(&state, wholesaler, Distortion::of(&faults), now);
        let (outcome, mut response) = self.judged(world, wholesaler, &reading, &faults);
        response.flight = Some(self.flights.begin(wholesaler, &reading.account));
        self.log.add(Entry {
            number: 0,
            at: now,
            wholesaler,
            method: request.method.clone(),
            path: request.path().to_owned(),
            route: reading.route,
            account: reading.account,
            parameters: reading.parameters.into_iter().collect(),
            outcome,
            status: response.status,
            faults: faults.len(),
        });
        response
    }

    fn read(
        &self,
        state: &State,
        wholesaler: Wholesaler,
        request: &SimRequest,
        now: Time,
    ) -> Reading<Asked> {
        let settings = &state.settings;
        match wholesaler {
            Wholesaler::Ownerclan => {
                let tokens = &self.tokens.ownerclan;
                ownerclan::read(request, settings.seed, tokens, now).map(Asked::Ownerclan)
            }
            Wholesaler::Zentrade => {
                zentrade::read(request, settings.quirks.firewall).map(Asked::Zentrade)
            }
            Wholesaler::Domeggook => domeggook::read(request).map(Asked::Domeggook),
        }
    }

    fn judged(
        &self,
        world: World<'_>,
        wholesaler: Wholesaler,
        reading: &Reading<Asked>,
        faults: &[Fault],
    ) -> (Outcome, SimResponse) {
        let Settings { enforce_limits, scale, seed, .. } = *world.settings;
        let caller = Caller { wholesaler, account: &reading.account, now: world.now, scale };
        let verdict = if enforce_limits {
            self.limits.admit(caller, reading.is_for_token)
        } else {
            Verdict::Admitted
        };
        match verdict {
            Verdict::Blocked { until } => {
                let response = match &reading.asked {
                    Asked::Ownerclan(_) => ownerclan::block(until, world.now),
                    Asked::Zentrade(_) => zentrade::block(),
                    Asked::Domeggook(asked) => domeggook::block(world, asked),
                };
                (Outcome::Blocked, response)
            }
            Verdict::Refused => {
                let response = match &reading.asked {
                    Asked::Ownerclan(asked) => ownerclan::refusal(asked),
                    Asked::Zentrade(_) => zentrade::block(),
                    Asked::Domeggook(asked) => domeggook::block(world, asked),
                };
                (Outcome::Refused, response)
            }
            Verdict::Admitted => {
                let chance = mix(seed, &[world.now.unix_ms().unsigned_abs()]);
                let response = spoil(faults, chance, || answer(world, &reading.asked));
                if enforce_limits && response.is_mistake {
                    self.limits.mistake(caller);
                }
                (Outcome::Served, response)
            }
        }
    }

    fn world<'a>(
        &'a self,
        state: &'a State,
        wholesaler: Wholesaler,
        distortion: Distortion,
        now: Time,
    ) -> World<'a> {
        World {
            settings: &state.settings,
            catalogue: state.catalogues.of(wholesaler),
            tokens: self.tokens.of(wholesaler),
            ledger: &self.ledger,
            listings: &self.listings,
            distortion,
            now,
        }
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is set.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::clone(&self.state().settings)
    }

    /// Sets all anew. Orders, log, faults and tokens stay; drift that is switched on or off begins
    /// or ends now.
    pub fn set(&self, settings: Settings, now: Time) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let drift = if settings.drift { state.drift.on(now) } else { state.drift.off(now) };
        *state = State::new(settings, drift);
    }

    /// The catalogue of a wholesaler: the truth that its answers tell.
    #[must_use]
    pub fn catalogue(&self, wholesaler: Wholesaler) -> Catalogue {
        Catalogue::clone(self.state().catalogues.of(wholesaler))
    }

    /// Orders a fault, and gives its number.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.faults.add(rule)
    }

    /// Ends a fault; says whether there was one of this number.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.faults.remove(id)
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// The faults that are ordered, and how often each has met a call.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.faults.list()
    }

    /// Makes all tokens void that an account has had until now: of Ownerclan by the name, of
    /// Domeggook by the key.
    pub fn revoke_tokens(&self, wholesaler: Wholesaler, account: &str) {
        self.tokens.of(wholesaler).revoke(account);
    }

    /// The latest 10,000 calls, the earliest first.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.log.entries()
    }

    /// Counts of the calls to a wholesaler.
    #[must_use]
    pub fn counters(&self, wholesaler: Wholesaler) -> Counters {
        self.log.counters(wholesaler)
    }

    /// The calls that are under way, by account, and how many there were at once.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.flights.list()
    }

    /// Forgets log and counts.
    pub fn clear_log(&self) {
        self.log.clear();
        self.flights.forget();
    }

    /// All orders, the earliest first.
    #[must_use]
    pub fn orders(&self) -> Vec<PlacedOrder> {
        self.ledger.all()
    }

    /// Registers an order with Zentrade, as a seller does on its web site.
    ///
    /// # Errors
    ///
    /// When a product or an option is not there, with the reason.
    pub fn register_order(
        &self,
        registration: &Registration,
        now: Time,
    ) -> Result<PlacedOrder, String> {
        let state = self.state();
        let world = self.world(&state, Wholesaler::Zentrade, Distortion::default(), now);
        zentrade::register(world, registration)
    }

    /// All blocks there have been; the latest 10,000.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        self.limits.blocks()
    }

    /// Lifts every block and forgets what was counted.
    pub fn clear_blocks(&self) {
        self.limits.clear();
    }
}

fn answer(world: World<'_>, asked: &Asked) -> SimResponse {
    match asked {
        Asked::Ownerclan(asked) => ownerclan::answer(world, asked),
        Asked::Zentrade(asked) => zentrade::answer(world, asked),
        Asked::Domeggook(asked) => domeggook::answer(world, asked),
    }
}

/// The key by which a wholesaler knows an item: `W9E3779`, `10002`, `10000002`.
#[must_use]
pub fn item_key(wholesaler: Wholesaler, number: u64) -> String {
    match wholesaler {
        Wholesaler::Ownerclan => ownerclan::key_of(number),
        Wholesaler::Zentrade => zentrade::code_of(number),
        Wholesaler::Domeggook => domeggook::key_of(number),
    }
}
