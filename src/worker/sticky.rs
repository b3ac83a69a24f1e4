//! Sticky cookies, prepared for reading and setting them.

use std::collections::HashMap;

use crate::config;

/// The sticky cookie of a backend, prepared for reading and setting it.
#[derive(Debug)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Index of the server, by its value.
    pub servers: HashMap<Box<[u8]>, u16>,
    /// What follows `Set-Cookie: `, by index of the server.
    pub set_cookies: Vec<String>,
}

impl Cookie {
    /// The one of `backend`, if it has one.
    pub fn of(backend: &config::Backend) -> Option<Self> {
        let sticky = backend.sticky.as_ref()?;
        let values = backend.servers.iter().map(|server| server.cookie.as_str());
        Some(Cookie {
            name: sticky.cookie.clone(),
            servers: (values.clone().zip(0..))
                .map(|(value, index)| (value.as_bytes().into(), index))
                .collect(),
            set_cookies: values.map(|value| sticky.set_cookie(value)).collect(),
        })
    }
}
