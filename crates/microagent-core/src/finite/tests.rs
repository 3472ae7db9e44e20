//! Finite numbers pass; each other is named with its place.

use std::collections::BTreeMap;

use serde::Serialize;

use serde_json::value::RawValue;

use super::*;

#[derive(Serialize)]
enum Item {
    Price(f32),
    Range(f64, f64),
    Named { low: f64 },
}

#[derive(Serialize)]
struct Order<'a> {
    total: f64,
    note: Option<&'a str>,
    items: Vec<Item>,
    #[serde(flatten)]
    more: BTreeMap<u8, Vec<f64>>,
}

fn order() -> Order<'static> {
    Order {
        total: 1.5,
        note: None,
        items: vec![
            Item::Price(1.0),
            Item::Range(0.0, 1.0),
            Item::Named { low: -0.0 },
        ],
        more: BTreeMap::from([(7, vec![f64::MAX, f64::MIN_POSITIVE])]),
    }
}

fn why(change: impl FnOnce(&mut Order<'_>)) -> String {
    let mut order = order();
    change(&mut order);
    let json = serde_json::to_string(&order).unwrap();
    check(&order, &json).unwrap_err().to_string()
}

#[test]
fn finite_numbers_and_null_pass() {
    let json = serde_json::to_string(&order()).unwrap();
    assert!(json.contains("null"));
    assert!(check(&order(), &json).is_ok());
    let raw = RawValue::from_string("[null, 1e400]".to_owned()).unwrap();
    assert!(check(&raw, raw.get()).is_ok());
    assert!(check(&u128::MAX, "null").is_ok() && check(&(), "null").is_ok());
}

#[test]
fn a_number_that_is_not_finite_is_named_with_its_place() {
    let of = |number, place| {
        format!(
            "invalid number `{number}` in `{place}`: expected a finite number, because JSON has no other"
        )
    };
    assert_eq!(why(|order| order.total = f64::NAN), of("NaN", "total"));
    let found = why(|order| order.items[0] = Item::Price(f32::NEG_INFINITY));
    assert_eq!(found, of("-inf", "items[0].Price"));
    let found = why(|order| order.items[1] = Item::Range(0.0, f64::INFINITY));
    assert_eq!(found, of("inf", "items[1][1]"));
    let found = why(|order| order.items[2] = Item::Named { low: f64::NAN });
    assert_eq!(found, of("NaN", "items[2].low"));
    let found = why(|order| drop(order.more.insert(8, vec![1.0, f64::NAN])));
    assert_eq!(found, of("NaN", "8[1]"));
    assert_eq!(
        check(&f64::NAN, "null").unwrap_err().to_string(),
        "invalid number `NaN`: expected a finite number, because JSON has no other"
    );
}
