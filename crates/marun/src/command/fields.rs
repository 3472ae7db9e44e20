//! Parses `key=text` and `key:=json` into a JSON object. The JSON tokens stay as typed.

use microagent_schema::compact;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::exit::Failure;

/// The fields of one message, in the order of the command line.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Box<RawValue>)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Parses the arguments of one message.
pub(crate) fn parse(arguments: &[String]) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    for argument in arguments {
        let (key, value) = parse_one(argument)?;
        if fields.0.iter().any(|(known, _)| *known == key) {
            return Err(Failure::usage(format!("duplicate argument `{key}`")));
        }
        fields.0.push((key, value));
    }
    Ok(fields)
}

fn parse_one(argument: &str) -> Result<(String, Box<RawValue>), Failure> {
    let Some((key, text)) = argument.split_once('=') else {
        return Err(Failure::usage(format!(
            "invalid argument `{argument}`: expected `key=text` or `key:=json`"
        )));
    };
    let (key, value) = match key.strip_suffix(':') {
        None => (key, to_raw_value(text)),
        Some(key) => (key, RawValue::from_string(compact(text).into_owned())),
    };
    if key.is_empty() {
        return Err(Failure::usage(format!(
            "invalid argument `{argument}`: expected a key before `=`"
        )));
    }
    let refuse = |error| {
        Failure::usage(format!(
            "invalid argument `{argument}`: `{text}` is not valid JSON: {error}"
        ))
    };
    Ok((key.to_owned(), value.map_err(refuse)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<String, String> {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let fields = parse(&arguments).map_err(|failure| failure.message)?;
        Ok(serde_json::to_string(&fields).unwrap())
    }

    #[test]
    fn texts_and_json_become_an_object() {
        let arguments = ["a=1", "b:=1", "c=x=y", "d:={\"e\": [null]}", "f=", "g=:="];
        assert_eq!(
            run(&arguments).unwrap(),
            r#"{"a":"1","b":1,"c":"x=y","d":{"e":[null]},"f":"","g":":="}"#
        );
        assert_eq!(run(&[]).unwrap(), "{}");
        let odd = r#"n:= [18446744073709551617, 1e400,{"a":1,"a":"\ud800"}] "#;
        assert_eq!(
            run(&[odd]).unwrap(),
            r#"{"n":[18446744073709551617,1e400,{"a":1,"a":"\ud800"}]}"#
        );
    }

    #[test]
    fn errors_name_the_argument() {
        let cases = [
            ("a", "invalid argument `a`: expected `key=text` or"),
            ("a:=x", "invalid argument `a:=x`: `x` is not valid JSON: "),
            ("=x", "invalid argument `=x`: expected a key"),
            (":=1", "invalid argument `:=1`: expected a key"),
        ];
        for (argument, expected) in cases {
            let message = run(&[argument]).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
        assert_eq!(run(&["a=1", "a=2"]).unwrap_err(), "duplicate argument `a`");
    }
}
