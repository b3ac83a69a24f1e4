//! `ringway check`: what is wrong with a configuration, for people and for programs, and what names in it
//! stand for now.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{CheckOptions, Format};
use crate::config::{self, Finding, Loaded, Report, STANDARD_INPUT, Servers, Severity};
use crate::console;
use crate::printable::{self, Printable};
use crate::serve::{self, Checked};

/// Checks the file and prints what was found. Exit status 1 if it is not valid.
pub fn run(path: &Path, options: &CheckOptions) -> ExitCode {
    let servers = match options.no_resolve {
        true => Servers::Keep,
        false => Servers::Resolve,
    };
    let checked = config::check(path, servers, &serve::resolve_host);
    let discovery = match &checked {
        Ok(loaded) if !options.no_resolve => serve::check_discovery(&loaded.config),
        Ok(_) | Err(_) => Checked::default(),
    };
    let name = match path == Path::new(STANDARD_INPUT) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    let printed = match (options.format, &checked) {
        (Format::Json, _) => {
            let value = format!("{:#}\n", document(&name, &checked, &discovery));
            console::print(&printable::json(&value))
        }
        (Format::Text, Ok(loaded)) => print(&name, loaded, &discovery, options),
        (Format::Text, Err(report)) => {
            console::complain(report);
            Ok(())
        }
    };
    let valid = match checked {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    };
    console::exit_code(printed, valid)
}

fn print(
    name: &str,
    loaded: &Loaded,
    discovery: &Checked,
    options: &CheckOptions,
) -> io::Result<()> {
    if !loaded.warnings.is_empty() {
        console::complain(&loaded.warnings);
    }
    for warning in &discovery.warnings {
        console::complain(&format_args!("warning: {}", Printable(warning)));
    }
    if options.print_effective {
        return console::print(&config::effective(loaded));
    }
    let mut text = format!("{name} is valid\n");
    for (host, addresses) in &loaded.names {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        text += &format!("{host} is {}\n", addresses.join(", "));
    }
    for found in &discovery.found {
        text += &format!("{}\n", Printable(found));
    }
    console::print(&text)
}

/// The same for programs.
fn document(name: &str, checked: &Result<Loaded, Report>, discovery: &Checked) -> Value {
    let (report, names) = match checked {
        Ok(loaded) => (&loaded.warnings, loaded.names.as_slice()),
        Err(report) => (report, &[][..]),
    };
    let mut findings: Vec<Value> = report.findings().iter().map(finding).collect();
    findings.extend(discovery.warnings.iter().map(|text| {
        json!({ "severity": "warning", "line": null, "column": null, "end_column": null,
                "message": text, "cure": "" })
    }));
    let names = names.iter();
    let names = names.map(|(name, addresses)| json!({ "name": name, "addresses": addresses }));
    json!({
        "file": name,
        "valid": checked.is_ok(),
        "errors": report.errors(),
        "warnings": report.warnings() + discovery.warnings.len(),
        "findings": findings,
        "names": names.collect::<Vec<_>>(),
        "discovered": discovery.found,
    })
}

fn finding(finding: &Finding) -> Value {
    let column = |column: usize| finding.line.map(|_| column);
    json!({
        "severity": match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "line": finding.line,
        "column": column(finding.columns.start),
        "end_column": column(finding.columns.end),
        "message": finding.problem.title,
        "cure": finding.problem.cure,
    })
}
