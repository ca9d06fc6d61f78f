//! From the bytes in Redis to the body of an answer. Here that is one look at the envelope; elsewhere a page
//! is decoded into orders and encoded again.

use std::hint::black_box;

use bytes::Bytes;
use jebi_cache::internals::Slot;
use jebi_cache::{Body, Compression};
use serde::{Deserialize, Serialize};

use crate::measure::{Random, Spread, cpu_time_of};
use crate::report::{Report, Target};

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    data: Vec<Order>,
    total: u64,
    next_cursor: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    order_number: String,
    platform: String,
    status: String,
    buyer_name: String,
    phone: String,
    address: String,
    memo: Option<String>,
    total_amount: i64,
    currency: String,
    created_at: String,
    updated_at: String,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    id: String,
    product_id: String,
    name: String,
    option: Option<String>,
    wholesaler: String,
    quantity: u32,
    unit_price: i64,
}

const NAMES: [&str; 6] = [
    "무선 블루투스 이어폰 노이즈캔슬링",
    "여름 남성 반팔 티셔츠 오버핏",
    "스테인리스 텀블러 대용량 보온보냉",
    "접이식 캠핑 의자 경량 알루미늄",
    "강아지 자동 급식기 타이머",
    "주방 실리콘 조리도구 12종 세트",
];
const PLATFORMS: [&str; 3] = ["coupang", "naver", "11st"];
const WHOLESALERS: [&str; 3] = ["ownerclan", "zentrade", "domeggook"];
const BUYERS: [&str; 5] = ["김*수", "이*연", "박*준", "최*아", "정*호"];
const STREETS: [&str; 4] = [
    "서울특별시 강남구 테헤란로",
    "부산광역시 해운대구 우동",
    "경기도 성남시 분당구 판교역로",
    "대구광역시 수성구 범어동",
];

/// 50 orders with three lines each, as JSON.
pub(crate) fn page(seed: u64) -> Bytes {
    let mut random = Random(seed);
    let mut of = |all: &[&str]| {
        let len = u64::try_from(all.len()).expect("few");
        all[usize::try_from(random.below(len)).expect("few")].to_owned()
    };
    let mut texts = || (of(&NAMES), of(&PLATFORMS), of(&WHOLESALERS), of(&BUYERS), of(&STREETS));
    let mut numbers = Random(seed + 1);
    let mut id = || format!("0196{:08x}-7{:03x}-{:016x}", seed, seed % 4_096, numbers.next());
    let mut amounts = Random(seed + 2);
    let data = (0..50)
        .map(|n: u32| {
            let (_, platform, _, buyer_name, street) = texts();
            let lines: Vec<Line> = (0..3)
                .map(|_| {
                    let (name, _, wholesaler, ..) = texts();
                    Line {
                        id: id(),
                        product_id: id(),
                        name,
                        option: amounts
                            .below(3)
                            .ne(&0)
                            .then(|| "색상: 블랙 / 사이즈: FREE".to_owned()),
                        wholesaler,
                        quantity: 1 + u32::try_from(amounts.below(3)).expect("few"),
                        unit_price: 1_000 + i64::try_from(amounts.below(90_000)).expect("few"),
                    }
                })
                .collect();
            let total = lines.iter().map(|line| i64::from(line.quantity) * line.unit_price).sum();
            Order {
                id: id(),
                order_number: format!("2026{:012}", amounts.below(1_000_000_000_000)),
                platform,
                status: "paid".to_owned(),
                buyer_name,
                phone: "010-****-1234".to_owned(),
                address: format!("{street} {}", amounts.below(500)),
                memo: n.is_multiple_of(4).then(|| "부재 시 경비실에 맡겨주세요".to_owned()),
                total_amount: total,
                currency: "KRW".to_owned(),
                created_at: format!("2026-05-{:02}T09:{:02}:00Z", n % 28 + 1, n),
                updated_at: format!("2026-05-{:02}T10:{:02}:00Z", n % 28 + 1, n),
                lines,
            }
        })
        .collect();
    let page = Page { data, total: 20_725, next_cursor: Some(id()) };
    serde_json::to_vec(&page).expect("it has a form in JSON").into()
}

pub(crate) fn run(report: &mut Report) {
    const TURNS: usize = 101;
    const EACH: usize = 10;
    let slot = Slot::new(8 << 20);
    let json = page(1);
    let seal = |compression| {
        let body = Body::new(json.clone()).with_etag("5d41402abc4b2a76b9719d911017c592");
        slot.seal(body, compression).expect("it is not too large")
    };
    let zstd = seal(Compression::default());
    let lz4 = seal(Compression { level: 1, ..Compression::default() });
    let kib = |bytes: &Bytes| {
        Spread::exactly(f64::from(u32::try_from(bytes.len()).expect("small")) / 1_024.0)
    };
    report.add("page of 50 orders, KiB", kib(&json), Target::None);
    report.add("page of 50 orders in Redis (level 6), KiB", kib(&zstd), Target::None);
    report.add("page of 50 orders in Redis (level 1), KiB", kib(&lz4), Target::None);
    let open = |sealed: &Bytes| {
        for _ in 0..EACH {
            black_box(slot.open(black_box(sealed)).expect("it is whole"));
        }
    };
    let decode_and_encode = || {
        for _ in 0..EACH {
            let page: Page = serde_json::from_slice(black_box(&json)).expect("it is JSON");
            black_box(serde_json::to_vec(&page).expect("it has a form in JSON"));
        }
    };
    let mut took = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        took[0].push(cpu_time_of(|| open(&zstd)));
        took[1].push(cpu_time_of(|| open(&lz4)));
        took[2].push(cpu_time_of(decode_and_encode));
    }
    let [zstd, lz4, serde] = took;
    let each = |took: &[f64]| {
        let each = f64::from(u32::try_from(EACH).expect("few"));
        Spread::of(took.iter().map(|took| took * 1e6 / each).collect())
    };
    report.add("Redis's bytes to a body (level 6): CPU us", each(&zstd), Target::None);
    report.add("Redis's bytes to a body (level 1): CPU us", each(&lz4), Target::None);
    report.add("serde_json decode + encode: CPU us", each(&serde), Target::None);
    let faster = |ours: &[f64]| Spread::of_ratios(&serde, ours);
    let target = Target::AtLeast(10.0);
    report.add("serde_json / to a body (level 6, the default)", faster(&zstd), target);
    report.add("serde_json / to a body (level 1)", faster(&lz4), target);
}
