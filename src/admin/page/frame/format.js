"use strict";
(() => {
const find = (what, from = document) => from.querySelector(what);
const all = (what, from = document) => [...from.querySelectorAll(what)];
document.documentElement.classList.add("js");

// --- How numbers are written: format.rs has these functions by the same names.

const NONE = "–";
const count = value => value === true ? "Y" : value === false ? NONE : String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
function short(value) {
  const tenths = Math.round(value * 10) / 10;
  return value < 9.95 && tenths % 1 !== 0 ? tenths.toFixed(1) : count(Math.round(value));
}
const rate = short;
function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  for (; value >= 999.5 && unit + 1 < units.length; unit++) value /= 1000;
  return `${short(value)} ${units[unit]}`;
}
function micros(value) {
  for (const [below, unit, name] of [[1e3, 1, "µs"], [1e6, 1e3, "ms"], [60e6, 1e6, "s"], [3600e6, 60e6, "min"]]) {
    if (value < below) return `${short(value / unit)} ${name}`;
  }
  return `${short(value / 3600e6)} h`;
}
function age(seconds) {
  const [minutes, hours, days] = [60, 3600, 86400].map(unit => Math.floor(seconds / unit));
  if (!minutes) return `${seconds}s`;
  if (!hours) return `${minutes}m ${seconds % 60}s`;
  if (!days) return `${hours}h ${minutes % 60}m`;
  return `${days}d ${hours % 24}h`;
}
const percent = value => `${Math.round(value * 100)} %`;
function reload(configuration) {
  const last = configuration.last;
  return last ? `${last.ok ? "reloaded" : "reload refused"} ${since(last.at)} ago` : "never reloaded";
}
function left(server) {
  if (server.admin_state === "ready" && !server.leaving) return "";
  const open = server.sessions.current;
  return `${open === 0 ? "no session" : open === 1 ? "1 session" : count(open) + " sessions"} left`;
}

function discovery(found) {
  const failures = Object.values(found.failures).reduce((sum, count) => sum + count, 0);
  const answer = found.last_success ? `last answer ${since(found.last_success)} ago` : "no answer yet";
  return `discovered by ${found.query}, ${answer}, failed queries: ${count(failures)}`;
}

