//! The grammar of one field: lists of `*`, `n`, `a-b`, `*/n` and `a-b/n`.

use super::{CronError, Field, FieldSet};

/// Returns the values that a field's text allows. Days of the week come back as 0 to 6 from Sunday.
pub(super) fn parse_field(field: Field, text: &str) -> Result<FieldSet, CronError> {
    text.split(',').try_fold(FieldSet::default(), |set, item| {
        if item.is_empty() {
            let message = format!("an item of the list `{text}` is empty: a value or a range is expected between commas");
            return Err(CronError::of(field, message));
        }
        Ok(set.union(parse_item(field, item)?))
    })
}

fn parse_item(field: Field, item: &str) -> Result<FieldSet, CronError> {
    let (span, step) = match item.split_once('/') {
        Some((span, step)) => (span, Some(parse_step(field, item, step)?)),
        None => (item, None),
    };
    let (first, last) = if span == "*" {
        field.range().into_inner()
    } else if let Some((first, last)) = span.split_once('-') {
        parse_range(field, span, first, last)?
    } else {
        let value = parse_value(field, span, span)?;
        if step.is_some() {
            return Err(step_without_range(field, item, value));
        }
        (value, value)
    };
    let values = (first..=last).step_by(step.unwrap_or(1));
    Ok(values.map(|value| normal(field, value)).collect())
}

/// Returns how far it is from one value to the next. A step beyond the range leaves the range's start alone, as in cron.
fn parse_step(field: Field, item: &str, step: &str) -> Result<usize, CronError> {
    let refused = || {
        let highest = u16::MAX;
        let message = format!(
            "invalid step `{step}` in `{item}`: expected a whole number from 1 to {highest}"
        );
        CronError::of(field, message)
    };
    if !step.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    match step.parse::<u16>() {
        Ok(0) | Err(_) => Err(refused()),
        Ok(step) => Ok(step.into()),
    }
}

/// Returns the ends of a range. A range of days of the week may run over the week's end: it then ends above 6.
fn parse_range(field: Field, span: &str, first: &str, last: &str) -> Result<(u8, u8), CronError> {
    let (from, to) = (
        parse_value(field, span, first)?,
        parse_value(field, span, last)?,
    );
    if from <= to {
        return Ok((from, to));
    }
    if field == Field::DayOfWeek {
        return Ok((from, to + 7));
    }
    let (low, high) = field.range().into_inner();
    let message =
        format!("range {span} runs backwards: `{first}-{high},{low}-{last}` goes around the end");
    Err(CronError::of(field, message))
}

/// Returns a number or a word, which stands in `span`.
fn parse_value(field: Field, span: &str, text: &str) -> Result<u8, CronError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return field
            .value_of_word(text)
            .ok_or_else(|| no_value(field, span, text));
    }
    text.parse()
        .ok()
        .filter(|value| field.range().contains(value))
        .ok_or_else(|| {
            let allowed = field.allowed_numbers();
            CronError::of(field, format!("{text} is out of range {allowed}"))
        })
}

fn no_value(field: Field, span: &str, text: &str) -> CronError {
    let allowed = field.allowed();
    let message = match text {
        // The minus sign was taken for a range's dash.
        "" if span.starts_with('-') => format!("`{span}` is negative: {allowed} is allowed"),
        "" => format!("invalid range `{span}`: expected two ends in {allowed}"),
        _ => format!(
            "invalid value `{text}`: expected {allowed}, or `*`, or lists, ranges and steps of them"
        ),
    };
    CronError::of(field, message)
}

fn step_without_range(field: Field, item: &str, value: u8) -> CronError {
    let (step, high) = (
        item.split_once('/').map_or("1", |(_, step)| step),
        *field.range().end(),
    );
    let message = format!("`{item}` has a step but no range: write `{value}-{high}/{step}`");
    CronError::of(field, message)
}

fn normal(field: Field, value: u8) -> u8 {
    match field {
        Field::DayOfWeek => value % 7,
        _ => value,
    }
}
