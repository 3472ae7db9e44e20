use microagent::prelude::*;

struct Plain;

fn main() {
    let _ = Agent::new(Plain);
}
