//! Speed of MicroAgent beside the bare parts, one JSON line per case. See `bench/README.md`.

mod cases;
mod measure;

use std::process::ExitCode;

use clap::Parser;
use microagent::Result;

/// Measures MicroAgent beside the bare parts that it stands on.
#[derive(Parser)]
struct Args {
    /// Run only the cases whose name contains one of these
    cases: Vec<String>,
    /// How often both sides take turns; the best round of each counts
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let chosen = |name: &str| {
        args.cases.is_empty() || args.cases.iter().any(|part| name.contains(part.as_str()))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    for case in cases::ALL.iter().filter(|case| chosen(case.name)) {
        let line = runtime.block_on((case.run)(args.rounds))?;
        measure::print(case.name, &line)?;
    }
    Ok(())
}
