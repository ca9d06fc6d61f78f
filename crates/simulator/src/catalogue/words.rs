//! Names, categories and descriptions, put together from words of the trade. Each can be written
//! in CP949, and a few cannot be written in KS X 1001.

use crate::random::{mix, pick, place};

/// A category and what is sold in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Category {
    /// Its place in the list, from 0.
    pub place: u32,
    /// The category above it.
    pub parent: &'static str,
    /// Its place above, from 0.
    pub parent_place: u32,
    /// What it is called.
    pub name: &'static str,
    things: &'static [&'static str],
    manners: &'static [&'static str],
}

/// Of an item of this chance.
pub(super) fn category(chance: u64) -> &'static Category {
    &CATEGORIES[place(CATEGORIES.len(), chance)]
}

pub(super) fn name(chance: u64) -> String {
    let category = category(chance);
    let of = |turn: u64| mix(chance, &[turn]);
    let mut name = String::with_capacity(64);
    match of(1) % 24 {
        0 => name.push_str("[기획] "),
        1 => name.push_str("[특가] "),
        2 => name.push_str("[1+1] "),
        _ => {}
    }
    if of(2).is_multiple_of(300) {
        name.push_str(pick(RARE, of(3)));
        name.push(' ');
    }
    name.push_str(pick(category.manners, of(4)));
    name.push(' ');
    if of(5).is_multiple_of(2) {
        name.push_str(pick(FEELS, of(6)));
        name.push(' ');
    }
    name.push_str(pick(category.things, of(7)));
    name.push(' ');
    name.push_str(pick(SIZES, of(8)));
    if of(9).is_multiple_of(3) {
        name.push_str(&format!(" JB-{:04X}", of(10) % 0x1_0000));
    }
    name
}

pub(super) fn description(chance: u64, bytes: usize) -> String {
    let mut html = String::with_capacity(bytes + 256);
    html.push_str("<p align=\"center\"><img src=\"http://img.example.com/");
    html.push_str(&format!("{chance:016x}.jpg\"><br>상세설명 &amp; 예시</p>"));
    let mut turn = 0;
    while html.len() < bytes {
        html.push_str("<p>");
        html.push_str(pick(SENTENCES, mix(chance, &[turn])));
        html.push_str("</p>\n");
        turn += 1;
    }
    html
}

/// Neither stands in KS X 1001.
const RARE: &[&str] = &["똠방", "펲시", "뷁", "샾"];
const FEELS: &[&str] =
    &["감성", "심플", "고급", "국민", "데일리", "프리미엄", "가성비", "인기", "파스텔", "북유럽"];
const SIZES: &[&str] = &[
    "1개",
    "2개입",
    "3종 세트",
    "대형",
    "중형",
    "소형",
    "500ml",
    "24cm",
    "30cm",
    "4인용",
    "1kg",
    "기본형",
];
const SENTENCES: &[&str] = &[
    "튼튼하고 가벼워서 매일 쓰기 좋습니다.",
    "선물용으로도 잘 어울리는 깔끔한 디자인입니다.",
    "모니터에 따라 색상이 조금 다르게 보일 수 있습니다.",
    "측정 방법에 따라 1~2cm 정도 오차가 있을 수 있습니다.",
    "단순 변심 반품은 왕복 배송비가 부과됩니다.",
    "평일 오후 3시 이전 주문은 당일 출고됩니다.",
    "물로 씻은 뒤 그늘에서 완전히 말려 보관하세요.",
    "어린이의 손이 닿지 않는 곳에 두세요.",
];

const ELECTRIC: &[&str] =
    &["무선", "무선", "충전식", "휴대용", "USB", "LED", "탁상용", "저소음", "미니"];

const fn category_of(
    (place, name): (u32, &'static str),
    (parent_place, parent): (u32, &'static str),
    things: &'static [&'static str],
    manners: &'static [&'static str],
) -> Category {
    Category { place, parent, parent_place, name, things, manners }
}

const DIGITAL: (u32, &str) = (0, "가전/디지털");
const LIVING: (u32, &str) = (1, "생활/주방");
const LEISURE: (u32, &str) = (2, "스포츠/레저");
const STATIONERY: (u32, &str) = (3, "문구/완구");
const PETS: (u32, &str) = (4, "반려동물");
const FASHION: (u32, &str) = (5, "패션잡화");

pub(crate) const CATEGORIES: &[Category] = &[
    category_of(
        (0, "계절가전"),
        DIGITAL,
        &["가습기", "선풍기", "제습기", "손난로", "전기방석", "히터"],
        ELECTRIC,
    ),
    category_of(
        (1, "주변기기"),
        DIGITAL,
        &["마우스", "키보드", "충전기", "이어폰", "스피커", "보조배터리", "허브"],
        ELECTRIC,
    ),
    category_of(
        (2, "생활가전"),
        DIGITAL,
        &["청소기", "스탠드", "면도기", "안마기", "물걸레", "체중계"],
        ELECTRIC,
    ),
    category_of(
        (3, "텀블러"),
        LIVING,
        &["텀블러", "보온병", "머그컵", "물병", "빨대컵"],
        &["스텐", "보온", "대용량", "휴대용", "손잡이", "이중"],
    ),
    category_of(
        (4, "조리도구"),
        LIVING,
        &["채반", "냄비", "도마", "국자", "프라이팬", "집게", "수저 세트"],
        &["스텐", "실리콘", "논스틱", "접이식", "내열", "원목"],
    ),
    category_of(
        (5, "수납정리"),
        LIVING,
        &["빨래바구니", "수납함", "행거", "선반", "옷걸이", "신발정리대"],
        &["접이식", "다용도", "이동식", "3단", "틈새", "투명"],
    ),
    category_of(
        (6, "욕실용품"),
        LIVING,
        &["샤워볼", "샤워기", "욕실화", "발매트", "칫솔꽂이", "비누받침"],
        &["논슬립", "규조토", "방수", "흡착식", "항균", "극세사"],
    ),
    category_of(
        (7, "캠핑용품"),
        LEISURE,
        &["의자", "테이블", "텐트", "랜턴", "화로대", "매트", "침낭"],
        &["캠핑 접이식", "캠핑 원터치", "초경량", "방수", "무선 LED", "대형"],
    ),
    category_of(
        (8, "헬스용품"),
        LEISURE,
        &["아령", "요가매트", "폼롤러", "줄넘기", "악력기", "밴드"],
        &["가정용", "논슬립", "무선", "고탄력", "휴대용", "조절식"],
    ),
    category_of(
        (9, "문구"),
        STATIONERY,
        &["메모지", "볼펜", "다이어리", "스티커", "필통", "뱃지", "핀"],
        &["귀여운", "캐릭터", "학생용", "사무용", "한정판", "자석"],
    ),
    category_of(
        (10, "강아지용품"),
        PETS,
        &["하네스", "급수기", "배변패드", "방석", "장난감", "식기"],
        &["강아지", "자동", "무선 자동", "대용량", "미끄럼방지", "소형견"],
    ),
    category_of(
        (11, "가방"),
        FASHION,
        &["백팩", "크로스백", "에코백", "파우치", "힙색", "여행가방"],
        &["방수", "캔버스", "여성", "남녀공용", "초경량", "빅사이즈"],
    ),
];

#[cfg(test)]
mod tests {
    use super::{CATEGORIES, RARE, name};
    use crate::charset::Charset;
    use crate::random::mix;

    #[test]
    fn names_are_cp949_and_some_are_wireless() {
        let names: Vec<String> = (0..3_000).map(|number| name(mix(1, &[number]))).collect();
        for name in &names {
            assert_eq!(Charset::EucKr.decode(&Charset::EucKr.encode(name)), *name);
        }
        let wireless = names.iter().filter(|name| name.contains("무선")).count();
        assert!((150..1_500).contains(&wireless), "{wireless}");
        assert!(names.iter().any(|name| RARE.iter().any(|rare| name.contains(rare))));
    }

    #[test]
    fn categories_know_their_places() {
        for (place, category) in (0..).zip(CATEGORIES) {
            assert_eq!(category.place, place);
        }
    }
}
