//! A collector of OTLP over HTTP inside a test.

#![allow(dead_code, reason = "not every test program uses all of it")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;

/// Receives spans until the test ends.
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    has_received: Condvar,
}

#[derive(Default)]
struct Received {
    spans: Vec<(Service, Span)>,
    status: Option<u16>,
}

/// The `service.name` of an export.
type Service = String;

impl Collector {
    pub(crate) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&all);
                thread::spawn(move || serve(&connection, &shared));
            }
        });
        Self { address, shared }
    }

    /// Returns the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the URL for spans.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    /// Answers with this status from now on.
    pub(crate) fn answer_with(&self, status: u16) {
        self.shared.received.lock().unwrap().status = Some(status);
    }

    /// Returns the name of the service of each span.
    pub(crate) fn services(&self) -> Vec<Service> {
        let received = self.shared.received.lock().unwrap();
        let services = received.spans.iter().map(|(service, _)| service.clone());
        services.collect()
    }

    /// Waits until a service has exported this number of spans of this name, or for a minute.
    pub(crate) fn wait_for(&self, service: &str, name: &str, number: usize) {
        let is_wanted = |(by, span): &&(Service, Span)| by == service && span.name == name;
        let found = |received: &Received| received.spans.iter().filter(is_wanted).count();
        let received = self.shared.received.lock().unwrap();
        let waited = self.shared.has_received.wait_timeout_while(
            received,
            Duration::from_secs(60),
            |received| found(received) < number,
        );
        let (received, _) = waited.unwrap();
        let (found, all) = (found(&received), received.spans.len());
        assert!(
            found >= number,
            "{found} of {number} `{name}` of {service} among {all} spans"
        );
    }

    /// Returns the spans of this name, in the order in which they started.
    pub(crate) fn spans(&self, name: &str) -> Vec<Span> {
        let received = self.shared.received.lock().unwrap();
        let spans = received.spans.iter().map(|(_, span)| span);
        let mut found: Vec<_> = spans.filter(|span| span.name == name).cloned().collect();
        found.sort_by_key(|span| span.start_time_unix_nano);
        found
    }

    /// Returns the only span of this name.
    pub(crate) fn span(&self, name: &str) -> Span {
        let found = self.spans(name);
        let names = || {
            let received = self.shared.received.lock().unwrap();
            received
                .spans
                .iter()
                .map(|(_, span)| span.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(found.len(), 1, "`{name}` among {:?}", names());
        found[0].clone()
    }
}

impl Received {
    fn add(&mut self, export: ExportTraceServiceRequest) {
        for resource in export.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = attributes.iter().find(|pair| pair.key == "service.name");
            let service = service.and_then(|pair| pair.value.clone()?.value);
            let service = text(service.as_ref());
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.spans.extend(spans.map(|span| (service.clone(), span)));
        }
    }
}

/// Serves the requests of one connection.
fn serve(connection: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(connection);
    while let Some(body) = request(&mut reader) {
        let status = shared.received.lock().unwrap().status.unwrap_or(200);
        if status == 200 {
            let export = ExportTraceServiceRequest::decode(&*body).unwrap();
            shared.received.lock().unwrap().add(export);
            shared.has_received.notify_all();
        }
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        );
        if (&mut &*connection).write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads one request; `None` at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 0 {
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some(body);
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    None
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// Returns an attribute of a span as text; an empty text if there is none.
pub(crate) fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|pair| pair.key == key);
    text(found.and_then(|pair| pair.value.as_ref()?.value.as_ref()))
}

/// Returns true if the span has the status of an error.
pub(crate) fn has_failed(span: &Span) -> bool {
    let status = span.status.clone().unwrap_or_default();
    status.code == StatusCode::Error as i32
}

/// Asserts that `child` is the child of `parent`, in its trace.
pub(crate) fn assert_child(child: &Span, parent: &Span) {
    assert_eq!(
        child.trace_id, parent.trace_id,
        "{} of {}",
        child.name, parent.name
    );
    assert_eq!(
        child.parent_span_id, parent.span_id,
        "{} of {}",
        child.name, parent.name
    );
}

/// Asserts that a span has exactly one link, to `other`.
pub(crate) fn assert_link(span: &Span, other: &Span) {
    let links: Vec<_> = span
        .links
        .iter()
        .map(|link| (&link.trace_id, &link.span_id))
        .collect();
    assert_eq!(links, [(&other.trace_id, &other.span_id)], "{}", span.name);
}
