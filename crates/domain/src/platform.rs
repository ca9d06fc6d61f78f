use crate::word::words;

words! {
    /// Where an order was placed: a marketplace, or the seller's own shop.
    pub enum Platform ("platform") {
        /// 쿠팡.
        Coupang = "coupang",
        /// 네이버 스마트스토어.
        Naver = "naver",
        /// 11번가.
        ElevenSt = "11st",
        /// The seller's own shop.
        Direct = "direct",
    }
}

words! {
    /// Who ships what the seller sells.
    pub enum Wholesaler ("wholesaler") {
        /// 오너클랜.
        Ownerclan = "ownerclan",
        /// 젠트레이드.
        Zentrade = "zentrade",
        /// 도매꾹.
        Domeggook = "domeggook",
    }
}
