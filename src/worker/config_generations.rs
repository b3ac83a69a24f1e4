//! The configurations that a worker uses: the newest for new sessions, older ones as long as a
//! session or a listener uses them.

use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use slab::Slab;

use super::client_rules::ClientRules;
use super::hello_info::HelloInfo;
use super::local_backend::LocalBackend;
use super::socket_options::socket_options;
use super::sticky::Cookie;
use crate::config::{
    AcceptProxy, AccessLog, ForwardedFor, Frontend, Mode, SendProxy, SessionRules,
};
use crate::io::SocketOptions;
use crate::logic::balance::Algorithm;
use crate::logic::network::Networks;
use crate::logic::session::{Policy, Protocol, ProxyHeads};
use crate::logic::tls::RouteTable;
use crate::snapshot::{FrontendShared, Snapshot};

/// The index of a configuration in a worker's [`ConfigGenerations`].
pub type ConfigIndex = u32;

/// The route of a session: its configuration, the frontend that its client connected to, and the
/// backend that serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its configuration.
    pub config: ConfigIndex,
    /// Index of the frontend in it.
    pub frontend: u16,
    /// Index of the backend in it. Until a ClientHello has chosen one, it is one of those that may be.
    pub backend: u32,
    /// Index of what holds for the session in [`LocalConfig::policies`] and
    /// [`LocalConfig::server_options`].
    pub rules: u32,
}

/// A configuration in use, with what one worker keeps for it.
pub struct LocalConfig {
    pub snapshot: Arc<Snapshot>,
    /// Rules of the session's state machine: those of each frontend, then those of the routes of each.
    pub policies: Vec<Policy>,
    /// What ClientHellos decide, by index of the frontend; `None`: they are not read.
    routes: Vec<Option<Routes>>,
    /// By index of the backend.
    pub backends: Vec<LocalBackend>,
    /// Sticky cookies, by index of the backend.
    pub cookies: Vec<Option<Cookie>>,
    /// The PROXY head that servers get, by index of the backend.
    send_proxy: Vec<SendProxy>,
    /// Peers that may send a PROXY head, by index of the frontend; `None`: none may.
    proxies: Vec<Option<Networks>>,
    /// Clients whose X-Forwarded-For is kept, by index of the frontend; `None`: servers are not told the
    /// client's address.
    pub trusted: Vec<Option<Networks>>,
    /// Whether the client's address is needed, for the log, for hashing, for other hosts or to know who may
    /// send a PROXY head, by index of the frontend.
    pub wants_client: Vec<bool>,
    /// Who may connect, by index of the frontend; `None`: everybody.
    pub client_rules: Vec<Option<ClientRules>>,
    /// Options of connections to servers, in the order of the policies; `None`: those of a new socket.
    pub server_options: Vec<Option<SocketOptions>>,
    /// Number of sessions and listeners that use it.
    users: usize,
}

impl LocalConfig {
    fn new(snapshot: Arc<Snapshot>, seed: u64) -> Self {
        let config = &snapshot.config;
        let backends = config.backends.iter().zip(&snapshot.backends);
        let backends =
            backends.map(|(backend, shared)| LocalBackend::new(shared, backend.balance, seed));
        let logged = config.global.access_log != AccessLog::Off;
        let wants_client = config.frontends.iter().map(|frontend| {
            let mut backends = frontend.backends().map(|index| &config.backends[index]);
            logged
                || backends.any(|backend| {
                    backend.balance == Algorithm::SourceHash || backend.send_proxy != SendProxy::Off
                })
                || frontend.accept_proxy.is_some()
                || frontend.forwarded_for.is_some()
        });
        let senders = |rules: &AcceptProxy| rules.from.iter().copied().collect();
        let proxies =
            (config.frontends.iter()).map(|frontend| frontend.accept_proxy.as_ref().map(senders));
        let trust = |rules: &ForwardedFor| rules.trust.iter().copied().collect();
        let trusted =
            (config.frontends.iter()).map(|frontend| frontend.forwarded_for.as_ref().map(trust));
        let own = config.frontends.iter().map(|it| (it, &it.session));
        let routed = config.frontends.iter();
        let routed = routed.flat_map(|it| it.routes.iter().map(move |route| (it, &route.session)));
        let rules = own.chain(routed);
        LocalConfig {
            policies: rules.clone().map(|(it, rules)| policy(it, rules)).collect(),
            routes: routes(&config.frontends),
            backends: backends.collect(),
            cookies: (config.backends.iter())
                .map(|backend| backend.sticky.as_ref().map(Cookie::new))
                .collect(),
            send_proxy: (config.backends.iter())
                .map(|backend| backend.send_proxy)
                .collect(),
            proxies: proxies.collect(),
            trusted: trusted.collect(),
            wants_client: wants_client.collect(),
            server_options: rules.map(|(_, rules)| server_options(rules)).collect(),
            client_rules: config.frontends.iter().map(ClientRules::of).collect(),
            users: 0,
            snapshot,
        }
    }

    /// Whether ended sessions are logged.
    pub fn is_logged(&self) -> bool {
        self.snapshot.config.global.access_log != AccessLog::Off
    }

    /// Whether this peer may send a PROXY head: where one is expected, every peer on a Unix socket, which has no
    /// address.
    pub fn is_proxy(&self, route: Route, peer: Option<SocketAddr>) -> bool {
        let proxies = self.proxies[usize::from(route.frontend)].as_ref();
        proxies.is_some_and(|proxies| peer.is_none_or(|peer| proxies.contains(peer.ip())))
    }

    /// The route of a client in TLS mode that asks for this, and the index of the route that it takes;
    /// `None`: it has no backend.
    pub fn routed(&self, route: Route, hello: &HelloInfo) -> Option<(Route, Option<u32>)> {
        let frontend = usize::from(route.frontend);
        let routes = self.routes[frontend].as_ref()?;
        let found = (routes.table).find(hello.server_name(), hello.protocols().iter());
        let index = found.map(|found| found.index as u32);
        let (backend, rules) = match index {
            Some(index) => (routes.backends[index as usize], routes.rules + index),
            None => {
                let backend = self.snapshot.config.frontends[frontend].backend?;
                (backend as u32, route.frontend.into())
            }
        };
        let chosen = Route {
            backend,
            rules,
            ..route
        };
        Some((chosen, index))
    }

    /// The PROXY head that servers of this route get.
    pub fn send_proxy(&self, route: Route) -> SendProxy {
        self.send_proxy[route.backend as usize]
    }

    /// The frontend at this position, as all workers share it.
    pub fn frontend(&self, frontend: u16) -> &Arc<FrontendShared> {
        &self.snapshot.frontends[usize::from(frontend)]
    }
}

/// All configurations in use; at least one.
pub struct ConfigGenerations {
    table: Slab<LocalConfig>,
    newest: ConfigIndex,
    /// A configuration may have lost its last user.
    sweep_due: bool,
    seed: u64,
}

impl ConfigGenerations {
    /// With a first configuration, and the seed of the balancers' random choices.
    pub fn new(snapshot: Arc<Snapshot>, seed: u64) -> Self {
        let mut configs = ConfigGenerations {
            table: Slab::new(),
            newest: 0,
            sweep_due: false,
            seed,
        };
        configs.adopt(snapshot);
        configs
    }

    /// Makes this the newest configuration.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        self.newest = self.add(snapshot);
    }

    /// The index of a configuration that another worker used, which need not be the newest here and which nobody may
    /// use here yet.
    pub fn find_or_add(&mut self, snapshot: Arc<Snapshot>) -> ConfigIndex {
        let mut known = self.table.iter();
        let known = known.find(|(_, config)| Arc::ptr_eq(&config.snapshot, &snapshot));
        if let Some((index, _)) = known {
            return index as ConfigIndex;
        }
        self.add(snapshot)
    }

    fn add(&mut self, snapshot: Arc<Snapshot>) -> ConfigIndex {
        // Another seed for each, or round robin would begin with the same server after every reload.
        let seed = self.seed.wrapping_add(snapshot.version);
        self.sweep_due = true;
        self.table.insert(LocalConfig::new(snapshot, seed)) as ConfigIndex
    }

    /// Index of the newest configuration.
    pub fn newest(&self) -> ConfigIndex {
        self.newest
    }

    /// Number of configurations.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The frontend of this route, as all workers share it.
    pub fn frontend(&self, route: Route) -> &Arc<FrontendShared> {
        self[route.config].frontend(route.frontend)
    }

    /// Looks for a change of the servers of a route's backend.
    pub fn refresh(&mut self, route: Route) -> &mut LocalBackend {
        let backend = &mut self[route.config].backends[route.backend as usize];
        backend.refresh();
        backend
    }

    /// The route of the same frontend in the newest configuration, if that has it.
    pub fn newest_route(&self, route: Route) -> Option<Route> {
        if route.config == self.newest {
            return Some(route);
        }
        let newest = &self[self.newest].snapshot;
        let frontend = newest.index_of(self.frontend(route))?;
        Some(self.route(self.newest, frontend as u16))
    }

    /// The route of sessions of this frontend, unless their ClientHello chooses another one.
    pub fn route(&self, config: ConfigIndex, frontend: u16) -> Route {
        let mut backends = self[config].snapshot.config.frontends[usize::from(frontend)].backends();
        Route {
            config,
            frontend,
            backend: backends.next().unwrap_or_default() as u32,
            rules: frontend.into(),
        }
    }

    /// Counts a session or a listener that begins to use a configuration.
    pub fn acquire(&mut self, config: ConfigIndex) {
        self[config].users += 1;
    }

    /// Counts one that no longer does.
    pub fn release(&mut self, config: ConfigIndex) {
        let users = &mut self[config].users;
        debug_assert!(*users > 0, "a config was released that was not acquired");
        *users -= 1;
        self.sweep_due |= *users == 0;
    }

    /// Drops configurations without users. Not to be called while an event is handled, which may still
    /// read one.
    pub fn sweep(&mut self) {
        if std::mem::take(&mut self.sweep_due) {
            let newest = self.newest as usize;
            self.table
                .retain(|index, config| index == newest || config.users > 0);
        }
    }
}

impl Index<ConfigIndex> for ConfigGenerations {
    type Output = LocalConfig;

    fn index(&self, config: ConfigIndex) -> &LocalConfig {
        &self.table[config as usize]
    }
}

impl IndexMut<ConfigIndex> for ConfigGenerations {
    fn index_mut(&mut self, config: ConfigIndex) -> &mut LocalConfig {
        &mut self.table[config as usize]
    }
}

/// What the ClientHellos of a frontend decide.
struct Routes {
    table: RouteTable,
    /// By index of the route.
    backends: Vec<u32>,
    /// Index of the rules of the first route.
    rules: u32,
}

fn routes(frontends: &[Frontend]) -> Vec<Option<Routes>> {
    let mut rules = frontends.len();
    let routes = frontends.iter().map(|frontend| {
        let first = rules;
        rules += frontend.routes.len();
        matches!(frontend.mode, Mode::Tls(_)).then(|| Routes {
            table: RouteTable::new(frontend.routes.iter().map(|it| it.conditions.clone())),
            backends: frontend.routes.iter().map(|it| it.backend as u32).collect(),
            rules: first as u32,
        })
    });
    routes.collect()
}

fn server_options(rules: &SessionRules) -> Option<SocketOptions> {
    let options = socket_options(rules);
    (!options.is_default()).then_some(options)
}

fn policy(frontend: &Frontend, rules: &SessionRules) -> Policy {
    let timeouts = &rules.timeouts;
    Policy {
        protocol: match frontend.mode {
            Mode::Tcp => Protocol::Tcp,
            Mode::Http(_) => Protocol::Http,
            Mode::Tls(_) => Protocol::Tls,
        },
        proxy_heads: frontend.accept_proxy.as_ref().map(|rules| ProxyHeads {
            required: rules.required,
            timeout: rules.timeout,
        }),
        preface_timeout: match frontend.mode {
            Mode::Tls(mode) => mode.hello_timeout,
            Mode::Tcp | Mode::Http(_) => timeouts.request,
        },
        connect_timeout: timeouts.connect,
        idle_timeout: timeouts.idle,
        half_closed_timeout: timeouts.half_closed,
        queue_timeout: timeouts.queue,
        tunnel_timeout: timeouts.tunnel,
        max_age: timeouts.max_age,
        retries: rules.retries,
    }
}
