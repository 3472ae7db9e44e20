//! The speed of MicroAgent beside the bare parts, one JSON line per case. See `bench/README.md`.

mod cases;
mod measure;

use std::{
    collections::BTreeMap,
    io::Write,
    process::{self, ExitCode, Stdio},
    thread,
};

use clap::{Parser, Subcommand};
use microagent::Result;
use tokio::runtime::Runtime;

use self::{
    cases::{Case, worker},
    measure::{Plan, Side, Spread},
};

/// Measures MicroAgent beside the bare parts that it is made of.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Run only the cases whose name contains one of these
    cases: Vec<String>,
    /// The number of rounds, in which both sides take turns; the best round of each counts
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The number of runs of all cases; with more than one, the spread of each case is printed
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Run only cases that have a floor, and fail if one is below it, by its median of all runs
    #[arg(long)]
    check: bool,
    /// Run only one side, for a profiler
    #[arg(long, conflicts_with = "check")]
    only: Option<Side>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Consumes a queue as one of several processes
    #[command(hide = true)]
    Worker { work: worker::Work, target: String },
    /// Measures one case
    #[command(hide = true)]
    Case {
        name: String,
        #[arg(long)]
        rounds: u32,
        #[arg(long)]
        run: u32,
    },
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
    // If stderr is closed, there is nobody to write to.
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}

/// Runs the cases that were chosen, and returns a sentence for each of those below their floors.
fn run(args: &Args) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()?;
    match &args.command {
        Some(Command::Worker { work, target }) => {
            runtime.block_on(worker::work(*work, target))?;
            return Ok(Vec::new());
        }
        Some(Command::Case { name, rounds, run }) => {
            let plan = Plan {
                rounds: *rounds,
                only: None,
            };
            measure_here(&runtime, plan, named(name)?, *run)?;
            return Ok(Vec::new());
        }
        None => {}
    }
    let cases = chosen(&args.cases, args.check)?;
    let ratios = measured(args, &runtime, &cases)?;
    let mut below = Vec::new();
    for case in cases {
        let ratios = ratios.get(case.name).cloned().unwrap_or_default();
        let Some(spread) = Spread::of(ratios) else {
            continue;
        };
        if args.runs > 1 {
            measure::print_spread(case.name, case.floor, &spread)?;
        }
        below.extend(below_floor(case, spread.median));
    }
    Ok(below)
}

type Ratios = BTreeMap<&'static str, Vec<f64>>;

/// Runs all cases as often as asked for, and returns the ratios of each. Each runs in a process of its own, because the memory that a
/// case leaves behind can make the next one slower. For a profiler they run in this one.
fn measured(args: &Args, runtime: &Runtime, cases: &[&'static Case]) -> Result<Ratios> {
    let mut ratios = Ratios::new();
    for run in 1..=args.runs {
        let number = if args.runs > 1 { run } else { 0 };
        for case in cases {
            let ratio = if args.only.is_some() {
                let plan = Plan {
                    rounds: args.rounds,
                    only: args.only,
                };
                measure_here(runtime, plan, case, number)?
            } else {
                measure_apart(args.rounds, case, number)?
            };
            ratios.entry(case.name).or_default().extend(ratio);
        }
    }
    Ok(ratios)
}

/// Measures a case, prints its line, and returns its ratio.
fn measure_here(runtime: &Runtime, plan: Plan, case: &Case, run: u32) -> Result<Option<f64>> {
    let line = runtime.block_on((case.run)(plan))?;
    measure::print(case.name, run, &line)?;
    Ok(measure::ratio(&line))
}

/// Does the same in a process of its own.
fn measure_apart(rounds: u32, case: &Case, run: u32) -> Result<Option<f64>> {
    let (rounds, run) = (rounds.to_string(), run.to_string());
    let output = process::Command::new(std::env::current_exe()?)
        .args(["case", case.name, "--rounds", &rounds, "--run", &run])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("`{}` was not measured: {}", case.name, output.status).into());
    }
    std::io::stdout().write_all(&output.stdout)?;
    Ok(measure::ratio(&serde_json::from_slice(&output.stdout)?))
}

/// Returns one worker for two cores. The other cores are for a server, or for the threads of a hub.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Returns the cases whose name contains one of the parts, or all if there are no parts; of them only those with a floor if
/// that is to be checked.
fn chosen(parts: &[String], check: bool) -> Result<Vec<&'static Case>> {
    if let Some(unknown) = parts.iter().find(|part| !known(part)) {
        return Err(format!("unknown case `{unknown}` (available: {})", names()).into());
    }
    let cases = cases::ALL.iter();
    let wanted =
        |case: &&Case| parts.is_empty() || parts.iter().any(|part| case.name.contains(part));
    let cases = cases.filter(wanted);
    Ok(cases
        .filter(|case| !check || case.floor.is_some())
        .collect())
}

/// Returns the case of this name.
fn named(name: &str) -> Result<&'static Case> {
    let case = cases::ALL.iter().find(|case| case.name == name);
    case.ok_or_else(|| format!("unknown case `{name}` (available: {})", names()).into())
}

fn known(part: &str) -> bool {
    cases::ALL.iter().any(|case| case.name.contains(part))
}

fn names() -> String {
    let names: Vec<_> = cases::ALL.iter().map(|case| case.name).collect();
    names.join(", ")
}

/// Returns the complaint about a case that has this ratio, if it is below its floor.
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
        chosen(&[name.to_owned()], false).unwrap()[0]
    }

    #[test]
    fn a_case_is_below_its_floor_or_not() {
        let case = case("redis.send");
        assert_eq!(below_floor(case, 0.9), None);
        let complaint = below_floor(case, 0.89).unwrap();
        assert_eq!(complaint, "`redis.send` is at 0.89, below its floor of 0.9");
    }

    #[test]
    fn a_case_without_a_floor_is_never_below_it() {
        assert_eq!(below_floor(case("local.signal"), 0.0), None);
    }

    #[test]
    fn cases_are_chosen_by_parts_of_their_names() {
        let names = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
            let cases = chosen(&parts, false).map_err(|error| error.to_string())?;
            Ok::<_, String>(cases.iter().map(|case| case.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), cases::ALL.len());
        assert_eq!(
            names(&["memory"]).unwrap(),
            [
                "memory.consume",
                "memory.signal",
                "memory.consume.scraped",
                "memory.signal.scraped",
                "memory.consume.traced",
                "memory.signal.traced",
                "memory.handlers.500"
            ]
        );
        let checked = chosen(&["memory".to_owned()], true).unwrap();
        assert!(checked.iter().all(|case| case.floor.is_some()));
        assert_eq!(checked.len(), 4);
        assert!(names(&["memory", "nats"]).unwrap_err().contains("`nats`"));
    }
}
