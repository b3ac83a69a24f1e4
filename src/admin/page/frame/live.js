// --- The stream of statistics.

let before = null, ticks = 0, redrawn = 0, newest = null;
function update(stats) {
  const began = performance.now();
  clock = Date.parse(stats.process.now);
  if (!settle(stats)) return redraw();
  newest = stats;
  ticks += 1;
  for (const [key, thing] of rowsOf(stats)) {
    const row = rows.get(key);
    show(row, thing);
    if (ticks % EVERY === 0) for (const line of row.lines_) draw(line, at(thing, line.dataset.r));
  }
  speed(stats);
  problems(stats);
  refusals(stats);
  sort(stats);
  sieve();
  if (ticks % 10 === 0) for (const details of all("details.hour[open]")) load(details);
  performance.clearMeasures("update");
  performance.measure("update", { start: began });
}

// New sessions and bytes in the last second: the document has them for five.
function speed(stats) {
  const sum = name => stats.workers.reduce((sum, worker) => sum + worker[name], 0);
  const now = { clock, sessions: stats.process.sessions.total, in: sum("bytes_from_clients"), out: sum("bytes_from_servers") };
  if (before && now.clock > before.clock) {
    const per = name => Math.max(0, now[name] - before[name]) * 1000 / (now.clock - before.clock);
    put(find("#sessions-rate"), rate(per("sessions")));
    put(find("#bytes-in"), `${bytes(per("in"))}/s`);
    put(find("#bytes-out"), `${bytes(per("out"))}/s`);
  }
  before = now;
}

// What there is has changed, or may be shown only now: the tables come from the server.
async function redraw() {
  if (Date.now() - redrawn < 1500) return;
  redrawn = Date.now();
  const answer = await fetch(location.href, { headers: known(), cache: "no-store" });
  if (!answer.ok) return;
  const text = await answer.text();
  // Not the frame: its style has another nonce than ours.
  const page = new DOMParser().parseFromString(text.slice(text.indexOf("<main"), text.lastIndexOf("</main>") + 7), "text/html");
  const [filter, only] = [find("#filter")?.value, find("#only")?.checked];
  before = null;
  const open = new Set(all("details.hour[open]").map(details => details.closest("section").dataset.backend));
  find("main").replaceWith(document.adoptNode(find("main", page)));
  if (filter !== undefined) [find("#filter").value, find("#only").checked] = [filter, only];
  begin();
  for (const section of all("[data-backend]")) if (open.has(section.dataset.backend)) find(".hour", section).open = true;
}

// --- Streams. They rest while nobody sees the page.

let token = "", asking = null;
const known = (more = {}) => token ? { ...more, Authorization: `Bearer ${token}` } : more;
const pause = time => new Promise(go => setTimeout(go, time));
const seen = () => new Promise(go => {
  const look = () => { if (!document.hidden) { document.removeEventListener("visibilitychange", look); go(); } };
  document.addEventListener("visibilitychange", look);
  look();
});

// Asks for the token; `why` says what was wrong with the last one.
function ask(why = "") {
  return asking ??= new Promise(go => {
    const dialog = find("#ask"), input = find("input", dialog);
    find("#ask-wrong").hidden = !why;
    find("#ask-wrong").textContent = why;
    input.value = "";
    dialog.returnValue = "no";
    dialog.onclose = () => {
      asking = null;
      if (dialog.returnValue === "yes") token = input.value.trim();
      input.value = "";
      go(dialog.returnValue === "yes");
    };
    dialog.showModal();
  });
}

// What the dialog says of a refusal, which is worded for programs.
const wrong = told => `${told.error.split(":")[0]}: it is the only word of that file`;

async function follow(way, tell, state) {
  for (;;) {
    await seen();
    const stop = new AbortController();
    const hide = () => { if (document.hidden) stop.abort(); };
    document.addEventListener("visibilitychange", hide);
    let late = 0;
    const alive = () => { clearTimeout(late); late = setTimeout(() => stop.abort(), 15000); };
    try {
      alive();
      const answer = await fetch(way(), { headers: known(), cache: "no-store", signal: stop.signal });
      if (answer.status === 401) {
        state("no", "needs a token");
        const why = token ? wrong(await answer.json()) : "";
        token = "";
        // Who does not know it is not asked all the time.
        if (!await ask(why)) await pause(60000);
        continue;
      }
      if (!answer.ok) throw new Error(answer.status);
      if (!find("#tables")) await redraw();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { done, value } = await reader.read();
        if (done) break;
        alive();
        const messages = (rest + value).split("\n\n");
        rest = messages.pop();
        for (const message of messages) {
          const data = message.split("\n").filter(line => line.startsWith("data: ")).map(line => line.slice(6)).join("\n");
          if (data) { state("yes", "live"); tell(JSON.parse(data)); }
        }
      }
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) console.error(error);
    } finally {
      clearTimeout(late);
      stop.abort();
      document.removeEventListener("visibilitychange", hide);
    }
    state("no", "not connected");
    await pause(2000);
  }
}

function live(is, why) {
  const shown = find("#live");
  if (!shown || shown.dataset.live === is && shown.textContent === why) return;
  if (is === "yes") shown.title = "updated each second";
  shown.dataset.live = is;
  shown.textContent = why;
}

// --- Events: the newest first.

const EVENTS = 500;
function happened(event) {
  const list = find("#events");
  if (!list || find(`[data-id="${event.id}"]`, list)) return;
  const line = find("#event").content.firstElementChild.cloneNode(true);
  line.dataset.id = event.id;
  line.dataset.tone = tone(event);
  find("time", line).dateTime = event.time;
  timed(find("time", line));
  find(".kind", line).textContent = event.kind;
  find(".what", line).textContent = event.text;
  list.prepend(line);
  while (list.children.length > EVENTS) list.lastElementChild.remove();
  sieve();
}
// In the time of whoever looks, with UTC as a hint.
function timed(time) {
  put(time, localTime(time.dateTime));
  time.title = utcTime(time.dateTime);
}
function tone(event) {
  if (event.kind === "warning" || event.to === "down") return "bad";
  return event.to === "up" ? "good" : "";
}

// --- Actions.

function say(text, bad) {
  find("#said").textContent = text;
  find("#said").dataset.bad = bad ? "yes" : "no";
}

async function act(button) {
  const [, backend, server] = button.closest("[data-row]").dataset.row.split(" ");
  const wanted = { method: "POST", body: JSON.stringify({ state: button.value, reason: "stats page" }) };
  button.disabled = true;
  try {
    for (;;) {
      if (!token && find("main").dataset.actions === "token" && !await ask()) return;
      wanted.headers = known({ "Content-Type": "application/json" });
      const answer = await fetch(`/api/v1/servers/${encodeURIComponent(backend)}/${encodeURIComponent(server)}`, wanted);
      const told = await answer.json();
      if (answer.status === 401) { token = ""; say(wrong(told), true); if (await ask(wrong(told))) continue; return; }
      if (!answer.ok) return say(told.error, true);
      const open = left(told);
      say(told.warning ?? `${backend}/${server} is ${told.admin_state}${open && `, ${open}`}`, Boolean(told.warning));
      const row = rows.get(`server ${backend} ${server}`);
      return row && show(row, told);
    }
  } catch (error) {
    say(`${backend}/${server}: no answer`, true);
  } finally {
    button.disabled = false;
  }
}

// Hints are made when they are looked for: the moment behind an age, a text that is cut.
function hint(event) {
  const shown = event.target, row = shown.closest("[data-row]");
  if (!row?.thing_ && !shown.dataset.time) return;
  const thing = row?.thing_, cell = shown.closest("td");
  let time = shown.dataset.time;
  if (shown.tagName === "SMALL" && cell?.classList.contains("status")) time = thing.since;
  if (shown.tagName === "SMALL" && cell?.classList.contains("check")) time = thing.checks?.last;
  if (shown.dataset.k === "age") time = thing.started;
  if (shown.dataset.k === "reload") time = thing.reload.last?.at;
  if (shown.dataset.k === "discovery") time = thing.discovery.last_success;
  if (time) shown.title = `${localTime(time)} (${utcTime(time)})`;
  else if (shown.scrollWidth > shown.clientWidth && !shown.title) shown.title = shown.textContent;
}

function begin() {
  if (!find("#tables")) return;
  learn();
  heads();
  hours();
  for (const svg of all(".tiles svg[data-points]")) draw(svg);
  for (const time of all("#events time")) timed(time);
  put(find("#zone"), "local time");
  find("#filter").oninput = find("#only").onchange = sieve;
  find("#tools").onsubmit = event => { event.preventDefault(); sieve(); };
  find("#tools button").hidden = true;
  find("#tables").onclick = event => {
    const button = event.target.closest(".set button, thead button");
    if (button?.closest("thead")) sortBy(Number(button.closest("th").dataset.i));
    else if (button) act(button);
  };
  find(".problems").onclick = event => {
    const link = event.target.closest("a");
    if (link) { event.preventDefault(); go(link); }
  };
  find("main").onmouseover = hint;
  sieve();
}

document.addEventListener("keydown", event => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !["INPUT", "TEXTAREA"].includes(event.target.tagName) && find("#filter")) {
    event.preventDefault();
    find("#filter").focus();
  }
});
const asked = (new URLSearchParams(location.search).get("sort") ?? "").split(",").map(Number);
if (asked.length === 2 && asked[0] >= 0 && Math.abs(asked[1]) === 1) sorting = { index: asked[0], way: asked[1] };
begin();
const lastEvent = () => find("#events")?.firstElementChild?.dataset.id ?? 0;
follow(() => "/api/v1/stats/stream", update, live);
follow(() => `/api/v1/events?since=${lastEvent()}`, happened, () => {});
})();
