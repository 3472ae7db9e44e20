use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
struct Level(u8);

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Fast,
    Slow { by: u8 },
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Settings {
    name: String,
    port: u16,
    ratio: f64,
    debug: Option<bool>,
    level: Option<Level>,
    modes: Vec<Mode>,
    weights: BTreeMap<u16, i64>,
    inner: Option<Box<Self>>,
    raw: Value,
}

fn read(settings: &Value) -> Result<(Settings, Vec<Misspelt>), String> {
    super::read(settings, &Places::new())
}

#[test]
fn text_becomes_what_the_type_wants() {
    let as_text = json!({
        "name": "8080", "port": "8080", "ratio": "0.5", "debug": "true", "level": "3",
        "modes": ["fast", {"slow": {"by": 2}}], "weights": {"1": "-7"}, "inner": {"port": "1"}, "raw": {"x": "1"},
    });
    let (read, misspelt) = read(&as_text).unwrap();
    let expected = Settings {
        name: "8080".to_owned(),
        port: 8080,
        ratio: 0.5,
        debug: Some(true),
        level: Some(Level(3)),
        modes: vec![Mode::Fast, Mode::Slow { by: 2 }],
        weights: [(1, -7)].into(),
        inner: Some(Box::new(Settings {
            port: 1,
            ..Settings::default()
        })),
        raw: json!({"x": "1"}),
    };
    assert_eq!(read, expected);
    assert_eq!(misspelt, []);
}

#[test]
fn everything_else_is_read_as_from_json() {
    let settings = json!({
        "name": "x", "port": 1, "ratio": 2, "debug": null, "level": 3, "modes": ["fast"],
        "weights": {"1": 2}, "inner": null, "raw": [1, null, "x"],
    });
    let (read, _) = read(&settings).unwrap();
    assert_eq!(read, serde_json::from_value(settings).unwrap());
}

#[test]
fn an_error_names_the_key() {
    let cases = [
        (
            json!({"port": "soon"}),
            "`port`: invalid type: string \"soon\", expected u16",
        ),
        (json!({"port": "70000"}), "`port`: invalid value"),
        (json!({"inner": {"debug": "yes"}}), "`inner.debug`: "),
        (
            json!({"modes": ["fast", "fats"]}),
            "`modes[1]`: unknown variant `fats`",
        ),
        (json!([[]]), "`[0]`: "),
    ];
    for (settings, expected) in cases {
        let error = read(&settings).unwrap_err();
        assert!(error.starts_with(expected), "{settings}: {error}");
    }
}

#[test]
fn a_misspelt_key_beside_a_default_is_noted() {
    let (_, misspelt) =
        read(&json!({"prot": 1, "inner": {"debgu": true}, "elsewhere": 1})).unwrap();
    let noted: Vec<_> = misspelt
        .iter()
        .map(|misspelt| (misspelt.key.as_str(), misspelt.field))
        .collect();
    assert_eq!(noted, [("prot", "port"), ("inner.debgu", "debug")]);
    // Another part of the agent may read the key that is not known here.
    assert_eq!(read(&json!({"ports": 1, "port": 1})).unwrap().1, []);
}

#[test]
fn an_error_and_a_misspelt_key_have_the_place_in_the_file() {
    let at = |line: u8, key: &str| format!("s.toml:{line}: agent.a.settings{key}");
    let places = Places::from([
        (String::new(), at(1, "")),
        ("port".to_owned(), at(2, ".port")),
        ("inner.debgu".to_owned(), at(3, ".inner.debgu")),
    ]);
    let read = |settings| super::read::<Settings>(&settings, &places);
    assert_eq!(
        read(json!({"port": "soon"})).unwrap_err(),
        "s.toml:2: agent.a.settings.port: invalid type: string \"soon\", expected u16"
    );
    let (_, misspelt) = read(json!({"inner": {"debgu": true}})).unwrap();
    assert_eq!(misspelt[0].place, Some(at(3, ".inner.debgu")));
}

#[test]
fn a_missing_field_names_the_key_that_was_probably_meant() {
    #[derive(Debug, Deserialize)]
    struct Required {
        #[expect(dead_code, reason = "it is never there")]
        port: u16,
    }
    let places = Places::from([(String::new(), "s.toml:1: agent.a.settings".to_owned())]);
    assert_eq!(
        super::read::<Required>(&json!({"prot": 1}), &places).unwrap_err(),
        "s.toml:1: agent.a.settings: missing field `port`; unknown key `prot`, did you mean `port`?"
    );
}
