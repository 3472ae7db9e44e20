use microagent::prelude::*;
use std::collections::HashMap;

// The file is `tests/ui/typed.json`.
microagent::declare!("../../../tmp/typed.json");

#[derive(Serialize, Deserialize, Signal)]
struct Paid {
    amount: f64,
    by: Option<String>,
    tags: Vec<String>,
    address: Address,
}

/// Nothing is known of it, so it is compatible with everything.
#[derive(Serialize, Deserialize)]
struct Address;

type Id = String;

struct Wrong;

#[agent]
impl Wrong {
    #[receiver(signals::UserCreated)]
    async fn created(&self, user_id: String, email: Option<u64>) {
        info!("{user_id} {email:?}");
    }

    #[receiver(Paid, signals::UserCreated)]
    async fn either(&self, amount: Id, tags: HashMap<String, u8>) {
        info!("{amount} {tags:?}");
    }
}

struct Fine;

#[agent]
impl Fine {
    #[receiver(signals::UserCreated)]
    async fn created(&self, user_id: u32, email: Option<String>, code: String) {
        info!("{user_id} {email:?} {code}");
    }

    #[receiver(signals::Anything)]
    async fn anything(&self, any: Vec<u8>) {
        info!("{any:?}");
    }

    #[receiver(Paid)]
    async fn paid(&self, amount: Number, by: Option<Id>, tags: serde_json::Value, address: Vec<u8>) {
        info!("{amount} {by:?} {tags} {address:?}");
    }
}

fn main() {}
