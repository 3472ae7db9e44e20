//! A declared queue as a constant.

use microagent_schema::QueueDeclaration;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// Returns the constant of a queue; its name is the queue's in capitals.
pub(super) fn constant(queue: &QueueDeclaration, span: Span) -> TokenStream {
    let (ident, name) = (Ident::new(&constant_name(queue), span), &queue.name);
    let exchange = queue
        .exchange
        .as_ref()
        .map(|exchange| quote!(.with_exchange(#exchange)));
    let topics = &queue.topics;
    let topics = (!topics.is_empty())
        .then(|| quote!(.with_topics(&[#(::std::borrow::Cow::Borrowed(#topics)),*])));
    let doc = format!("The queue `{name}`.");
    quote! {
        #[doc = #doc]
        pub const #ident: ::microagent::__private::Queue = ::microagent::__private::Queue::new(#name) #exchange #topics;
    }
}

/// Returns the queues that no constant can be named after, each with the reason.
pub(super) fn unnameable(queues: &[QueueDeclaration]) -> Vec<String> {
    let nameless = queues.iter().filter(|queue| constant_name(queue) == "_");
    nameless
        .map(|queue| {
            format!(
                "queue `{}` would be the constant `_`, which has no name",
                queue.name
            )
        })
        .collect()
}

fn constant_name(queue: &QueueDeclaration) -> String {
    queue.name.to_ascii_uppercase()
}
