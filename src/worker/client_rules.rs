//! Who may connect to a frontend, as a worker keeps it: lists of addresses, limits of each client.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{AddressList, Frontend};
use crate::logic::client_limits::{ClientLimits, ClientRefusal, check_lists};
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
        check_lists(self.allow.as_deref(), self.deny.as_deref(), client)
    }
}
