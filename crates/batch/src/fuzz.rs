//! What the fuzz targets of `fuzz/` call, and the properties of the test suite: any text goes in, and
//! what comes out of it is asserted. It is there for them alone.

pub use crate::wholesaler::fuzz::{
    domeggook_list, domeggook_view, options, ownerclan_items, tiers, zentrade_file,
};
