// What happens now: a live list, that which came last first, with filters.

import { get } from "/api.js";
import { h, line, link, state, text, time } from "/dom.js";

const SHOWN = 400; // rows in the page
const KEPT = 5000; // rows in memory, for the filters
const PAUSE = { local: 1500, real: 10000 };
const OPEN = ["claimed", "waiting", "owed", "pending", "sending", "open"];

const COLUMNS = [
  ["time", (row) => time(row.at), "time"],
  ["what", (row) => text(row.what), "time"],
  ["id", (row) => link(["show", row.id], row.id)],
  ["state", (row) => state(row.state)],
  ["attempts", (row) => text(row.attempts), "number"],
  ["", (row) => text(row.detail).slice(0, 300)],
];

export async function now(place, page) {
  const rows = new Map();
  const lines = new Map();
  const what = h("select", { id: "what" }, h("option", { value: "" }, "everything"));
  const words = h("input", { id: "words", type: "search", placeholder: "id, user, text …" });
  const counts = h("span", { class: "faint", role: "status" });
  const body = h("tbody");
  const head = h("tr", {}, COLUMNS.map(([label]) => h("th", { scope: "col" }, label)));
  place.append(
    h("div", { class: "bar" },
      h("label", { for: "what" }, "Show"), what,
      h("label", { for: "words" }, "with"), words, counts),
    h("div", { class: "table" }, h("table", { id: "happenings" },
      h("caption", {}, "What happens now, the latest first"), h("thead", {}, head), body)),
  );

  let cursors = {};
  let stopped = false;
  let timer;

  function matches(row) {
    const wanted = words.value.trim().toLowerCase();
    return (!what.value || row.what === what.value)
      && (!wanted || JSON.stringify(row).toLowerCase().includes(wanted));
  }

  function draw(fresh) {
    const latest = [...rows.values()].filter(matches)
      .sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, SHOWN);
    const made = latest.map((row) => {
      const known = lines.get(row.path);
      if (known?.row === row) return known.line;
      const drawn = line(COLUMNS, row);
      if (fresh) drawn.classList.add("new");
      lines.set(row.path, { row, line: drawn });
      return drawn;
    });
    body.replaceChildren(...made);
    counts.textContent = `${latest.length} of ${rows.size}`;
  }

  function take(found) {
    let changed = false;
    for (const row of found) {
      const known = rows.get(row.path);
      if (known && JSON.stringify(known) === JSON.stringify(row)) continue;
      rows.set(row.path, row);
      changed = true;
      if (![...what.options].some((each) => each.value === row.what)) {
        what.append(h("option", { value: row.what }, row.what));
      }
    }
    while (rows.size > KEPT) {
      const first = rows.keys().next().value;
      rows.delete(first);
      lines.delete(first);
    }
    return changed;
  }

  async function look(fresh) {
    const open = [...rows.values()].filter((row) => OPEN.includes(row.state)).slice(-100);
    const again = open.map((row) => row.path).join("\n");
    const found = await get("now", { cursors: JSON.stringify(cursors), again });
    cursors = found.cursors;
    if (take([...found.again, ...found.rows]) || !fresh) draw(fresh);
    return found.rows.length >= 300;
  }

  async function watch() {
    let more = false;
    try {
      more = await look(true);
    } catch (error) {
      counts.textContent = error.message;
    }
    if (!stopped) timer = setTimeout(watch, more ? 0 : PAUSE[page.place.is_local ? "local" : "real"]);
  }

  what.addEventListener("change", () => draw(false));
  words.addEventListener("input", () => draw(false));
  await look(false);
  watch();
  return () => { stopped = true; clearTimeout(timer); };
}
