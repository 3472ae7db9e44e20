//! Speed of MicroAgent beside the bare parts, one JSON line per case. See `bench/README.md`.

mod cases;
mod measure;

use std::{io::Write, process::ExitCode, thread};

use clap::Parser;
use microagent::Result;

use self::cases::Case;

/// Measures MicroAgent beside the bare parts that it stands on.
#[derive(Parser)]
struct Args {
    /// Run only the cases whose name contains one of these
    cases: Vec<String>,
    /// How often both sides take turns; the best round of each counts
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Fail when a case is below its floor
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(below) if below.is_empty() || !args.check => ExitCode::SUCCESS,
        Ok(below) => {
            below.iter().for_each(|case| complain(case));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    // A closed stderr has no reader to miss it.
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}

/// Runs the cases that were chosen, and tells of those below their floors.
fn run(args: &Args) -> Result<Vec<String>> {
    let cases = chosen(&args.cases)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    let mut below = Vec::new();
    for case in cases {
        let line = runtime.block_on((case.run)(args.rounds))?;
        measure::print(case.name, &line)?;
        below.extend(below_floor(case, measure::ratio(&line)));
    }
    Ok(below)
}

/// One for two cores. The others are for what stands on the same machine: a server, or the threads of a hub.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// The cases whose name contains one of the parts; all where there are none.
fn chosen(parts: &[String]) -> Result<Vec<&'static Case>> {
    if let Some(unknown) = parts.iter().find(|part| !known(part)) {
        return Err(format!("no case has `{unknown}` in its name; there are {}", names()).into());
    }
    let cases = cases::ALL.iter();
    let wanted =
        |case: &&Case| parts.is_empty() || parts.iter().any(|part| case.name.contains(part));
    Ok(cases.filter(wanted).collect())
}

fn known(part: &str) -> bool {
    cases::ALL.iter().any(|case| case.name.contains(part))
}

fn names() -> String {
    let names: Vec<_> = cases::ALL.iter().map(|case| case.name).collect();
    names.join(", ")
}

/// What is to be said of a case with this ratio, if it is below its floor.
fn below_floor(case: &Case, ratio: f64) -> Option<String> {
    let floor = case.floor.filter(|floor| ratio < *floor)?;
    Some(format!(
        "`{}` is at {ratio}, below its floor of {floor}",
        case.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str) -> &'static Case {
        chosen(&[name.to_owned()]).unwrap()[0]
    }

    #[test]
    fn a_case_is_below_its_floor_or_not() {
        let case = case("redis.send");
        assert_eq!(below_floor(case, 0.9), None);
        let told = below_floor(case, 0.89).unwrap();
        assert_eq!(told, "`redis.send` is at 0.89, below its floor of 0.9");
    }

    #[test]
    fn a_case_without_a_floor_is_never_below_it() {
        assert_eq!(below_floor(case("local.consume"), 0.0), None);
    }

    #[test]
    fn cases_are_chosen_by_parts_of_their_names() {
        let names = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
            let cases = chosen(&parts).map_err(|error| error.to_string())?;
            Ok::<_, String>(cases.iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), cases::ALL.len());
        assert_eq!(
            names(&["memory"]).unwrap(),
            ["memory.consume", "memory.signal"]
        );
        assert!(names(&["memory", "kafka"]).unwrap_err().contains("`kafka`"));
    }
}
