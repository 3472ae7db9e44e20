//! "did you mean": the known name nearest to a misspelt one, and the list of what is allowed.

/// What is allowed instead of `name`, as the end of a message: the nearest name first, then all.
///
/// `none` says it where nothing is allowed.
pub(crate) fn allowed<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    none: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if known.is_empty() {
        return none.to_owned();
    }
    let list = known.join(", ");
    match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`? allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

/// The known name within a third of its length in edits, and one more: swapped letters are two.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let (near, edits) = known
        .iter()
        .map(|candidate| (*candidate, distance(name, candidate)))
        .min_by_key(|(_, edits)| *edits)?;
    (edits <= 1 + near.chars().count() / 3).then_some(near)
}

/// The Levenshtein distance without regard to case, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("Bus", "bus", 0),
            ("bakend", "backend", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["backend", "bus", "broker"];
        assert_eq!(
            allowed("bakend", known, ""),
            "did you mean `backend`? allowed: backend, bus, broker"
        );
        assert_eq!(allowed("xyz", known, ""), "allowed: backend, bus, broker");
        assert_eq!(allowed("xyz", [], "there is none"), "there is none");
    }
}
