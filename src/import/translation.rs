//! From sections of HAProxy to tables of ours: which frontends and backends there are, and what belongs together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::admin;
use super::backends::{self, Surroundings};
use super::directive::Directive;
use super::document::Table;
use super::frontends::{OurMode, Plan};
use super::keywords;
use super::notes::{Notes, Place};
use super::process::Process;
use super::proxy::{Kind, Mode, Proxy, Settings};
use super::proxy_lines;
use super::resolvers::{self, Resolvers};
use super::routes;
use super::servers::{self, Listed};
use super::sessions;
use super::source::Section;
use super::values;

/// All sections, read.
#[derive(Default)]
pub(super) struct Translation {
    process: Process,
    proxies: Vec<Proxy>,
    resolvers: Vec<Resolvers>,
}

impl Translation {
    /// Reads all sections.
    pub fn read(sections: &[Section], notes: &mut Notes) -> Self {
        let mut translation = Translation::default();
        let mut defaults: HashMap<&str, Settings> = HashMap::new();
        // Those of the last section `defaults`, which hold unless others are named.
        let mut latest = Settings::default();
        let mut names: BTreeSet<(bool, &str)> = BTreeSet::new();
        for section in sections {
            let kind = match section.kind.as_str() {
                "global" => {
                    translation.process.read(section, notes);
                    continue;
                }
                "resolvers" => {
                    translation.resolvers.push(resolvers::read(section, notes));
                    continue;
                }
                "defaults" => Kind::Defaults,
                "frontend" => Kind::Frontend,
                "backend" => Kind::Backend,
                "listen" => Kind::Listen,
                other => {
                    let (verdict, why) = keywords::section(other);
                    for directive in std::iter::once(&section.head).chain(&section.directives) {
                        notes.add(&Place::Top, directive, verdict, why);
                    }
                    continue;
                }
            };
            let inherited = match (&section.from, kind) {
                (Some(from), _) => defaults.get(from.as_str()).cloned().unwrap_or_else(|| {
                    notes.wrong(
                        &Place::Top,
                        &section.head,
                        format!("there is no `defaults {from}` before it"),
                    );
                    Settings::default()
                }),
                (None, Kind::Defaults) => Settings::default(),
                (None, Kind::Frontend | Kind::Backend | Kind::Listen) => latest.clone(),
            };
            let settings = proxy_lines::read(section, kind, inherited, notes);
            if kind == Kind::Defaults {
                defaults.insert(&section.name, settings.clone());
                latest = settings;
                continue;
            }
            let sides = [
                (true, kind != Kind::Backend),
                (false, kind != Kind::Frontend),
            ];
            let sides = sides.into_iter().filter(|(_, is_there)| *is_there);
            let taken = sides.filter(|(side, _)| !names.insert((*side, &section.name)));
            let is_new = taken.count() == 0;
            let (name, head) = (section.name.clone(), section.head.clone());
            if !is_new {
                let what = format!("there is a `{}` already", section.name);
                notes.wrong(&Place::Top, &head, what);
            } else if settings.is_disabled {
                notes.not_translated(&Place::Top, &head, "it is `disabled`, and left out");
            } else if !name.is_empty() {
                translation.proxies.push(Proxy {
                    kind,
                    name,
                    head,
                    settings,
                });
            }
        }
        translation
    }

    /// Makes the tables of the result, in order.
    pub fn tables(&self, notes: &mut Notes) -> Vec<Table> {
        let pages: Vec<&Proxy> = self
            .proxies
            .iter()
            .filter(|proxy| has_page_only(proxy))
            .collect();
        let proxies: Vec<&Proxy> = self
            .proxies
            .iter()
            .filter(|proxy| !has_page_only(proxy))
            .collect();
        for proxy in &pages {
            let name = values::name(&proxy.name);
            let places = [Place::Frontend(name.clone()), Place::Backend(name)];
            let of_page = notes
                .notes
                .iter_mut()
                .filter(|note| places.contains(&note.place));
            of_page.for_each(|note| note.place = Place::Admin);
        }
        let backends = self.backends(&proxies, notes);
        let plans = plans(&proxies, &backends, notes);
        let placed = sessions::place(&pairs(&plans, &backends));
        for (key, frontend) in &placed.mixed {
            if let Some(plan) = plans.iter().find(|plan| plan.name == *frontend) {
                let why =
                    format!("`{key}` of its backend is that of the first frontend which uses it");
                notes.differs(&Place::Frontend(frontend.clone()), &plan.proxy.head, why);
            }
        }
        let is_logged = plans.iter().any(|plan| plan.proxy.settings.is_logged);
        let listening = plans.iter().flat_map(|plan| &plan.proxy.settings.binds);
        let listening = listening
            .flat_map(|bind| bind.addresses.iter().cloned())
            .collect();
        let mut tables = vec![self.process.table(is_logged)];
        let of_admin = admin::table(
            &self.process.sockets,
            &pages,
            &self.proxies,
            &listening,
            notes,
        );
        // Without a frontend the process is good for operators only.
        tables.extend(of_admin.or_else(|| plans.is_empty().then(admin::socket_alone)));
        let mut defaults = Table::new(&Place::Defaults, &["defaults"]);
        for (key, value) in &placed.defaults {
            defaults.line(key, value.clone());
        }
        let has_notes = notes.notes.iter().any(|note| note.place == Place::Defaults);
        tables.extend((has_notes || !defaults.is_empty()).then_some(defaults));
        for plan in &plans {
            let behind = plan
                .choice
                .backend
                .as_deref()
                .and_then(|name| backends.get(name));
            let behind = behind.map(|(proxy, _)| &proxy.settings);
            tables.extend(plan.tables(behind, placed.frontends.get(&plan.name), notes));
        }
        for proxy in proxies.iter().filter(|proxy| proxy.is_backend()) {
            let Some((_, listed)) = backends.get(proxy.name.as_str()) else {
                continue;
            };
            let users = plans
                .iter()
                .filter(|plan| plan.backends().any(|name| name == proxy.name));
            let modes: Vec<OurMode> = users.map(|plan| plan.mode).collect();
            let is_http = match modes.as_slice() {
                [] => proxy.settings.mode == Mode::Http,
                modes => modes.iter().all(|mode| *mode == OurMode::Http),
            };
            let around = Surroundings {
                is_http,
                resolvers: &self.resolvers,
                ca_base: self.process.ca_base.as_deref(),
                values: placed.backends.get(&values::name(&proxy.name)),
            };
            tables.extend(backends::tables(proxy, listed, &around, notes));
        }
        tables
    }

    /// Backends that have servers, by their names in the file.
    fn backends<'a>(
        &self,
        proxies: &[&'a Proxy],
        notes: &mut Notes,
    ) -> BTreeMap<&'a str, (&'a Proxy, Listed)> {
        let mut backends = BTreeMap::new();
        for proxy in proxies.iter().filter(|proxy| proxy.is_backend()) {
            let place = Place::Backend(values::name(&proxy.name));
            let listed = servers::list(proxy, port_of_clients(proxy, proxies), &place, notes);
            if !listed.is_empty() {
                backends.insert(proxy.name.as_str(), (*proxy, listed));
            } else if proxy.kind == Kind::Backend {
                notes.not_translated(
                    &place,
                    &proxy.head,
                    "the backend is left out: it has no server",
                );
            }
        }
        backends
    }
}

/// Whether a section is there for the page of statistics alone.
fn has_page_only(proxy: &Proxy) -> bool {
    let settings = &proxy.settings;
    let serves = !settings.servers.is_empty()
        || settings.default_backend.is_some()
        || !settings.use_backends.is_empty();
    proxy.is_frontend() && settings.stats.is_some() && !serves && !settings.binds.is_empty()
}

/// The port that clients of a backend connect to, if it is one for all of them.
fn port_of_clients(backend: &Proxy, proxies: &[&Proxy]) -> Option<u16> {
    let names = |directive: &Directive| directive.word(1) == Some(backend.name.as_str());
    let users = proxies.iter().filter(|proxy| {
        let settings = &proxy.settings;
        let lines = settings
            .default_backend
            .iter()
            .chain(&settings.use_backends);
        proxy.is_frontend()
            && (proxy.name == backend.name && proxy.is_backend() || lines.into_iter().any(names))
    });
    let addresses = users
        .flat_map(|proxy| &proxy.settings.binds)
        .flat_map(|bind| &bind.addresses);
    let ports: BTreeSet<&str> = addresses
        .filter_map(|address| Some(address.rsplit_once(':')?.1))
        .collect();
    ports.first().filter(|_| ports.len() == 1)?.parse().ok()
}

/// Frontends that are not left out.
fn plans<'a>(
    proxies: &[&'a Proxy],
    backends: &BTreeMap<&str, (&'a Proxy, Listed)>,
    notes: &mut Notes,
) -> Vec<Plan<'a>> {
    // A backend that is left out is no fault of the file.
    let named = |name: &str| {
        proxies
            .iter()
            .any(|proxy| proxy.is_backend() && proxy.name == name)
    };
    let mut plans = Vec::new();
    for proxy in proxies.iter().filter(|proxy| proxy.is_frontend()) {
        let place = Place::Frontend(values::name(&proxy.name));
        let mut choice = routes::read(&proxy.settings, named, &place, notes);
        choice
            .routes
            .retain(|route| backends.contains_key(route.backend.as_str()));
        choice.backend = choice
            .backend
            .filter(|name| backends.contains_key(name.as_str()));
        if proxy.kind == Kind::Listen
            && choice.backend.is_none()
            && backends.contains_key(proxy.name.as_str())
        {
            choice.backend = Some(proxy.name.clone());
        }
        let settings = |name: &str| backends.get(name).map(|(proxy, _)| &proxy.settings);
        plans.extend(Plan::make(proxy, choice, settings, notes));
    }
    plans
}

/// What holds for each frontend with each of its backends, and for backends without a frontend.
fn pairs(plans: &[Plan<'_>], backends: &BTreeMap<&str, (&Proxy, Listed)>) -> Vec<sessions::Pair> {
    let mut pairs = Vec::new();
    let mut used = BTreeSet::new();
    for plan in plans {
        let mode = if plan.mode == OurMode::Http {
            Mode::Http
        } else {
            Mode::Tcp
        };
        for name in plan.backends() {
            let Some((backend, _)) = backends.get(name) else {
                continue;
            };
            used.insert(name);
            let values = sessions::values(mode, &plan.proxy.settings, &backend.settings);
            pairs.push((Some(plan.name.clone()), values::name(name), values));
        }
    }
    for (name, (backend, _)) in backends.iter().filter(|(name, _)| !used.contains(*name)) {
        let settings = &backend.settings;
        let mut values = sessions::values(settings.mode, settings, settings);
        // What follows from the times of clients is not known.
        values.remove("request_timeout");
        pairs.push((None, values::name(name), values));
    }
    pairs
}
