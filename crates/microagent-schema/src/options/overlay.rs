//! Options over options: serialize, put the given ones into their places, deserialize.

use serde_json::{Map, Value};

use super::{Form, HandlerOptions, OptionError};
use crate::suggest;

/// Names that other libraries give to options of ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("backoff", "retry"),
    ("delay", "start_after"),
    ("dlq", "dead_letter"),
    ("every", "period"),
    ("interval", "period"),
    ("max_retries", "retry"),
    ("retries", "retry"),
    ("schedule", "cron"),
    ("time_zone", "tz"),
    ("timezone", "tz"),
    ("workers", "concurrency"),
    ("zone", "tz"),
];

pub(super) fn form<T: HandlerOptions>(option: &str) -> Result<Form, OptionError> {
    let known = T::OPTIONS.iter().find(|(name, _)| *name == option);
    known
        .map(|(_, form)| *form)
        .ok_or_else(|| unknown::<T>(option))
}

fn unknown<T: HandlerOptions>(option: &str) -> OptionError {
    let message = match T::ABSENT.iter().find(|(absent, _)| *absent == option) {
        Some((_, reason)) => format!("unknown option: {reason}"),
        None => {
            let known: Vec<_> = T::OPTIONS.iter().map(|(name, _)| *name).collect();
            let synonym = SYNONYMS.iter().find(|(theirs, _)| *theirs == option);
            let near = synonym
                .map(|(_, ours)| *ours)
                .filter(|ours| known.contains(ours))
                .or_else(|| suggest::nearest(option, &known));
            suggest::unknown_near("option", near, &known)
        }
    };
    OptionError::of(option, message)
}

/// Refuses the options that only an attribute can set.
pub(super) fn refuse_fixed<T: HandlerOptions>(
    given: &Map<String, Value>,
) -> Result<(), OptionError> {
    let mut fixed = T::OF_ATTRIBUTE.iter();
    match fixed.find(|(option, _)| given.contains_key(*option)) {
        Some((option, reason)) => {
            let message = format!("only the handler's attribute can set it: {reason}");
            Err(OptionError::of(*option, message))
        }
        None => Ok(()),
    }
}

/// Reads option by option, so that an error belongs to the option that was put in last.
pub(super) fn overlaid<T: HandlerOptions>(
    options: &T,
    given: &Map<String, Value>,
) -> Result<T, OptionError> {
    let mut written = written(options)?;
    let mut read = options.clone();
    for (option, value) in given {
        let form = form::<T>(option)?;
        if value.is_null() {
            continue;
        }
        form.check(value)
            .map_err(|message| OptionError::of(option, message))?;
        put(&mut written, form, option, value);
        read = T::deserialize(Value::Object(written.clone()))
            .map_err(|error| OptionError::of(option, error))?;
    }
    Ok(read)
}

fn written<T: HandlerOptions>(options: &T) -> Result<Map<String, Value>, OptionError> {
    match serde_json::to_value(options) {
        Ok(Value::Object(written)) => Ok(written),
        Ok(other) => Err(OptionError::new(format!(
            "options are a table, not {other}"
        ))),
        Err(error) => Err(OptionError::new(error)),
    }
}

/// Free names are added to those that are there; any other value is replaced.
fn put(written: &mut Map<String, Value>, form: Form, option: &str, value: &Value) {
    match (form, written.get_mut(option), value) {
        (Form::Texts, Some(Value::Object(there)), Value::Object(added)) => {
            there.extend(added.clone());
        }
        _ => drop(written.insert(option.to_owned(), value.clone())),
    }
}
