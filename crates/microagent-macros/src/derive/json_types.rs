//! The JSON types of a Rust type, derived from its text.

use microagent_schema::JsonType;
use syn::{GenericArgument, PathArguments, PathSegment, Type, TypePath};

/// Returns the JSON types that a value of this type is written as; empty, which means any, if the text does not show it.
pub(super) fn of(rust: &Type) -> Vec<JsonType> {
    match rust {
        Type::Path(path) if path.qself.is_none() => of_path(path),
        Type::Tuple(tuple) if tuple.elems.is_empty() => vec![JsonType::Null],
        Type::Tuple(_) | Type::Array(_) => vec![JsonType::Array],
        Type::Paren(inner) => of(&inner.elem),
        Type::Group(inner) => of(&inner.elem),
        _ => Vec::new(),
    }
}

fn of_path(path: &TypePath) -> Vec<JsonType> {
    let Some(last) = path.path.segments.last() else {
        return Vec::new();
    };
    match last.ident.to_string().as_str() {
        "String" | "char" => vec![JsonType::String],
        "bool" => vec![JsonType::Boolean],
        "Number" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32"
        | "i64" | "i128" | "isize" | "f32" | "f64" => {
            vec![JsonType::Number]
        }
        "Vec" | "VecDeque" | "HashSet" | "BTreeSet" => vec![JsonType::Array],
        "HashMap" | "BTreeMap" => vec![JsonType::Object],
        "Box" | "Arc" | "Rc" => only_argument(last).map(of).unwrap_or_default(),
        "Option" => or_null(only_argument(last).map(of).unwrap_or_default()),
        _ => Vec::new(),
    }
}

/// Any value stays any value.
fn or_null(mut types: Vec<JsonType>) -> Vec<JsonType> {
    if !types.is_empty() && !types.contains(&JsonType::Null) {
        types.push(JsonType::Null);
    }
    types
}

fn only_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(argument) if arguments.args.len() == 1 => Some(argument),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_type_tells_its_json_types() {
        for (rust, json) in [
            ("String", "string"),
            ("std::string::String", "string"),
            ("u64", "number"),
            ("Number", "number"),
            ("f64", "number"),
            ("bool", "boolean"),
            ("Vec<u8>", "array"),
            ("(u8, String)", "array"),
            ("[u8; 4]", "array"),
            ("HashMap<String, u8>", "object"),
            ("()", "null"),
            ("Option<bool>", "boolean null"),
            ("Option<Option<f32>>", "number null"),
            ("Box<Vec<u8>>", "array"),
            ("Option<Money>", ""),
            ("Money", ""),
            ("Value", ""),
            ("<T as Trait>::String", ""),
        ] {
            let names: Vec<_> = of(&syn::parse_str(rust).unwrap())
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(names.join(" "), json, "{rust}");
        }
    }
}
