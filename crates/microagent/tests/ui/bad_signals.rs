use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Tuple(u64);

#[derive(Serialize, Deserialize, Signal)]
struct Response {
    sender: String,
}

#[derive(Serialize, Deserialize, Signal)]
#[signal(name = "User Created", prefx = "SHOP")]
struct Named {}

#[derive(Serialize, Deserialize, Signal)]
enum Either {
    One,
}

#[derive(Serialize, Deserialize, Signal)]
struct Status {}

fn main() {}
