//! Messages byte by byte: good ones, strange ones, and any bytes.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use simple_dns::rdata::{A, AAAA, CNAME, SRV};

use super::*;

/// An answer to a question, to be changed and filled.
fn reply<'a>(id: u16, name: &'a str, record_type: RecordType) -> Packet<'a> {
    let mut packet = Packet::new_reply(id);
    let record_type = record_type.wire().into();
    let name = Name::new(name).unwrap();
    let question = WireQuestion::new(name, record_type, CLASS::IN.into(), false);
    packet.questions.push(question);
    packet
}

fn record<'a>(name: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 600, data)
}

fn a(address: [u8; 4]) -> RData<'static> {
    RData::A(A {
        address: u32::from_be_bytes(address),
    })
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData<'_> {
    RData::SRV(SRV {
        priority,
        weight,
        port,
        target: Name::new(target).unwrap(),
    })
}

fn alias(target: &str) -> RData<'_> {
    RData::CNAME(CNAME(Name::new(target).unwrap()))
}

fn question(name: &str, record_type: RecordType) -> Question {
    Question {
        name: name.to_owned(),
        record_type,
    }
}

/// The addresses of `tasks.web` that an answer has.
fn read_a(packet: &Packet<'_>) -> Reply {
    let bytes = packet.build_bytes_vec_compressed().unwrap();
    read(&bytes, 7, &question("tasks.web", RecordType::A))
}

fn addresses(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Answer(Ok(answer)) => answer.addresses.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_query_asks_one_question_with_and_without_edns() {
    let asked = question("tasks.web", RecordType::Aaaa);
    let bytes = query(0x1234, &asked, true).unwrap();
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.id(), 0x1234);
    assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED));
    assert!(!packet.has_flags(PacketFlag::RESPONSE));
    assert!(is_question(&packet, &asked));
    assert_eq!(packet.opt().unwrap().udp_packet_size, 4096);
    let bytes = query(1, &asked, false).unwrap();
    assert!(Packet::parse(&bytes).unwrap().opt().is_none());
    let long = question(&"a.".repeat(200), RecordType::A);
    assert_eq!(query(1, &long, true), Err(Failure::NxDomain));
}

#[test]
fn an_answer_has_the_addresses_of_the_name() {
    // As Docker answers: no OPT record, although there was one in the query.
    let mut packet = reply(7, "tasks.web", RecordType::A);
    packet.answers.push(record("Tasks.WEB", a([10, 0, 0, 2])));
    packet.answers.push(record("tasks.web", a([10, 0, 0, 1])));
    packet.answers.push(record("other.web", a([10, 0, 0, 9])));
    let chaos = ResourceRecord::new(Name::new("tasks.web").unwrap(), CLASS::CH, 1, a([1; 4]));
    packet.answers.push(chaos);
    let v6 = AAAA { address: 1 };
    packet.answers.push(record("tasks.web", RData::AAAA(v6)));
    packet
        .additional_records
        .push(record("tasks.web", a([10, 0, 0, 8])));
    assert_eq!(addresses(read_a(&packet)), ["10.0.0.2", "10.0.0.1"]);
    let empty = reply(7, "tasks.web", RecordType::A);
    assert_eq!(read_a(&empty), Reply::Answer(Ok(Answer::default())));
}

#[test]
fn aliases_are_followed_within_the_answer() {
    let mut packet = reply(7, "tasks.web", RecordType::A);
    packet.answers.push(record("b.example", alias("c.example")));
    packet.answers.push(record("tasks.web", alias("B.example")));
    packet.answers.push(record("c.example", a([10, 0, 0, 1])));
    packet.answers.push(record("b.example", a([10, 0, 0, 9])));
    assert_eq!(addresses(read_a(&packet)), ["10.0.0.1"]);
    packet.answers.push(record("c.example", alias("tasks.web")));
    assert_eq!(read_a(&packet), Reply::Answer(Err(Failure::Malformed)));
    let mut to_nothing = reply(7, "tasks.web", RecordType::A);
    to_nothing
        .answers
        .push(record("tasks.web", alias("gone.example")));
    assert!(addresses(read_a(&to_nothing)).is_empty());
}

#[test]
fn services_come_with_their_addresses() {
    let mut packet = reply(7, "_http._tcp.web", RecordType::Srv);
    let srv = srv(1, 2, 8080, "Web1.example");
    packet.answers.push(record("_http._tcp.web", srv));
    let additional = &mut packet.additional_records;
    additional.push(record("web1.example", a([10, 0, 0, 1])));
    additional.push(record("WEB1.example", RData::AAAA(AAAA { address: 1 })));
    let bytes = packet.build_bytes_vec_compressed().unwrap();
    let asked = question("_HTTP._tcp.web.", RecordType::Srv);
    let Reply::Answer(Ok(answer)) = read(&bytes, 7, &asked) else {
        panic!()
    };
    let expected = Service {
        priority: 1,
        weight: 2,
        port: 8080,
        target: "web1.example".to_owned(),
    };
    assert_eq!(answer.services, [expected]);
    let found = &answer.additional["web1.example"];
    assert_eq!(
        found,
        &[
            "10.0.0.1".parse::<IpAddr>().unwrap(),
            "::1".parse().unwrap()
        ]
    );
    assert!(answer.addresses.is_empty());
}

#[test]
fn only_the_answer_to_the_question_counts() {
    let good = reply(7, "tasks.web", RecordType::A);
    for wrong in [
        reply(8, "tasks.web", RecordType::A),
        reply(7, "tasks.we", RecordType::A),
        reply(7, "tasks.web", RecordType::Aaaa),
        Packet::new_reply(7),
        Packet::new_query(7),
    ] {
        assert_eq!(read_a(&wrong), Reply::Foreign, "{wrong:?}");
    }
    let mut twice = good.clone();
    twice.questions.push(twice.questions[0].clone());
    assert_eq!(read_a(&twice), Reply::Foreign);
    let asked = question("tasks.web", RecordType::A);
    assert_eq!(read(&[0, 7, 0x80], 7, &asked), Reply::Foreign);
}

#[test]
fn codes_are_failures() {
    for (code, failure) in [
        (RCODE::NameError, Failure::NxDomain),
        (RCODE::ServerFailure, Failure::ServFail),
        (RCODE::Refused, Failure::Refused),
        (RCODE::NOTAUTH, Failure::Other),
    ] {
        let mut packet = reply(7, "tasks.web", RecordType::A);
        packet.answers.push(record("tasks.web", a([10, 0, 0, 1])));
        *packet.rcode_mut() = code;
        assert_eq!(read_a(&packet), Reply::Answer(Err(failure)));
        packet.questions.clear();
        assert_eq!(read_a(&packet), Reply::Answer(Err(failure)));
    }
    let mut packet = reply(7, "tasks.web", RecordType::A);
    *packet.rcode_mut() = RCODE::FormatError;
    assert_eq!(read_a(&packet), Reply::WithoutEdns);
}

#[test]
fn what_is_cut_is_never_read() {
    let mut packet = reply(7, "tasks.web", RecordType::A);
    packet.answers.push(record("tasks.web", a([10, 0, 0, 1])));
    packet.set_flags(PacketFlag::TRUNCATION);
    assert_eq!(read_a(&packet), Reply::Truncated);
    // Wherever it is cut.
    let bytes = packet.build_bytes_vec().unwrap();
    let asked = question("tasks.web", RecordType::A);
    for len in HEADER_LEN..bytes.len() {
        assert_eq!(read(&bytes[..len], 7, &asked), Reply::Truncated);
    }
    // Without saying so, it is malformed.
    packet.remove_flags(PacketFlag::TRUNCATION);
    let bytes = packet.build_bytes_vec().unwrap();
    for len in HEADER_LEN..bytes.len() {
        let malformed = Reply::Answer(Err(Failure::Malformed));
        assert_eq!(read(&bytes[..len], 7, &asked), malformed, "{len}");
    }
}

/// A header of an answer with so many questions and records.
fn header(counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0x81, 0x80];
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes
}

#[test]
fn loops_of_compression_end() {
    let asked = question("tasks.web", RecordType::A);
    let malformed = Reply::Answer(Err(Failure::Malformed));
    // To itself; to the pointer behind it and back.
    for name in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12]] {
        let mut bytes = header([1, 0, 0, 0]);
        bytes.extend(name);
        bytes.extend([0, 1, 0, 1, 0]);
        assert_eq!(read(&bytes, 7, &asked), malformed);
    }
    // The longest chains that a message can have: thousands of names, each behind thousands of pointers.
    let mut bytes = query(7, &asked, false).unwrap();
    bytes[2] = 0x81;
    let chain = bytes.len();
    bytes.extend([0]);
    bytes.extend([0xc0 | (chain >> 8) as u8, chain as u8]);
    while bytes.len() < 0x3ff0 {
        let last = bytes.len() - 2;
        bytes.extend([0xc0 | (last >> 8) as u8, last as u8]);
    }
    // It is the data of a record of a type that nobody reads, and the name of all others.
    let last = (bytes.len() - 2) as u16;
    let data = bytes.split_off(chain);
    let mut record = vec![0, 0xff, 0, 0, 1, 0, 0, 0, 0];
    record.extend((data.len() as u16).to_be_bytes());
    let shift = record.len() as u16;
    let moved = data.chunks_exact(2).count();
    assert!(moved > 8000);
    bytes.extend(record);
    // Pointers move by what stands before them now.
    bytes.push(0);
    for pointer in data[1..].chunks_exact(2) {
        let at = u16::from_be_bytes([pointer[0], pointer[1]]) + shift;
        bytes.extend(at.to_be_bytes());
    }
    let mut count = 1_u16;
    while bytes.len() + 16 <= 65_535 {
        bytes.extend((0xc000 | (last + shift)).to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]);
        count += 1;
    }
    bytes[6..8].copy_from_slice(&count.to_be_bytes());
    let begin = Instant::now();
    let reply = read(&bytes, 7, &asked);
    assert_eq!(addresses(reply), Vec::<String>::new());
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_thousand_records_are_read() {
    let mut packet = reply(7, "tasks.web", RecordType::A);
    for index in 0..1000_u16 {
        let [high, low] = index.to_be_bytes();
        packet
            .answers
            .push(record("tasks.web", a([10, 0, high, low])));
    }
    assert_eq!(addresses(read_a(&packet)).len(), 1000);
    // More than there can be is not made room for.
    let mut bytes = header([u16::MAX; 4]);
    bytes.extend([0; 500]);
    assert!(!counts_fit(&bytes));
    let asked = question("tasks.web", RecordType::A);
    assert_eq!(
        read(&bytes, 7, &asked),
        Reply::Answer(Err(Failure::Malformed))
    );
}

/// A good answer with aliases, services and addresses, as bytes.
fn good() -> Vec<u8> {
    let mut packet = reply(7, "tasks.web", RecordType::A);
    packet.answers.push(record("tasks.web", alias("b.example")));
    packet.answers.push(record("b.example", a([10, 0, 0, 1])));
    packet
        .answers
        .push(record("b.example", srv(1, 2, 3, "c.example")));
    packet
        .additional_records
        .push(record("c.example", a([10, 0, 0, 2])));
    packet.build_bytes_vec_compressed().unwrap()
}

proptest! {
    /// No bytes make it panic, or take long.
    #[test]
    fn any_bytes_are_read(
        flags in any::<u16>(),
        counts in prop::array::uniform4(0..40u16),
        body in prop::collection::vec(any::<u8>(), 0..600),
        types in prop::sample::select(vec![RecordType::A, RecordType::Aaaa, RecordType::Srv]),
    ) {
        let mut bytes = header(counts);
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes.extend(body);
        read(&bytes, 7, &question("tasks.web", types));
    }

    /// Nor does a good answer that was changed.
    #[test]
    fn any_change_of_an_answer_is_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        len in any::<prop::sample::Index>(),
        srv in any::<bool>(),
    ) {
        let mut bytes = good();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(len.index(bytes.len() + 1));
        let asked = if srv { RecordType::Srv } else { RecordType::A };
        read(&bytes, 7, &question("tasks.web", asked));
    }
}
