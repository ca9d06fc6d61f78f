use encoding_rs::EUC_KR;
use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Quirks, Settings, SimRequest};
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::support::{FORM, Outside, ZENTRADE_KEY, zentrade_request};

/// Elements with their attributes, as they open and close.
fn outline(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let mut outline = Vec::new();
    let names = |tag: &quick_xml::events::BytesStart<'_>| {
        let mut text = tag.name().as_ref().to_owned();
        for attribute in tag.attributes() {
            text.push('@');
            text.push_str(attribute.unwrap().key.as_ref());
        }
        text
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => outline.push(names(&tag)),
            Event::Empty(tag) => outline.push(format!("{}/", names(&tag))),
            Event::CData(_) => outline.push("CDATA".to_owned()),
            Event::End(_) => outline.push("/".to_owned()),
            Event::Eof => return outline,
            _ => {}
        }
    }
}

/// A product in the shape of the documents, with values of our own.
const PRODUCT: &str = r#"<product code="20001">
<dome_category dome_catecode="004"><![CDATA[ 문구 ]]></dome_category>
<scategory emp_catecode="1" esellers_catecode="2" classcode="35" />
<prdtname><![CDATA[ 메모지 ]]></prdtname>
<baseinfo madein="" productcom="" brand="" model="" />
<price buyprice="100" consumerprice="0" taxmode="Y" />
<listimg url1="" url2="" url3="" url4="" url5="" />
<option opt1nm="" opt2nm=""><![CDATA[ ]]></option>
<content><![CDATA[ ]]></content>
<keyword><![CDATA[ ]]></keyword>
<status runout="0" opendate="2026-01-01" />
</product>"#;

#[test]
fn every_product_has_the_shape_of_the_sample() {
    let outside = Outside::with(Settings::default().with_items(50));
    let xml = outside.zentrade("product_api", "");
    let head = "<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n<zentrade version=\"ZENTRADE XML 1.0\" datetime=\"\">\n";
    assert!(xml.starts_with(head));
    let (product, all) = (outline(PRODUCT), outline(&xml));
    let products = all.len().saturating_sub(2) / product.len();
    assert_eq!(all[0], "zentrade@version@datetime");
    assert_eq!(all[1..all.len() - 1], vec![product; products].concat());
    assert!(products > 40);
}

#[test]
fn texts_are_padded_prices_have_commas_and_option_rows_are_as_documented() {
    let xml = Outside::new().zentrade("product_api", "");
    assert!(xml.contains("<prdtname>\n        <![CDATA[ "));
    assert!(xml.contains("dome_catecode=\"001\""));
    assert!(xml.contains("buyprice=\"1,"));
    assert!(xml.contains("^|^") && xml.contains("↑=↑\n                "));
    assert!(xml.contains("↑=↑\n  ]]>"), "a list of options ends with the separator");
    assert!(xml.contains("consumerprice=\"0\""));
    assert!(["똠방", "펲시", "뷁", "샾"].iter().any(|rare| xml.contains(rare)));
}

#[test]
fn one_product_and_none_are_the_same_root() {
    let outside = Outside::new();
    let one = outside.zentrade("product_api", "goodsno=10001");
    assert_eq!(outline(&one).iter().filter(|name| *name == "product@code").count(), 1);
    let none = outside.zentrade("product_api", "goodsno=99999999");
    let expected = "<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n<zentrade version=\"ZENTRADE XML 1.0\" datetime=\"\">\n</zentrade>\n";
    assert_eq!(none, expected);
}

#[test]
fn runout_divides_the_catalogue_and_opendate_wants_both_its_ends() {
    let outside = Outside::new();
    let count = |query: &str| outside.zentrade("product_api", query).matches("<product ").count();
    let (all, normal, sold_out) = (count(""), count("runout=0"), count("runout=1"));
    assert!(sold_out > 0);
    assert_eq!(normal + sold_out, all);
    assert_eq!(count("opendate_s=2026-01-01"), all);
    let early = count("opendate_s=2000-01-01&opendate_e=2025-12-31");
    let late = count("opendate_s=2026-01-01&opendate_e=2030-01-01");
    assert!(early > 0 && late > 0);
    assert_eq!(early + late, all);
    let catalogue = outside.simulator().catalogue(Wholesaler::Zentrade);
    let items = catalogue.items(outside.transport.clock().now());
    assert_eq!(items.filter(|item| item.availability() == Availability::OnSale).count(), normal);
}

#[test]
fn the_bytes_are_those_of_cp949_and_hold_every_syllable() {
    let outside = Outside::with(Settings::default().with_items(20));
    let received = outside.answer(&zentrade_request("product_api", ""));
    let (text, _, had_errors) = EUC_KR.decode(&received.body);
    assert!(!had_errors);
    let (bytes, _, unmappable) = EUC_KR.encode(&text);
    assert!(!unmappable);
    assert_eq!(bytes, received.body);
    let syllables: String = ('가'..='힣').collect();
    assert!(text.contains(&syllables), "the second product's description holds all 11,172");
}

#[test]
fn the_charset_is_declared_or_not() {
    let declared = Outside::new().ask(&zentrade_request("product_api", "goodsno=10001"));
    assert_eq!(declared.header("Content-Type"), Some("text/xml; charset=euc-kr"));
    let quirks = Quirks { declares_charset: false, ..Quirks::default() };
    let silent = Outside::with(Settings { quirks, ..Settings::default() });
    let silent = silent.ask(&zentrade_request("product_api", "goodsno=10001"));
    assert_eq!(silent.header("Content-Type"), Some("text/xml"));
}

#[test]
fn the_firewall_turns_away_who_is_no_browser() {
    let outside = Outside::new();
    let bare = SimRequest::get(format!(
        "/zentrade/shop/proc/product_api.php?id=demo&m_skey={ZENTRADE_KEY}"
    ));
    let received = outside.answer(&bare);
    assert_eq!(received.status, 400);
    let page = EUC_KR.decode(&received.body).0.into_owned();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("charset=euc-kr"));
    assert!(page.contains("잘못된 요청입니다"));
}

#[test]
fn a_key_is_wanted_and_a_form_will_do() {
    let outside = Outside::new();
    let agent = ("User-Agent", "Mozilla/5.0");
    let asks = |form: &str| {
        let request = SimRequest::post("/zentrade/shop/proc/product_api.php", FORM, form);
        let received = outside.answer(&request.with_header(agent.0, agent.1));
        EUC_KR.decode(&received.body).0.into_owned()
    };
    assert!(asks(&format!("id=demo&m_skey={ZENTRADE_KEY}&goodsno=10001")).contains("<product "));
    for bad in ["id=demo", "id=demo&m_skey=short", "m_skey=00000000000000000000000000000000"] {
        assert_eq!(asks(bad), "인증에 실패하였습니다.", "{bad}");
    }
}
