//! `signal send`, `call` and `listen`. Received signals and answers are printed to standard output.

use std::io::{self, Write};

use futures_util::StreamExt;
use microagent_core::{
    Bus, BusEvent, BusMessage, Channel, Error, ErrorKind, NamedSignal, Waiter, WaiterEnd, shortened,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};

use super::{fields, print, print_message, run_to_end, single_line, source};
use crate::{
    cli::{BusArgs, Signal, SignalSend},
    exit::Failure,
    standard::{LineStream, MissingLines, Standard, WriteOutcome},
    terminal::shown_on,
};

pub(crate) fn run(command: Signal) -> Result<(), Failure> {
    run_to_end(async {
        match command {
            Signal::Send(send) => send_one(send).await,
            Signal::Call { send, timeout, all } => call(send, &timeout, all).await,
            Signal::Listen { name, bus } => listen(&name, &bus).await,
        }
    })
}

async fn send_one(args: SignalSend) -> Result<(), Failure> {
    let fields = fields::parse(&args.fields)?;
    let bus = source::bus(&args.bus).await?;
    let signal = named(&bus, &args.name)?;
    let reached = signal.send_counted(&args.sender, &fields).await?;
    if reached.is_none() {
        let reason = format!("nobody listens to `{}`", args.name);
        print_message(format!(
            "sent, but {}",
            without_receivers(&reason, &bus, &args.bus)
        ));
    }
    Ok(bus.close().await?)
}

async fn call(args: SignalSend, timeout: &str, all: bool) -> Result<(), Failure> {
    let timeout = microagent_schema::parse_duration(timeout)
        .map_err(|error| Failure::usage(format!("--timeout: {error}")))?;
    let fields = fields::parse(&args.fields)?;
    let bus = source::bus(&args.bus).await?;
    let signal = named(&bus, &args.name)?;
    let has_errors = if all {
        let waiter = signal.waiter(&args.sender, &fields).timeout(timeout).await;
        let waiter = waiter.map_err(|error| not_answered(error, &bus, &args.bus))?;
        print_all(waiter).await?
    } else {
        let answer = signal.call(&args.sender, &fields).timeout(timeout).await;
        let answer = answer.map_err(|error| not_answered(error, &bus, &args.bus))?;
        print(&answer)?;
        answer.has_errors()
    };
    bus.close().await?;
    if has_errors {
        Err(Failure::failed(
            "a receiver failed; `$errors` in the answer has the reason",
        ))
    } else {
        Ok(())
    }
}

/// Prints each answer as it arrives, and at the end how many are missing. Returns whether a
/// receiver failed.
async fn print_all(mut answers: Waiter) -> Result<bool, Failure> {
    let mut has_errors = false;
    while let Some(answer) = answers.next().await {
        print(&answer)?;
        has_errors |= answer.has_errors();
    }
    let missing = match answers.end() {
        Some(WaiterEnd::Deadline { missing }) => missing,
        Some(WaiterEnd::Lost { reason, .. }) => {
            let text = format!("the connection was lost while waiting for answers: {reason}");
            return Err(Error::new(ErrorKind::Unavailable, text).into());
        }
        _ => &Some(0),
    };
    if answers.answered() == 0 {
        return Err(Error::new(ErrorKind::Timeout, "no answer came in time").into());
    }
    match missing {
        Some(0) | None => {}
        Some(missing) => print_message(format!(
            "{missing} more processes received the call and did not answer in time"
        )),
    }
    Ok(has_errors)
}

/// Returns the failure of a call.
fn not_answered(error: Error, bus: &Bus, args: &BusArgs) -> Failure {
    let no_responders = error.kind() == ErrorKind::NoResponders;
    let mut failure = Failure::from(error);
    if no_responders {
        failure.message = without_receivers(&failure.message, bus, args);
    }
    failure
}

/// Adds the bus and the prefix to the reason why a signal has no receivers, because the receivers
/// often have other ones, and what to check.
fn without_receivers(reason: &str, bus: &Bus, args: &BusArgs) -> String {
    let (address, prefix) = (bus.driver().address(), bus.prefix());
    let option = if args.source.bus.is_some() && args.prefix.is_none() {
        " (`--prefix` selects another)"
    } else {
        ""
    };
    format!(
        "{reason} on {address} under the prefix `{prefix}`{option}; \
         check that its receivers run, with this bus and this prefix"
    )
}

/// Returns the signal of this name. With declarations, it must be declared.
fn named(bus: &Bus, name: &str) -> microagent_core::Result<NamedSignal> {
    match bus.declarations() {
        Some(_) => bus.signal(name),
        None => bus.undeclared(name),
    }
}

async fn listen(name: &str, args: &BusArgs) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let bus = source::bus(args).await?;
    named(&bus, name)?;
    let pattern = Channel::pattern_of(bus.prefix(), name);
    let mut events = bus.driver().subscribe(&pattern).await?;
    print_message(format!(
        "listening to `{name}` on {}",
        bus.driver().address()
    ));
    let mut lines = LineStream::new(Standard::output());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        let event = event.ok_or_else(|| Failure::failed("the bus was closed"))?;
        if !print_event(event, &mut lines)? {
            break;
        }
    }
    lines.take_all_missing().iter().for_each(print_missing);
    Ok(bus.close().await?)
}

fn no_signals(error: io::Error) -> Failure {
    Failure::failed(format!("cannot receive process signals: {error}"))
}

/// Standard output, which may return errors for a while.
type Output = LineStream<Standard<io::Stdout>>;

/// Prints an event. Returns false if the reader of standard output is gone.
fn print_event(event: BusEvent, lines: &mut Output) -> Result<bool, Failure> {
    match event {
        BusEvent::Message(message) => return print_signal(&message, lines),
        BusEvent::Lost(reason) => print_message(format!("connection lost; reconnecting: {reason}")),
        BusEvent::Gap(gap) => {
            let lasted = gap.lasted.as_secs_f64();
            print_message(format!(
                "reconnected after {lasted:.1} s; signals sent meanwhile are lost"
            ));
        }
        _ => {}
    }
    Ok(true)
}

/// A line of `signal listen`.
#[derive(Serialize)]
struct SignalLine<'a> {
    signal: &'a str,
    sender: &'a str,
    /// The id of the call, if the signal is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    args: &'a RawValue,
}

fn print_signal(message: &BusMessage, lines: &mut Output) -> Result<bool, Failure> {
    let Some(line) = line_of(message) else {
        let channel = shortened(message.channel.as_str());
        let text = shortened(String::from_utf8_lossy(&message.payload));
        print_message(format!("not a signal, on the channel {channel}: {text}"));
        return Ok(true);
    };
    let line = shown_on(&io::stdout(), &line);
    Ok(write_line(&line, lines).is_ok())
}

/// Writes a line, or counts it as dropped if standard output returns errors for more than a few
/// seconds.
///
/// # Errors
/// Returns an error if the reader is gone.
fn write_line(line: &str, lines: &mut Output) -> io::Result<()> {
    // If earlier lines could not be written, this tries once and does not wait.
    if lines.write_waiting()? == WriteOutcome::Refused {
        lines.drop_lines(1);
        return Ok(());
    }
    lines.take_missing().iter().for_each(print_missing);
    writeln!(lines, "{line}")?;
    lines.write_waiting().map(drop)
}

fn print_missing(missing: &MissingLines) {
    let MissingLines { lines, reason } = missing;
    print_message(format!(
        "{lines} signals are missing in the output: {reason}"
    ));
}

/// Returns the line of a signal, or `None` for a message that is not a signal.
fn line_of(message: &BusMessage) -> Option<String> {
    let channel = Channel::parse(&message.channel)?;
    let args = single_line(std::str::from_utf8(&message.payload).ok()?).ok()?;
    let line = SignalLine {
        signal: channel.signal,
        sender: channel.sender,
        call: channel.id,
        args: &args,
    };
    serde_json::to_string(&line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(channel: &str, payload: &'static [u8]) -> Option<String> {
        line_of(&BusMessage {
            channel: channel.to_owned(),
            payload: payload.into(),
        })
    }

    #[test]
    fn a_payload_is_shown_byte_for_byte_in_one_line() {
        let cases: [(&[u8], &str); 4] = [
            (b"{\"x\":\n1e400}", r#"{"x":1e400}"#),
            (
                br#"{"x": 18446744073709551617, "x": 1}"#,
                r#"{"x": 18446744073709551617, "x": 1}"#,
            ),
            (b"{\"x\":\r\n \"\\ud800 \"}", r#"{"x":"\ud800 "}"#),
            (b"[1,\n[[]]]", "[1,[[]]]"),
        ];
        for (payload, args) in cases {
            let expected = format!(r#"{{"signal":"s","sender":"web","args":{args}}}"#);
            assert_eq!(line("P:s:web", payload), Some(expected));
        }
    }

    #[test]
    fn a_message_that_is_not_a_signal_has_no_line() {
        for payload in [&b"{"[..], b"\xff", b"", b"{\"x\":NaN}"] {
            assert_eq!(line("P:s:web", payload), None);
        }
        assert_eq!(line("no channel", b"{}"), None);
    }
}
