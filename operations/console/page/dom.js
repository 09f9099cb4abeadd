// Elements, made of text alone: nothing that is stored can become markup.

export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return made;
}

export function text(value) {
  if (value == null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function time(value, now) {
  if (!value) return "";
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return text(value);
  const shown = at.toISOString().slice(0, 19).replace("T", " ");
  const kind = now ? "countdown" : false;
  return h("time", { datetime: value, title: `${shown} UTC`, class: kind }, now ? countdown(at, now) : shown);
}

// Every countdown of the page goes on by itself.
export function countOn(now) {
  for (const each of document.querySelectorAll("time.countdown")) {
    const shown = countdown(new Date(each.dateTime), now);
    if (each.textContent !== shown) each.textContent = shown;
  }
}

// Asks now, and again whenever `pause` milliseconds have passed, until what is returned is called.
// `draw` gets an answer that is another one than before. What fails the first time stands in the place;
// later it is said, and what was drawn stays.
export async function every(page, place, pause, ask, draw) {
  let timer, known;
  let stopped = false;
  async function look() {
    try {
      const found = await ask();
      if (JSON.stringify(found) !== known) draw(found);
      known = JSON.stringify(found);
    } catch (error) {
      if (known) page.note(error.message);
      else place.replaceChildren(h("p", { class: "bad", role: "alert" }, error.message));
    }
    if (!stopped) timer = setTimeout(look, pause);
  }
  await look();
  return () => { stopped = true; clearTimeout(timer); };
}

export function countdown(at, now) {
  let seconds = Math.round((at - now) / 1000);
  const past = seconds < 0;
  seconds = Math.abs(seconds);
  const parts = [];
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const number = Math.floor(seconds / size);
    if (number || (unit === "s" && !parts.length)) parts.push(`${number} ${unit}`);
    seconds -= number * size;
  }
  const span = parts.slice(0, 2).join(" ");
  return past ? `${span} ago` : `in ${span}`;
}

const KINDS = {
  good: ["done", "sent", "complete", "replayed", "enabled", "running", "active"],
  wait: ["pending", "sending", "claimed", "waiting", "owed", "skipped", "cancelled", "discarded", "paused"],
  bad: ["dead", "open", "failed"],
};

export function state(value) {
  const shown = text(value);
  const kind = Object.keys(KINDS).find((each) => KINDS[each].includes(shown.toLowerCase()));
  return shown ? h("span", { class: `state ${kind ?? ""}` }, shown) : "";
}

export function link(path, shown) {
  const whole = text(shown);
  const short = /^[0-9a-f]{40,}$/.test(whole) ? `${whole.slice(0, 12)}…` : whole;
  const href = `#/${path.map(encodeURIComponent).join("/")}`;
  return h("a", { href, title: short !== whole && whole }, short);
}

// A table: `columns` are [label, cell of a row, class]; the first link of a row opens it.
export function table(caption, columns, rows, nothing) {
  if (!rows.length) return h("p", { class: "faint" }, nothing);
  const body = h("tbody", {}, rows.map((row) => line(columns, row)));
  const head = h("thead", {}, h("tr", {}, columns.map(([label]) => h("th", { scope: "col" }, label))));
  return h("div", { class: "table" }, h("table", {}, h("caption", {}, caption), head, body));
}

export function line(columns, row) {
  return h("tr", {}, columns.map(([label, cell, kind]) => {
    const made = h("td", { class: kind ?? false, "data-label": label }, cell(row));
    return made;
  }));
}

export function fields(values) {
  const shown = Object.entries(values).filter(([, value]) => value != null && value !== "");
  return h("dl", { class: "fields" }, shown.flatMap(([name, value]) => [
    h("dt", {}, name.replaceAll("_", " ")),
    h("dd", {}, value instanceof Node ? value : TIME.test(value) ? time(value) : text(value)),
  ]));
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:\d\d)$/;
