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
    inner: Option<Box<Settings>>,
    raw: Value,
}

fn read(settings: &Value) -> Result<(Settings, Vec<Misspelt>), String> {
    super::read(settings)
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
