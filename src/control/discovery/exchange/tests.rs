//! Single queries to a name server of the tests: what is taken for an answer, and what is not.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Instant;

use super::super::tests::name_server::{
    A, Action, FORMERR, NXDOMAIN, NameServer, Query, REFUSED, Record, SERVFAIL,
};
use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

/// For what does not come.
const SHORT: Duration = Duration::from_millis(200);

fn question() -> Question {
    Question {
        name: "tasks.web".to_owned(),
        record_type: message::RecordType::A,
    }
}

/// So many addresses, in any order.
fn addresses(count: u16) -> Vec<IpAddr> {
    let all = (0..count).map(|index| {
        let [high, low] = index.wrapping_mul(7919).to_be_bytes();
        IpAddr::from([10, 1, high, low])
    });
    all.collect()
}

async fn asked(
    timeout: Duration,
    script: impl Fn(&Query) -> Action + Send + Sync + 'static,
) -> (Result<Answer, Failure>, Vec<Query>) {
    let server = NameServer::start(script);
    let answer = ask(server.address, &question(), timeout).await;
    (answer, server.queries())
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_by_tcp() {
    // 254 fit into 4096 bytes.
    for (count, by_tcp) in [
        (1, false),
        (29, false),
        (30, false),
        (31, false),
        (75, false),
        (76, false),
        (254, false),
        (255, true),
        (600, true),
        (1000, true),
        (4000, true),
    ] {
        let all = addresses(count);
        let given = all.clone();
        let (answer, queries) = asked(TIMEOUT, move |query| Action::addresses(query, &given)).await;
        assert_eq!(answer.unwrap().addresses, all, "{count}");
        let kinds: Vec<_> = queries
            .iter()
            .map(|query| (query.tcp, query.edns))
            .collect();
        let expected = [(false, Some(4096)), (true, Some(4096))];
        assert_eq!(kinds, expected[..1 + usize::from(by_tcp)], "{count}");
    }
}

#[tokio::test]
async fn tcp_comes_in_pieces_of_any_size() {
    let all = addresses(300);
    let given = all.clone();
    let (answer, _) = asked(TIMEOUT, move |query| {
        Action::Slowly(Box::new(Action::addresses(query, &given)))
    })
    .await;
    assert_eq!(answer.unwrap().addresses, all);
    for len in [0, 1, 2, 3, 1000] {
        let given = all.clone();
        let (answer, _) = asked(TIMEOUT, move |query| {
            Action::Partly(Box::new(Action::addresses(query, &given)), len)
        })
        .await;
        assert_eq!(answer, Err(Failure::Malformed), "{len}");
    }
}

#[tokio::test]
async fn what_is_cut_is_no_answer_even_if_there_is_no_other() {
    let cut: fn(&mut Vec<u8>) = |message| message[2] |= 2;
    let one = |query: &Query| Box::new(Action::addresses(query, &addresses(1)));
    let (answer, queries) = asked(TIMEOUT, move |query| Action::Changed(one(query), cut)).await;
    assert_eq!((answer, queries.len()), (Err(Failure::Malformed), 2));
    let (answer, _) = asked(SHORT, move |query| match query.tcp {
        true => Action::Silence,
        false => Action::Changed(one(query), cut),
    })
    .await;
    assert_eq!(answer, Err(Failure::Timeout));
}

#[tokio::test]
async fn codes_and_silence_are_failures() {
    for (code, failure) in [
        (SERVFAIL, Failure::ServFail),
        (NXDOMAIN, Failure::NxDomain),
        (REFUSED, Failure::Refused),
        (9, Failure::Other),
    ] {
        let (answer, queries) = asked(TIMEOUT, move |_| Action::Code(code)).await;
        assert_eq!((answer, queries.len()), (Err(failure), 1));
    }
    let begin = Instant::now();
    let (answer, _) = asked(SHORT, |_| Action::Silence).await;
    assert_eq!(answer, Err(Failure::Timeout));
    assert!(begin.elapsed() >= SHORT);
    let gone = NameServer::start(|_| Action::Silence).address;
    let answer = loop {
        // It ends a moment after it was dropped.
        match ask(gone, &question(), SHORT).await {
            Err(Failure::Timeout) => {}
            answer => break answer,
        }
    };
    assert_eq!(answer, Err(Failure::Unreachable));
}

#[tokio::test]
async fn a_name_server_without_edns_is_asked_without() {
    let (answer, queries) = asked(TIMEOUT, |query| match query.edns {
        Some(_) => Action::Code(FORMERR),
        None => Action::addresses(query, &addresses(40)),
    })
    .await;
    assert_eq!(answer.unwrap().addresses, addresses(40));
    let kinds: Vec<_> = queries
        .iter()
        .map(|query| (query.tcp, query.edns))
        .collect();
    // 40 addresses do not fit into 512 bytes.
    assert_eq!(kinds, [(false, Some(4096)), (false, None), (true, None)]);
    let (answer, queries) = asked(TIMEOUT, |_| Action::Code(FORMERR)).await;
    assert_eq!((answer, queries.len()), (Err(Failure::Other), 2));
}

#[tokio::test]
async fn what_belongs_to_another_query_is_ignored() {
    let other_id: fn(&mut Vec<u8>) = |message| message[0] ^= 1;
    let other_question: fn(&mut Vec<u8>) = |message| message[13] ^= 1;
    let garbage: fn(&mut Vec<u8>) = |message| message.truncate(3);
    let forged: IpAddr = [6, 6, 6, 6].into();
    for change in [other_id, other_question, garbage] {
        let alone = move |query: &Query| {
            Action::Changed(Box::new(Action::addresses(query, &[forged])), change)
        };
        let (answer, _) = asked(SHORT, alone).await;
        assert_eq!(answer, Err(Failure::Malformed));
        let (answer, _) = asked(TIMEOUT, move |query| {
            let right = Action::addresses(query, &addresses(2));
            Action::After(Box::new(alone(query)), Box::new(right))
        })
        .await;
        assert_eq!(answer.unwrap().addresses, addresses(2));
        // By TCP nothing else can come.
        let (answer, _) = asked(TIMEOUT, move |query| match query.tcp {
            true => alone(query),
            false => Action::addresses(query, &addresses(300)),
        })
        .await;
        assert_eq!(answer, Err(Failure::Malformed));
    }
    // With the right id, what cannot be read is our answer.
    fn loops(message: &mut Vec<u8>) {
        message[7] = 1;
        message.extend([0xc0, 27, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]);
        let at = message.len() - 16;
        message[at + 1] = at as u8;
    }
    let (answer, _) = asked(TIMEOUT, |_| {
        let empty = Action::Records(Vec::new(), Vec::new());
        Action::Changed(Box::new(empty), loops)
    })
    .await;
    assert_eq!(answer, Err(Failure::Malformed));
}

#[tokio::test]
async fn ids_and_ports_are_new_each_time() {
    let server = NameServer::start(|_| Action::Records(vec![Record::alias("b")], Vec::new()));
    for _ in 0..32 {
        ask(server.address, &question(), TIMEOUT).await.unwrap();
    }
    let queries = server.queries();
    assert!(
        queries
            .iter()
            .all(|query| query.record_type == A && query.name == "tasks.web")
    );
    let ids: HashSet<_> = queries.iter().map(|query| query.id).collect();
    let ports: HashSet<_> = queries.iter().map(|query| query.from.port()).collect();
    assert!(ids.len() > 28 && ports.len() > 16, "{ids:?} {ports:?}");
}
