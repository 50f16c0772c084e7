//! Plays seeds one after the other on each core, and stops at the first that shows something wrong, with its trace.
#![allow(missing_docs)]

use clap::Parser;
use tocsin_simulation::mutant::Mutant;
use tocsin_simulation::run::{self, Seeds};

#[derive(Debug, Parser)]
#[command(about = "Deterministic simulation of groups, log and time")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Breaks the detectors on purpose.
    #[arg(long, value_enum, default_value_t = Mutant::Sound)]
    mutant: Mutant,
    /// Prints the trace of the first seed, whatever it shows, and plays no other.
    #[arg(long)]
    trace: bool,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        let report = tocsin_simulation::history::play(arguments.from, arguments.mutant, true);
        print!("{}", report.trace);
        run::print_violations(arguments.from, &report);
        return std::process::ExitCode::from(u8::from(!report.violations.is_empty()));
    }
    let played = run::play(Seeds {
        from: arguments.from,
        count: arguments.seeds,
        mutant: arguments.mutant,
    });
    println!("{played}");
    match &played.found {
        None => std::process::ExitCode::SUCCESS,
        Some((seed, _)) => {
            let report = tocsin_simulation::history::play(*seed, arguments.mutant, true);
            print!("{}", report.trace);
            run::print_violations(*seed, &report);
            println!("again: tocsin-simulation --from {seed} --trace");
            std::process::ExitCode::FAILURE
        }
    }
}
