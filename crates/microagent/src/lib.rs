//! Event-driven microservices that never talk to each other.
