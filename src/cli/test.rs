//! `eddyline test`: SQL tests without a broker.

use serde_json::json;

use super::args::{Batching, ReportFormat, TestArgs};
use super::failure::Failure;
use super::terminal::Terminal;
use super::theme::Label;
use crate::engine::test_runner::{self, Batches, CaseReport, Causes, Options, Outcome, Summary, Triple};
use crate::error::{Error, Result};
use crate::time::SystemClock;

/// Runs `eddyline test`.
pub fn run(args: &TestArgs, terminal: &mut Terminal) -> Result<(), Failure> {
    let clock = SystemClock::shared();
    let started = clock.monotonic_us();
    let batches = match args.batch {
        None => Batches::Single,
        Some(Batching::Fixed(records)) => Batches::Fixed(records),
        Some(Batching::Random(seed)) => Batches::Random(seed),
    };
    let options = Options {
        filter: args.filter.clone(),
        batches,
        triple: args.sql_file.clone().zip(args.output_file.clone()).map(|(sql, outputs)| Triple {
            sql,
            inputs: args.input_file.clone(),
            outputs,
        }),
    };
    // The runner's callback cannot fail; what the terminal said is asked afterwards.
    let mut told = Ok(());
    let mut causes = Causes::default();
    let summary = test_runner::run(&args.paths, &options, &mut |case| {
        causes.add(case);
        if told.is_ok() {
            told = tell(terminal, args, case);
        }
    })?;
    told?;
    if args.report == ReportFormat::Causes {
        terminal.line(causes.markdown().trim_end())?;
        return match summary.failed {
            0 => Ok(()),
            failed => Err(Failure::told(Error::semantic(format!("{failed} tests failed")))),
        };
    }
    tell_summary(terminal, args, &summary, clock.monotonic_us() - started)?;
    if summary.passed + summary.failed == 0 {
        let error = Error::not_found("no test was run");
        return Err(Failure::usage(match &args.filter {
            Some(filter) => error.hint(format!("No file or test name contains {filter:?}.")),
            None => {
                error.hint("Tests are .sql files with ASSERT statements, or .json files of query-validation cases.")
            }
        }));
    }
    match summary.failed {
        0 => Ok(()),
        failed => Err(Failure::told(Error::semantic(format!("{failed} tests failed")))),
    }
}

/// One case: a failure always, a success when asked.
fn tell(terminal: &mut Terminal, args: &TestArgs, case: &CaseReport) -> Result<()> {
    if args.report == ReportFormat::Causes {
        return Ok(());
    }
    let file = case.file.display().to_string();
    let name = match &case.format {
        Some(format) => format!("{} - {format}", case.name),
        None => case.name.clone(),
    };
    if args.report == ReportFormat::Json {
        if !args.verbose {
            return Ok(());
        }
        let (outcome, why) = match &case.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(why) => ("failed", Some(why)),
            Outcome::Skipped => ("skipped", None),
        };
        let format = &case.format;
        let line = json!({"file": file, "name": case.name, "format": format, "outcome": outcome, "why": why});
        return terminal.line(&line.to_string());
    }
    let theme = terminal.theme;
    match &case.outcome {
        Outcome::Failed(why) => {
            terminal.line(&format!("{}  {file}: {name}", theme.paint(Label::Bad, "FAIL")))?;
            for line in why.lines() {
                terminal.line(format!("      {line}").trim_end())?;
            }
            Ok(())
        }
        _ if !args.verbose => Ok(()),
        Outcome::Passed => terminal.line(&format!("{}  {file}: {name}", theme.paint(Label::Good, "ok  "))),
        Outcome::Skipped => terminal.line(&format!("skip  {file}: {name}")),
    }
}

fn tell_summary(terminal: &mut Terminal, args: &TestArgs, summary: &Summary, took_us: i64) -> Result<()> {
    let Summary { passed, failed, skipped } = *summary;
    if args.report == ReportFormat::Json {
        let line = json!({"passed": passed, "failed": failed, "skipped": skipped});
        return terminal.line(&line.to_string());
    }
    let mut counts = format!("{passed} passed, {failed} failed");
    if skipped > 0 {
        counts.push_str(&format!(", {skipped} skipped"));
    }
    let label = if failed == 0 { Label::Good } else { Label::Bad };
    let counts = terminal.theme.paint(label, &counts);
    terminal.line(&format!("{counts} in {:.1} s", took_us as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(failure: Option<&str>) -> CaseReport {
        let outcome = failure.map_or(Outcome::Passed, |why| Outcome::Failed(why.to_owned()));
        CaseReport { file: "a.sql".into(), name: "late rows".into(), format: None, outcome }
    }

    fn told(report: ReportFormat, verbose: bool) -> String {
        let args = TestArgs {
            paths: Vec::new(),
            sql_file: None,
            input_file: None,
            output_file: None,
            report,
            verbose,
            filter: None,
            batch: None,
        };
        let (mut terminal, captured) = Terminal::captured();
        tell(&mut terminal, &args, &case(None)).unwrap();
        tell(&mut terminal, &args, &case(Some("a.sql:3:1: expected\n  1\nfound\n  2"))).unwrap();
        tell_summary(&mut terminal, &args, &Summary { passed: 1, failed: 1, skipped: 0 }, 1_500_000).unwrap();
        captured.out()
    }

    #[test]
    fn failures_are_shown_in_full() {
        let expected = "\
FAIL  a.sql: late rows
      a.sql:3:1: expected
        1
      found
        2
1 passed, 1 failed in 1.5 s
";
        assert_eq!(told(ReportFormat::Text, false), expected);
        assert!(told(ReportFormat::Text, true).starts_with("ok    a.sql: late rows\n"));
    }

    #[test]
    fn json_is_one_object_a_line() {
        assert_eq!(told(ReportFormat::Json, false).lines().count(), 1);
        let out = told(ReportFormat::Json, true);
        let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["outcome"], "passed");
        assert_eq!(lines[1]["why"], "a.sql:3:1: expected\n  1\nfound\n  2");
        assert_eq!(lines[2]["failed"], 1);
    }
}
