use super::*;
use crate::engine::QueryStatus;
use crate::error::Span;
use crate::types::{SqlType, Value};

/// Answers by the first word of the statement.
struct Scripted {
    signals: Signals,
}

impl Session for Scripted {
    fn execute(&mut self, script: &str, each: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
        let columns = vec![("ID".to_owned(), SqlType::String), ("N".to_owned(), SqlType::Int)];
        let row = |id: &str, n: Option<i32>| vec![Value::String(id.into()), n.map_or(Value::Null, Value::Int)];
        match script.split_whitespace().next().unwrap() {
            "CREATE" => each(Outcome::Message("Stream created".into())),
            "SHOW" => each(Outcome::Table(TableResult { columns, rows: vec![row("a", Some(1))] })),
            "SELECT" => {
                let events = vec![
                    RowEvent::Row(row("a", Some(1))),
                    RowEvent::Idle,
                    RowEvent::Tombstone(row("a", None)),
                    RowEvent::End("Limit Reached".into()),
                ];
                each(Outcome::Rows(Box::new(Rows { columns, events, raise: None })))
            }
            "ENDLESS" => {
                let events = vec![RowEvent::Row(row("a", Some(1)))];
                each(Outcome::Rows(Box::new(Rows { columns, events, raise: Some(self.signals.clone()) })))
            }
            _ => Err(Error::syntax("what is this").at(Span::new(0, 3))),
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["ORDERS".into()]
    }

    fn queries(&self) -> Vec<QueryStatus> {
        Vec::new()
    }
}

struct Rows {
    columns: Vec<(String, SqlType)>,
    events: Vec<RowEvent>,
    raise: Option<Signals>,
}

impl RowStream for Rows {
    fn columns(&self) -> &[(String, SqlType)] {
        &self.columns
    }

    fn next(&mut self, _: Duration) -> Result<RowEvent> {
        if self.events.is_empty() {
            self.raise.as_ref().expect("an endless query").raise();
            return Ok(RowEvent::Idle);
        }
        Ok(self.events.remove(0))
    }
}

fn run(output: OutputFormat, interactive: bool, text: &str) -> (Result<Flow, Failure>, String, String) {
    with_shell(output, |shell| {
        shell.interactive = interactive;
        shell.run(&Script::new("-e", text))
    })
}

fn with_shell(
    output: OutputFormat,
    work: impl FnOnce(&mut Shell<'_>) -> Result<Flow, Failure>,
) -> (Result<Flow, Failure>, String, String) {
    let (mut terminal, captured) = Terminal::captured();
    let signals = Signals::default();
    let session = Box::new(Scripted { signals: signals.clone() });
    let mut shell = Shell::new(session, &mut terminal, signals, output);
    let result = work(&mut shell);
    (result, captured.out(), captured.err())
}

#[test]
fn statements_run_in_order_and_stop_at_the_first_error() {
    let (result, out, _) = run(OutputFormat::Table, false, "CREATE x; SHOW y;\n  BAD z; CREATE never;");
    assert_eq!(out, "Stream created\nID  N\n--- --\na   1\n");
    let failure = result.unwrap_err();
    assert_eq!(failure.error.span(), Some(Span::new(20, 23)));
    assert_eq!((failure.exit_code(), failure.script.unwrap().name), (1, "-e".to_owned()));
}

#[test]
fn push_queries_show_rows_until_they_end() {
    let (_, out, _) = run(OutputFormat::Table, false, "SELECT 1;");
    let expected = "\
ID                   N
------------  --------
a                    1
a             <tombstone>
Limit Reached (2 rows)
";
    assert_eq!(out, expected);
}

#[test]
fn formats_for_programs_keep_stdout_clean() {
    let (_, out, err) = run(OutputFormat::Json, false, "CREATE x; SELECT 1; SHOW y");
    assert_eq!(out, "{\"ID\":\"a\",\"N\":1}\n{\"ID\":\"a\",\"N\":null,\"@tombstone\":true}\n{\"ID\":\"a\",\"N\":1}\n");
    assert_eq!(err, "Stream created\nLimit Reached (2 rows)\n");
    let (_, out, _) = run(OutputFormat::Csv, false, "SELECT 1;");
    assert_eq!(out, "ID,N\na,1\na,\n");
}

#[test]
fn interrupt_ends_the_query_at_a_prompt_and_the_script_elsewhere() {
    let (result, out, _) = run(OutputFormat::Json, true, "ENDLESS; CREATE after;");
    assert_eq!(result.unwrap(), Flow::Continue);
    assert_eq!(out, "{\"ID\":\"a\",\"N\":1}\n");
    let (result, _, err) = run(OutputFormat::Json, false, "ENDLESS; CREATE never;");
    assert_eq!(result.unwrap_err().exit_code(), 130);
    assert!(!err.contains("created"));
}

#[test]
fn commands_need_no_semicolon() {
    for line in ["help", "EXIT", "quit;", "output json", "run script 'a b.sql';", "Run Script x.sql", "history"] {
        assert!(is_command(line), "{line}");
    }
    for line in ["helper", "run", "run script", "output json now", "SELECT 1", "", "exit now"] {
        assert!(!is_command(line), "{line}");
    }
    assert_eq!(Command::parse("RUN SCRIPT 'it''s.sql';"), Some(Command::Run("it's.sql".to_owned())));
    let (_, out, err) = run(OutputFormat::Table, false, "output json; SHOW y; exit; CREATE never;");
    assert_eq!((out.as_str(), err.as_str()), ("{\"ID\":\"a\",\"N\":1}\n", "Output format: json\n"));
    let (result, ..) = run(OutputFormat::Table, false, "output jsn;");
    assert_eq!(result.unwrap_err().error.hints(), ["Try output json."]);
}

#[test]
fn scripts_run_scripts_next_to_them_but_not_themselves() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("a.sql"), "CREATE x; RUN SCRIPT 'sub/b.sql';").unwrap();
    std::fs::write(dir.path().join("sub/b.sql"), "SHOW y;\nRUN SCRIPT 'c.sql';").unwrap();
    std::fs::write(dir.path().join("sub/c.sql"), "RUN SCRIPT 'c.sql';").unwrap();
    let (result, out, _) =
        run(OutputFormat::Json, false, &format!("RUN SCRIPT '{}';", dir.path().join("a.sql").display()));
    assert!(out.starts_with("{\"ID\""));
    assert!(result.unwrap_err().error.message().contains("more than 16 deep"));
}

#[test]
fn pipes_run_statements_as_they_end_and_count_lines_through() {
    let text = "CREATE x;\nSHOW\n  y\n;\nhelp\n-- remark\nBAD z;\nCREATE never;\n";
    let (result, out, _) = with_shell(OutputFormat::Json, |shell| shell.run_lines(&mut text.as_bytes()));
    assert!(out.starts_with("{\"ID\":\"a\",\"N\":1}\nStatements end with a semicolon"), "{out}");
    let failure = result.unwrap_err();
    assert_eq!(failure.error.span().unwrap().line_column(&failure.script.unwrap().text), (7, 1));
    let (result, _, err) = with_shell(OutputFormat::Json, |shell| shell.run_lines(&mut "CREATE last".as_bytes()));
    assert_eq!((result.unwrap(), err.as_str()), (Flow::Continue, "Stream created\n"));
}
