use super::*;
use crate::Place;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Value {
    Xml::new().parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Xml::new().parse(text).expect_err(text).to_string()
}

#[test]
fn attributes_nesting_and_repeated_elements_keep_what_they_say() {
    for (text, value) in [
        ("<a>text</a>", json!({"a": "text"})),
        ("<a/>", json!({"a": ""})),
        ("<a></a>", json!({"a": ""})),
        ("<a> \n t  u </a>", json!({"a": "t  u"})),
        ("<a><b>1</b><c>2</c><b/><b x='3'/></a>", json!({"a": {"b": ["1", "", {"@x": "3"}], "c": "2"}})),
        ("<a n=\"1\" m='a&lt;b'>text</a>", json!({"a": {"@n": "1", "@m": "a<b", "#text": "text"}})),
        ("<a>one<b>two</b>three</a>", json!({"a": {"b": "two", "#text": "onethree"}})),
        ("<a>&lt;&#65;&#x42;&amp;&quot;&apos;&gt;</a>", json!({"a": "<AB&\"'>"})),
        ("<a><![CDATA[ x < y && z ]]></a>", json!({"a": " x < y && z "})),
        ("<a><!-- <b/> --><?pi x?>1</a>", json!({"a": "1"})),
        ("<?xml version=\"1.0\"?>\n<ns:a xmlns:ns=\"u\"/>", json!({"ns:a": {"@xmlns:ns": "u"}})),
        ("if x < y and 1<2:\n```xml\n<a>1</a>\n```\n<b>2</b>", json!({"a": "1"})),
        ("a <- b <c <a>1</a>", json!({"a": "1"})),
    ] {
        assert_eq!(read(text), value, "{text}");
    }
}

#[test]
fn an_element_is_found_by_its_name() {
    let text = "<thinking>maybe <answers/> or <answer> or</thinking><answer>42</answer>";
    assert_eq!(Xml::new().element("answer").parse(text).unwrap(), json!({"answer": "42"}));
    assert!(Xml::new().element("result").parse(text).unwrap_err().to_string().contains("no element <result>"));
}

#[test]
fn what_is_no_xml_is_refused_with_its_place() {
    for (text, fault) in [
        ("", "there is no element"),
        ("words", "there is no element"),
        ("<a>", "not XML"),
        ("<a><b></a></b>", "not XML"),
        ("<a b></a>", "not XML"),
        ("<a b=c></a>", "not XML"),
        ("<a b='1' b='2'/>", "b is there twice"),
        ("<a>&nbsp;</a>", "the entity &nbsp; is unknown"),
        ("<a b='&nbsp;'/>", "nbsp"),
        ("<a>AT&T</a>", "not XML"),
        ("<a>AT&T <b>1</b></a>", "not XML"),
        ("Here: <a><b>1</b><c>cut", "not XML"),
        ("<a>&#0;</a>", "not XML"),
        ("<a>&#1;</a>", "cannot be in XML"),
        ("<a><!DOCTYPE a></a>", "a DOCTYPE is refused"),
        ("<!DOCTYPE a><a/>", "a DOCTYPE is refused"),
        ("<!doctype a [<!ENTITY e \"x\">]><a>1</a>", "a DOCTYPE is refused"),
        ("<a><b!c/></a>", "is no name"),
    ] {
        assert!(refused(text).contains(fault), "{text}: {}", refused(text));
    }
    let error = Xml::new().parse("Look: <a><b>1</c></a>").unwrap_err();
    assert_eq!(error.fault().unwrap().place, Some(Place::Byte(13)), "{error}");
}

#[test]
fn bombs_end_at_once() {
    let lines: String = (1..9).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    assert!(
        refused(&format!("<!DOCTYPE l [<!ENTITY l0 \"lol\">{lines}]><a>&l8;</a>")).contains("entity &l8; is unknown")
    );
    let deep = "<a>".repeat(100_000);
    assert!(refused(&deep).contains("more than 64 elements"));
    let limit = |max_bytes| Xml::new().max_bytes(max_bytes);
    assert!(limit(4 << 20).parse(&"<a ".repeat(500_000)).is_err());
    assert!(limit(4 << 20).parse(&"<".repeat(2_000_000)).is_err());
    assert!(limit(4 << 20).parse(&"<a>&".repeat(500_000)).is_err());
    assert!(limit(100).parse(&"<a>x</a>".repeat(100)).unwrap_err().to_string().contains("longer than 100 bytes"));
    // Attributes are not compared each with all.
    let many: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    assert!(limit(4 << 20).parse(&format!("<a{many}/>")).is_ok());
    let deepest = Xml::new().max_depth(9_999);
    assert!(deepest.parse(&format!("{}{}", "<a>".repeat(512), "</a>".repeat(512))).is_ok());
    assert!(deepest.parse(&format!("{}{}", "<a>".repeat(513), "</a>".repeat(513))).is_err());
}

fn written(name: &str, value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(|item| written(name, item)).collect(),
        Value::Object(fields) => {
            let inner: String = fields.iter().map(|(name, value)| written(name, value)).collect();
            format!("<{name}>{inner}</{name}>")
        }
        value => format!("<{name}>{}</{name}>", quick_xml::escape::escape(value.as_str().unwrap_or_default())),
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read_again(texts in prop::collection::vec("[a-z<>&\"' äöü]{1,9}", 2..5)) {
        let texts: Vec<String> = texts.iter().map(|text| text.trim().to_owned()).collect();
        let value = json!({"one": texts[0], "many": texts});
        prop_assert_eq!(read(&written("all", &value)), json!({ "all": value }));
    }

    #[test]
    fn it_never_panics(text in "(?s).*|[<>/a&;#x!\\[\\]= '\"?-]*") {
        let _ = Xml::new().parse(&text);
        let _ = Xml::new().element("a").parse(&text);
    }
}
