//! `key=text` and `key:=json` → a JSON object.

use serde_json::{Map, Value};

use crate::exit::Failure;

/// Reads the arguments of one message.
pub(crate) fn parse(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut fields = Map::new();
    for argument in arguments {
        let (key, value) = parse_one(argument)?;
        if fields.insert(key.clone(), value).is_some() {
            return Err(Failure::usage(format!(
                "the argument `{key}` is given twice"
            )));
        }
    }
    Ok(fields)
}

fn parse_one(argument: &str) -> Result<(String, Value), Failure> {
    let Some((key, text)) = argument.split_once('=') else {
        return Err(Failure::usage(format!(
            "`{argument}` is no argument; allowed are `key=text` and `key:=json`"
        )));
    };
    let (key, value) = match key.strip_suffix(':') {
        None => (key, text.into()),
        Some(key) => {
            let value = serde_json::from_str(text);
            let refuse =
                |error| Failure::usage(format!("`{argument}`: `{text}` is no JSON: {error}"));
            (key, value.map_err(refuse)?)
        }
    };
    if key.is_empty() {
        return Err(Failure::usage(format!(
            "`{argument}` has no key before its `=`"
        )));
    }
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<String, String> {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let fields = parse(&arguments).map_err(|failure| failure.message)?;
        Ok(Value::Object(fields).to_string())
    }

    #[test]
    fn texts_and_json() {
        let arguments = ["a=1", "b:=1", "c=x=y", "d:={\"e\": [null]}", "f=", "g=:="];
        assert_eq!(
            run(&arguments).unwrap(),
            r#"{"a":"1","b":1,"c":"x=y","d":{"e":[null]},"f":"","g":":="}"#
        );
        assert_eq!(run(&[]).unwrap(), "{}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("a", "`a` is no argument; allowed are"),
            ("a:=x", "`a:=x`: `x` is no JSON: "),
            ("=x", "`=x` has no key"),
            (":=1", "`:=1` has no key"),
        ];
        for (argument, expected) in cases {
            let message = run(&[argument]).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
        assert_eq!(
            run(&["a=1", "a=2"]).unwrap_err(),
            "the argument `a` is given twice"
        );
    }
}
