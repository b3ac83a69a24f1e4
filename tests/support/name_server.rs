//! A name server for tests, by UDP and TCP on one port of loopback: it answers by a script, and keeps
//! what it was asked.
//!
//! It writes its messages by hand, so that no parser agrees with itself. As Docker's, it takes the size
//! that a query announces, cuts what is longer, and sends no OPT record.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Types of records.
pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
const OPT: u16 = 41;

/// Codes of answers.
pub const FORMERR: u8 = 1;
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;
pub const REFUSED: u8 = 5;

/// Bytes of an answer by UDP to a query without EDNS.
const PLAIN_SIZE: u16 = 512;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub name: String,
    pub record_type: u16,
    pub tcp: bool,
    /// The size that it announces; `None`: it has no OPT record.
    pub edns: Option<u16>,
    pub id: u16,
    pub from: SocketAddr,
    /// The question as it came.
    question: Vec<u8>,
}

/// A record; its name is that of the question unless it is written.
#[derive(Clone, Debug)]
pub struct Record {
    name: Option<String>,
    record_type: u16,
    data: Vec<u8>,
}

impl Record {
    pub fn address(address: impl Into<IpAddr>) -> Self {
        let (record_type, data) = match address.into() {
            IpAddr::V4(ip) => (A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
        };
        Record {
            name: None,
            record_type,
            data,
        }
    }

    pub fn alias(target: &str) -> Self {
        Record {
            name: None,
            record_type: CNAME,
            data: wire_name(target),
        }
    }

    pub fn service(priority: u16, weight: u16, port: u16, target: &str) -> Self {
        let numbers = [priority, weight, port].map(u16::to_be_bytes);
        Record {
            name: None,
            record_type: SRV,
            data: [numbers.as_flattened(), &wire_name(target)].concat(),
        }
    }

    pub fn of(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
}

/// An answer, or none.
#[derive(Clone, Debug)]
pub enum Action {
    /// These records, and these beside them.
    Records(Vec<Record>, Vec<Record>),
    /// No record and a code.
    Code(u8),
    /// The same bytes as another action, changed.
    Changed(Box<Action>, fn(&mut Vec<u8>)),
    /// By TCP: byte by byte. By UDP: as it is.
    Slowly(Box<Action>),
    /// By TCP: only so many bytes, then the end. By UDP: as it is.
    Partly(Box<Action>, usize),
    /// Something before it.
    After(Box<Action>, Box<Action>),
    Silence,
}

impl Action {
    /// Records of the type that is asked for: addresses.
    pub fn addresses<T: Into<IpAddr> + Copy>(query: &Query, all: &[T]) -> Self {
        let records = all.iter().map(|ip| Record::address(*ip));
        let records = records.filter(|record| record.record_type == query.record_type);
        Action::Records(records.collect(), Vec::new())
    }

    /// The messages to send.
    fn messages(&self, query: &Query) -> Vec<Vec<u8>> {
        match self {
            Action::Records(answers, additional) => vec![query.answer(0, answers, additional)],
            Action::Code(code) => vec![query.answer(*code, &[], &[])],
            Action::Changed(action, change) => {
                let mut messages = action.messages(query);
                messages.iter_mut().for_each(change);
                messages
            }
            Action::Slowly(action) | Action::Partly(action, _) => action.messages(query),
            Action::After(first, second) => {
                [first.messages(query), second.messages(query)].concat()
            }
            Action::Silence => Vec::new(),
        }
    }
}

impl Query {
    /// Reads a query; `None`: it is none.
    fn read(bytes: &[u8], tcp: bool, from: SocketAddr) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let mut labels = Vec::new();
        let mut at = 12;
        loop {
            let len = usize::from(*bytes.get(at)?);
            if len == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(bytes.get(at + 1..=at + len)?).into_owned());
            at += 1 + len;
        }
        let record_type = number(at + 1)?;
        // Behind the question: an empty name, then the record.
        let edns = match (number(10), number(at + 6)) {
            (Some(1), Some(OPT)) => number(at + 8),
            _ => None,
        };
        Some(Query {
            name: labels.join("."),
            record_type,
            tcp,
            edns,
            id: number(0)?,
            from,
            question: bytes.get(12..at + 5)?.to_vec(),
        })
    }

    /// The bytes of an answer, cut to what there is room for.
    fn answer(&self, code: u8, answers: &[Record], additional: &[Record]) -> Vec<u8> {
        let size = match (self.tcp, self.edns) {
            (true, _) => 65_535,
            (false, Some(size)) => size,
            (false, None) => PLAIN_SIZE,
        };
        let mut body = self.question.clone();
        let mut counts = [1, 0, 0, 0_u16];
        let mut is_cut = false;
        for (section, records) in [(1, answers), (3, additional)] {
            for record in records {
                let bytes = record.bytes();
                if is_cut || 12 + body.len() + bytes.len() > usize::from(size) {
                    is_cut = true;
                    break;
                }
                body.extend(bytes);
                counts[section] += 1;
            }
        }
        let flags = [0x81 | if is_cut { 2 } else { 0 }, 0x80 | code];
        let counts = counts.map(u16::to_be_bytes);
        [
            &self.id.to_be_bytes(),
            &flags[..],
            counts.as_flattened(),
            &body,
        ]
        .concat()
    }
}

impl Record {
    fn bytes(&self) -> Vec<u8> {
        let name = match &self.name {
            Some(name) => wire_name(name),
            // Where the question is.
            None => vec![0xc0, 12],
        };
        let fixed = [self.record_type, 1, 0, 600, self.data.len() as u16].map(u16::to_be_bytes);
        [&name, fixed.as_flattened(), &self.data].concat()
    }
}

fn wire_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

type Script = Box<dyn Fn(&Query) -> Action + Send + Sync>;

struct State {
    script: Mutex<Arc<Script>>,
    queries: Mutex<Vec<Query>>,
    ended: AtomicBool,
}

impl State {
    fn action(&self, query: Query) -> Action {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let script = Arc::clone(&script);
        let action = script(&query);
        let mut queries = self.queries.lock().unwrap_or_else(PoisonError::into_inner);
        queries.push(query);
        action
    }
}

/// A running name server; it ends when it is dropped.
pub struct NameServer {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl NameServer {
    /// On a free port of 127.0.0.1.
    pub fn start(script: impl Fn(&Query) -> Action + Send + Sync + 'static) -> Self {
        // A port that is free for UDP may be taken for TCP.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        Self::on(udp, tcp, script)
    }

    /// On sockets of the same address.
    pub fn on(
        udp: UdpSocket,
        tcp: TcpListener,
        script: impl Fn(&Query) -> Action + Send + Sync + 'static,
    ) -> Self {
        let address = udp.local_addr().unwrap();
        let state = Arc::new(State {
            script: Mutex::new(Arc::new(Box::new(script))),
            queries: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let (for_udp, for_tcp) = (Arc::clone(&state), Arc::clone(&state));
        thread::spawn(move || serve_udp(&udp, &for_udp));
        thread::spawn(move || serve_tcp(&tcp, &for_tcp));
        NameServer { address, state }
    }

    /// Answers by another script from now on.
    pub fn answer_by(&self, script: impl Fn(&Query) -> Action + Send + Sync + 'static) {
        let mut current = self.state.script.lock().unwrap();
        *current = Arc::new(Box::new(script));
    }

    /// Has these addresses for every name, from now on.
    pub fn have<T: Into<IpAddr> + Copy + Send + Sync + 'static>(&self, all: Vec<T>) {
        self.answer_by(move |query| Action::addresses(query, &all));
    }

    /// What it was asked until now.
    pub fn queries(&self) -> Vec<Query> {
        self.state.queries.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        // Both threads wait for something.
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _ = socket.send_to(&[], self.address);
        }
        let _ = TcpStream::connect(self.address);
    }
}

fn serve_udp(socket: &UdpSocket, state: &State) {
    let mut bytes = [0; 4096];
    while let Ok((len, from)) = socket.recv_from(&mut bytes) {
        if state.ended.load(Ordering::Relaxed) {
            return;
        }
        let Some(query) = Query::read(&bytes[..len], false, from) else {
            continue;
        };
        let action = state.action(query.clone());
        for message in action.messages(&query) {
            let _ = socket.send_to(&message, from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((stream, from)) = listener.accept() {
        if state.ended.load(Ordering::Relaxed) {
            return;
        }
        let state = Arc::clone(state);
        thread::spawn(move || serve_connection(stream, from, &state));
    }
}

fn serve_connection(mut stream: TcpStream, from: SocketAddr, state: &State) -> Option<()> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.set_nodelay(true).ok()?;
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut bytes).ok()?;
    let query = Query::read(&bytes, true, from)?;
    let action = state.action(query.clone());
    for message in action.messages(&query) {
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        match action {
            Action::Slowly(_) => {
                for byte in framed {
                    stream.write_all(&[byte]).ok()?;
                    thread::yield_now();
                }
            }
            Action::Partly(_, len) => stream.write_all(&framed[..len.min(framed.len())]).ok()?,
            _ => stream.write_all(&framed).ok()?,
        }
    }
    if matches!(action, Action::Silence) {
        // Until the other side has had enough.
        let _ = stream.read(&mut len);
    }
    Some(())
}
