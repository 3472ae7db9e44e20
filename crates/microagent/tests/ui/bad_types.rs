#![allow(unused_variables)]

use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {
    by: String,
}

#[derive(Serialize, Deserialize, Signal)]
struct Stopped {
    by: String,
}

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started)]
    async fn borrowed_inside(&self, by: Option<&str>) {}

    #[receiver(Started)]
    async fn payload_of_what(&self, payload: Payload) {}

    #[receiver(Started)]
    async fn of_any_type(&self, by: impl Into<String>) {}

    #[receiver(Started, Stopped)]
    async fn one_of_two(&self, started: Started) {}

    #[on(gap)]
    async fn wrong_reference(&self, gap: &Message) {}

    #[on(gap)]
    async fn by_value(&self, gap: Gap) {}

    #[on(post_start)]
    async fn payload_in_a_hook(&self, rest: Kwargs) {}
}

fn main() {}
