//! Every fault over TCP: it ends in the outcome that it should, by the bounds of the client, and
//! nobody else notices.

use std::cell::Cell;
use std::time::Duration;

use allocation_counter::measure;
use futures::future::join;
use futures::{StreamExt as _, stream};
use jebi_batch::http::{Config, Error, Format, Kind};
use jebi_batch::{Batch, BatchConfig, Class, Verdict};
use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Fault, FaultRule, Item, Stock, item_key};
use tokio::runtime::Builder;

use crate::served::{PATIENCE, Served};

const MIB: u64 = 1 << 20;

/// Bounds on bytes, and on time where nothing is to end by it.
fn patient() -> Config {
    Config {
        max_decoded_bytes: MIB,
        max_wire_bytes: MIB,
        read_timeout: PATIENCE,
        total_timeout: PATIENCE,
        ..Config::default()
    }
}

fn impatient() -> Config {
    Config { read_timeout: Duration::from_millis(150), ..patient() }
}

fn format(wholesaler: Wholesaler) -> Format {
    match wholesaler {
        Wholesaler::Zentrade => Format::Xml,
        Wholesaler::Ownerclan | Wholesaler::Domeggook => Format::Json,
    }
}

/// How a call ends that meets a fault, while another account works: the kind of its failure, and the
/// most bytes that were there at once.
fn ends(config: &Config, wholesaler: Wholesaler, fault: &Fault) -> (Option<Kind>, u64) {
    let served = Served::new();
    let faulty = served.caller(wholesaler, 1, config);
    let other = served.caller(wholesaler, 2, &patient());
    let rule = FaultRule::new(fault.clone()).account(faulty.seller.account());
    served.simulator.add_fault(rule);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let is_over = Cell::new(false);
    let one = async {
        let result = faulty.call(&faulty.seller.read(1), format(wholesaler)).await;
        is_over.set(true);
        result
    };
    let others = async {
        let mut good = 0;
        while good < 3 || !is_over.get() {
            let answer = other.call(&other.seller.read(good), format(wholesaler)).await;
            assert!(answer.is_ok(), "{fault:?}: another account has noticed: {answer:?}");
            good += 1;
        }
        good
    };
    let mut ended = None;
    let measured = measure(|| ended = Some(runtime.block_on(join(one, others))));
    let (result, good) = ended.unwrap();
    let (mine, its) = (faulty.account.stats(), other.account.stats());
    assert_eq!((its.calls, its.errors.len(), its.in_use), (good, 0, 0));
    assert_eq!((mine.calls, mine.in_use), (1, 0), "{fault:?}");
    // Nothing was repeated, and no redirect was followed.
    assert_eq!(served.calls(), good + 1 + u64::from(wholesaler == Wholesaler::Ownerclan) * 2);
    let kind = result.err().map(|failure| {
        let kind = failure.cause().unwrap().downcast_ref::<Error>().unwrap().kind;
        assert_eq!((kind.class(), &mine.errors[..]), (failure.class, &[(failure.class, 1)][..]));
        kind
    });
    (kind, measured.bytes_max)
}

fn answer(status: u16, header: Option<(&str, &str)>, body: &str) -> Fault {
    let header = header.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Fault::Answer { status, headers: header.into_iter().collect(), body: body.to_owned() }
}

#[test]
fn every_fault_ends_as_it_should_and_no_other_account_notices() {
    let html = || Fault::Html { content_type: "application/json".to_owned() };
    let quick = || Fault::Latency { ms: 20, jitter_ms: 10 };
    let in_total = Config { total_timeout: Duration::from_millis(300), ..patient() };
    let (json, xml) = (Wholesaler::Domeggook, Wholesaler::Zentrade);
    let table = [
        (patient(), json, quick(), None),
        (impatient(), json, Fault::Latency { ms: 60_000, jitter_ms: 0 }, Some(Kind::ReadTimeout)),
        (impatient(), json, Fault::Drip { bytes_per_second: 1 }, Some(Kind::ReadTimeout)),
        (in_total, json, Fault::Drip { bytes_per_second: 50 }, Some(Kind::TotalTimeout)),
        (patient(), json, Fault::Truncate { after_bytes: 0 }, Some(Kind::BodyCut)),
        (patient(), json, Fault::Truncate { after_bytes: 100 }, Some(Kind::BodyCut)),
        (patient(), xml, Fault::Truncate { after_bytes: 20 }, Some(Kind::BodyCut)),
        (patient(), json, Fault::Reset { after_bytes: 0 }, Some(Kind::Reset)),
        (patient(), json, Fault::AcceptThenDrop, Some(Kind::Reset)),
        (impatient(), json, Fault::BlackHole, Some(Kind::ReadTimeout)),
        (patient(), json, Fault::LyingLength { by: 10 }, Some(Kind::BodyCut)),
        (patient(), json, Fault::LyingLength { by: -10 }, Some(Kind::BodyCut)),
        (patient(), xml, Fault::LyingLength { by: -10 }, Some(Kind::BodyCut)),
        (patient(), json, Fault::WrongCharset, Some(Kind::Charset)),
        (patient(), json, html(), Some(Kind::Html)),
        (patient(), xml, html(), Some(Kind::Html)),
        (patient(), json, Fault::Empty, Some(Kind::Empty)),
        (patient(), xml, Fault::Empty, Some(Kind::Empty)),
        (patient(), json, Fault::GzipBomb { mib: 4_096 }, Some(Kind::DecodedTooLarge)),
        // It is the reader of XML that must not light it.
        (patient(), xml, Fault::XmlBomb, None),
        (patient(), Wholesaler::Ownerclan, Fault::TokenRevoked, Some(Kind::Status(401))),
    ];
    let mut largest = 0;
    for (config, wholesaler, fault, expected) in table {
        let (kind, bytes) = ends(&config, wholesaler, &fault);
        assert_eq!(kind, expected, "{fault:?}");
        assert!(bytes < 4 * MIB, "{fault:?}: {bytes} bytes");
        largest = largest.max(bytes);
    }
    println!("at most {largest} bytes at once");
}

/// A reset may overtake what was sent before it.
#[test]
fn a_reset_inside_the_body_is_no_answer() {
    let (kind, _) = ends(&patient(), Wholesaler::Domeggook, &Fault::Reset { after_bytes: 100 });
    assert!(matches!(kind, Some(Kind::BodyCut | Kind::Reset)), "{kind:?}");
    assert_eq!(kind.unwrap().class(), Class::Unanswered);
}

#[test]
fn every_class_of_status_is_an_outcome_of_its_own() {
    let json = Wholesaler::Domeggook;
    for status in [200, 201, 206, 299] {
        assert_eq!(ends(&patient(), json, &answer(status, None, "{\"a\": 1}")).0, None, "{status}");
    }
    for (status, class) in [
        (400, Class::Rejected),
        (401, Class::Rejected),
        (403, Class::Rejected),
        (404, Class::Rejected),
        (408, Class::Busy),
        (425, Class::Busy),
        (429, Class::Busy),
        (451, Class::Rejected),
        (499, Class::Rejected),
        (500, Class::ServerError),
        (502, Class::ServerError),
        (503, Class::Unavailable),
        (504, Class::ServerError),
        (599, Class::ServerError),
        (600, Class::Unusable),
        (999, Class::Unusable),
    ] {
        let (kind, _) = ends(&patient(), json, &answer(status, None, "{\"a\": 1}"));
        assert_eq!(kind, Some(Kind::Status(status)));
        assert_eq!(kind.unwrap().class(), class, "{status}");
    }
    // What says that the answer is still to come is none, whatever follows it.
    for status in [100, 103] {
        let (kind, _) = ends(&impatient(), json, &answer(status, None, ""));
        let class = kind.unwrap().class();
        assert!(matches!(class, Class::Unanswered | Class::Unusable), "{status}: {kind:?}");
    }
}

#[test]
fn a_redirect_is_an_answer_that_cannot_be_used_and_nobody_goes_there() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let to = "/zentrade/shop/proc/order_api.php?id=planted";
        let (kind, _) =
            ends(&patient(), Wholesaler::Zentrade, &answer(status, Some(("Location", to)), ""));
        assert_eq!(kind, Some(Kind::Redirect(status)));
        assert_eq!(kind.unwrap().class(), Class::Unusable);
    }
}

#[test]
fn an_order_that_was_placed_and_not_told_of_is_placed_once() {
    let served = Served::new();
    let caller = served.caller(Wholesaler::Ownerclan, 1, &patient());
    let rule = FaultRule::new(Fault::AcceptThenDrop).route("createOrder");
    served.simulator.add_fault(rule.on(Wholesaler::Ownerclan));
    let catalogue = served.simulator.catalogue(Wholesaler::Ownerclan);
    let is_good = |item: &Item<'_>| {
        let has_one = |stock| matches!(stock, Stock::Units(1..) | Stock::Untracked);
        let choice = item.choices().next();
        item.availability() == Availability::OnSale
            && item.choice_count() == 1
            && choice.is_some_and(|choice| has_one(choice.stock) && choice.attributes.is_empty())
    };
    let item = catalogue.items(served.transport.clock().now()).find(is_good).unwrap();
    let query = format!(
        "mutation {{ createOrder(input: {{ \
         sender: {{ name: \\\"a\\\", phoneNumber: \\\"010-0000-0000\\\", email: \\\"a@example.com\\\" }}, \
         recipient: {{ name: \\\"b\\\", phoneNumber: \\\"010-0000-0001\\\", destinationAddress: \
         {{ addr1: \\\"c\\\", addr2: \\\"d\\\", postalCode: \\\"00001\\\" }} }}, \
         products: [{{ itemKey: \\\"{}\\\", quantity: 1, optionAttributes: [] }}], \
         note: \\\"M-1\\\" }}, simulationResult: null) {{ key }} }}",
        item_key(Wholesaler::Ownerclan, item.number())
    );
    let order = caller.seller.graphql(&query);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let batch = Batch::new(BatchConfig::default(), &served.clock).on(caller.account.api("orders"));
    let run = batch.run(stream::iter(["M-1"]), async |_| caller.send(&order, Format::Json).await);
    let outcomes = runtime.block_on(run.collect::<Vec<_>>());
    let [outcome] = &outcomes[..] else { panic!("one outcome") };
    let error = outcome.result.as_ref().unwrap_err();
    assert_eq!((error.verdict, error.failure.class), (Verdict::Ambiguous, Class::Unanswered));
    let orders = served.simulator.orders();
    assert_eq!((orders.len(), outcome.attempts), (1, 1), "{orders:?}");
    assert_eq!(orders[0].reference.as_deref(), Some("M-1"));
}
