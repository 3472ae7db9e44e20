//! `compact` removes the white space between tokens and nothing else, whatever the text is.

use microagent_schema::compact;
use proptest::prelude::*;

/// A token of JSON, ordinary ones and those that a JSON tree cannot hold.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "true",
            "false",
            "null",
            "0",
            "-1.50",
            "1e400",
            "18446744073709551617",
            r#""""#,
            r#""\ud800""#,
            r#""a b\" c""#,
            r#""\\""#,
            "\"\u{85}\u{a0}\"",
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ]
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,3}"
}

fn is_word(token: &str) -> bool {
    !token.starts_with(['"', '{', '}', '[', ']', ',', ':'])
}

/// The tokens of a text, found one character after the other.
fn tokens(text: &str) -> Vec<String> {
    let (mut found, mut word) = (Vec::new(), String::new());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        let ends_word = !in_string && (c == '"' || " \t\r\n{}[],:".contains(c));
        if ends_word && !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        if !in_string && " \t\r\n".contains(c) {
            continue;
        }
        if !in_string && "{}[],:".contains(c) {
            found.push(c.to_string());
            continue;
        }
        word.push(c);
        if in_string && c == '"' && !escaped {
            in_string = false;
            found.push(std::mem::take(&mut word));
        } else if !in_string && c == '"' {
            in_string = true;
        }
        escaped = in_string && c == '\\' && !escaped;
    }
    found.extend((!word.is_empty()).then_some(word));
    found
}

proptest! {
    #[test]
    fn tokens_keep_their_bytes(parts in prop::collection::vec((token(), space()), 0..20), before in space()) {
        let (mut spaced, mut expected) = (before, String::new());
        for (token, space) in &parts {
            let joins = expected.chars().last().is_some_and(|c| !"\"{}[],:".contains(c)) && is_word(token);
            let space = if joins { " " } else { space };
            if joins {
                // Two words need one blank; they are apart in both texts.
                spaced.push(' ');
                expected.push(' ');
            }
            spaced.push_str(token);
            spaced.push_str(space);
            expected.push_str(token);
        }
        prop_assert_eq!(compact(&spaced), expected);
    }

    #[test]
    fn any_text_has_the_same_tokens(text in prop_oneof![any::<String>(), "[ \t\r\n\"\\\\a1{}\\[\\],:-]{0,40}"]) {
        let compacted = compact(&text);
        prop_assert_eq!(tokens(&compacted), tokens(&text));
        prop_assert_eq!(compact(&compacted), compacted.as_ref());
    }

    #[test]
    fn a_value_stays_the_same(pairs in prop::collection::vec((any::<String>(), any::<f64>()), 0..6)) {
        let object: serde_json::Map<_, _> = pairs.into_iter().map(|(key, number)| (key, number.into())).collect();
        let value = serde_json::Value::Object(object);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(compact(&pretty), value.to_string());
    }
}
