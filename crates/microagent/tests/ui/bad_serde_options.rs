use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
#[serde(rename_all = "camelCase")]
struct UserCreated {
    user_id: u64,
}

#[derive(Serialize, Deserialize, Signal)]
#[serde(transparent)]
struct Wrapped {
    user_id: u64,
}

#[derive(Serialize, Deserialize, Signal)]
struct UserUpdated {
    #[serde(rename = "userId")]
    user_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

fn main() {}
