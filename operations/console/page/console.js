// The frame of the page: which view is shown, what the keys do, and what time it is there.

import { get } from "/api.js";
import { countdown, countOn, h } from "/dom.js";
import { campaign, campaigns, letter, letters, message, messages, reminder, reminders } from "/lists.js";
import { now } from "/now.js";
import { local, queues } from "/cloud.js";
import { show } from "/show.js";

const view = document.getElementById("view");
const notes = document.getElementById("notes");
const find = document.getElementById("find");
const page = { place: null, ahead: 0, note, time: () => new Date(Date.now() + page.ahead), go };

const VIEWS = [
  ["now", "Now", now],
  ["reminders", "Reminders", reminders],
  ["messages", "Messages", messages],
  ["letters", "Dead letters", letters],
  ["campaigns", "Campaigns", campaigns],
  ["queues", "Queues", queues],
  ["local", "Local cloud", local],
];
const SINGLE = { reminder, message, letter, campaign, show };
const LIST_OF = { reminder: "reminders", message: "messages", letter: "letters", campaign: "campaigns" };
let leave = () => {};
let turn = 0;

export function note(sentence) {
  const shown = h("p", {}, sentence);
  notes.append(shown);
  setTimeout(() => shown.remove(), 8000);
}

function go(...path) {
  location.hash = `#/${path.map(encodeURIComponent).join("/")}`;
}

function parts() {
  return location.hash.replace(/^#\//, "").split("/").filter(Boolean).map(decodeURIComponent);
}

async function render() {
  const [name = "now", ...rest] = parts();
  const mine = ++turn;
  leave();
  leave = () => {};
  for (const tab of document.querySelectorAll("nav a")) {
    tab.toggleAttribute("aria-current", tab.dataset.view === (LIST_OF[name] ?? name));
  }
  const shown = SINGLE[name] ?? VIEWS.find(([each]) => each === name)?.[2];
  const place = h("section", {});
  view.replaceChildren(place);
  if (!shown) return place.append(h("p", {}, "There is no such view."));
  try {
    const left = (await shown(place, page, ...rest)) ?? (() => {});
    if (mine === turn) leave = left;
    else left(); // another view was opened meanwhile
  } catch (error) {
    place.replaceChildren(h("p", { class: "bad" }, error.message));
  }
}

async function tick() {
  if (!page.place.is_local) return;
  try {
    const clock = await get("local/clock");
    page.ahead = new Date(clock.now) - Date.now();
    const shown = document.getElementById("clock");
    shown.hidden = false;
    const due = clock.next_due ? `next due ${countdown(new Date(clock.next_due), page.time())}` : "nothing due";
    shown.textContent = `${clock.now.slice(0, 19).replace("T", " ")} UTC · ${due} · ${clock.in_flight} in flight`;
  } catch { /* the next one may work */ }
}

function move(step) {
  const rows = [...view.querySelectorAll("tbody tr a")];
  const links = rows.filter((each) => each.closest("tr").querySelector("a") === each);
  const place = links.indexOf(document.activeElement) + step;
  links[Math.max(0, Math.min(place, links.length - 1))]?.focus();
}

function key(event) {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape" && typing) return typing.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const [name] = parts();
  if (event.key === "/") { event.preventDefault(); find.focus(); find.select(); }
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Escape" && LIST_OF[name]) go(LIST_OF[name]);
  else if (/^[1-9]$/.test(event.key)) document.querySelectorAll("nav a")[event.key - 1]?.click();
}

async function start() {
  page.place = await get("place");
  const { environment, project, is_local: isLocal, may_write: mayWrite } = page.place;
  document.getElementById("place").textContent =
    `${environment} · ${project}${mayWrite ? "" : " · shows only"}`;
  document.title = `${environment} · console`;
  const there = VIEWS.filter(([name]) => isLocal || name !== "local");
  document.getElementById("tabs").append(...there.map(([name, label]) =>
    h("li", {}, h("a", { href: `#/${name}`, "data-view": name }, label))));
  document.getElementById("finder").addEventListener("submit", (event) => {
    event.preventDefault();
    if (find.value.trim()) go("show", find.value.trim());
  });
  addEventListener("hashchange", render);
  addEventListener("keydown", key);
  await render();
  await tick();
  setInterval(tick, 2000);
  setInterval(() => countOn(page.time()), 1000);
}

start().catch((error) => note(error.message));
