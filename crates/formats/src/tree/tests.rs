//! The lenient JSON parser and the tree that it gives: texts keep their spelling, and what is broken costs only itself.

use proptest::prelude::*;

use super::{json::salvage, *};

fn read(text: &str) -> Tree {
    let mut values = json::read(text).unwrap();
    assert_eq!(values.len(), 1, "{text}");
    values.remove(0)
}

fn quoted(text: &str) -> Tree {
    Tree::Quoted(text.into())
}

#[test]
fn scalars_keep_their_text() {
    let tree = read(r#"{"id": 1e5, "password": 12345678901234567890.50, "on": true, "none": null, "text": "1e5"}"#);
    assert_eq!(tree.get("id"), &Tree::Plain("1e5".into()));
    assert_eq!(tree.get("text"), &quoted("1e5"));
    assert_eq!((tree.text(&["id"]), tree.text(&["none"]), tree.get("absent")), ("1e5", "", &Tree::Null));
    assert!(tree.flag(&["on"]) && !tree.flag(&["none"]) && !tree.flag(&["text"]));
}

#[test]
fn strict_json_is_what_standard_readers_take() {
    for text in [r#"{"a":[1,-2.5e3,"b\n\u0041",true,false,null,{}],"c":{"d":[]}}"#, "[]", "\"x\"", "-0"] {
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
        assert_eq!(json::read(&read(text).json()).unwrap(), [read(text)], "{text}");
    }
    for wrong in
        ["{", "[1", "{\"a\"}", "{\"a\":}", "{a:1}", "[tru]", "\"open", "{\"a\":1]", "nul", "+1", "{\"a\":1 \"b\":2}"]
    {
        assert_eq!(json::read(wrong), Err(json::Malformed), "{wrong}");
    }
}

#[test]
fn what_publishers_add_to_json_is_forgiven() {
    let text = "\u{feff}// a list\n[1,, 2, /* three */ 3,\n# four\n4,]";
    assert_eq!(read(text).items().len(), 4);
    let several = json::read("{\"a\":1}\n{\"a\":2},\n{\"a\":3}").unwrap();
    assert_eq!(several.iter().map(|tree| tree.text(&["a"])).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(json::read(" // nothing\n").unwrap(), []);
}

#[test]
fn of_a_repeated_key_the_first_value_counts() {
    let tree = read(r#"{"a": "", "a": "first", "b": ["x", "", "y"], "c": "u, v"}"#);
    assert_eq!((tree.text(&["a"]), tree.text(&["missing", "b"])), ("", "x"));
    assert_eq!(tree.any(&["missing", "c"]), &quoted("u, v"));
    let texts = |tree: &Tree| tree.texts().join("|");
    assert_eq!((texts(tree.get("b")), texts(tree.get("c"))), ("x|y".into(), "u, v".into()));
    assert_eq!(tree.get("c").words().join("|"), "u|v");
    assert_eq!(read(r#"{"port": " 443 "}"#).number::<u16>(&["port"]), Some(443));
    assert_eq!(read(r#"{"port": 70000}"#).number::<u16>(&["port"]), None);
}

#[test]
fn broken_entries_cost_only_themselves() {
    let salvaged = salvage("{\"proxies\": [{\"a\": 1}, {\"a\": oops}, {\"a\": 3}], \"rest\": \"x\"}");
    let items = salvaged[0].get("proxies").items();
    assert_eq!((items.len(), items[1].is_scalar()), (3, false));
    assert_eq!(items[1], Tree::Broken("{\"a\": oops}".into()));
    assert_eq!((items[2].text(&["a"]), salvaged[0].text(&["rest"])), ("3", "x"));
    let member = salvage("{\"bad\": {\"x\": ?}, \"good\": 1}");
    assert_eq!((member[0].text(&["good"]), member[0].get("bad")), ("1", &Tree::Null));
}

#[test]
fn the_end_of_a_text_ends_every_open_value() {
    let cut = salvage("[{\"a\": 1}, {\"a\": 2, \"b\": [3, 4");
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0].items().len(), 2);
    assert_eq!(cut[0].items()[1].get("b").items().len(), 2);
    assert_eq!(salvage("[\"whole\", "), [Tree::List(vec![quoted("whole")])]);
    assert_eq!(salvage("no json"), []);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::read(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(json::read(&nested(MAX_DEPTH + 2)), Err(json::Malformed));
    assert!(json::read(&"[".repeat(100_000)).is_err());
}

#[test]
fn a_balanced_value_ends_where_its_bracket_closes() {
    let text = r#"x {"a": "}\"]", "b": [1, {2}]} y"#;
    assert_eq!(json::end_of_value(text, 2), Some(text.len() - 2));
    assert_eq!(json::end_of_value("{\"open quote\n}", 0), Some(14), "a quote ends with its line");
    assert_eq!(json::end_of_value("{{}", 0), None);
}

#[test]
fn maps_are_built_without_what_is_absent() {
    let mut inner = MapBuilder::default();
    inner.text("path", "").flag("tls", false);
    let mut map = MapBuilder::default();
    map.text("a", "1").text("b", "").required("c", "").number("d", Some(5)).number("e", None::<u8>);
    map.flag("f", true).texts("g", &[]).texts("h", &["x".into()]).map("i", inner).put("j", Tree::Null);
    assert_eq!(map.into_tree().json(), r#"{"a":"1","c":"","d":5,"f":true,"h":["x"]}"#);
}

#[test]
fn host_is_kept_apart_from_other_headers() {
    let (hosts, others) = headers::split(&read(r#"{"host": ["a", "b"], "X-One": "1", "X-Two": ["2", "3"]}"#));
    assert_eq!(hosts.join("|"), "a|b");
    let others: Vec<_> = others.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(others, ["X-One=1", "X-Two=2", "X-Two=3"]);
    assert_eq!(headers::join(Some("a"), &[("N".into(), "v".into())]).into_tree().json(), r#"{"Host":"a","N":"v"}"#);
    assert_eq!(headers::join(None, &[]).into_tree().json(), "{}");
}

#[test]
fn only_words_of_json_go_without_quotes() {
    for word in ["0", "-1.5e3", "true", "false", "10"] {
        assert!(is_json_word(word), "{word}");
    }
    for text in ["", "01", "-", ".5", "1.", "yes", "null", "0x1", "1_000", "NaN", &"1".repeat(41)] {
        assert!(!is_json_word(text), "{text}");
    }
    assert_eq!(Tree::Plain("0123".into()).json(), "\"0123\"");
}

/// Any tree without broken pieces, a few levels deep.
fn tree() -> impl Strategy<Value = Tree> {
    let number = any::<i32>().prop_map(|number| Tree::Plain(number.to_string().into()));
    let text = any::<String>().prop_map(|text| Tree::Quoted(text.into()));
    let leaf = prop_oneof![Just(Tree::Null), Just(Tree::Plain("true".into())), number, text];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let map = proptest::collection::vec((any::<String>().prop_map(Into::into), inner.clone()), 0..5);
        prop_oneof![proptest::collection::vec(inner, 0..5).prop_map(Tree::List), map.prop_map(Tree::Map)]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_is_json(tree in tree()) {
        let text = tree.json();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        prop_assert_eq!(json::read(&text), Ok(vec![tree.clone()]));
        prop_assert_eq!(salvage(&text), [tree]);
    }

    #[test]
    fn a_cut_text_gives_what_came_before_the_cut(tree in tree(), cut: prop::sample::Index) {
        let text = tree.json();
        let part: String = text.chars().take(cut.index(text.chars().count() + 1)).collect();
        let _ = (json::read(&part), salvage(&part), json::end_of_value(&part, 0));
        prop_assert_eq!(salvage(&format!("[{},", text)).len(), 1);
    }
}
