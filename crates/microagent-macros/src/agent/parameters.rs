//! The classification of a handler's parameters by their text.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    FnArg, GenericArgument, Pat, PatType, PathArguments, Type, punctuated::Punctuated, token::Comma,
};

use super::{
    options::{Kind, KindName},
    parse::last_name,
};
use crate::problems::{Problems, shown};

/// A parameter.
pub(super) struct Parameter {
    pub(super) gets: Gets,
    pub(super) written: PatType,
}

/// The value that it gets.
pub(super) enum Gets {
    Context,
    Sender,
    SignalName,
    Message,
    Delivery,
    Gap,
    Kwargs,
    Payload(Type),
    /// The listed signal itself.
    Signal,
    Field {
        name: Ident,
        of: Type,
        optional: bool,
    },
}

/// Classifies the parameters behind `self`.
pub(super) fn of(
    inputs: &Punctuated<FnArg, Comma>,
    kind: &Kind,
    problems: &mut Problems,
) -> Vec<Parameter> {
    let typed = inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let typed: Vec<_> = typed.collect();
    let read = typed.into_iter().filter_map(|parameter| {
        let gets = gets(parameter, kind, problems)?;
        Some(Parameter {
            gets,
            written: parameter.clone(),
        })
    });
    read.collect()
}

fn gets(parameter: &PatType, kind: &Kind, problems: &mut Problems) -> Option<Gets> {
    if let Some(own) = of_signal(parameter, kind) {
        let message = format!("a receiver gets this from every signal: write `{own}`");
        problems.at(&parameter.ty, message);
        return None;
    }
    let gets = match &*parameter.ty {
        Type::Reference(reference) => by_reference(parameter, reference, kind, problems)?,
        Type::Path(path) => match last_name(&path.path).as_str() {
            "Sender" => Gets::Sender,
            "SignalName" => Gets::SignalName,
            "Delivery" => Gets::Delivery,
            "Kwargs" => Gets::Kwargs,
            "Payload" => payload(parameter, problems)?,
            "Context" | "Message" | "Gap" => {
                problems.at(
                    &parameter.ty,
                    format!("write `&{}`: handlers share it", shown(&parameter.ty)),
                );
                return None;
            }
            name if kind.lists_signal(name) => Gets::Signal,
            _ => field(parameter, problems)?,
        },
        _ => field(parameter, problems)?,
    };
    allowed(gets, parameter, kind, problems)
}

/// Returns how `sender` and `signal` of a receiver are written; no argument of a signal has these names.
fn of_signal(parameter: &PatType, kind: &Kind) -> Option<&'static str> {
    let (Pat::Ident(name), KindName::Receiver) = (&*parameter.pat, kind.name()) else {
        return None;
    };
    let written = match name.ident.to_string().as_str() {
        "sender" => "sender: Sender",
        "signal" => "signal: SignalName",
        _ => return None,
    };
    let of = match &*parameter.ty {
        Type::Reference(reference) => &*reference.elem,
        of => of,
    };
    let known = match of {
        Type::Path(path) => {
            let name = last_name(&path.path);
            NO_FIELDS.contains(&name.as_str()) || kind.lists_signal(&name)
        }
        _ => false,
    };
    (!known).then_some(written)
}

/// The types of a receiver's parameters that are not fields, whatever the parameter is called.
const NO_FIELDS: [&str; 5] = ["Sender", "SignalName", "Kwargs", "Payload", "Context"];

fn by_reference(
    parameter: &PatType,
    reference: &syn::TypeReference,
    kind: &Kind,
    problems: &mut Problems,
) -> Option<Gets> {
    if let Type::Path(path) = &*reference.elem
        && let gets @ Some(_) = match last_name(&path.path).as_str() {
            "Context" => Some(Gets::Context),
            "Message" => Some(Gets::Message),
            "Gap" => Some(Gets::Gap),
            _ => None,
        }
    {
        return gets;
    }
    let shared = match kind.name() {
        KindName::Consumer => "`&Context` and `&Message` are",
        KindName::On("gap") => "`&Context` and `&Gap` are",
        _ => "only `&Context` is",
    };
    let owned = match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => {
            "a JSON string cannot always be borrowed: write `String`".to_owned()
        }
        other => format!(
            "what is decoded is the handler's own: write `{}`",
            shown(other)
        ),
    };
    problems.at(
        &parameter.ty,
        format!("a parameter by reference; {shared} given by reference, and {owned}"),
    );
    None
}

fn payload(parameter: &PatType, problems: &mut Problems) -> Option<Gets> {
    let whole = only_argument(&parameter.ty);
    if whole.is_none() {
        let message = "which type is the payload? Write `Payload<T>`, with any `T` that serde can deserialize";
        problems.at(&parameter.ty, message);
    }
    whole.cloned().map(Gets::Payload)
}

fn field(parameter: &PatType, problems: &mut Problems) -> Option<Gets> {
    let Pat::Ident(name) = &*parameter.pat else {
        let message = "the name of the parameter is the name of the payload's field, so it must be a plain name; \
                       patterns are for `Payload(p): Payload<T>`";
        problems.at(&parameter.pat, message);
        return None;
    };
    if borrows(parameter.ty.to_token_stream()) {
        let message = "this borrows, and what is decoded is the handler's own: write `String` for `&str`, `Vec<T>` for `&[T]`";
        problems.at(&parameter.ty, message);
        return None;
    }
    if let Type::ImplTrait(_) = &*parameter.ty {
        let message = "which type is this field? A handler's parameters have types that are known, such as `String`";
        problems.at(&parameter.ty, message);
        return None;
    }
    let inner = match &*parameter.ty {
        Type::Path(path) if last_name(&path.path) == "Option" => only_argument(&parameter.ty),
        _ => None,
    };
    Some(Gets::Field {
        name: name.ident.clone(),
        of: inner.unwrap_or(&parameter.ty).clone(),
        optional: inner.is_some(),
    })
}

/// Returns whether a type contains a reference.
fn borrows(of: TokenStream) -> bool {
    of.into_iter().any(|token| match token {
        TokenTree::Punct(sign) => sign.as_char() == '&',
        TokenTree::Group(group) => borrows(group.stream()),
        _ => false,
    })
}

/// Returns the one generic argument of a type.
fn only_argument(of: &Type) -> Option<&Type> {
    let Type::Path(path) = of else { return None };
    match &path.path.segments.last()?.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(argument) if arguments.args.len() == 1 => Some(argument),
            _ => None,
        },
        _ => None,
    }
}

/// Rejects parameters that this kind of handler does not support.
fn allowed(gets: Gets, parameter: &PatType, kind: &Kind, problems: &mut Problems) -> Option<Gets> {
    use KindName::{Consumer, On, Receiver};
    let here = kind.name();
    let (known, whose) = match &gets {
        Gets::Context => (true, ""),
        Gets::Sender | Gets::SignalName | Gets::Signal => {
            (here == Receiver, "receivers, which hear signals")
        }
        Gets::Message => (here == Consumer, "consumers, which take messages"),
        Gets::Delivery => (here == Consumer, "consumers with `autoack = false`"),
        Gets::Gap => (here == On("gap"), "`#[on(gap)]`"),
        Gets::Kwargs | Gets::Payload(_) | Gets::Field { .. } => (
            matches!(here, Receiver | Consumer),
            "receivers and consumers, which have a payload",
        ),
    };
    if known {
        return Some(gets);
    }
    let message = match &gets {
        Gets::Field { .. } => format!(
            "{here} has no payload to take this from; it gets {}",
            kind.parameters()
        ),
        _ => format!(
            "`{}` is for {whose}; {here} gets {}",
            shown(&parameter.ty),
            kind.parameters()
        ),
    };
    problems.at(&parameter.ty, message);
    None
}
