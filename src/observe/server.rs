//! [`MetricsServer`]: `/metrics` and `/health` over HTTP, in a thread of its own.
//!
//! **Invariant:** whatever clients do, queries do not notice; the server answers again after the system ran out of files.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, Server};

use super::health::Health;
use super::text;
use crate::engine::{QueryStatus, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;

/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(500);
/// Pause before connections are taken again after the system refused one.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers requests until dropped.
pub struct MetricsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    service: String,
    session: Mutex<Option<Box<dyn Session>>>,
    stop: AtomicBool,
}

/// What a request gets.
#[derive(Debug, PartialEq)]
struct Answer {
    code: u16,
    content_type: &'static str,
    body: String,
}

impl MetricsServer {
    /// Listens at `address` (port 0 takes any). Until [`Self::show`] the answer is that the service starts.
    pub fn bind(address: SocketAddr, service: &str, clock: Arc<dyn Clock>) -> Result<Self> {
        let cannot = |cause: std::io::Error| {
            Error::new(ErrorKind::Conflict, format!("cannot listen at {address} for metrics"))
                .caused_by(cause)
                .hint("Another program may use the port: choose another --metrics-addr.")
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let server = open(&listener)?;
        let shared = Shared { service: service.to_owned(), session: Mutex::new(None), stop: AtomicBool::new(false) };
        let shared = Arc::new(shared);
        let seen = Arc::clone(&shared);
        let work = move || serve(server, &listener, &seen, clock.as_ref());
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(work)?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows the queries of this session from now on.
    pub fn show(&self, session: Box<dyn Session>) {
        *self.shared.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the metrics server panicked");
        }
    }
}

fn open(listener: &TcpListener) -> Result<Server> {
    let listener = listener.try_clone()?;
    Server::from_listener(listener, None)
        .map_err(|cause| Error::new(ErrorKind::Unavailable, format!("the metrics server cannot start: {cause}")))
}

fn serve(mut server: Server, listener: &TcpListener, shared: &Shared, clock: &dyn Clock) {
    while !shared.stop.load(Ordering::SeqCst) {
        match server.recv_timeout(LOOK) {
            Ok(None) => {}
            Ok(Some(request)) => {
                let answer = shared.answer(request.method(), request.url());
                if let Err(error) = respond(request, answer) {
                    tracing::debug!(%error, "a reader of metrics went away");
                }
            }
            // The server takes no connection after that: another one does.
            Err(error) => {
                tracing::warn!(%error, "the metrics server is interrupted");
                clock.sleep(REFUSED_PAUSE);
                match open(listener) {
                    Ok(next) => server = next,
                    Err(error) => tracing::warn!(%error, "no metrics for now"),
                }
            }
        }
    }
}

fn respond(request: Request, answer: Answer) -> std::io::Result<()> {
    let mut response = Response::from_string(answer.body).with_status_code(answer.code);
    if let Ok(header) = Header::from_bytes("Content-Type", answer.content_type) {
        response = response.with_header(header);
    }
    request.respond(response)
}

impl Shared {
    fn queries(&self) -> Option<Vec<QueryStatus>> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().map(|session| session.queries())
    }

    fn answer(&self, method: &Method, url: &str) -> Answer {
        let plain = |code, body: &str| Answer { code, content_type: PLAIN, body: body.to_owned() };
        if !matches!(method, Method::Get | Method::Head) {
            return plain(405, "only GET\n");
        }
        match url.split('?').next().unwrap_or_default() {
            "/metrics" => {
                let queries = self.queries().unwrap_or_default();
                Answer { code: 200, content_type: text::CONTENT_TYPE, body: text::render(&self.service, &queries) }
            }
            "/health" => {
                let health = match self.queries() {
                    Some(queries) => Health::of(&self.service, &queries),
                    None => Health::starting(&self.service),
                };
                let code = if health.is_well { 200 } else { 503 };
                Answer { code, content_type: JSON, body: format!("{}\n", health.report) }
            }
            "/" => plain(200, "/metrics\n/health\n"),
            _ => plain(404, "there is /metrics and /health\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::super::text::tests::status;
    use super::*;
    use crate::engine::{Outcome, QueryState};
    use crate::time::SystemClock;

    struct Queries(Vec<QueryStatus>);

    impl Session for Queries {
        fn execute(&mut self, _: &str, _: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
            Ok(())
        }

        fn names(&self) -> Vec<String> {
            Vec::new()
        }

        fn queries(&self) -> Vec<QueryStatus> {
            self.0.clone()
        }
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(format!("{request} HTTP/1.0\r\n\r\n").as_bytes()).expect("it reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("text");
        said
    }

    #[test]
    fn answers_over_http() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = MetricsServer::bind(local, "shop", SystemClock::shared()).expect("a free port");
        let address = server.address();
        assert!(ask(address, "GET /health").starts_with("HTTP/1.0 503"), "nothing to show yet");
        server.show(Box::new(Queries(vec![status("q", QueryState::Running)])));
        let health = ask(address, "GET /health");
        assert!(health.starts_with("HTTP/1.0 200") && health.contains("Content-Type: application/json"), "{health}");
        assert!(health.ends_with(
            "{\"status\":\"ok\",\"service\":\"shop\",\"queries\":[{\"query\":\"q\",\"state\":\"RUNNING\"}]}\n"
        ));
        let metrics = ask(address, "GET /metrics?x=y");
        assert!(metrics.contains("Content-Type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("eddyline_query_rows_out_total{service=\"shop\",query=\"q\"} 60\n"), "{metrics}");
        assert!(ask(address, "POST /metrics").starts_with("HTTP/1.0 405"));
        assert!(ask(address, "GET /other").starts_with("HTTP/1.0 404"));
        server.show(Box::new(Queries(vec![status("q", QueryState::Error("no topic".to_owned()))])));
        let health = ask(address, "GET /health");
        assert!(health.starts_with("HTTP/1.0 503") && health.contains("\"reason\":\"no topic\""), "{health}");
        let error = MetricsServer::bind(address, "shop", SystemClock::shared()).err().expect("taken");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}
