use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

#[derive(Default)]
struct Counter {
    count: u64,
}

#[agent]
impl Counter {
    #[receiver(Started)]
    async fn count(&mut self) {
        self.count += 1;
    }

    #[periodic(1)]
    fn tick(self) {}

    #[on(post_start)]
    async fn live() {}
}

fn main() {}
