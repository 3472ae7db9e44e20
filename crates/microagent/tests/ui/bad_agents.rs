use microagent::prelude::*;

struct Generic<T>(T);

#[agent]
impl<T> Generic<T> {
    #[periodic(1)]
    async fn tick(&self) {}
}

struct Twice;

#[agent]
impl Twice {
    #[on(create)]
    async fn one(_cx: &Context) -> Self {
        Twice
    }

    #[on(create)]
    async fn other(&self) -> Self {
        Twice
    }
}

struct Optioned;

#[agent(name = "x")]
impl Optioned {}

#[agent]
struct NoBlock;

fn main() {}
