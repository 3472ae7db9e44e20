//! "did you mean": the known name nearest to a misspelt one, and the list of what is allowed.

use microagent_schema::suggest::nearest;

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

#[cfg(test)]
mod tests {
    use super::*;

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
