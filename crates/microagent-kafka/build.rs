//! Makes cargo run the build script of `microagent-kafka-check` early. Cargo begins with the scripts on which most other steps depend:
//! as a dependency of this script, the check comes before the build of librdkafka, which would fail without a readable reason.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
