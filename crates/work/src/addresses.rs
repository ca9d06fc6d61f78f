/// Where the wholesalers are. It belongs to the process, never to a seller's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// 오너클랜's GraphQL.
    pub ownerclan_api: String,
    /// Where 오너클랜 gives tokens.
    pub ownerclan_auth: String,
    /// 젠트레이드, without the path of a call.
    pub zentrade: String,
    /// 도매꾹, without the path of a call.
    pub domeggook: String,
}
