//! The rules about an agent and each of its handlers that no single token breaks.

use std::collections::HashMap;

use syn::Safety;

use super::{
    options::{Hook, Kind},
    parameters::Gets,
    parse::{Access, AgentBlock, Handler},
};
use crate::problems::{Problems, shown};

/// Checks an agent.
pub(super) fn agent(agent: &AgentBlock, problems: &mut Problems) {
    if agent.is_trait_impl {
        problems.at(
            &agent.self_type,
            "`#[agent]` goes on the type's own `impl` block, not on that of a trait",
        );
    }
    if !agent.generics.params.is_empty() {
        problems.at(
            &agent.generics,
            "an agent has no generic parameters: the launcher starts it by its name",
        );
    }
    if agent.name.is_empty() {
        problems.at(
            &agent.self_type,
            "an agent is a named type: its name stands in answers and settings",
        );
    }
    for handler in &agent.handlers {
        access(handler, problems);
        signature(handler, problems);
        parameters(handler, problems);
    }
    one_consumer_per_queue(agent, problems);
    one_create(agent, problems);
}

fn access(handler: &Handler, problems: &mut Problems) {
    let name = handler.kind.name();
    match (&handler.kind, &handler.access) {
        (Kind::Hook(Hook::Create), Access::None) => {}
        (Kind::Hook(Hook::PreStart), Access::Exclusive(_)) => {}
        (Kind::Hook(Hook::Create), _) => {
            problems.at(&handler.method, "`create` builds the agent, so there is no `self` yet: `async fn new(cx: &Context) -> Result<Self>`");
        }
        (_, Access::Exclusive(receiver)) => {
            let message = format!(
                "{name} takes `&self`: handlers run beside each other and share the agent; only `#[on(pre_start)]` may take \
                 `&mut self`, for it runs before the agent is shared. Keep what changes in a `Mutex`, an atomic or a `DashMap`"
            );
            problems.at(receiver, message);
        }
        (_, Access::Other(receiver)) => problems.at(
            receiver,
            format!("{name} takes `&self`: handlers share the agent"),
        ),
        (_, Access::None) => problems.at(
            &handler.method,
            format!("{name} is a method: its first parameter is `&self`"),
        ),
        (_, Access::Shared) => {}
    }
}

fn is_create(handler: &Handler) -> bool {
    matches!(handler.kind, Kind::Hook(Hook::Create))
}

fn signature(handler: &Handler, problems: &mut Problems) {
    let generics = &handler.generics;
    if generics.type_params().next().is_some() || generics.const_params().next().is_some() {
        problems.at(
            generics,
            "a handler has no generic parameters: its parameters' types say what is decoded",
        );
    }
    if let Safety::Unsafe(word) = &handler.safety {
        problems.at(
            word,
            "a handler is called by safe code, so it cannot be `unsafe`",
        );
    }
    if is_create(handler) && matches!(handler.returns, syn::ReturnType::Default) {
        problems.at(
            &handler.method,
            "`create` returns the agent: `Self` or `Result<Self>`",
        );
    }
}

fn parameters(handler: &Handler, problems: &mut Problems) {
    let mut seen: HashMap<&str, ()> = HashMap::new();
    for parameter in &handler.parameters {
        let once = match &parameter.gets {
            Gets::Payload(_) => "`Payload`: the payload can be taken whole once",
            Gets::Kwargs => "`Kwargs`: what is left can be taken once",
            Gets::Delivery => "`Delivery`: a message is settled once",
            _ => continue,
        };
        if seen.insert(once, ()).is_some() {
            problems.at(&parameter.written, format!("a second {once}"));
        }
    }
    match &handler.kind {
        Kind::Receiver(receiver) => whole_signal(handler, receiver.signals.len(), problems),
        Kind::Consumer(consumer) => delivery(handler, consumer.autoack, problems),
        _ => {}
    }
}

fn whole_signal(handler: &Handler, listed: usize, problems: &mut Problems) {
    let whole = handler
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.gets, Gets::Signal));
    for parameter in whole.filter(|_| listed > 1) {
        let message = "a receiver of several signals cannot take one of them whole: take the fields that all of them have, \
                       or write a receiver for each";
        problems.at(&parameter.written, message);
    }
}

fn delivery(handler: &Handler, autoack: bool, problems: &mut Problems) {
    let taken = handler
        .parameters
        .iter()
        .find(|parameter| matches!(parameter.gets, Gets::Delivery));
    match (taken, autoack) {
        (Some(parameter), true) => problems.at(
            &parameter.written,
            "the runtime settles this message by the handler's result; to settle it by hand, write `autoack = false`",
        ),
        (None, false) => problems.at(
            &handler.method,
            "with `autoack = false` the handler settles the message: take the `Delivery`",
        ),
        _ => {}
    }
}

fn one_consumer_per_queue(agent: &AgentBlock, problems: &mut Problems) {
    let mut first: HashMap<String, &Handler> = HashMap::new();
    for handler in &agent.handlers {
        let Kind::Consumer(consumer) = &handler.kind else {
            continue;
        };
        let queue = shown(&consumer.queue);
        match first.get(&queue) {
            // Under different conditions they need not be there together.
            Some(other) if other.conditions.is_empty() || handler.conditions.is_empty() => problems.at(
                &consumer.queue,
                format!(
                    "`{queue}` has a consumer already, `{}`: a message goes to one handler, so an agent has one consumer per queue",
                    other.method
                ),
            ),
            Some(_) => {}
            None => drop(first.insert(queue, handler)),
        }
    }
}

fn one_create(agent: &AgentBlock, problems: &mut Problems) {
    let creates = agent
        .handlers
        .iter()
        .filter(|handler| is_create(handler) && handler.conditions.is_empty());
    for second in creates.skip(1) {
        problems.at(
            &second.method,
            "a second `#[on(create)]`: an agent is built in one way",
        );
    }
}
