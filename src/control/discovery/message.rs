//! DNS messages: a query as bytes, and what the bytes of an answer say. No I/O.
//!
//! The wire format is the work of `simple-dns`; what is believed of an answer is decided here. An answer
//! has to have the id and the question of its query. Names are compared without regard to case.

use std::collections::HashMap;
use std::net::IpAddr;

use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question as WireQuestion, RCODE};
use simple_dns::{ResourceRecord, TYPE, header_buffer};

use super::failure::Failure;

/// Bytes of an answer by UDP that we take, as we announce them by EDNS (RFC 6891). Docker's resolver has
/// no other limit; 254 replicas fit.
const UDP_SIZE: u16 = 4096;

/// Aliases in a row that are followed.
const ALIASES_MAX: usize = 16;

/// Bytes of a header.
const HEADER_LEN: usize = 12;

/// What a record of an answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// An address of IPv4.
    A,
    /// An address of IPv6.
    Aaaa,
    /// Where a service is (RFC 2782).
    Srv,
}

impl RecordType {
    fn wire(self) -> TYPE {
        match self {
            RecordType::A => TYPE::A,
            RecordType::Aaaa => TYPE::AAAA,
            RecordType::Srv => TYPE::SRV,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A whole name, with or without a final dot.
    pub name: String,
    /// Records of which type.
    pub record_type: RecordType,
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The addresses of the name, in the order of the answer; for A and AAAA.
    pub addresses: Vec<IpAddr>,
    /// Where the service is; for SRV.
    pub services: Vec<Service>,
    /// Addresses that came with them, by [`key`] of the name.
    pub additional: HashMap<String, Vec<IpAddr>>,
}

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The lowest is the best.
    pub priority: u16,
    /// Its share among those of this priority.
    pub weight: u16,
    pub port: u16,
    /// By [`key`]; empty: there is no such service.
    pub target: String,
}

/// What bytes are that came after a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Its answer, which may be empty, or why there is none.
    Answer(Result<Answer, Failure>),
    /// Its answer was too long and was cut.
    Truncated,
    /// Refused because of EDNS, by a name server that does not know that.
    WithoutEdns,
    /// The answer to something else, or none at all.
    Foreign,
}

/// The bytes of a query that asks for recursion; with EDNS, if that is wanted.
///
/// # Errors
///
/// The name is too long.
pub fn query(id: u16, question: &Question, edns: bool) -> Result<Vec<u8>, Failure> {
    let name = Name::new(&question.name).map_err(|_| Failure::NxDomain)?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let record_type = question.record_type.wire().into();
    let class = CLASS::IN.into();
    let question = WireQuestion::new(name, record_type, class, false);
    packet.questions.push(question);
    if edns {
        *packet.opt_mut() = Some(OPT {
            opt_codes: Vec::new(),
            udp_packet_size: UDP_SIZE,
            version: 0,
        });
    }
    packet.build_bytes_vec().map_err(|_| Failure::NxDomain)
}

/// What bytes say that came after the query with this id and question.
pub fn read(bytes: &[u8], id: u16, question: &Question) -> Reply {
    if bytes.len() < HEADER_LEN || header_buffer::id_unchecked(bytes) != id {
        return Reply::Foreign;
    }
    match header_buffer::has_flags(bytes, PacketFlag::RESPONSE) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Reply::Foreign,
    }
    // It may be cut anywhere: nothing of it is used.
    if header_buffer::has_flags(bytes, PacketFlag::TRUNCATION) == Ok(true) {
        return Reply::Truncated;
    }
    if !counts_fit(bytes) {
        return Reply::Answer(Err(Failure::Malformed));
    }
    let Ok(packet) = Packet::parse(bytes) else {
        return Reply::Answer(Err(Failure::Malformed));
    };
    // Some name servers leave it out when they have no answer.
    let is_absent = packet.questions.is_empty() && packet.rcode() != RCODE::NoError;
    if !is_absent && !is_question(&packet, question) {
        return Reply::Foreign;
    }
    match packet.rcode() {
        RCODE::NoError => Reply::Answer(answer(&packet, question)),
        RCODE::NameError => Reply::Answer(Err(Failure::NxDomain)),
        RCODE::ServerFailure => Reply::Answer(Err(Failure::ServFail)),
        RCODE::Refused => Reply::Answer(Err(Failure::Refused)),
        RCODE::FormatError | RCODE::NotImplemented | RCODE::BADVERS => Reply::WithoutEdns,
        _ => Reply::Answer(Err(Failure::Other)),
    }
}

/// How names are compared: in lower case, without a final dot.
pub fn key(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

/// Whether there may be as many records as the header says: the parser makes room for that number.
fn counts_fit(bytes: &[u8]) -> bool {
    /// Bytes of a question, of a record: at least.
    const SIZES_MIN: [usize; 4] = [5, 11, 11, 11];
    let counts = bytes[4..HEADER_LEN].chunks_exact(2);
    let counts = counts.map(|count| usize::from(u16::from_be_bytes([count[0], count[1]])));
    let needed: usize = counts
        .zip(SIZES_MIN)
        .map(|(count, size)| count * size)
        .sum();
    needed <= bytes.len() - HEADER_LEN
}

fn is_question(packet: &Packet<'_>, question: &Question) -> bool {
    let [written] = &packet.questions[..] else {
        return false;
    };
    Name::new(&question.name).is_ok_and(|name| name == written.qname)
        && written.qtype == question.record_type.wire().into()
        && written.qclass == CLASS::IN.into()
}

fn answer(packet: &Packet<'_>, question: &Question) -> Result<Answer, Failure> {
    let name = Name::new(&question.name).map_err(|_| Failure::Malformed)?;
    let records: Vec<&ResourceRecord<'_>> = (packet.answers.iter())
        .filter(|record| record.class == CLASS::IN)
        .collect();
    let name = canonical(&name, &records)?;
    let mut answer = Answer::default();
    for record in records.iter().filter(|record| record.name == *name) {
        match (&record.rdata, question.record_type) {
            (RData::A(_), RecordType::A) | (RData::AAAA(_), RecordType::Aaaa) => {
                answer.addresses.extend(address(&record.rdata));
            }
            (RData::SRV(srv), RecordType::Srv) => answer.services.push(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: key(&srv.target.to_string()),
            }),
            _ => {}
        }
    }
    if question.record_type == RecordType::Srv {
        // Some have the addresses beside the services.
        for record in records.into_iter().chain(&packet.additional_records) {
            if let Some(address) = address(&record.rdata)
                && record.class == CLASS::IN
            {
                let name = key(&record.name.to_string());
                answer.additional.entry(name).or_default().push(address);
            }
        }
    }
    Ok(answer)
}

/// The name at the end of the aliases (CNAME) that the answer has for `name`.
fn canonical<'n>(
    name: &'n Name<'n>,
    records: &[&'n ResourceRecord<'_>],
) -> Result<&'n Name<'n>, Failure> {
    let aliases = records.iter().filter_map(|record| match &record.rdata {
        RData::CNAME(target) => Some((&record.name, &target.0)),
        _ => None,
    });
    let aliases: HashMap<_, _> = aliases.collect();
    let mut name = name;
    for _ in 0..=ALIASES_MAX {
        match aliases.get(name) {
            Some(target) => name = target,
            None => return Ok(name),
        }
    }
    Err(Failure::Malformed)
}

fn address(data: &RData<'_>) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(IpAddr::V4(a.address.into())),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
