//! Whose a file is that is not TOML: a configuration of HAProxy or nginx, YAML, JSON. `load` asks.

use super::problem::Problem;

/// The words that HAProxy's sections begin with.
const HAPROXY_SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "peers",
];

/// Words that begin lines of a haproxy.cfg.
const HAPROXY_LINES: &[&str] = &[
    "bind",
    "server",
    "balance",
    "mode",
    "timeout",
    "maxconn",
    "default_backend",
    "option",
    "acl",
    "use_backend",
    "stats",
    "log",
    "server-template",
    "default-server",
    "http-request",
    "daemon",
];

/// Words before a brace in nginx's files.
const NGINX_BLOCKS: &[&str] = &["http", "stream", "server", "upstream", "events", "location"];

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

fn is_nginx_block(line: &str) -> bool {
    line.ends_with('{') && NGINX_BLOCKS.contains(&first_word(line))
}

fn is_haproxy_section(line: &str) -> bool {
    !line.contains('=') && !line.ends_with('{') && HAPROXY_SECTIONS.contains(&first_word(line))
}

fn is_haproxy_line(line: &str) -> bool {
    line.starts_with(char::is_whitespace) && HAPROXY_LINES.contains(&first_word(line))
}

fn is_yaml(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let line = line.trim_start().trim_start_matches("- ");
    let is_pair = line.split_once(':').is_some_and(|(key, rest)| {
        let has_value = rest.is_empty() || rest.starts_with(' ');
        !key.is_empty() && key.chars().all(is_name) && has_value
    });
    line == "---" || is_pair
}

/// Says whose a text is that is not TOML, if it is easy to see.
pub(super) fn recognise(text: &str) -> Option<Problem> {
    let lines = text.lines().map(str::trim_end);
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'))
        .collect();
    let has = |is: fn(&str) -> bool| lines.iter().any(|line| is(line));
    let whose = if has(is_nginx_block) && has(|line| line.ends_with(';')) {
        "a configuration of nginx"
    } else if has(is_haproxy_section) && has(is_haproxy_line) {
        "a haproxy.cfg"
    } else if text.trim_start().starts_with('{') {
        "JSON"
    } else if lines.len() > 1 && lines.iter().filter(|line| is_yaml(line)).count() * 2 > lines.len()
    {
        "YAML"
    } else {
        return None;
    };
    Some(Problem::new(
        format!("this is {whose}, and a configuration of Ringway is TOML"),
        "write [frontend.NAME] and [backend.NAME], as `man ringway.toml` shows; `ringway help WORD` says what a \
         word of HAProxy or nginx is here",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_recognised() {
        let title = |text: &str| recognise(text).map(|problem| problem.title);
        for (text, whose) in [
            (
                "global\n    maxconn 5\n\nfrontend web\n    bind :80\n",
                "a haproxy.cfg,",
            ),
            (
                "# x\nlisten a\n\tbind :80\n\tserver a 10.0.0.1:80\n",
                "a haproxy.cfg,",
            ),
            (
                "http {\n  upstream a {\n    server 10.0.0.1;\n  }\n}\n",
                "of nginx,",
            ),
            ("frontend:\n  web:\n    listen: x\n", "YAML,"),
            ("---\na: 1\nb:\n- c: 2\n", "YAML,"),
            ("{ \"frontend\": {} }", "JSON,"),
        ] {
            let title = title(text).unwrap_or_else(|| panic!("{text}"));
            assert!(title.contains(whose), "{title}");
        }
        for text in [
            "",
            "x",
            "[frontend.web]\nlisten = [\"0.0.0.0:80\"\n",
            "# global\n",
            "a b c\nd e f\n",
        ] {
            assert_eq!(title(text), None, "{text}");
        }
    }
}
