//! From handlers to the table that core reads.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Path, spanned::Spanned};

use super::{
    field_checks::field_checks,
    options::{Consumer, Hook, Kind, Receiver},
    parameters::{Gets, Parameter},
    parse::{AgentBlock, Handler},
};
use crate::field::wire_name;

/// Returns the implementation of `MicroAgent`.
pub(super) fn table(agent: &AgentBlock) -> TokenStream {
    let (self_type, name, conditions) = (&agent.self_type, &agent.name, &agent.conditions);
    let handlers = agent.handlers.iter().map(entry);
    let (create, creation_problem) = (create(agent), creation_problem(agent));
    quote! {
        // Two blocks are an error at this name, which says more than that of the implementation.
        #(#[cfg(#conditions)])*
        impl #self_type {
            #[doc(hidden)]
            #[allow(dead_code, reason = "it is only a name")]
            const ONE_AGENT_BLOCK_PER_TYPE_HOLDS_ALL_ITS_HANDLERS: () = ();
        }

        #(#[cfg(#conditions)])*
        #[automatically_derived]
        impl ::microagent::__private::MicroAgent for #self_type {
            const NAME: &'static str = #name;

            const VERSION: &'static str = match ::core::option_env!("CARGO_PKG_VERSION") {
                ::core::option::Option::Some(version) => version,
                ::core::option::Option::None => "",
            };

            fn blueprint() -> ::microagent::__private::Blueprint<Self> {
                let blueprint = ::microagent::__private::Blueprint::new();
                #(#handlers)*
                blueprint
            }

            async fn create(cx: &::microagent::__private::Context) -> ::microagent::__private::Result<Self> {
                #create
            }

            fn creation_problem() -> ::core::option::Option<::std::string::String> {
                #creation_problem
            }
        }
    }
}

/// Returns an implementation that is only used beside an error, to avoid further errors.
pub(super) fn placeholder(agent: &AgentBlock) -> TokenStream {
    if agent.is_trait_impl || agent.name.is_empty() || !agent.generics.params.is_empty() {
        return TokenStream::new();
    }
    let (self_type, name) = (&agent.self_type, &agent.name);
    quote! {
        #[automatically_derived]
        impl ::microagent::__private::MicroAgent for #self_type {
            const NAME: &'static str = #name;

            fn blueprint() -> ::microagent::__private::Blueprint<Self> {
                ::core::unreachable!()
            }

            async fn create(_cx: &::microagent::__private::Context) -> ::microagent::__private::Result<Self> {
                ::core::unreachable!()
            }
        }
    }
}

fn entry(handler: &Handler) -> TokenStream {
    let (conditions, method) = (&handler.conditions, handler.method.to_string());
    let method = method.strip_prefix("r#").unwrap_or(&method);
    let added = match &handler.kind {
        Kind::Receiver(receiver) => return receivers(handler, method, receiver),
        Kind::Consumer(consumer) => consumer_entry(handler, method, consumer),
        Kind::Periodic(options) => {
            let (period, setters, task) = (&options.first, &options.setters, task(handler));
            quote!(.periodic(#method, ::microagent::__private::PeriodicOptions::every(#period) #setters, #task))
        }
        Kind::Cron(options) => {
            let (schedule, setters, task) = (&options.first, &options.setters, task(handler));
            quote!(.cron(#method, ::microagent::__private::CronOptions::at(#schedule) #setters, #task))
        }
        Kind::Hook(Hook::Create) => return TokenStream::new(),
        Kind::Hook(Hook::PreStart) => {
            let hook = pre_start(handler);
            quote!(.pre_start(#method, #hook))
        }
        Kind::Hook(hook) => {
            let (name, task) = (format_ident!("{}", hook.name()), task(handler));
            quote!(.#name(#method, #task))
        }
    };
    quote!(#(#[cfg(#conditions)])* let blueprint = blueprint #added;)
}

/// One entry per listed signal, behind the checks of its fields.
fn receivers(handler: &Handler, method: &str, receiver: &Receiver) -> TokenStream {
    let (conditions, setters) = (&handler.conditions, &receiver.options.setters);
    let entries = receiver.signals.iter().map(|signal| {
        let checks = field_checks(handler, signal);
        let body = signal_body(handler, signal);
        quote! {
            #(#[cfg(#conditions)])*
            let blueprint = {
                #checks
                blueprint.receiver::<#signal>(
                    #method,
                    ::microagent::__private::ReceiverOptions::default() #setters,
                    |agent: &::microagent::__private::Arc<Self>, input: &::microagent::__private::SignalInput<'_>| { #body },
                )
            };
        }
    });
    quote!(#(#entries)*)
}

fn signal_body(handler: &Handler, signal: &Path) -> TokenStream {
    let taken = taken_names(handler);
    let decode = handler.parameters.iter().enumerate().map(|(n, parameter)| {
        let argument = argument(n, parameter);
        let value = match &parameter.gets {
            Gets::Context => quote!(::core::clone::Clone::clone(input.cx)),
            Gets::Sender => quote!(::core::clone::Clone::clone(input.sender)),
            Gets::SignalName => quote!(::core::clone::Clone::clone(input.signal)),
            Gets::Payload(of) => payload(parameter, of, &quote!(input.body)),
            Gets::Signal => {
                let (written, whole) = (&parameter.written.ty, quote!(#signal));
                let decoded = payload(parameter, &whole, &quote!(input.body));
                // Another type of the same name is the compiler's error on the parameter.
                return quote_spanned!(written.span()=> let #argument: #written = #decoded.0;);
            }
            Gets::Kwargs => quote!(input.fields.except(&[#(#taken),*])),
            _ => field(parameter, &quote!(input.fields)),
        };
        quote!(let #argument = #value;)
    });
    let run = run(handler, &call(handler, "answer"));
    quote! {
        #(#decode)*
        let agent = ::microagent::__private::Arc::clone(agent);
        ::core::result::Result::Ok(#run)
    }
}

fn consumer_entry(handler: &Handler, method: &str, consumer: &Consumer) -> TokenStream {
    let (queue, setters) = (&consumer.queue, &consumer.options.setters);
    let taken = taken_names(handler);
    let reads_fields = handler
        .parameters
        .iter()
        .any(|p| matches!(p.gets, Gets::Field { .. } | Gets::Kwargs));
    let fields = reads_fields.then(|| quote!(let fields = input.fields()?;));
    let decode = handler.parameters.iter().enumerate().map(|(n, parameter)| {
        let argument = argument(n, parameter);
        let value = match &parameter.gets {
            Gets::Context => quote!(::core::clone::Clone::clone(input.cx)),
            Gets::Message => quote!(::core::clone::Clone::clone(input.message)),
            Gets::Delivery => quote!(input.delivery()?),
            Gets::Payload(of) => payload(parameter, of, &quote!(input.message.payload())),
            Gets::Kwargs => quote!(fields.except(&[#(#taken),*])),
            _ => field(parameter, &quote!(fields)),
        };
        quote!(let #argument = #value;)
    });
    let run = run(handler, &call(handler, "finish"));
    quote! {
        .consumer(
            #method,
            ::core::clone::Clone::clone(&#queue),
            ::microagent::__private::ConsumerOptions::default() #setters,
            |agent: &::microagent::__private::Arc<Self>, input: &mut ::microagent::__private::MessageInput<'_>| {
                #fields
                #(#decode)*
                let agent = ::microagent::__private::Arc::clone(agent);
                ::core::result::Result::Ok(#run)
            },
        )
    }
}

/// Returns the whole payload as a `Payload` of this type.
fn payload(parameter: &Parameter, of: &impl ToTokens, body: &TokenStream) -> TokenStream {
    quote_spanned!(parameter.written.ty.span()=> ::microagent::__private::Payload::<#of>::decode(#body)?)
}

fn field(parameter: &Parameter, fields: &TokenStream) -> TokenStream {
    let Gets::Field { name, of, optional } = &parameter.gets else {
        return TokenStream::new();
    };
    let wire = wire_name(name);
    match optional {
        true => quote_spanned!(parameter.written.ty.span()=> #fields.get_optional::<#of>(#wire)?),
        false => quote_spanned!(parameter.written.ty.span()=> #fields.get::<#of>(#wire)?),
    }
}

/// Returns a task that gets the context at most, or the gap beside it.
fn task(handler: &Handler) -> TokenStream {
    let of_gap = matches!(handler.kind, Kind::Hook(Hook::Gap));
    let clones = handler.parameters.iter().enumerate().map(|(n, parameter)| {
        let (argument, value) = (
            argument(n, parameter),
            match &parameter.gets {
                Gets::Gap => quote!(gap),
                _ => quote!(cx),
            },
        );
        quote!(let #argument = ::core::clone::Clone::clone(#value);)
    });
    let run = run(handler, &call(handler, "finish"));
    let gap = of_gap.then(|| quote!(, gap: &::microagent::__private::Gap));
    let unused = of_gap.then(|| quote!(let _ = gap;));
    quote! {
        |agent: &::microagent::__private::Arc<Self>, cx: &::microagent::__private::Context #gap| {
            let _ = cx;
            #unused
            #(#clones)*
            let agent = ::microagent::__private::Arc::clone(agent);
            #run
        }
    }
}

fn pre_start(handler: &Handler) -> TokenStream {
    let clones = handler.parameters.iter().enumerate().map(|(n, parameter)| {
        let argument = argument(n, parameter);
        quote!(let #argument = ::core::clone::Clone::clone(cx);)
    });
    let call = call(handler, "finish");
    let run = run(handler, &quote!(let _ = cx; #(#clones)* #call));
    quote!(|agent: &mut Self, cx: &::microagent::__private::Context| { #run })
}

/// Returns the handler's future, at the place of the method, so that errors such as a missing `Send` are reported there.
fn run(handler: &Handler, steps: &TokenStream) -> TokenStream {
    let place = Span::call_site().located_at(handler.method.span());
    quote_spanned!(place=> ::std::boxed::Box::pin(async move { #steps }))
}

/// Calls the method and makes what core wants of what it returned.
fn call(handler: &Handler, end: &str) -> TokenStream {
    let method = &handler.method;
    let arguments = handler.parameters.iter().enumerate().map(|(n, parameter)| {
        let argument = argument(n, parameter);
        match &parameter.gets {
            Gets::Context | Gets::Message | Gets::Gap => quote!(&#argument),
            _ => quote!(#argument),
        }
    });
    let waits = handler.is_async.then(|| quote!(.await));
    let returned = quote!(agent.#method(#(#arguments),*) #waits);
    ended(&returned, end, handler)
}

/// Generates the conversion of a handler's result. Method resolution finds the kind of the result.
fn ended(returned: &TokenStream, end: &str, handler: &Handler) -> TokenStream {
    let span = match &handler.returns {
        syn::ReturnType::Type(_, of) => of.span(),
        syn::ReturnType::Default => handler.method.span(),
    };
    let end = Ident::new(end, span);
    let kind = quote_spanned!(span=> (&::microagent::__private::Returned::of(&returned)).kind().#end(returned));
    quote! {
        let returned = #returned;
        use ::microagent::__private::{ResultReturned as _, ValueReturned as _};
        #kind
    }
}

/// Returns the expression that says why the default `create` would fail.
fn creation_problem(agent: &AgentBlock) -> TokenStream {
    let creates = agent
        .handlers
        .iter()
        .filter(|handler| matches!(handler.kind, Kind::Hook(Hook::Create)));
    let conditions = creates.map(|handler| {
        let conditions = &handler.conditions;
        quote!(all(#(#conditions),*))
    });
    let conditions: Vec<_> = conditions.collect();
    quote! {
        #[cfg(any(#(#conditions),*))]
        { ::core::option::Option::None }
        #[cfg(not(any(#(#conditions),*)))]
        {
            use ::microagent::__private::{WithDefault as _, WithoutDefault as _};
            (&::microagent::__private::Blank::<Self>::new()).problem()
        }
    }
}

/// Returns the unconditional `create`, or else those whose conditions hold, or else the default.
fn create(agent: &AgentBlock) -> TokenStream {
    let creates = agent
        .handlers
        .iter()
        .filter(|handler| matches!(handler.kind, Kind::Hook(Hook::Create)));
    let (conditional, always): (Vec<_>, Vec<_>) =
        creates.partition(|handler| !handler.conditions.is_empty());
    let made = conditional.iter().map(|handler| {
        let (conditions, made) = (&handler.conditions, created(handler));
        quote!(#[cfg(all(#(#conditions),*))] { let _ = cx; return { #made }; })
    });
    let conditions = conditional.iter().map(|handler| {
        let conditions = &handler.conditions;
        quote!(all(#(#conditions),*))
    });
    let otherwise = match always.first() {
        Some(handler) => created(handler),
        None => default_creation(),
    };
    quote! {
        #(#made)*
        #[cfg(not(any(#(#conditions),*)))]
        { #otherwise }
    }
}

fn created(handler: &Handler) -> TokenStream {
    let method = &handler.method;
    let arguments = handler.parameters.iter().map(|_| quote!(cx));
    let waits = handler.is_async.then(|| quote!(.await));
    ended(
        &quote!(Self::#method(#(#arguments),*) #waits),
        "create",
        handler,
    )
}

fn default_creation() -> TokenStream {
    quote! {
        let _ = cx;
        use ::microagent::__private::{WithDefault as _, WithoutDefault as _};
        (&::microagent::__private::Blank::<Self>::new()).create()
    }
}

/// Returns the fields that parameters take, which `Kwargs` leaves out.
fn taken_names(handler: &Handler) -> Vec<String> {
    let fields = handler
        .parameters
        .iter()
        .filter_map(|parameter| match &parameter.gets {
            Gets::Field { name, .. } => Some(wire_name(name)),
            _ => None,
        });
    fields.collect()
}

/// Returns the variable of the nth parameter, at the parameter's place.
fn argument(n: usize, parameter: &Parameter) -> Ident {
    let place = Span::call_site().located_at(parameter.written.ty.span());
    format_ident!("argument_{n}", span = place)
}
