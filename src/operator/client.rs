//! A small HTTP client for the admin listener, over TCP and over its Unix socket.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::output::Failure;
use super::target::{Address, Target};
use crate::cli::Process;
use crate::task;

/// How long it may take to close many sessions.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a connection and an answer may take, unless it is known to take longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same for one of several nodes: the others are shown without it.
const NODE_TIMEOUT: Duration = Duration::from_secs(5);

/// MiB of an answer: two kilobytes for each server, of more than thirty thousand.
const ANSWER_MIB_MAX: usize = 64;

/// Asks one process. Each request has a connection of its own.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    timeout: Duration,
    /// What each line about this process begins with; empty, unless it is one of several.
    label: String,
}

impl Client {
    /// Finds the process that is meant.
    ///
    /// # Errors
    ///
    /// Nothing says where it is.
    pub fn new(process: &Process) -> Result<Self, Failure> {
        Ok(Client {
            target: Target::find(process)?,
            timeout: TIMEOUT,
            label: String::new(),
        })
    }

    /// Asks one of several nodes.
    ///
    /// # Errors
    ///
    /// It is neither a socket nor a URL, or the file can't be read.
    pub fn of_node(written: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        Ok(Client {
            target: Target::node(written, token_file)?,
            timeout: NODE_TIMEOUT,
            label: format!("{written}: "),
        })
    }

    /// What each line about this process begins with.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Answers may take this long.
    pub fn patient(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks for what is there.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks for a text.
    pub async fn text(&self, path: &str) -> Result<String, Failure> {
        let bytes = self.answer(Method::GET, path, None).await?.1;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks whether the process is ready for clients, or else why not.
    pub async fn readiness(&self) -> Result<Result<(), String>, Failure> {
        let (status, bytes) = self.whole(Method::GET, "/readyz", None).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match status {
            StatusCode::OK => Ok(Ok(())),
            StatusCode::SERVICE_UNAVAILABLE => Ok(Err(text)),
            _ => Err(self.stranger(status)),
        }
    }

    /// Orders something.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Orders that something ends.
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::DELETE, path, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (status, bytes) = self.answer(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.stranger(status))
    }

    /// The status and the body of any answer.
    async fn whole(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            Ok((status, self.read(response).await?))
        };
        self.in_time(answer).await
    }

    /// The status and the body of an answer that is no refusal.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let (status, bytes) = self.whole(method, path, body).await?;
        match status.is_success() {
            true => Ok((status, bytes)),
            false => Err(self.refusal(status, &bytes)),
        }
    }

    /// Asks for an answer that goes on.
    pub async fn open(&self, path: &str) -> Result<Incoming, Failure> {
        let answer = async {
            let response = self.send(Method::GET, path, None).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            Err(self.refusal(status, &self.read(response).await?))
        };
        self.in_time(answer).await
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(format!(
                "{} did not answer within {}s: it may be overloaded",
                self.target.address,
                self.timeout.as_secs()
            ))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failure> {
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, token.bearer());
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let refused = |error: io::Error| self.unreachable(&error);
        match &self.target.address {
            Address::Socket(socket) => {
                let stream = connect(socket).await.map_err(refused)?;
                let request = request.header(header::HOST, "localhost");
                self.exchange(stream, request.body(Full::new(bytes))).await
            }
            Address::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await.map_err(refused)?;
                // By its address, because a name could be anybody's.
                let host = stream.peer_addr().map_err(refused)?.to_string();
                let request = request.header(header::HOST, host);
                self.exchange(stream, request.body(Full::new(bytes))).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<Response<Incoming>, Failure> {
        let request =
            request.map_err(|why| Failure::new(format!("nothing can be asked: {why}")))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|_| self.broken())?;
        // It ends with the answer.
        task::spawn(async { _ = connection.await });
        let response = sender.send_request(request).await;
        response.map_err(|_| self.broken())
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = Limited::new(response.into_body(), ANSWER_MIB_MAX << 20);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Failure::new(format!(
                "{} answers with more than {ANSWER_MIB_MAX} MiB: it is no admin listener of ringway",
                self.target.address
            ))),
            Err(_) => Err(self.broken()),
        }
    }

    /// What the process said against a request.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Failure {
        let value: Result<Value, _> = serde_json::from_slice(body);
        match (value, std::str::from_utf8(body)) {
            (Ok(value), _) => match value["error"].as_str() {
                Some(why) => Failure::new(why),
                None => self.stranger(status),
            },
            (Err(_), Ok(text)) if status == StatusCode::SERVICE_UNAVAILABLE => {
                Failure::new(format!("{}: {}", self.target.address, text.trim()))
            }
            (Err(_), _) => self.stranger(status),
        }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let address = &self.target.address;
        Failure::new(match error.kind() {
            // One of several is named by a list, which `--admin` has nothing to do with.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused if !self.label.is_empty() => {
                format!("no process listens at {address}: start it, or leave it out of the list")
            }
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!(
                "no process listens at {address}: start it, or name another by --admin SOCKET-OR-URL"
            ),
            ErrorKind::PermissionDenied => {
                format!(
                    "{address} is for the user that the process runs as, for root, and for members of \
                     `socket_group` in [admin]"
                )
            }
            _ => format!("{address} can't be reached: {error}"),
        })
    }

    fn broken(&self) -> Failure {
        let address = &self.target.address;
        Failure::new(format!("{address} broke the connection off: try again"))
    }

    fn stranger(&self, status: StatusCode) -> Failure {
        Failure::new(format!(
            "what answers at {} is no admin listener of ringway (status {})",
            self.target.address,
            status.as_u16()
        ))
    }
}

/// Connects to an admin socket. While its queue is full the kernel refuses at once (unix(7), `EAGAIN`):
/// that is tried again for a second.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    const PERIOD: Duration = Duration::from_millis(20);
    const TRIES_MAX: usize = 50;
    for _ in 1..TRIES_MAX {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(PERIOD).await,
            other => return other,
        }
    }
    UnixStream::connect(socket).await
}
