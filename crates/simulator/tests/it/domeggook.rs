use jebi_simulator::{EmptyList, Form, Quirks, Settings, SimRequest};
use serde_json::{Value, json};

use crate::shape::differences;
use crate::support::{DAY, DOMEGGOOK, DOMEGGOOK_KEY, FORM, Outside, many, number};

const LIST: &str = "mode=getItemList&ver=4.1&market=supply&kw=%EB%AC%B4%EC%84%A0&ie=utf-8";
const EVERYTHING: &str = "mode=getItemList&ver=4.1&market=supply&mnp=0";

fn with(quirks: Quirks) -> Outside {
    Outside::with(Settings { quirks, ..Settings::default() })
}

/// An entry in the shape of the documents, with values of our own; numbers as they are and as text.
fn sample_entries() -> Value {
    let deli = |fee: Value| json!({ "who": "P", "fee": fee, "fromOversea": "false" });
    let entry = |no: Value, price: Value, fee: Value| {
        json!({
            "no": no, "title": "무선 손난로", "thumb": "https://img.example.com/1.jpg",
            "url": "https://domeggook.com/1", "id": "seller001", "nick": "판매자",
            "price": price, "unitQty": 1, "comOnly": "false", "adultOnly": "false",
            "deli": deli(fee), "market": { "domeggook": "true", "supply": "true" },
        })
    };
    json!([entry(json!(1), json!(2), json!("3")), entry(json!("1"), json!("2"), json!(3))])
}

#[test]
fn a_page_of_the_list_has_the_shape_of_the_sample() {
    let answer = Outside::new().domeggook(&format!("{LIST}&sz=20&pg=1&so=rd"));
    let sample = json!({ "domeggook": {
        "header": {
            "numberOfItems": 5, "firstItem": 1, "lastItem": 3, "currentPage": 1,
            "itemsPerPage": 3, "numberOfPages": 2, "sort": "rd",
        },
        "list": { "item": sample_entries() },
    } });
    assert_eq!(differences(&sample, &answer), Vec::<String>::new());
    let largest = Outside::new().domeggook("mode=getItemList&ver=4.1&market=dome&mnp=0&sz=500");
    assert_eq!(number(&largest["domeggook"]["header"]["itemsPerPage"]), 200);
    let items = many(&answer["domeggook"]["list"]["item"]);
    assert_eq!(items.len(), 20);
    assert!(items.iter().all(|item| item["title"].as_str().unwrap().contains("무선")));
    assert!(items.iter().any(|item| item["no"].is_string()));
    assert!(items.iter().any(|item| item["no"].is_i64()));
}

#[test]
fn a_page_with_one_item_has_an_object_and_numbers_as_text() {
    let outside = Outside::new();
    let total = number(&outside.domeggook(LIST)["domeggook"]["header"]["numberOfItems"]);
    let last = outside.domeggook(&format!("{LIST}&sz=1&pg={total}"));
    let sample = json!({ "domeggook": {
        "header": {
            "numberOfItems": "1", "firstItem": "1", "lastItem": "1", "currentPage": "1",
            "itemsPerPage": "200", "numberOfPages": "1", "sort": "rd",
        },
        "list": { "item": last["domeggook"]["list"]["item"] },
    } });
    assert_eq!(differences(&sample, &last), Vec::<String>::new());
    assert!(last["domeggook"]["list"]["item"].is_object());
}

#[test]
fn a_list_of_nothing_has_the_form_that_is_set() {
    let nothing = "mode=getItemList&ver=4.1&market=dome&kw=zzz";
    let list = |empty_list| {
        let answer = with(Quirks { empty_list, ..Quirks::default() }).domeggook(nothing);
        assert_eq!(number(&answer["domeggook"]["header"]["numberOfPages"]), 0);
        answer["domeggook"].get("list").cloned()
    };
    assert_eq!(list(EmptyList::Text), Some(json!("")));
    assert_eq!(list(EmptyList::List), Some(json!([])));
    assert_eq!(list(EmptyList::Absent), None);
}

#[test]
fn numbers_have_the_form_that_is_set() {
    for (numbers, is_text) in [(Form::Native, false), (Form::Text, true)] {
        let answer = with(Quirks { numbers, ..Quirks::default() }).domeggook(LIST);
        assert_eq!(answer["domeggook"]["header"]["numberOfItems"].is_string(), is_text);
        let items = many(&answer["domeggook"]["list"]["item"]);
        assert!(items.iter().all(|item| item["price"].is_string() == is_text));
    }
}

#[test]
fn an_item_has_the_shape_of_the_sample() {
    let outside = Outside::new();
    let market = json!({ "type": "고정배송비", "fee": "3000", "tbl": "" });
    let sample = |price: Value, keywords: Value, texts: bool| {
        let amount = |value: i64| if texts { json!(value.to_string()) } else { json!(value) };
        let mut market = market.clone();
        market["fee"] = amount(3_000);
        json!({ "domeggook": {
            "basis": {
                "no": 1, "status": "판매중", "title": "손난로", "keywords": { "kw": keywords },
                "nego": "false", "adult": "false", "dateStart": "2026-01-01 00:00:00",
                "dateEnd": "2031-01-01 00:00:00", "dateReg": "2026-01-01 01:02:03", "tax": "과세",
            },
            "price": { "dome": price, "supply": 2, "resale": { "minumum": 3, "Recommand": 4 } },
            "qty": { "inventory": amount(5), "domeMoq": 1, "domeUnit": 1, "supplyUnit": 1 },
            "deli": {
                "method": "택배", "pay": "선결제", "dome": market, "supply": market,
                "wating": "2", "merge": "true",
                "feeExtra": {
                    "jeju": amount(3_000),
                    "islands": if texts { json!(5_000) } else { json!("5000") },
                },
                "fromOversea": "false", "reqCcno": "false",
            },
            "channel": { "dome": "true", "supply": "true" },
            "thumb": { "original": "https://img.example.com/1.jpg", "lastUpdate": "2026-01-01 00:00:00" },
            "desc": {
                "license": { "usable": "true", "msg": "" },
                "contents": { "item": "<p></p>", "deli": "", "event": "" },
            },
            "seller": {
                "id": "seller001", "nick": "판매자", "type": "개인", "rank": 3,
                "score": { "avg": "4.8", "cnt": "12" }, "vacation": "",
            },
            "category": {
                "parents": { "elem": { "name": "가전", "code": "01_00_00_00_00", "depth": 1 } },
                "current": { "name": "가전", "code": "01_01_00_00_00", "depth": 2 },
            },
        } })
    };
    let (mut tiers, mut with_options, mut without, mut keywords_differ) = (0, 0, 0, [false; 2]);
    for number in 10_000_001..10_000_101 {
        let mut answer = outside.domeggook(&format!("mode=getItemView&ver=4.6&no={number}"));
        let item = answer["domeggook"].as_object_mut().unwrap();
        match item.remove("selectOpt") {
            Some(Value::String(text)) if !text.is_empty() => {
                with_options += 1;
                check_options(&text);
            }
            Some(other) => assert_eq!(other, json!("")),
            None => without += 1,
        }
        let item = &answer["domeggook"];
        tiers += usize::from(item["price"]["dome"].is_string());
        keywords_differ[usize::from(item["basis"]["keywords"]["kw"].is_string())] = true;
        let price = &item["price"]["dome"];
        let keywords = &item["basis"]["keywords"]["kw"];
        let texts = item["qty"]["inventory"].is_string();
        let sample = sample(price.clone(), keywords.clone(), texts);
        assert_eq!(differences(&sample, &answer), Vec::<String>::new(), "{number}");
    }
    assert!(tiers > 20 && with_options > 20 && without > 10 && keywords_differ == [true; 2]);
}

/// JSON in a text: a map by codes of one or two parts.
fn check_options(text: &str) {
    let options: Value = serde_json::from_str(text).unwrap();
    assert_eq!(options["type"], "combination");
    for (code, option) in options["data"].as_object().unwrap() {
        let is_code =
            |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        assert!(code.split('_').all(is_code), "{code}");
        for field in ["name", "hid", "qty", "domPrice", "addprice"] {
            assert!(option.get(field).is_some(), "{field}");
        }
    }
}

#[test]
fn tier_prices_fall_as_the_quantity_grows() {
    let outside = Outside::new();
    let mut numbers = 10_000_001..;
    let text = numbers.find_map(|number| {
        let answer = outside.domeggook(&format!("mode=getItemView&ver=4.6&no={number}"));
        answer["domeggook"]["price"]["dome"].as_str().map(str::to_owned)
    });
    let text = text.unwrap();
    let tiers: Vec<(i64, i64)> = text
        .split('|')
        .map(|tier| tier.split_once('+').unwrap())
        .map(|(quantity, price)| (quantity.parse().unwrap(), price.parse().unwrap()))
        .collect();
    assert_eq!(tiers.iter().map(|(quantity, _)| *quantity).collect::<Vec<_>>(), [1, 20, 50]);
    assert!(tiers.is_sorted_by(|cheap, cheaper| cheap.1 > cheaper.1));
}

#[test]
fn the_same_item_has_two_prices() {
    let outside = Outside::new();
    let price = |market: &str| {
        let answer =
            outside.domeggook(&format!("mode=getItemList&ver=4.1&market={market}&mnp=0&sz=200"));
        let items = many(&answer["domeggook"]["list"]["item"]);
        let both = items.iter().find(|item| number(&item["no"]) == 10_001_200).cloned();
        number(&both.unwrap()["price"])
    };
    assert!(price("supply") > price("dome"));
}

#[test]
fn filters_are_kept_and_bad_ones_silently_ignored() {
    let outside = Outside::new();
    let total = |query: &str| {
        let answer = outside.domeggook(&format!("mode=getItemList&ver=4.1&market=dome&{query}"));
        number(&answer["domeggook"]["header"]["numberOfItems"])
    };
    let all = total("mnp=0");
    let (parent, category) = (total("ca=01_00_00_00_00"), total("ca=01_01_00_00_00"));
    assert!(0 < category && category < parent && parent < all);
    assert_eq!(total("ca=77_77_00_00_00"), all);
    assert_eq!(total("mnq=10&mxq=1"), all);
    assert!((1..all).contains(&total("mnq=10&mxq=10")));
    assert!((1..all).contains(&total("mnp=1000&mxp=3000")));
    assert!((1..all).contains(&total("who=S")));
    assert!((1..all).contains(&total("id=seller007")));
    assert_eq!(total("id=nobody"), 0);
    // In the charset of the document, where none is named.
    assert_eq!(total("kw=%b9%ab%bc%b1"), total("kw=%EB%AC%B4%EC%84%A0&ie=utf-8"));
    let none = outside.domeggook("mode=getItemList&ver=4.1&market=dome&so=rd");
    assert_eq!(none["errors"]["code"], "SEARCH_CONDITION_REQUIRED");
}

#[test]
fn xml_is_euc_kr_unless_it_is_asked_for_otherwise() {
    let outside = Outside::new();
    let asks =
        |query: &str| outside.ask(&outside.domeggook_request(&format!("{LIST}&sz=3&{query}")));
    let response = asks("om=xml");
    assert_eq!(response.header("Content-Type"), Some("text/xml; charset=EUC-KR"));
    let bytes = response.body.into_bytes();
    let (text, _, had_errors) = encoding_rs::EUC_KR.decode(&bytes);
    assert!(!had_errors);
    assert_eq!(encoding_rs::EUC_KR.encode(&text).0, bytes);
    let head = "<?xml version=\"1.0\" encoding=\"EUC-KR\"?>\n<domeggook><header><numberOfItems>";
    assert!(text.starts_with(head), "{text}");
    assert_eq!(text.matches("<title><![CDATA[").count(), 3);

    let utf8 = asks("om=xml&oe=utf-8");
    assert_eq!(utf8.header("Content-Type"), Some("text/xml; charset=UTF-8"));
    assert!(String::from_utf8(utf8.body.into_bytes()).unwrap().contains("encoding=\"UTF-8\""));
    let json = asks("om=json&oe=euc-kr");
    assert_eq!(json.header("Content-Type"), Some("application/json; charset=EUC-KR"));
    let json = encoding_rs::EUC_KR.decode(&json.body.into_bytes()).0.into_owned();
    assert!(json.contains("무선"));
}

#[test]
fn an_unknown_mode_or_version_is_404() {
    let outside = Outside::new();
    for query in ["mode=getItemList&ver=4.5", "mode=getThings&ver=1.0"] {
        let received =
            outside.answer(&outside.domeggook_request(&format!("om=json&oe=utf-8&{query}")));
        assert_eq!(received.status, 404);
        let expected = json!({ "errors": {
            "code": "UNKNOWN_SERVICE", "message": "해당 오픈 API 서비스가 없습니다.",
            "dcode": "", "dmessage": "",
        } });
        assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), expected);
    }
}

#[test]
fn a_bad_key_is_401_a_bad_session_403_and_errors_may_stand_below() {
    let outside = Outside::new();
    let status = |target: String| outside.answer(&SimRequest::get(target)).status;
    assert_eq!(status(format!("{DOMEGGOOK}?aid=short&om=json&{LIST}")), 401);
    let asset = format!("{DOMEGGOOK}?aid={DOMEGGOOK_KEY}&om=json&mode=getMyAsset&ver=1.0");
    assert_eq!(status(format!("{asset}&sId=no")), 403);
    assert_eq!(status(format!("{asset}&sId={}", outside.session())), 200);
    outside.pass(30 * DAY);
    assert_eq!(status(format!("{asset}&sId={}", outside.session())), 403);

    let below = with(Quirks { errors_below_root: true, ..Quirks::default() });
    let answer = below.domeggook("mode=getItemView&ver=4.6&no=1");
    assert_eq!(answer["domeggook"]["errors"]["code"], "NOT_FOUND");
}

#[test]
fn a_login_has_the_shape_of_the_sample() {
    let outside = Outside::new();
    let form = format!(
        "mode=setLogin&ver=4.1&aid={DOMEGGOOK_KEY}&om=json&id=demo&pw={}&device=Third+Party",
        jebi_simulator::PASSWORD
    );
    let received = outside.answer(&SimRequest::post(DOMEGGOOK, FORM, form.clone()));
    let answer: Value = serde_json::from_slice(&received.body).unwrap();
    let sample = json!({ "domeggook": {
        "result": "true", "sId": "s", "cId": "c", "grade": "일반", "loginKeepTime": "30",
        "sIdRenewDate": "2026-12-23 00:00:00",
    } });
    assert_eq!(differences(&sample, &answer), Vec::<String>::new());
    assert_eq!(answer["domeggook"]["sIdRenewDate"], "2026-12-23 09:00:00");
    let check = outside.domeggook("mode=setLoginChk&ver=4.0");
    assert_eq!(check["domeggook"]["updateExpire"], "TRUE");
    let wrong = form.replace(jebi_simulator::PASSWORD, "wrong");
    let received = outside.answer(&SimRequest::post(DOMEGGOOK, FORM, wrong));
    let answer: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((received.status, &answer["errors"]["code"]), (200, &json!("LOGIN_ERROR")));
}

#[test]
fn the_feed_has_the_shape_of_the_sample() {
    let outside = Outside::with(Settings { drift: true, ..Settings::default() });
    outside.pass(DAY / 2);
    let feed = "mode=getAllSupplyChk&ver=1.1&type=all&date=20261123";
    let every = "status=OPEN_RESTART_CLOSE_SOLDOUT_DEL_AMT_OPTAMT_OPTSOLDOUT_OPTRESTART";
    let answer = outside.domeggook(&format!("{feed}&{every}&ic=500&pg=1"));
    let row = json!({
        "no": "10000001", "title": "손난로", "status": "AMT", "qty": "250", "price": "12400",
        "date": "2026-11-23 09:00:01", "seller": "seller001",
    });
    let sample = |rows: Value| {
        json!({ "domeggook": {
        "header": { "numberOfItems": 1, "numberOfPages": 1, "currentPage": 1 },
        "items": { "item": rows },
    } })
    };
    assert_eq!(differences(&sample(json!([row])), &answer), Vec::<String>::new());
    let rows = many(&answer["domeggook"]["items"]["item"]);
    assert!(rows.iter().all(|row| row["date"].as_str().unwrap().starts_with("2026-11-23 ")));
    let one = outside.domeggook(&format!("{feed}&{every}&ic=1&pg=1"));
    assert_eq!(differences(&sample(row), &one), Vec::<String>::new());
    let changed = number(&rows[0]["no"]);
    let looked_up = outside.domeggook(&format!("{feed}&{every}&sc=no&sw={changed}"));
    let looked_up = many(&looked_up["domeggook"]["items"]["item"]);
    assert!(looked_up.iter().all(|row| number(&row["no"]) == changed) && !looked_up.is_empty());
    let tomorrow = outside.domeggook(&format!("{}&{every}", feed.replace("1123", "1124")));
    assert_eq!(tomorrow["domeggook"]["items"], json!(""));
}

#[test]
fn a_hundred_items_are_shown_at_once_and_no_more() {
    let outside = Outside::new();
    let numbers = |count: i64| {
        let numbers = (10_000_001..10_000_001 + count).map(|number| number.to_string());
        numbers.collect::<Vec<_>>().join(",")
    };
    let view = format!("mode=getItemView&ver=4.6&multiple={}", numbers(100));
    assert!(many(&outside.domeggook(&view)["domeggook"]["item"]).len() > 90);
    let view = format!("mode=getItemView&ver=4.6&multiple={}", numbers(101));
    assert_eq!(outside.domeggook(&view)["errors"]["code"], "TOO_MANY_ITEMS");
}

#[test]
fn everything_can_be_asked_for() {
    let answer = Outside::new().domeggook(EVERYTHING);
    assert!(number(&answer["domeggook"]["header"]["numberOfItems"]) > 900);
    let categories = Outside::new().domeggook("mode=getCategoryList&ver=1.0");
    assert!(many(&categories["domeggook"]["list"]["item"]).len() > 12);
}
