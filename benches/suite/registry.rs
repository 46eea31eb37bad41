//! The smallest Schema Registry that AVRO needs: subjects and schemas in memory, served over HTTP.

use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tiny_http::{Method, Response, Server};

/// It runs until dropped.
pub struct Registry {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    pub fn start() -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").expect("a free port"));
        let served = server.clone();
        let thread = std::thread::spawn(move || serve(&served));
        Self { server, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(server: &Server) {
    // Number and schema of each subject's only version.
    let mut schemas: Vec<(String, Value)> = Vec::new();
    for mut request in server.incoming_requests() {
        let mut body = String::new();
        let _ = request.as_reader().read_to_string(&mut body);
        let posted: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let url = request.url().to_owned();
        let parts: Vec<&str> = url.trim_start_matches('/').split('?').next().unwrap_or("").split('/').collect();
        let answer = match (request.method(), parts.as_slice()) {
            (Method::Post, ["subjects", subject, "versions"]) => {
                let found = schemas.iter().position(|(s, schema)| s == subject && schema["schema"] == posted["schema"]);
                let at = found.unwrap_or_else(|| {
                    schemas.push((subject.to_string(), posted));
                    schemas.len() - 1
                });
                Some(json!({ "id": at + 1 }))
            }
            (Method::Post, ["compatibility", ..]) => Some(json!({ "is_compatible": true })),
            (Method::Get, ["schemas", "ids", id]) => {
                id.parse::<usize>().ok().and_then(|id| Some(schemas.get(id.checked_sub(1)?)?.1.clone()))
            }
            (Method::Get, ["schemas", "ids", id, "versions"]) => {
                let found = id.parse::<usize>().ok().and_then(|id| schemas.get(id.checked_sub(1)?));
                found.map(|(subject, _)| json!([{ "subject": subject, "version": 1 }]))
            }
            (Method::Get, ["subjects", subject, "versions", _]) => {
                let found = schemas.iter().rposition(|(s, _)| s == subject);
                found.map(|at| {
                    let mut told = schemas[at].1.clone();
                    told["id"] = json!(at + 1);
                    told["version"] = json!(1);
                    told["subject"] = json!(subject);
                    told
                })
            }
            _ => None,
        };
        let _ = match answer {
            Some(answer) => request.respond(Response::from_string(answer.to_string())),
            None => {
                let missing = json!({ "error_code": 40401, "message": "not found" }).to_string();
                request.respond(Response::from_string(missing).with_status_code(404))
            }
        };
    }
}
