// --- What there is to see: the text of each cell comes from the document of /api/v1/stats. A `col` says where
// the value is (`data-v`; `data-sum` in the sum of a backend) and how it is written (`data-k`).

// The server's time, in milliseconds.
let clock = 0;
const since = time => age(Math.max(0, Math.floor((clock - Date.parse(time)) / 1000)));
const written = {
  count, rate, bytes, micros, age, since, percent, reload, discovery,
  ago: value => `${since(value)} ago`,
};
const at = (thing, way) => way.split("/").slice(1).reduce((part, name) => part?.[name], thing);
const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const write = (value, kind, none = NONE) => value === undefined || value === null ? none : written[kind](value);

// What a row is made of, found once.
function learnRow(row) {
  if (row.parts_) return row;
  const table = row.closest("table");
  row.parts_ = all("[data-k]", row).filter(part => part.tagName !== "COL");
  row.meters_ = all("[data-m]", row);
  row.lines_ = all("svg[data-r]", row);
  row.cols_ = [];
  if (!row.closest(".proxy tbody")) return row;
  const sum = row.classList.contains("sum");
  row.words_ = `${row.dataset.row} ${find("th small", row).textContent}`.toLowerCase();
  (table.cols_ ??= all("col", table)).forEach((col, index) => {
    const way = sum ? col.dataset.sum : col.dataset.v;
    if (way) row.cols_.push([row.cells[index], way, col.dataset.k]);
    if (col.dataset.r && !sum) row.lines_.push(line(row.cells[index], col.dataset.r));
  });
  if (row.dataset.row.startsWith("server ") && find("main").dataset.actions !== "none") {
    const set = find("#set").content.firstElementChild.cloneNode(true);
    set.setAttribute("aria-label", `State of ${find("th span", row).textContent}`);
    row.cells[3].prepend(set);
  }
  row.buttons_ = all("button[value]", row);
  return row;
}

function line(cell, way) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.append(document.createElementNS(svg.namespaceURI, "polyline"));
  for (const [name, value] of [["class", "line"], ["viewBox", "0 0 59 20"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  svg.dataset.r = way;
  svg.dataset.points = cell.dataset.p ?? "";
  cell.append(svg);
  draw(svg);
  return svg;
}

function show(row, thing) {
  row.thing_ = thing;
  for (const part of row.parts_) put(part, write(part.dataset.v ? at(thing, part.dataset.v) : thing, part.dataset.k, part.dataset.none));
  for (const meter of row.meters_) meter.value = at(thing, meter.dataset.m);
  if (!row.words_) return;
  if (row.dataset.status !== thing.status) row.dataset.status = thing.status;
  for (const [cell, way, kind] of row.cols_) put(cell, write(at(thing, way), kind));
  const [status, check, acts] = [1, 2, 3].map(index => row.cells[index].children);
  put(status[0], thing.status);
  if (thing.since) put(status[1], since(thing.since));
  if (thing.checks === undefined) return;
  put(check[0], thing.reason);
  put(check[1], thing.checks.last ? `${since(thing.checks.last)} ago` : "");
  put(check[2], left(thing));
  put(acts[acts.length - 1], left(thing));
  for (const button of row.buttons_) {
    const pressed = String(button.value === thing.admin_state);
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
  }
}

// --- Lines of the last five minutes: a point for every five seconds.

const POINTS = 60, EVERY = 5;
function draw(svg, value) {
  const points = svg.points_ ??= svg.dataset.points.split(" ").filter(Boolean).map(Number);
  if (value !== undefined) {
    points.push(value);
    if (points.length > POINTS) points.shift();
  }
  const most = Math.max(1, ...points), from = POINTS - points.length;
  const place = (point, index) => `${from + index},${(19 - 17 * point / most).toFixed(1)}`;
  find("polyline", svg).setAttribute("points", points.map(place).join(" "));
}

// --- Rows come and go with their servers, in the order of the document or by a column.

let rows = new Map(), sorting = { index: 0, way: 0 };
function learn() {
  rows = new Map(all("[data-row]").map(row => [row.dataset.row, learnRow(row)]));
}

// Whether each row of the page has its thing; rows of servers are made and removed here.
function settle(stats) {
  for (const backend of stats.backends) {
    const section = find(`[data-backend="${CSS.escape(backend.name)}"]`);
    if (!section) return false;
    const body = find("tbody", section), wanted = new Set();
    for (const server of backend.servers) {
      const key = `server ${backend.name} ${server.name}`;
      wanted.add(key);
      if (rows.has(key)) continue;
      const row = find("#server").content.firstElementChild.cloneNode(true);
      row.dataset.row = key;
      put(find("th span", row), server.name);
      put(find("th small", row), server.name === server.address ? "discovered" : server.address);
      body.insertBefore(row, body.lastElementChild);
      rows.set(key, learnRow(row));
    }
    for (const row of [...body.rows]) {
      const key = row.dataset.row;
      if (!key.startsWith("server ") || wanted.has(key)) continue;
      rows.delete(key);
      row.remove();
    }
  }
  const count = rows.size - (find('[data-row="process"]') ? 1 : 0);
  return [...rowsOf(stats)].every(([key]) => rows.has(key)) && [...rowsOf(stats)].length - 1 === count;
}

// Of each frontend at most.
const ROUTES = 100;
function* rowsOf(stats) {
  yield ["process", stats.process];
  for (const frontend of stats.frontends) {
    yield [`frontend ${frontend.name}`, frontend];
    for (const route of (frontend.routes ?? []).slice(0, ROUTES)) yield [`route ${frontend.name} ${route.name} ${route.backend}`, route];
  }
  for (const backend of stats.backends) {
    if (backend.discovery) yield [`discovery ${backend.name}`, backend];
    for (const server of backend.servers) yield [`server ${backend.name} ${server.name}`, server];
    yield [`backend ${backend.name}`, backend];
  }
  const total = stats.workers.reduce((sum, worker) => sum + worker.sessions.total, 0);
  for (const worker of stats.workers) yield [`worker ${worker.index}`, { ...worker, share: total ? worker.sessions.total / total : 0 }];
}

// What rows are sorted by in a column: words forwards, numbers from the largest.
const RANK = ["DOWN", "EJECTED", "STOP", "LEAVING", "MAINT", "DRAIN", "no check", "OPEN", "UP"];
function sortKey(row, index) {
  const thing = row.thing_ ?? {};
  if (index === 0) return thing.name ?? "";
  if (index === 1) return RANK.indexOf(thing.status);
  if (index === 2) return thing.reason ?? "";
  const col = row.closest("table").cols_[index];
  const value = at(thing, col.dataset.v ?? col.dataset.r ?? "");
  return typeof value === "number" ? -value : 1;
}
const compare = new Intl.Collator("en", { numeric: true }).compare;
function sort(stats) {
  if (!stats) return;
  const order = new Map([...rowsOf(stats)].map(([key], index) => [key, index]));
  for (const body of all(".proxy tbody")) {
    const now = [...body.rows].filter(row => !row.classList.contains("sum"));
    const keys = new Map(now.map(row => [row, sorting.way ? sortKey(row, sorting.index) : 0]));
    const sorted = [...now].sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      const by = typeof x === "string" ? compare(x, y) : x - y;
      return by * sorting.way || order.get(a.dataset.row) - order.get(b.dataset.row);
    });
    if (sorted.every((row, index) => row === now[index])) continue;
    // Only what is in the wrong place is moved: that is cheap while few are.
    const focused = document.activeElement;
    let next = body.firstElementChild;
    for (const row of sorted) {
      if (row !== next && row === next?.nextElementSibling) next = row;
      if (row === next) next = next.nextElementSibling;
      else body.insertBefore(row, next);
    }
    if (focused !== document.activeElement) focused.focus({ preventScroll: true });
  }
}

function heads() {
  for (const head of all(".proxy thead th[data-i]")) {
    const index = Number(head.dataset.i);
    if (!find("button", head)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      if (head.title) button.setAttribute("aria-label", `${head.textContent}: ${head.title}`);
      head.replaceChildren(button);
    }
    const way = index === sorting.index ? sorting.way : 0;
    // Numbers come from the largest.
    const down = index > 2 ? 1 : -1;
    if (way) head.setAttribute("aria-sort", way === down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function sortBy(index) {
  const way = sorting.index === index ? { 0: 1, 1: -1, "-1": 0 }[sorting.way] : 1;
  sorting = { index, way };
  heads();
  sort(newest);
  remember();
}

// --- Problems, refusals, the filter.

const isFine = status => ["UP", "OPEN", "no check"].includes(status);
const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text }, more);

function problems(stats) {
  const servers = stats.backends.flatMap(backend => backend.servers);
  const bad = servers.filter(server => !isFine(server.status)).length;
  const dead = stats.backends.some(backend => backend.status === "DOWN");
  put(find("#servers"), `${count(servers.length - bad)} of ${count(servers.length)}`);
  find("#servers").closest("div").dataset.bad = bad ? "yes" : "no";
  document.title = bad ? `(${bad}) Ringway` : "Ringway";
  const colour = dead ? "%23d0343f" : bad ? "%23d9902a" : "%232e9e5f";
  const icon = find("#icon").getAttribute("href").replace(/%23[0-9a-f]{6}/, colour);
  if (find("#icon").getAttribute("href") !== icon) find("#icon").setAttribute("href", icon);

  const SHOWN = 20, found = stats.problems, list = find("#problems");
  put(find("#problems-head"), found.length === 0 ? "No problems" : found.length === 1 ? "1 problem" : `${count(found.length)} problems`);
  find(".problems").dataset.some = found.length ? "yes" : "no";
  const state = JSON.stringify(found.slice(0, SHOWN)) + found.length;
  if (list.state_ !== state) {
    list.state_ = state;
    list.replaceChildren(...found.slice(0, SHOWN).map(problem => {
      const item = element("li", "");
      item.dataset.status = problem.severity;
      const what = problem.kind === "process" ? "Process" : element("a", `${problem.kind} ${problem.name}`, { href: `#${problem.kind}/${problem.name}` });
      const ago = element("small", "");
      ago.dataset.time = problem.since ?? "";
      item.append(what, " ", element("span", problem.status, { className: "word" }), " ", problem.reason, " ", ago);
      return item;
    }));
    if (found.length > SHOWN) {
      const more = element("li", "");
      more.append(element("a", `and ${count(found.length - SHOWN)} more`, { href: "?problems=on" }));
      list.append(more);
    }
  }
  for (const ago of all("small", list)) put(ago, ago.dataset.time && since(ago.dataset.time));
}

// From a problem to its row, which the filter does not hide.
function go(link) {
  const [kind, ...name] = decodeURIComponent(link.hash.slice(1)).split("/");
  if (!kind) {
    find("#only").checked = true;
    return sieve();
  }
  const row = rows.get(`${kind} ${name.join(" ")}`);
  if (!row) return;
  if (row.hidden) {
    find("#filter").value = "";
    sieve();
  }
  row.tabIndex = -1;
  row.scrollIntoView({ block: "center" });
  row.focus({ preventScroll: true });
}

function refusals(stats) {
  const section = find("#refusals"), lines = [];
  for (const frontend of stats.frontends) {
    for (const [way, what] of JSON.parse(section.dataset.counters)) {
      const value = at(frontend, way);
      const counts = value !== null && typeof value === "object" ? Object.entries(value) : [["", value]];
      for (const [key, number] of counts) if (number) lines.push([count(number), what.replace("{}", key), frontend.name]);
    }
  }
  section.hidden = lines.length === 0;
  if (section.state_ === String(lines)) return;
  section.state_ = String(lines);
  find("ul", section).replaceChildren(...lines.map(([number, what, name]) => {
    const item = element("li", "");
    item.append(element("b", number), ` ${what} `, element("small", `frontend ${name}`));
    return item;
  }));
}

function sieve() {
  const words = find("#filter").value.trim().toLowerCase(), only = find("#only").checked;
  let any = false;
  for (const section of all("[data-proxy]")) {
    let some = false;
    for (const row of find("tbody", section).rows) {
      if (row.classList.contains("sum")) continue;
      const hidden = !row.words_.includes(words) || only && isFine(row.dataset.status);
      if (row.hidden !== hidden) row.hidden = hidden;
      some ||= !hidden;
    }
    // A backend without a server is shown, too.
    some ||= section.dataset.backend !== undefined && find("tbody", section).rows.length === 1 && `backend ${section.dataset.backend}`.toLowerCase().includes(words);
    for (const row of all("tr.sum", section)) row.hidden = !some;
    section.hidden = !some;
    any ||= some;
  }
  find("#none").hidden = any;
  put(find("#none"), any ? "" : words ? `Nothing matches “${find("#filter").value.trim()}”${only ? " among the problems" : ""}.` : "Nothing has a problem.");
  for (const line of all("#events > li")) line.hidden = words !== "" && !line.textContent.toLowerCase().includes(words);
  remember();
}

// Filter and order stand in the address, so that they can be kept.
function remember() {
  const query = new URLSearchParams();
  if (find("#filter").value.trim()) query.set("filter", find("#filter").value.trim());
  if (find("#only").checked) query.set("problems", "on");
  if (sorting.way) query.set("sort", `${sorting.index},${sorting.way}`);
  const wanted = location.pathname + (query.size ? `?${query}` : "");
  if (wanted !== location.pathname + location.search) history.replaceState(null, "", wanted);
}
