//! The agents of MicroAgent's documentation, as a user writes them: [`UserAgent`] and [`CommentAgent`] talk by signals
//! and calls, both send mails to a queue, and [`EmailAgent`] takes them out. [`HttpAgent`] has a web server inside.

mod comment_agent;
mod email_agent;
mod http_agent;
mod user_agent;

pub use comment_agent::CommentAgent;
pub use email_agent::EmailAgent;
pub use http_agent::HttpAgent;
pub use user_agent::UserAgent;

microagent::declare!("signals.json");
