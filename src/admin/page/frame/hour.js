// --- The last hour of a backend, from /api/v1/history.

const CHARTS = [
  ["New sessions/s", ["sessions_per_s"], rate],
  ["Bytes/s: in, out (dashed)", ["bytes_from_clients_per_s", "bytes_from_servers_per_s"], bytes],
  ["Connect time p99", ["connect_time_p99_us"], micros],
  ["Session time p99", ["session_time_p99_us"], micros],
];
const PLACES = 120;
// Like the log: `2026-11-26 07:47:09`.
const locally = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const localTime = time => locally.format(new Date(time));
const utcTime = time => `${new Date(time).toISOString().replace("T", " ").slice(0, 19)} UTC`;

function hours() {
  for (const section of all("[data-backend]")) {
    if (find(".hour", section)) continue;
    const details = element("details", "", { className: "hour" });
    details.append(element("summary", "Last hour"));
    find(".scroll", section).before(details);
    details.ontoggle = () => load(details);
  }
}

async function load(details) {
  if (!details.open || document.hidden) return;
  const name = details.closest("section").dataset.backend;
  try {
    const answer = await fetch(`/api/v1/history?backend=${encodeURIComponent(name)}`, { headers: known(), cache: "no-store" });
    const told = await answer.json();
    chart(details, told.interval_s, told.backends?.[0], told.error);
  } catch { chart(details, 30, undefined, "no answer"); }
}

function chart(details, interval, hour, error) {
  details.hour_ = hour;
  details.interval_ = interval;
  if (!find(".charts", details)) {
    const charts = element("div", "", { className: "charts", tabIndex: 0 });
    charts.setAttribute("role", "group");
    charts.setAttribute("aria-label", "Last hour: the arrow keys go through its points");
    for (const [title] of CHARTS) {
      const figure = element("figure", "");
      figure.innerHTML = `<figcaption><span>${title}</span><b></b></figcaption><svg viewBox="0 0 ${PLACES} 60" preserveAspectRatio="none" role="img"><path/><path/><line y1="0" y2="60" visibility="hidden"/></svg><div class="axis"><span>1 h ago</span><span class="top"></span><span>now</span></div>`;
      charts.append(figure);
    }
    details.append(charts, element("output", ""));
    charts.onpointermove = event => {
      const svg = event.target.closest("svg");
      if (!svg) return;
      const box = svg.getBoundingClientRect();
      look(details, Math.min(PLACES - 1, Math.floor((event.clientX - box.left) / box.width * PLACES)));
    };
    charts.onpointerleave = () => look(details, undefined);
    charts.onkeydown = event => {
      const by = { ArrowLeft: -1, ArrowRight: 1, Home: -PLACES, End: PLACES }[event.key];
      if (!by) return;
      event.preventDefault();
      look(details, Math.min(PLACES - 1, Math.max(0, (details.place_ ?? PLACES) + by)));
    };
  }
  const figures = all("figure", details);
  CHARTS.forEach(([title, names, form], index) => {
    const lists = names.map(name => hour?.[name] ?? []);
    const known = lists.flat().filter(value => value !== null);
    const most = Math.max(...known, 0) || 1;
    const svg = find("svg", figures[index]);
    all("path", svg).forEach((path, number) => {
      const list = lists[number] ?? [];
      let way = "", pen = "M";
      list.forEach((value, point) => {
        if (value === null) { pen = "M"; return; }
        const y = (58 - 54 * value / most).toFixed(1), x = PLACES - list.length + point;
        way += `${pen}${x},${y}h1`;
        pen = "L";
      });
      path.setAttribute("d", way);
    });
    const now = lists.map(list => list.at(-1) ?? null).map(value => value === null ? NONE : form(value)).join(", ");
    put(find("b", figures[index]), now);
    put(find(".top", figures[index]), known.length ? `peak ${form(most === 1 ? Math.max(...known) : most)}` : "nothing yet");
    svg.setAttribute("aria-label", `${title}: now ${now}, ${find(".top", figures[index]).textContent}`);
  });
  look(details, details.place_);
  if (error) put(find("output", details), error);
}

// Says what was at a point: its time and each value.
function look(details, place) {
  details.place_ = place;
  const hour = details.hour_, output = find("output", details);
  for (const cursor of all("line", details)) {
    cursor.setAttribute("visibility", place === undefined ? "hidden" : "visible");
    if (place !== undefined) ["x1", "x2"].forEach(name => cursor.setAttribute(name, place + 0.5));
  }
  if (place === undefined || !hour?.end) {
    output.title = "";
    return put(output, hour?.end ? "Point at a chart, or use the arrow keys, for its values." : "The first point comes within seconds.");
  }
  const time = Date.parse(hour.end) - (PLACES - 1 - place) * details.interval_ * 1000;
  const values = CHARTS.map(([title, names, form]) => {
    const told = names.map(name => hour[name][hour[name].length - PLACES + place] ?? null);
    return `${title.split(":")[0]} ${told.map(value => value === null ? NONE : form(value)).join(", ")}`;
  });
  output.title = utcTime(time);
  put(output, `${localTime(time)}: ${values.join("; ")}`);
}
