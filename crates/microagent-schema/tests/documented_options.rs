//! The tables of the documentation name the options that there are, with their defaults and words.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::time::Duration;

use microagent_schema::{
    ConsumerOptions, CronOptions, Form, HandlerOptions, PeriodicOptions, ReceiverOptions,
};
use serde_json::{Map, Value, json};

const HANDLERS: &str = include_str!("../../../docs/handlers.md");
const MARUN: &str = include_str!("../../../docs/marun.md");

/// The defaults that the tables say in words, because no value does.
const IN_WORDS: [(&str, &str); 6] = [
    ("consumer", "prefetch"),
    ("consumer", "dead_letter"),
    ("consumer", "driver"),
    ("periodic", "period"),
    ("cron", "cron"),
    ("cron", "tz"),
];

/// A row of the table of options: the name, the default of each kind, and the meaning.
struct Row {
    option: String,
    defaults: [String; 4],
    meaning: String,
}

fn rows() -> Vec<Row> {
    let header = "| option | receiver | consumer | periodic | cron | meaning |\n";
    let (_, table) = HANDLERS.split_once(header).unwrap();
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let [_, option, receiver, consumer, periodic, cron, meaning, _] =
            <[String; 8]>::try_from(cells).unwrap();
        Row {
            option: option
                .trim_matches('`')
                .split('(')
                .next()
                .unwrap()
                .to_owned(),
            defaults: [receiver, consumer, periodic, cron],
            meaning,
        }
    })
    .collect()
}

/// A default as settings would write it; none if the cell is in words.
fn value(cell: &str) -> Option<Value> {
    let text = cell.strip_prefix('`')?.strip_suffix('`')?;
    let list = text
        .strip_prefix("retry(")
        .and_then(|list| list.strip_suffix(')'));
    let json = list.map_or(text.to_owned(), |list| format!("[{list}]"));
    Some(serde_json::from_str(&json).unwrap_or_else(|_| json!(text)))
}

fn assert_documented<T: HandlerOptions + PartialEq + std::fmt::Debug>(column: usize, defaults: &T) {
    let rows: Vec<_> = rows()
        .into_iter()
        .filter(|row| !row.defaults[column].is_empty())
        .collect();
    let mut documented: Vec<_> = rows.iter().map(|row| row.option.as_str()).collect();
    let mut known: Vec<_> = T::OPTIONS.iter().map(|(name, _)| *name).collect();
    documented.sort_unstable();
    known.sort_unstable();
    assert_eq!(documented, known, "the options of a {}", T::ATTRIBUTE);
    for row in &rows {
        let option = row.option.as_str();
        match value(&row.defaults[column]) {
            Some(default) => {
                let given = Map::from_iter([(option.to_owned(), default)]);
                assert_eq!(defaults.overlaid(&given).unwrap(), *defaults, "{option}");
            }
            None => assert!(IN_WORDS.contains(&(T::ATTRIBUTE, option)), "{option}"),
        }
        if let Ok(Form::Word(words)) = T::form(option) {
            for word in words.words {
                assert!(
                    row.meaning.contains(&format!("`{word}`")),
                    "{option}: {word}"
                );
            }
        }
    }
}

#[test]
fn the_table_of_options_is_that_of_the_types() {
    assert_documented(0, &ReceiverOptions::default());
    assert_documented(1, &ConsumerOptions::default());
    assert_documented(2, &PeriodicOptions::every(Duration::from_secs(15)));
    assert_documented(3, &CronOptions::at("@daily"));
}

#[test]
fn the_table_of_settings_says_which_options_only_an_attribute_can_set() {
    let row = MARUN
        .lines()
        .find(|line| line.starts_with("| `agent.NAME.handlers` |"));
    let (_, except) = row.unwrap().split_once(": all but `").unwrap();
    let (except, _) = except.split_once('`').unwrap();
    let fixed = [
        ReceiverOptions::OF_ATTRIBUTE,
        ConsumerOptions::OF_ATTRIBUTE,
        PeriodicOptions::OF_ATTRIBUTE,
        CronOptions::OF_ATTRIBUTE,
    ];
    let fixed: Vec<_> = fixed
        .iter()
        .flat_map(|fixed| fixed.iter())
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(fixed, [except]);
}
