use proptest::prelude::*;

use super::*;

/// All frames of a text that comes in pieces of a size, and whether it ended.
fn frames(text: &str, size: usize) -> Result<(Vec<Frame>, bool), NoList> {
    let (mut frames, mut found) = (Frames::new("product"), Vec::new());
    let characters: Vec<char> = text.chars().collect();
    for piece in characters.chunks(size) {
        frames.push(&piece.iter().collect::<String>());
        while let Some(frame) = frames.next()? {
            found.push(frame);
        }
    }
    Ok((found, frames.has_ended()))
}

fn elements(text: &str) -> Vec<String> {
    let whole = frames(text, usize::MAX).unwrap();
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(frames(text, size).unwrap(), whole, "in pieces of {size}");
    }
    let (frames, has_ended) = whole;
    assert!(has_ended);
    let element = |frame| match frame {
        Frame::Element(text) => text,
        Frame::TooLarge(begin) => panic!("{begin} is too large"),
    };
    frames.into_iter().map(element).collect()
}

const HEAD: &str =
    "\u{feff}<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n<!-- > -->\n<zentrade datetime=\"\">\n";

#[test]
fn products_are_found_whatever_stands_inside_them() {
    for inside in [
        "<product code=\"1\"/>",
        "<product code=\"1\"></product >",
        "<product\n code=\"1\"><price buyprice=\"1\"/></product>",
        "<product code=\"1\"><c><![CDATA[</product><product code=\"2\">]]></c></product>",
        "<product code=\"1\"><!-- </product> --><![CDATA[]]]]></product>",
        "<product code=\"1\"><products></products></product>",
        "<product code=\"1\"><prdtname><![CDATA[접시 ]]> 세트]]></prdtname></product>",
        "<product code=\"1\"><a href=\"?a=1&b=2\">뷁</a></product>",
    ] {
        let text = format!("{HEAD}{inside}  <!-- --> {inside}\n</zentrade>\n");
        assert_eq!(elements(&text), [inside, inside]);
    }
}

#[test]
fn an_empty_list_ends_and_one_that_is_cut_does_not() {
    assert_eq!(elements(&format!("{HEAD}</zentrade>")), [""; 0]);
    assert_eq!(elements("<zentrade/>"), [""; 0]);
    let text = format!(
        "{HEAD}<product code=\"1\"><a/></product><product code=\"2\"><a></a></product></zentrade>"
    );
    for (end, _) in text.char_indices() {
        let (found, has_ended) = frames(&text[..end], 5).unwrap();
        assert!(!has_ended && found.len() <= 2);
    }
}

#[test]
fn what_is_no_list_is_told() {
    for text in [
        "<!DOCTYPE zentrade [<!ENTITY a \"b\">]><zentrade/>",
        "<html></html>",
        "<zentrade2></zentrade2>",
        "<zentrade><item/></zentrade>",
        "<zentrade>text<product/></zentrade>",
    ] {
        assert!(frames(text, 3).is_err(), "{text}");
    }
    for name in ["DOCTYPE", "doctype"] {
        let text = format!("<!{name} zentrade [<!ENTITY a \"b\">]><zentrade/>");
        for size in [1, 3, usize::MAX] {
            assert_eq!(frames(&text, size), Err(NoList("a document type")), "{name}");
        }
    }
    // As much as is held between products, and a byte more.
    let endless =
        |more: usize| format!("<zentrade><!--{}", "x".repeat(MAX_BETWEEN_BYTES - 4 + more));
    assert_eq!(frames(&endless(0), 100), Ok((vec![], false)));
    assert_eq!(frames(&endless(1), 100), Err(NoList("something endless between products")));
    assert_eq!(NoList("another root").to_string(), "another root");
}

#[test]
fn what_is_too_large_is_passed_over_without_being_held() {
    let mut frames = Frames::new("product");
    frames.push("<zentrade><product code=\"77\"><content><![CDATA[");
    for _ in 0..1_000 {
        frames.push(&"가]]".repeat(2_000));
        assert_eq!(frames.next(), Ok(None));
        assert!(frames.text.len() <= MAX_BYTES + 20_000, "{}", frames.text.len());
    }
    frames.push("]]></content></product><product code=\"78\"/></zentrade>");
    let Ok(Some(Frame::TooLarge(begin))) = frames.next() else { panic!("it is not noticed") };
    assert!(begin.starts_with("<product code=\"77\">"));
    assert_eq!(begin.len(), 1_000);
    let small = "<product code=\"78\"/>".to_owned();
    assert_eq!(frames.next(), Ok(Some(Frame::Element(small))));
    assert_eq!((frames.next(), frames.has_ended()), (Ok(None), true));
}

#[test]
fn an_element_of_two_mebibytes_is_held_and_one_byte_more_is_too_large() {
    let frame = |more: usize| {
        let mut frames = Frames::new("product");
        let content = "x".repeat(MAX_BYTES - "<product>".len() + more);
        frames.push(&format!("<zentrade><product>{content}"));
        assert_eq!(frames.next(), Ok(None));
        frames.push("</product>");
        frames.next().map(|frame| matches!(frame, Some(Frame::Element(_))))
    };
    assert_eq!(MAX_BYTES, 2 * 1_024 * 1_024);
    assert_eq!((frame(0), frame(1)), (Ok(true), Ok(false)));
}

#[test]
fn a_piece_is_copied_once_however_many_products_it_holds() {
    let text = format!("{HEAD}{}</zentrade>", "<product code=\"1\"><a/></product>".repeat(2_000));
    let mut found = 0;
    let measured = allocation_counter::measure(|| {
        let mut frames = Frames::new("product");
        frames.push(&text);
        while let Ok(Some(Frame::Element(_))) = frames.next() {
            found += 1;
        }
    });
    assert_eq!(found, 2_000);
    assert!(measured.bytes_total < 3 * text.len() as u64, "{}", measured.bytes_total);
}

proptest! {
    #[test]
    fn any_text_in_any_pieces_is_framed_alike(
        text in "(<zentrade>|<product>|<product/>|<a/>|</product>|</zentrade>|<!\\[CDATA\\[|\\]\\]>|<!--|-->|[<>/a가! ]){0,24}",
        size in 1_usize..9,
    ) {
        let text = format!("<zentrade>{text}");
        prop_assert_eq!(frames(&text, size), frames(&text, usize::MAX));
    }
}
