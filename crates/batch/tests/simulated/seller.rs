//! A seller's account with a wholesaler, and what its client sends: rightly and wrongly.

use jebi_domain::Wholesaler;
use jebi_simulator::{InProcess, PASSWORD, SimRequest, item_key};

/// A seller's account with a wholesaler, as its client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seller {
    pub(crate) wholesaler: Wholesaler,
    /// Also the name of the account in the engine.
    pub(crate) name: String,
    key: String,
    token: String,
}

const FORM: &str = "application/x-www-form-urlencoded";
const DOMEGGOOK: &str = "/domeggook/ssl/api/?om=json&oe=utf-8";

impl Seller {
    /// The seller of that number, with a token that is good for a month.
    pub(crate) fn new(transport: &InProcess, wholesaler: Wholesaler, number: u32) -> Self {
        let name = format!("{} {number}", wholesaler.as_str());
        let key = format!("{number:032x}");
        let mut seller = Self { wholesaler, name, key, token: String::new() };
        if wholesaler == Wholesaler::Ownerclan {
            let received = transport.send(&seller.log_in(PASSWORD)).outcome.unwrap();
            seller.token = String::from_utf8(received.body).unwrap();
        }
        seller
    }

    /// What the simulator calls it.
    pub(crate) fn account(&self) -> &str {
        match self.wholesaler {
            Wholesaler::Ownerclan | Wholesaler::Zentrade => &self.name,
            Wholesaler::Domeggook => &self.key,
        }
    }

    /// A good read.
    pub(crate) fn read(&self, number: u64) -> SimRequest {
        match self.wholesaler {
            Wholesaler::Ownerclan => {
                let item = item_key(self.wholesaler, number % 1_000);
                self.graphql(&format!("{{ item(key: \\\"{item}\\\") {{ key }} }}"))
            }
            Wholesaler::Zentrade => self.zentrade("order_api", &format!("ordno={number}")),
            Wholesaler::Domeggook => self.domeggook("mode=getCategoryList&ver=1.0"),
        }
    }

    /// A call that the wholesaler says is wrong, each time.
    pub(crate) fn wrong(&self) -> SimRequest {
        match self.wholesaler {
            Wholesaler::Ownerclan => self.graphql("{ nothing"),
            Wholesaler::Zentrade => self.zentrade("product_api", "m_skey=wrong"),
            Wholesaler::Domeggook => self.domeggook("mode=getItemView&ver=9.9"),
        }
    }

    /// A request for a token or a session.
    pub(crate) fn log_in(&self, password: &str) -> SimRequest {
        match self.wholesaler {
            Wholesaler::Ownerclan => {
                let body = format!(
                    "{{\"service\":\"ownerclan\",\"userType\":\"seller\",\"username\":\"{}\",\
                     \"password\":\"{password}\"}}",
                    self.name
                );
                SimRequest::post("/ownerclan/auth", "application/json", body)
            }
            Wholesaler::Zentrade => self.zentrade("order_api", &format!("m_skey={password}")),
            Wholesaler::Domeggook => {
                let form = format!("mode=setLogin&ver=4.1&id=demo&pw={password}&aid={}", self.key);
                let form = form + "&device=Third+Party&ip=192.0.2.1&loginKeep=on";
                SimRequest::post(DOMEGGOOK, FORM, form)
            }
        }
    }

    /// A request for a token that is off specification: a form where JSON is expected, or the other
    /// way round.
    pub(crate) fn log_in_wrongly(&self) -> SimRequest {
        let SimRequest { target, body, .. } = self.log_in(PASSWORD);
        match self.wholesaler {
            Wholesaler::Ownerclan => SimRequest::post(target, FORM, body),
            Wholesaler::Zentrade | Wholesaler::Domeggook => {
                let form = String::from_utf8(body).unwrap();
                SimRequest::get(format!("{target}&{form}"))
            }
        }
    }

    /// A query of Ownerclan.
    pub(crate) fn graphql(&self, query: &str) -> SimRequest {
        let body = format!("{{\"query\":\"{query}\"}}");
        SimRequest::post("/ownerclan/v1/graphql", "application/json", body)
            .with_header("Authorization", &format!("Bearer {}", self.token))
    }

    fn zentrade(&self, path: &str, query: &str) -> SimRequest {
        let (id, key) = (self.name.replace(' ', "+"), &self.key);
        let target = format!("/zentrade/shop/proc/{path}.php?id={id}&m_skey={key}&{query}");
        SimRequest::get(target).with_header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
    }

    fn domeggook(&self, query: &str) -> SimRequest {
        SimRequest::get(format!("{DOMEGGOOK}&aid={}&{query}", self.key))
    }
}
