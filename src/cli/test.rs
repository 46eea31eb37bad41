//! `eddyline test`: SQL tests without a broker.

use serde_json::json;

use super::args::{ReportFormat, TestArgs};
use super::failure::Failure;
use super::terminal::Terminal;
use super::theme::Label;
use crate::engine::test_runner::{self, CaseReport, Options};
use crate::error::{Error, ErrorKind};

/// Runs `eddyline test`.
pub fn run(args: &TestArgs, terminal: &mut Terminal) -> Result<(), Failure> {
    if args.batch.is_some() {
        return Err(Error::unsupported("--batch")
            .hint("Scripts run record by record; batches come with the JSON cases.")
            .into());
    }
    let options = Options { filter: args.filter.clone() };
    let mut lines = Vec::new();
    let theme = terminal.theme;
    let summary = test_runner::run(&args.paths, &options, &mut |case| match args.report {
        ReportFormat::Json if args.verbose => lines.push(json_line(case)),
        ReportFormat::Json => {}
        ReportFormat::Text => match &case.failure {
            Some(why) => {
                let word = theme.paint(Label::Bad, "failed");
                lines.push(format!("{word}  {} ({})\n{why}\n", case.name, case.file.display()));
            }
            None if args.verbose => lines.push(format!("passed  {} ({})", case.name, case.file.display())),
            None => {}
        },
    })?;
    lines.iter().try_for_each(|line| terminal.line(line))?;
    let last = match args.report {
        ReportFormat::Json => {
            json!({"passed": summary.passed, "failed": summary.failed, "skipped": summary.skipped}).to_string()
        }
        ReportFormat::Text => format!("{} passed, {} failed", summary.passed, summary.failed),
    };
    terminal.line(&last)?;
    match summary.failed {
        0 => Ok(()),
        failed => Err(Error::new(ErrorKind::Conflict, format!("{failed} tests failed")).into()),
    }
}

fn json_line(case: &CaseReport) -> String {
    let outcome = if case.failure.is_none() { "passed" } else { "failed" };
    let why = case.failure.as_deref().unwrap_or("");
    json!({"file": case.file.display().to_string(), "name": case.name, "format": "", "outcome": outcome, "why": why})
        .to_string()
}
