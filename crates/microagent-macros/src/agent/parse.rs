//! From tokens to handlers: which methods they are, what they ask for, and what their attributes say.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Attribute, FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, Meta, Path, ReturnType, Type,
    spanned::Spanned,
};

use super::{
    HANDLERS,
    options::{self, Kind},
    parameters::{self, Parameter},
};
use crate::problems::Problems;

/// An agent as it is written.
pub(super) struct AgentBlock {
    pub(super) self_type: Type,
    pub(super) name: String,
    pub(super) generics: Generics,
    pub(super) handlers: Vec<Handler>,
    pub(super) is_trait_impl: bool,
}

/// One handler.
pub(super) struct Handler {
    pub(super) kind: Kind,
    pub(super) method: Ident,
    pub(super) is_async: bool,
    pub(super) access: Access,
    pub(super) parameters: Vec<Parameter>,
    pub(super) generics: Generics,
    pub(super) returns: ReturnType,
    /// The contents of its `#[cfg(…)]`.
    pub(super) conditions: Vec<TokenStream>,
}

/// How it takes the agent.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Shared,
    Exclusive(Span),
    None,
    Other(Span),
}

/// Reads the handlers, and takes their attributes off the block.
pub(super) fn agent(block: &mut ItemImpl, problems: &mut Problems) -> AgentBlock {
    let mut handlers = Vec::new();
    for item in &mut block.items {
        match item {
            ImplItem::Fn(method) => handlers.extend(handler(method, problems)),
            ImplItem::Const(item) => refuse_on(&item.attrs, problems),
            ImplItem::Type(item) => refuse_on(&item.attrs, problems),
            _ => {}
        }
    }
    AgentBlock {
        name: name_of(&block.self_ty),
        self_type: (*block.self_ty).clone(),
        generics: block.generics.clone(),
        handlers,
        is_trait_impl: block.trait_.is_some(),
    }
}

fn handler(method: &mut ImplItemFn, problems: &mut Problems) -> Option<Handler> {
    let (mine, others): (Vec<_>, Vec<_>) = method
        .attrs
        .drain(..)
        .partition(|attribute| handler_name(attribute).is_some());
    method.attrs = others;
    let mut mine = mine.into_iter();
    let attribute = mine.next()?;
    for second in mine {
        problems.at(
            &second,
            format!(
                "`{}` is a handler already: a method has one attribute",
                method.sig.ident
            ),
        );
    }
    let kind = options::kind(&handler_name(&attribute)?, &attribute, problems)?;
    Some(Handler {
        parameters: parameters::of(&method.sig.inputs, &kind, problems),
        kind,
        method: method.sig.ident.clone(),
        is_async: method.sig.asyncness.is_some(),
        access: access_of(method),
        generics: method.sig.generics.clone(),
        returns: method.sig.output.clone(),
        conditions: method.attrs.iter().filter_map(condition).collect(),
    })
}

fn refuse_on(attributes: &[Attribute], problems: &mut Problems) {
    for attribute in attributes {
        if let Some(name) = handler_name(attribute) {
            problems.at(attribute, format!("`#[{name}]` goes on a method"));
        }
    }
}

/// The name of a handler's attribute, however it is imported.
fn handler_name(attribute: &Attribute) -> Option<String> {
    let path = attribute.path();
    let last = path.segments.last()?.ident.to_string();
    let ours = path.segments.len() == 1 || path.segments.first()?.ident == "microagent";
    (ours && HANDLERS.contains(&last.as_str())).then_some(last)
}

fn access_of(method: &ImplItemFn) -> Access {
    let Some(FnArg::Receiver(receiver)) = method.sig.inputs.first() else {
        return Access::None;
    };
    match &receiver.kind {
        syn::ReceiverKind::Reference(_, _, None) => Access::Shared,
        syn::ReceiverKind::Reference(_, _, Some(_)) => Access::Exclusive(receiver.span()),
        _ => Access::Other(receiver.span()),
    }
}

fn condition(attribute: &Attribute) -> Option<TokenStream> {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(list.tokens.clone()),
        _ => None,
    }
}

fn name_of(self_type: &Type) -> String {
    match self_type {
        Type::Path(path) => last_name(&path.path),
        _ => String::new(),
    }
}

/// The last word of a path.
pub(super) fn last_name(path: &Path) -> String {
    path.segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}
