//! Who may connect to a frontend, as a worker keeps it: lists of addresses, limits of each client.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{AddressList, Frontend};
use crate::logic::client_limits::{ClientLimits, ClientRefusal};
use crate::logic::network::Networks;

/// Who may connect to a frontend.
pub struct ClientRules {
    allow: Option<Arc<Networks>>,
    deny: Option<Arc<Networks>>,
    limits: Option<ClientLimits>,
}

impl ClientRules {
    /// Those of a frontend; `None`: everybody may connect.
    pub fn of(frontend: &Frontend) -> Option<Self> {
        let networks = |list: &Option<AddressList>| {
            let list = list.as_ref()?;
            Some(Arc::clone(&list.networks))
        };
        let rules = ClientRules {
            allow: networks(&frontend.allow),
            deny: networks(&frontend.deny),
            limits: frontend.per_client.as_ref().map(|limits| limits.limits()),
        };
        let is_open = rules.allow.is_none() && rules.deny.is_none() && rules.limits.is_none();
        (!is_open).then_some(rules)
    }

    /// The limits of each client, if there are any.
    pub fn limits(&self) -> Option<&ClientLimits> {
        self.limits.as_ref()
    }

    /// Whether the lists let a client with this address in, or one without an address.
    pub fn check_lists(&self, client: Option<IpAddr>) -> Result<(), ClientRefusal> {
        let is_in = |list: &Networks| client.is_some_and(|client| list.contains(client));
        if self.deny.as_ref().is_some_and(|deny| is_in(deny)) {
            return Err(ClientRefusal::Denied);
        }
        match &self.allow {
            Some(allow) if !is_in(allow) => Err(ClientRefusal::NotAllowed),
            Some(_) | None => Ok(()),
        }
    }
}
