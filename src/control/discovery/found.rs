//! From answers to the set of servers: what stays as it was where an answer is missing, and when there
//! is no set at all. Pure.
//!
//! Each family of addresses stands for itself: a failure of one leaves the servers of that family as they
//! were. With SRV records that holds for each name of a server.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::failure::Failure;
use super::message::{RecordType, Service};
use crate::config::OnEmpty;

/// Weights of servers; SRV has 0 to 65535.
const WEIGHT_MAX: u32 = 256;

/// Addresses and ports of servers, with the weights of their SRV records.
pub type Servers = BTreeMap<SocketAddr, Option<u16>>;

/// What went wrong, by the type of records that was asked for; at most one failure for each.
pub type Failures = BTreeMap<RecordType, Failure>;

/// The addresses of one family that an answer has; `None`: the family is not asked for.
pub type FamilyAnswer = Option<Result<Vec<IpAddr>, Failure>>;

/// What was asked of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAnswer {
    pub v4: FamilyAnswer,
    pub v6: FamilyAnswer,
}

impl HostAnswer {
    /// Both families, with the type of their records.
    fn families(self) -> [(RecordType, FamilyAnswer); 2] {
        [(RecordType::A, self.v4), (RecordType::Aaaa, self.v6)]
    }
}

/// One whole round of queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Round {
    /// By `dns`: the addresses of the name, all with this port.
    Addresses(HostAnswer, u16),
    /// By `srv`: the services of the best priority, and the addresses of their targets.
    Services(Result<(Vec<Service>, HashMap<String, HostAnswer>), Failure>),
}

/// The last good addresses of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Host {
    /// Takes what was answered; notes what was not.
    fn update(&mut self, answer: HostAnswer, on_empty: OnEmpty, failures: &mut Failures) {
        for (record_type, answer) in answer.families() {
            let known = match record_type {
                RecordType::A => &mut self.v4,
                RecordType::Aaaa | RecordType::Srv => &mut self.v6,
            };
            match answer {
                Some(Ok(addresses)) => *known = addresses,
                Some(Err(Failure::NxDomain)) if on_empty == OnEmpty::Drop => known.clear(),
                Some(Err(failure)) => {
                    failures.entry(record_type).or_insert(failure);
                }
                None => known.clear(),
            }
        }
    }

    /// Whether addresses of a type were known.
    pub fn has(&self, record_type: RecordType) -> bool {
        match record_type {
            RecordType::A => !self.v4.is_empty(),
            RecordType::Aaaa => !self.v6.is_empty(),
            RecordType::Srv => false,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let usable = |ip: &&IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        // IPv4 in the clothes of IPv6 is the same server.
        let all = self.v4.iter().chain(&self.v6);
        all.filter(usable).map(IpAddr::to_canonical)
    }
}

/// What is known of a backend: the last good answer of each name that was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// By name; of `dns`, the name is empty.
    hosts: HashMap<String, Host>,
}

impl Known {
    /// The last good addresses of the target of an SRV record.
    pub fn target(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// Takes a round. Returns the servers, unless there is no answer that could have changed them, and
    /// what went wrong; both, if only a part did.
    pub fn update(&mut self, round: Round, on_empty: OnEmpty) -> (Option<Servers>, Failures) {
        match round {
            Round::Addresses(answer, port) => self.update_addresses(answer, port, on_empty),
            Round::Services(Ok((services, answers))) => {
                self.update_services(services, answers, on_empty)
            }
            Round::Services(Err(Failure::NxDomain)) if on_empty == OnEmpty::Drop => {
                self.hosts.clear();
                (Some(Servers::new()), Failures::new())
            }
            Round::Services(Err(failure)) => (None, [(RecordType::Srv, failure)].into()),
        }
    }

    fn update_addresses(
        &mut self,
        answer: HostAnswer,
        port: u16,
        on_empty: OnEmpty,
    ) -> (Option<Servers>, Failures) {
        let mut failures = Failures::new();
        let asked = answer.clone();
        let mut host = self.hosts.get("").cloned().unwrap_or_default();
        host.update(answer, on_empty, &mut failures);
        let asked = asked.families().into_iter();
        let asked: Vec<_> = asked.filter(|(_, answer)| answer.is_some()).collect();
        if failures.len() == asked.len() {
            return (None, failures);
        }
        let servers: Servers = (host.addresses())
            .map(|ip| (SocketAddr::new(ip, port), None))
            .collect();
        if servers.is_empty() && on_empty == OnEmpty::Keep {
            for (record_type, _) in asked {
                failures.entry(record_type).or_insert(Failure::Empty);
            }
            return (None, failures);
        }
        self.hosts.insert(String::new(), host);
        (Some(servers), failures)
    }

    fn update_services(
        &mut self,
        services: Vec<Service>,
        mut answers: HashMap<String, HostAnswer>,
        on_empty: OnEmpty,
    ) -> (Option<Servers>, Failures) {
        let mut failures = Failures::new();
        let mut hosts = HashMap::new();
        let mut servers = Servers::new();
        let weight_max = services.iter().map(|service| service.weight).max();
        for service in &services {
            let host = hosts.entry(service.target.clone()).or_insert_with(|| {
                let mut host = self.hosts.get(&service.target).cloned().unwrap_or_default();
                let answer = answers.remove(&service.target).unwrap_or_default();
                host.update(answer, on_empty, &mut failures);
                host
            });
            let weight = scaled(service.weight, weight_max.unwrap_or_default());
            for ip in host.addresses() {
                let listed = servers.entry(SocketAddr::new(ip, service.port));
                // Of two records for the same, the larger counts, whatever their order.
                let listed = listed.or_insert(Some(weight));
                *listed = (*listed).max(Some(weight));
            }
        }
        if servers.is_empty() && on_empty == OnEmpty::Keep {
            if failures.is_empty() {
                failures.insert(RecordType::Srv, Failure::Empty);
            }
            return (None, failures);
        }
        self.hosts = hosts;
        (Some(servers), failures)
    }
}

/// The services that are used: those of the best priority that are there at all.
pub fn best(mut services: Vec<Service>) -> Vec<Service> {
    // `.` says that there is no such service; port 0 cannot be connected to.
    services.retain(|service| !service.target.is_empty() && service.port != 0);
    let best = services.iter().map(|service| service.priority).min();
    services.retain(|service| Some(service.priority) == best);
    services
}

/// A weight as a balancer takes it, 1 to 256: as it is, or its share of the largest one if that is
/// larger. 0 means "hardly any", and is 1.
fn scaled(weight: u16, largest: u16) -> u16 {
    let largest = u32::from(largest).max(WEIGHT_MAX);
    let share = (u32::from(weight) * WEIGHT_MAX + largest / 2) / largest;
    share.clamp(1, WEIGHT_MAX) as u16
}

#[cfg(test)]
mod tests;
