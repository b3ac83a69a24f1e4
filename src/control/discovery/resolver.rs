//! Finds the records of names: asks several name servers in turn, and the names of a search list in
//! turn. It has no memory of answers: their times to live say nothing about servers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::exchange;
use super::failure::Failure;
use super::found::{FamilyAnswer, HostAnswer, Known, Round, best};
use super::hosts::Hosts;
use super::message::{Answer, Question, RecordType, Service};
use super::system::System;
use crate::config::{Discover, DiscoverQuery, Family};

/// Queries of one backend under way at the same time: SRV records may have hundreds of targets.
const QUERIES_MAX: usize = 16;

/// How a query is answered.
type Found<T> = Result<T, Failure>;

/// Who is asked, how long, and for what.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Arc<[SocketAddr]>,
    hosts: Arc<Hosts>,
    timeout: Duration,
    family: Family,
}

impl Resolver {
    /// The name servers that are written, or else those of this host, with the names to ask for.
    async fn with_names(discover: &Discover, system: &System) -> (Self, Vec<String>) {
        let name = discover.query.name();
        let mut resolver = Resolver {
            servers: discover.resolvers.clone().into(),
            hosts: Arc::default(),
            timeout: discover.timeout,
            family: discover.family,
        };
        if !discover.resolvers.is_empty() {
            return (resolver, vec![name.to_owned()]);
        }
        let files = system.files().await;
        resolver.servers = files.resolv_conf.name_servers.clone().into();
        resolver.hosts = files.hosts;
        (resolver, files.resolv_conf.candidates(name))
    }

    /// Asks for the records of a whole name.
    async fn ask(&self, name: &str, record_type: RecordType) -> Found<Answer> {
        let question = Question {
            name: name.to_owned(),
            record_type,
        };
        let mut first = None;
        for server in self.servers.iter() {
            match exchange::ask(*server, &question, self.timeout).await {
                Err(failure) if !failure.is_answer() => {
                    first.get_or_insert(failure);
                }
                answer => return answer,
            }
        }
        Err(first.unwrap_or(Failure::Unreachable))
    }

    async fn ask_addresses(&self, name: &str, record_type: RecordType) -> Found<Vec<IpAddr>> {
        let answer = self.ask(name, record_type).await?;
        Ok(answer.addresses)
    }

    /// The addresses of a whole name; from `/etc/hosts`, if they are there.
    async fn host(&self, name: &str) -> HostAnswer {
        let known = self.hosts.addresses(name);
        if !known.is_empty() {
            return self.of_families(known);
        }
        // A comes first on the wire: Docker has nothing else, and answers at once.
        let (v4, v6) = tokio::join!(
            biased;
            self.ask_if(self.asks(RecordType::A), name, RecordType::A),
            self.ask_if(self.asks(RecordType::Aaaa), name, RecordType::Aaaa),
        );
        HostAnswer { v4, v6 }
    }

    async fn ask_if(&self, wanted: bool, name: &str, record_type: RecordType) -> FamilyAnswer {
        if wanted {
            Some(self.ask_addresses(name, record_type).await)
        } else {
            None
        }
    }

    fn asks(&self, record_type: RecordType) -> bool {
        match (self.family, record_type) {
            (Family::Any, _) | (Family::Ipv4, RecordType::A) | (Family::Ipv6, RecordType::Aaaa) => {
                true
            }
            (Family::Ipv4 | Family::Ipv6, _) => false,
        }
    }

    /// Known addresses as the answers to what is asked.
    fn of_families(&self, known: &[IpAddr]) -> HostAnswer {
        let of = |record_type, is_of: fn(&IpAddr) -> bool| {
            let found = known.iter().copied().filter(is_of).collect();
            self.asks(record_type).then_some(Ok(found))
        };
        HostAnswer {
            v4: of(RecordType::A, IpAddr::is_ipv4),
            v6: of(RecordType::Aaaa, IpAddr::is_ipv6),
        }
    }

    /// The addresses of the targets of services: those that came with the answer, or else those that name
    /// servers have.
    async fn targets(
        &self,
        services: &[Service],
        additional: &HashMap<String, Vec<IpAddr>>,
        known: &Known,
    ) -> HashMap<String, HostAnswer> {
        let limit = Arc::new(Semaphore::new(QUERIES_MAX));
        let mut queries = JoinSet::new();
        let mut answers = HashMap::new();
        for service in services {
            let target = &service.target;
            if answers.contains_key(target) {
                continue;
            }
            let came = additional.get(target).map_or(&[][..], Vec::as_slice);
            let answer = self.of_families(came);
            answers.insert(target.clone(), answer.clone());
            let asked = self.asked_of(target, &answer, known);
            if asked == (false, false) {
                continue;
            }
            let (resolver, limit) = (self.clone(), Arc::clone(&limit));
            let target = target.clone();
            queries.spawn(async move {
                // Nobody closes it.
                let _permit = limit.acquire().await;
                let found = resolver.host_if(&target, asked).await;
                (target, asked, found)
            });
        }
        while let Some(Ok((target, asked, found))) = queries.join_next().await {
            let answer = answers.entry(target).or_default();
            if asked.0 {
                answer.v4 = found.v4;
            }
            if asked.1 {
                answer.v6 = found.v6;
            }
        }
        answers
    }

    /// Which families are asked for although something came. Of a target with addresses of one family the
    /// other is asked for only if it had such before: most have none, and few name servers add both.
    fn asked_of(&self, target: &str, came: &HostAnswer, known: &Known) -> (bool, bool) {
        let has = |answer: &FamilyAnswer| matches!(answer, Some(Ok(found)) if !found.is_empty());
        let nothing_came = !has(&came.v4) && !has(&came.v6);
        let had = |record_type| known.target(target).is_some_and(|it| it.has(record_type));
        let asks = |answer: &FamilyAnswer, record_type| {
            self.asks(record_type) && !has(answer) && (nothing_came || had(record_type))
        };
        (
            asks(&came.v4, RecordType::A),
            asks(&came.v6, RecordType::Aaaa),
        )
    }

    async fn host_if(&self, name: &str, asked: (bool, bool)) -> HostAnswer {
        let narrowed = |family| Resolver {
            family,
            ..self.clone()
        };
        match asked {
            (true, true) => self.host(name).await,
            (true, false) => narrowed(Family::Ipv4).host(name).await,
            (false, _) => narrowed(Family::Ipv6).host(name).await,
        }
    }
}

/// One whole round of queries for a backend, whose last good answers are `known`.
pub async fn discover(discover: &Discover, known: &Known, system: &System) -> Round {
    let (resolver, names) = Resolver::with_names(discover, system).await;
    match &discover.query {
        DiscoverQuery::Addresses { name, port } => {
            let answer = addresses(&resolver, name, &names).await;
            Round::Addresses(answer, *port)
        }
        DiscoverQuery::Services { .. } => Round::Services(
            async {
                let answer = services(&resolver, &names).await?;
                let services = best(answer.services);
                let targets = resolver.targets(&services, &answer.additional, known);
                let targets = targets.await;
                Ok((services, targets))
            }
            .await,
        ),
    }
}

/// How long one name server may take for one query about a host name.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);

/// How often all name servers are asked for a host name before there is no answer in time.
const HOST_ROUNDS: usize = 2;

/// The addresses of a host name, by the files and the name servers of this host.
///
/// # Errors
///
/// There are none, as far as anybody knows.
pub async fn host(name: &str, system: &System) -> Found<Vec<IpAddr>> {
    let files = system.files().await;
    let resolver = Resolver {
        servers: files.resolv_conf.name_servers.clone().into(),
        hosts: files.hosts,
        timeout: HOST_TIMEOUT,
        family: Family::Any,
    };
    let names = files.resolv_conf.candidates(name);
    let mut failure = Failure::Empty;
    for _ in 0..HOST_ROUNDS {
        let answer = addresses(&resolver, name, &names).await;
        let families = [answer.v6, answer.v4].into_iter().flatten();
        let (good, bad): (Vec<_>, Vec<_>) = families.partition(Result::is_ok);
        let found: Vec<IpAddr> = good.into_iter().flatten().flatten().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let mut bad = bad.into_iter().filter_map(Result::err);
        failure = bad.next().unwrap_or(Failure::Empty);
        // A packet may have been lost.
        if failure != Failure::Timeout {
            break;
        }
    }
    Err(failure)
}

/// The addresses that `tasks.NAME` has, by the same name servers as `NAME`; empty: none, or no answer.
pub async fn tasks_of(discover: &Discover, system: &System) -> Vec<IpAddr> {
    let mut of_tasks = discover.clone();
    match &mut of_tasks.query {
        DiscoverQuery::Addresses { name, .. } => name.insert_str(0, "tasks."),
        DiscoverQuery::Services { .. } => return Vec::new(),
    }
    let (resolver, names) = Resolver::with_names(&of_tasks, system).await;
    let answer = addresses(&resolver, of_tasks.query.name(), &names).await;
    let found = [answer.v4, answer.v6].into_iter().flatten();
    found.flatten().flatten().collect()
}

/// The addresses of the first name that has any, or what the last has to say.
async fn addresses(resolver: &Resolver, name: &str, names: &[String]) -> HostAnswer {
    let known = resolver.hosts.addresses(name);
    if !known.is_empty() {
        return resolver.of_families(known);
    }
    let mut whole = HostAnswer::default();
    for (index, name) in names.iter().enumerate() {
        whole = resolver.host(name).await;
        let all = [&whole.v4, &whole.v6];
        let mut all = all.into_iter().flatten();
        // Behind a name server that does not answer, another name would be another service.
        let goes_on = all.all(|answer| match answer {
            Ok(found) => found.is_empty(),
            Err(failure) => failure.is_answer(),
        });
        if !goes_on || index + 1 == names.len() {
            break;
        }
    }
    whole
}

/// The services of the first name that has any, or what the last has to say.
async fn services(resolver: &Resolver, names: &[String]) -> Found<Answer> {
    let mut answer = Err(Failure::NxDomain);
    for name in names {
        answer = resolver.ask(name, RecordType::Srv).await;
        let goes_on = match &answer {
            Ok(answer) => answer.services.is_empty(),
            Err(failure) => failure.is_answer(),
        };
        if !goes_on {
            break;
        }
    }
    answer
}

#[cfg(test)]
mod tests;
