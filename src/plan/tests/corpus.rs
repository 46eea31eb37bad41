//! temporary
use super::Script;
use crate::sql::ast::StatementKind;
use serde_json::Value as J;

#[test]
fn corpus() {
    let only = std::env::var("ONLY").ok();
    let mut files: Vec<_> = std::fs::read_dir("/work/shared/conformance/query-validation-tests")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let (mut pos_ok, mut pos_bad, mut neg_ok, mut neg_bad, mut schema_bad, mut skipped) = (0, 0, 0, 0, 0, 0);
    for path in files {
        let stem = path.file_stem().unwrap().to_string_lossy().to_string();
        if only.as_ref().is_some_and(|o| *o != stem) {
            continue;
        }
        let doc: J = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in doc["tests"].as_array().unwrap() {
            if case["enabled"] == J::Bool(false) {
                continue;
            }
            let name = case["name"].as_str().unwrap();
            let formats: Vec<String> = case["format"]
                .as_array()
                .map(|f| f.iter().map(|x| x.as_str().unwrap().to_string()).collect())
                .unwrap_or(vec!["JSON".into()]);
            let format = &formats[0];
            let statements: Vec<String> = case["statements"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s.as_str().unwrap().replace("{FORMAT}", format))
                .collect();
            let mut script = Script::new();
            script.config.default_value_format = None;
            let props = case["properties"].clone();
            let get = |k: &str| props.get(k).map(|v| v.as_str().map(str::to_owned).unwrap_or_else(|| v.to_string()));
            script.config = super::PlanConfig::read(&get);
            let mut result = Ok(());
            let mut failed_at = 0;
            for t in case["topics"].as_array().into_iter().flatten() {
                if let Some(n) = t["name"].as_str() {
                    script
                        .partitions
                        .push((Box::leak(n.to_owned().into_boxed_str()), t["partitions"].as_i64().unwrap_or(1) as i32));
                }
            }
            for (i, s) in statements.iter().enumerate() {
                // partitions
                if let Ok(list) = crate::sql::parse_script(s) {
                    for st in list {
                        if let StatementKind::CreateSource(c) = st.kind {
                            let g = |k: &str| {
                                c.properties
                                    .iter()
                                    .find(|p| p.key.text == k)
                                    .map(|p| p.value.to_string().trim_matches('\'').to_owned())
                            };
                            if let Some(t) = g("KAFKA_TOPIC") {
                                if !script.partitions.iter().any(|(n, _)| *n == t) {
                                    let n = g("PARTITIONS").and_then(|p| p.parse().ok()).unwrap_or(4);
                                    script.partitions.push((Box::leak(t.into_boxed_str()), n));
                                }
                            }
                        }
                    }
                }
                result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| script.run(s)))
                    .unwrap_or_else(|_| Err(crate::error::Error::internal("PANIC")));
                if result.is_err() {
                    failed_at = i;
                    break;
                }
            }
            let text = statements.join(" ").to_uppercase();
            if text.contains("SCHEMA_ID")
                || matches!(&result, Err(e) if e.message().contains("Schema Registry") || e.message().contains("harness"))
            {
                skipped += 1;
                continue;
            }
            let expected = &case["expectedException"];
            let label = format!("{stem}: {name}");
            if expected.is_null() {
                match &result {
                    Ok(()) => {
                        pos_ok += 1;
                        for s in case["post"]["sources"].as_array().into_iter().flatten() {
                            let (Some(n), Some(schema)) = (s["name"].as_str(), s["schema"].as_str()) else { continue };
                            if schema.contains('<') && false {
                                continue;
                            }
                            let Some(src) = script.catalog.find(n) else {
                                println!("NOSRC {label} {n}");
                                continue;
                            };
                            let decl = format!(
                                "CREATE {} x ({}) WITH (kafka_topic='x', format='JSON');",
                                "STREAM",
                                schema.replace("PRIMARY KEY", "KEY")
                            );
                            let mut other = Script::new();
                            if let Err(e) = other.run(&decl) {
                                println!("CANTREAD {label} {schema} {e}");
                                continue;
                            }
                            let want = &other.catalog.find("X").unwrap().schema;
                            if want.columns != src.schema.columns {
                                schema_bad += 1;
                                println!(
                                    "SCHEMA {label}\n   want {want}\n   got  {}\n   {}",
                                    src.schema,
                                    statements.join("\n   ")
                                );
                            }
                            if let Some(kf) = s["keyFormat"]["format"].as_str() {
                                if kf != src.key_format.name {
                                    schema_bad += 1;
                                    println!("KEYFORMAT {label} want {kf} got {}", src.key_format.name)
                                }
                            }
                            if let Some(kf) = s["valueFormat"].as_str() {
                                if kf != src.value_format.name {
                                    schema_bad += 1;
                                    println!("VALFORMAT {label} want {kf} got {}", src.value_format.name)
                                }
                            }
                        }
                    }
                    Err(e) => {
                        pos_bad += 1;
                        println!(
                            "POS {label}: {e} {:?}\n   {}",
                            e.span().map(|s| statements[failed_at].get(s.start..s.end).unwrap_or("").to_owned()),
                            statements.join("\n   ")
                        )
                    }
                }
            } else {
                let message = expected["message"].as_str().unwrap_or("").replace('\n', " / ");
                match &result {
                    Ok(()) => {
                        neg_bad += 1;
                        println!("NEG {label}: accepted; want {message}\n   {}", statements.join("\n   "))
                    }
                    Err(e) if failed_at + 1 != statements.len() => {
                        neg_bad += 1;
                        println!("NEGEARLY {label}: {e}; {}", statements[failed_at])
                    }
                    Err(e) => {
                        neg_ok += 1;
                        println!(
                            "ok {label}: {message}\n       => {e} {:?} {:?}",
                            e.span().map(|s| statements[failed_at].get(s.start..s.end).unwrap_or("").to_owned()),
                            e.hints()
                        )
                    }
                }
            }
        }
    }
    println!(
        "pos {pos_ok} ok {pos_bad} bad; neg {neg_ok} ok {neg_bad} bad; schemas bad {schema_bad}; skipped {skipped}"
    );
}
