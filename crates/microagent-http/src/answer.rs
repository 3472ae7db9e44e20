//! From the path of a request to its answer.

use crate::{
    health::{Health, Probe},
    metrics,
    report::{AgentReport, Reports},
};

/// The type of the classic text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// The status code: 200, 400 for an invalid parameter, 404 for an unknown path or agent, 503 if a check fails.
    pub code: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// A request, after its path and its parameter are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Metrics(Option<&'a str>),
    Health(Probe, Option<&'a str>),
}

/// Answers `GET` of a path with its query, such as `/health/ready?agent=mailer`. It may block its thread as
/// [`Reports::reports`] does.
#[must_use]
pub fn answer(reports: &dyn Reports, path_and_query: &str) -> HttpAnswer {
    match Request::parse(path_and_query) {
        Err(refused) => refused,
        Ok(request) if request.needs_reports() => request.answer(&reports.reports()),
        Ok(request) => request.answer_live(&reports.names()),
    }
}

impl<'a> Request<'a> {
    pub(crate) fn parse(path_and_query: &'a str) -> Result<Self, HttpAnswer> {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let agent = agent_of(query)?;
        Ok(match path {
            "/metrics" => Self::Metrics(agent),
            "/health/live" => Self::Health(Probe::Live, agent),
            "/health/started" => Self::Health(Probe::Started, agent),
            "/health/ready" => Self::Health(Probe::Ready, agent),
            _ => {
                let text = "unknown path (available: /metrics, /health/live, /health/started, /health/ready)";
                return Err(HttpAnswer::refusal(404, text));
            }
        })
    }

    /// Returns false for a request that must be answered although no agent can.
    pub(crate) fn needs_reports(self) -> bool {
        !matches!(self, Self::Health(Probe::Live, _))
    }

    /// Answers from the reports of all agents.
    pub(crate) fn answer(self, reports: &[AgentReport]) -> HttpAnswer {
        let (Self::Metrics(agent) | Self::Health(_, agent)) = self;
        let chosen: Vec<AgentReport>;
        let reports = match agent {
            None => reports,
            Some(agent) => {
                chosen = reports
                    .iter()
                    .filter(|report| report.name == agent)
                    .cloned()
                    .collect();
                if chosen.is_empty() {
                    return HttpAnswer::unknown_agent(
                        agent,
                        reports.iter().map(|report| report.name.as_str()),
                    );
                }
                &chosen
            }
        };
        match self {
            Self::Metrics(_) => HttpAnswer::metrics(reports),
            Self::Health(probe, _) => HttpAnswer::health(&Health::of(probe, reports)),
        }
    }

    /// Answers whether the program lives, for an agent that it knows.
    pub(crate) fn answer_live(self, names: &[String]) -> HttpAnswer {
        let (Self::Metrics(agent) | Self::Health(_, agent)) = self;
        match agent.filter(|agent| names.iter().all(|name| name != agent)) {
            Some(unknown) => HttpAnswer::unknown_agent(unknown, names.iter().map(String::as_str)),
            None => HttpAnswer::health(&Health::of(Probe::Live, &[])),
        }
    }
}

/// Returns the value of the parameter `agent`. The name of an agent has no character that a query escapes.
fn agent_of(query: &str) -> Result<Option<&str>, HttpAnswer> {
    let mut agent = None;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("agent", name)) if agent.is_none() => agent = Some(name),
            Some(("agent", _)) => {
                return Err(HttpAnswer::refusal(
                    400,
                    "the parameter `agent` is there twice",
                ));
            }
            _ => {
                let name: String = parameter
                    .split('=')
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(64)
                    .collect();
                let text = format!("unknown parameter `{name}` (available: `agent`)");
                return Err(HttpAnswer::refusal(400, text));
            }
        }
    }
    Ok(agent)
}

impl HttpAnswer {
    pub(crate) fn refusal(code: u16, text: impl Into<String>) -> Self {
        let mut body = text.into();
        body.push('\n');
        Self {
            code,
            content_type: TEXT,
            body,
        }
    }

    fn unknown_agent<'a>(agent: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
        let agent: String = agent.chars().take(64).collect();
        let text = format!("unknown agent `{agent}` (available: {})", known.join(", "));
        Self::refusal(404, text)
    }

    fn health(health: &Health<'_>) -> Self {
        match serde_json::to_string(health) {
            Ok(body) => Self {
                code: if health.ok { 200 } else { 503 },
                content_type: JSON,
                body,
            },
            Err(error) => Self::refusal(500, error.to_string()),
        }
    }

    fn metrics(reports: &[AgentReport]) -> Self {
        match metrics::text_of(reports) {
            Ok(body) => Self {
                code: 200,
                content_type: METRICS,
                body,
            },
            Err(error) => Self::refusal(500, error.to_string()),
        }
    }
}
