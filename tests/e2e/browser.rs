//! A browser without a window: Debian's Chromium, told what to do over a pair of pipes.
//!
//! `--remote-debugging-pipe` makes it read commands from descriptor 3 and write answers and events
//! to descriptor 4, as JSON that ends with a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

use crate::harness::ScratchDirectory;
use crate::wait::{DEADLINE, eventually};

/// A tab of a browser of its own; both are gone when it is dropped.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    /// Of the last command.
    id: u64,
    /// What the page's script or the browser complained about.
    complaints: Vec<String>,
    _profile: ScratchDirectory,
}

impl Browser {
    /// Starts one, with an empty page.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these arguments more.
    pub fn start_with(arguments: &[&str]) -> Self {
        let profile = ScratchDirectory::new();
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            // Descriptors that no other test's child can get: standard input and output.
            .arg("exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null")
            .args(["chromium", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--no-first-run"])
            .args(arguments)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = child.stdout.take().expect("a pipe");
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let message = message
                    .ok()
                    .and_then(|text| serde_json::from_slice(&text).ok());
                let Some(message) = message else { return };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            commands: child.stdin.take().expect("a pipe"),
            child,
            messages,
            session: String::new(),
            id: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.order("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.order("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().expect("a name").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.order(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Has it do something, and returns what it answers.
    #[track_caller]
    pub fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.id += 1;
        let mut command = json!({ "id": self.id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let mut command = command.to_string().into_bytes();
        command.push(0);
        self.commands.write_all(&command).expect("chromium runs");
        loop {
            let message = self.messages.recv_timeout(DEADLINE);
            let message = message.unwrap_or_else(|_| panic!("no answer of chromium to {method}"));
            if message["id"] == self.id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.heed(&message);
        }
    }

    fn heed(&mut self, message: &Value) {
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => message["params"]["type"] == "error",
            Some(_) | None => false,
        };
        if complaint {
            self.complaints.push(message["params"].to_string());
        }
    }

    /// Opens a page, and waits until it is there.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let opened = self.order("Page.navigate", json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.waits_for("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let told = self.order("Runtime.evaluate", parameters);
        assert!(told["exceptionDetails"].is_null(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// The text of the first element that a selector finds.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let found = self.value(&format!(
            "document.querySelector({selector:?})?.textContent"
        ));
        let text = found.as_str();
        text.unwrap_or_else(|| panic!("there is no {selector}"))
            .to_owned()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn waits_for(&mut self, expression: &str) {
        eventually(expression, || self.value(expression) == true);
    }

    /// Clicks where the first element is that a selector finds, as a user does.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.value(&format!(
            "(() => {{ const element = document.querySelector({selector:?}); \
             element.scrollIntoView({{ block: 'center', inline: 'center' }}); \
             const {{ x, y, width, height }} = element.getBoundingClientRect(); \
             return [x + width / 2, y + height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.order("Input.dispatchMouseEvent", event);
        }
    }

    /// Has a window of this size.
    #[track_caller]
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.order("Emulation.setDeviceMetricsOverride", size);
    }

    /// Types, as a user does.
    #[track_caller]
    pub fn types(&mut self, text: &str) {
        self.order("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key.
    #[track_caller]
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && key == "Enter" {
                event["text"] = json!("\r");
            }
            self.order("Input.dispatchKeyEvent", event);
        }
    }

    /// Fails if anything was complained about: a script's error, something that the page's policy forbids,
    /// an answer that is an error.
    #[track_caller]
    pub fn is_content(&mut self) {
        self.value("0");
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
