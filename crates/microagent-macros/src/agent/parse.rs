//! Parsing of tokens into handlers: their methods, parameters and attributes.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Attribute, FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, Meta, Path, Receiver, ReceiverKind,
    ReturnType, Safety, Type, parse::Parser, punctuated::Punctuated, token::Comma,
};

use super::{
    HANDLERS,
    options::{self, Hook, Kind},
    parameters::{self, Parameter},
};
use crate::problems::Problems;

/// The `impl` block of an agent.
pub(super) struct AgentBlock {
    pub(super) self_type: Type,
    pub(super) name: String,
    pub(super) generics: Generics,
    pub(super) handlers: Vec<Handler>,
    pub(super) is_trait_impl: bool,
    /// The contents of the block's `#[cfg(…)]`.
    pub(super) conditions: Vec<TokenStream>,
}

/// One handler.
pub(super) struct Handler {
    pub(super) kind: Kind,
    pub(super) method: Ident,
    pub(super) is_async: bool,
    pub(super) safety: Safety,
    pub(super) access: Access,
    pub(super) parameters: Vec<Parameter>,
    pub(super) generics: Generics,
    pub(super) returns: ReturnType,
    /// The contents of its `#[cfg(…)]`.
    pub(super) conditions: Vec<TokenStream>,
}

/// The receiver of the method: `&self`, `&mut self` or none.
pub(super) enum Access {
    Shared,
    Exclusive(Receiver),
    None,
    Other(Receiver),
}

/// Reads the handlers, and takes their attributes off the block.
pub(super) fn agent(block: &mut ItemImpl, problems: &mut Problems) -> AgentBlock {
    let mut handlers = Vec::new();
    for item in &mut block.items {
        match item {
            ImplItem::Fn(method) => handlers.extend(handler(method, problems)),
            ImplItem::Const(item) => refuse_on(&mut item.attrs, problems),
            ImplItem::Type(item) => refuse_on(&mut item.attrs, problems),
            _ => {}
        }
    }
    AgentBlock {
        name: name_of(&block.self_ty),
        self_type: (*block.self_ty).clone(),
        generics: block.generics.clone(),
        handlers,
        is_trait_impl: block.trait_.is_some(),
        conditions: block.attrs.iter().filter_map(condition).collect(),
    }
}

fn handler(method: &mut ImplItemFn, problems: &mut Problems) -> Option<Handler> {
    let (mine, others): (Vec<_>, Vec<_>) = method
        .attrs
        .drain(..)
        .partition(|attribute| handler_name(attribute).is_some());
    method.attrs = others;
    method.attrs.retain(|attribute| {
        !is_hidden_handler(attribute, problems) && !is_misnamed_hook(attribute, problems)
    });
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
        safety: method.sig.safety.clone(),
        access: access_of(method),
        generics: method.sig.generics.clone(),
        returns: method.sig.output.clone(),
        conditions: method.attrs.iter().filter_map(condition).collect(),
    })
}

fn refuse_on(attributes: &mut Vec<Attribute>, problems: &mut Problems) {
    attributes.retain(|attribute| {
        let name = handler_name(attribute);
        if let Some(name) = &name {
            problems.at(attribute, format!("`#[{name}]` goes on a method"));
        }
        name.is_none()
    });
}

/// Returns the name of a handler's attribute, however it is imported.
fn handler_name(attribute: &Attribute) -> Option<String> {
    name_in(attribute.path())
}

fn name_in(path: &Path) -> Option<String> {
    let last = path.segments.last()?.ident.to_string();
    let ours = path.segments.len() == 1 || path.segments.first()?.ident == "microagent";
    (ours && HANDLERS.contains(&last.as_str())).then_some(last)
}

/// Rejects a handler's attribute inside `#[cfg_attr(…)]`, which is only opened when `#[agent]` has been here already.
fn is_hidden_handler(attribute: &Attribute, problems: &mut Problems) -> bool {
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    if !list.path.is_ident("cfg_attr") {
        return false;
    }
    let metas = Punctuated::<Meta, Comma>::parse_terminated.parse2(list.tokens.clone());
    let hidden = metas.into_iter().flatten().skip(1);
    let mut names = hidden.filter_map(|meta| name_in(meta.path()));
    let Some(name) = names.next() else {
        return false;
    };
    let message = format!(
        "`#[agent]` does not see `#[{name}]` in here; write `#[cfg(…)]` and `#[{name}(…)]` on the method, \
         which is then left out as a whole"
    );
    problems.at(attribute, message);
    true
}

/// Rejects `#[hook("pre_start")]` and `#[pre_start]`, which users of other frameworks may write.
fn is_misnamed_hook(attribute: &Attribute, problems: &mut Problems) -> bool {
    let Some(name) = attribute.path().get_ident().map(ToString::to_string) else {
        return false;
    };
    let hook = Hook::ALL
        .iter()
        .map(|hook| hook.name())
        .find(|hook| *hook == name);
    if hook.is_none() && name != "hook" {
        return false;
    }
    let hook = hook.unwrap_or("pre_start");
    problems.at(
        attribute,
        format!("unknown attribute `{name}`: write `#[on({hook})]`"),
    );
    true
}

fn access_of(method: &ImplItemFn) -> Access {
    let Some(FnArg::Receiver(receiver)) = method.sig.inputs.first() else {
        return Access::None;
    };
    match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => Access::Shared,
        ReceiverKind::Reference(_, _, Some(_)) => Access::Exclusive(receiver.clone()),
        _ => Access::Other(receiver.clone()),
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

/// Returns the last word of a path.
pub(super) fn last_name(path: &Path) -> String {
    path.segments
        .last()
        .map(|segment| segment.ident.to_string())
        .unwrap_or_default()
}
