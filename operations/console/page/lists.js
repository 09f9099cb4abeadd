// Reminders, messages, dead letters and runs: a list of each, and one of them whole.

import { get, post } from "/api.js";
import { every, fields, h, link, state, table, text, time } from "/dom.js";

const WHOSE = (row) => (row.user_id ? link(["show", row.user_id], row.user_id) : "");

// A list that is asked for again when one of its filters changes.
function filtered(place, page, name, filters, draw) {
  const result = h("div");
  const inputs = Object.fromEntries(filters.map(([id, , made]) => [id, made]));
  place.append(
    h("div", { class: "bar" }, filters.map(([id, label, made]) => [
      h("label", { for: id }, label), Object.assign(made, { id }),
    ])),
    result,
  );
  async function load() {
    try {
      const asked = Object.fromEntries(Object.entries(inputs).map(([id, made]) => [id, made.value.trim()]));
      result.replaceChildren(draw(await get(name, asked), load));
    } catch (error) {
      result.replaceChildren(h("p", { class: "bad" }, error.message));
    }
  }
  for (const made of Object.values(inputs)) made.addEventListener("change", load);
  return load();
}

function choice(...values) {
  return h("select", {}, values.map((each) => h("option", { value: each }, each)));
}

function button(label, page, act, kind = false) {
  const made = h("button", { type: "button", class: kind, disabled: !page.place.may_write }, label);
  if (!page.place.may_write) made.title = "This console only shows; start it with --write.";
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await act();
    } catch (error) {
      page.note(error.message);
    }
    made.disabled = !page.place.may_write;
  });
  return made;
}

// Reminders

export async function reminders(place, page) {
  await filtered(place, page, "reminders", [
    ["state", "State", choice("waiting", "pending", "sending", "sent", "skipped", "cancelled", "dead", "any")],
    ["user_id", "of user", h("input", { type: "search" })],
    ["kind", "kind", h("input", { type: "search", placeholder: "cart_abandonment" })],
  ], (rows) => table("Reminders, those due first first", [
    ["reminder", (row) => link(["reminder", row.id], row.id)],
    ["state", (row) => state(row.state)],
    ["user", WHOSE],
    ["due", (row) => time(row.due_at), "time"],
    ["", (row) => (["pending", "sending"].includes(row.state) ? time(row.due_at, page.time()) : ""), "time"],
  ], rows, "No reminder is like that."));
}

export async function reminder(place, page, id) {
  const { payload, history, ...found } = await get("reminder", { id });
  const change = async (name, asked) => {
    const answer = await post(name, { id, ...asked });
    page.note(`${id}: ${answer.state}`);
    place.replaceChildren();
    await reminder(place, page, id);
  };
  const cancel = button("Cancel it", page, () => change("cancel", {}));
  const open = ["pending", "sending"].includes(found.state);
  place.append(
    h("h2", {}, found.id),
    h("div", { class: "bar" }, state(found.state), open && cancel, link(["show", found.id], "what happened")),
    open && moving(page, found.due_at, (at) => change("reschedule", { at })),
    fields({ ...found, state: null, id: null, user_id: WHOSE(found) }),
    history && h("h3", {}, "History"), history && h("pre", {}, JSON.stringify(history, null, 2)),
    h("h3", {}, "Payload"), h("pre", {}, JSON.stringify(payload ?? null, null, 2)),
  );
}

// A time is typed, and shown everywhere, in UTC. Enter in the field does it too.
function moving(page, due, move) {
  const at = h("input", { id: "at", type: "datetime-local", step: 1, required: true });
  at.value = new Date(due).toISOString().slice(0, 19);
  const go = button("Move it", page, () => at.reportValidity() && move(`${at.value}Z`));
  go.type = "submit"; // which a browser clicks for Enter
  return h("form", { class: "bar", onsubmit: (event) => event.preventDefault() },
    h("label", { for: "at" }, "Send it at (UTC)"), at, go);
}

// Messages

export async function messages(place, page) {
  await filtered(place, page, "messages", [
    ["user_id", "To user", h("input", { type: "search" })],
  ], (rows) => table("Messages of the last day, or all to one user; the latest first", [
    ["sent", (row) => time(row.sent_at), "time"],
    ["subject", (row) => link(["message", row.id], row.subject || row.id)],
    ["template", (row) => text(row.template)],
    ["to", (row) => text(row.to)],
    ["user", WHOSE],
    ["by", (row) => text(row.transport)],
  ], rows, "No message."));
}

export async function message(place, page, id) {
  const { text: body, ...found } = await get("message", { id });
  place.append(
    h("h2", {}, found.subject || found.id),
    fields({ ...found, id: null, subject: null, user_id: WHOSE(found),
      cause: found.cause && link(["show", found.cause], found.cause) }),
    h("div", { class: "columns" },
      h("div", {}, h("h3", {}, "As its reader sees it"),
        h("iframe", { src: `/api/frames/${encodeURIComponent(found.id)}`, sandbox: true, title: "The message" })),
      h("div", {}, h("h3", {}, "As text"), h("pre", {}, text(body)))),
  );
}

// Dead letters

export async function letters(place, page) {
  const lane = h("p", { class: "faint" });
  place.append(lane);
  get("slow-lane").then(
    (found) => { lane.textContent = found.map(laneText).join(" "); },
    (error) => { lane.textContent = `The slow lane was not asked: ${error.message}`; },
  );
  await filtered(place, page, "letters", [
    ["state", "State", choice("open", "waiting", "replayed", "discarded", "any")],
    ["reason", "reason", h("input", { type: "search", placeholder: "permanent, outage …" })],
    ["event_type", "event type", h("input", { type: "search" })],
    ["user_id", "user", h("input", { type: "search" })],
  ], (rows, again) => h("div", {}, allOf(page, rows, again),
    rows.some((row) => row.state === "waiting") ? waiting(page, rows) : given(rows)));
}

function laneText(lane) {
  return `${text(lane.backlog ?? "An unknown number of")} messages are in the slow lane.`;
}

function allOf(page, rows, again) {
  const open = rows.filter((row) => row.state === "open");
  return open.length > 0 && h("div", { class: "bar" },
    button(`Replay the ${open.length} that are open`, page, () => replayAll(page, open, again)));
}

function given(rows) {
  return table("Dead letters, those seen last first", [
    ["last seen", (row) => time(row.last_seen), "time"],
    ["letter", (row) => link(["letter", row.id], row.event_id || row.key || row.id)],
    ["state", (row) => state(row.state)],
    ["from", (row) => text(row.source)],
    ["reason", (row) => text(row.reason)],
    ["error", (row) => text(row.error).slice(0, 200)],
    ["user", WHOSE],
  ], rows, "No dead letter is like that.");
}

function waiting(page, rows) {
  return table("What waits, and goes on by itself", [
    ["since", (row) => time(row.since), "time"],
    ["work", (row) => link(["show", row.id], row.id)],
    ["what", (row) => text(row.effect)],
    ["from", (row) => text(row.source)],
    ["why", (row) => `${text(row.reason)}: ${text(row.error).slice(0, 200)}`],
    ["tries", (row) => text(row.attempts), "number"],
    ["next", (row) => time(row.next, page.time()), "time"],
    ["user", WHOSE],
  ], rows, "Nothing waits.");
}

async function replayAll(page, open, again) {
  let done = 0;
  for (const row of open) {
    try {
      await post("replay", { id: row.id });
      done += 1;
    } catch (error) {
      page.note(`${row.id}: ${error.message}`);
    }
  }
  page.note(`${done} of ${open.length} sent again`);
  await again();
}

export async function letter(place, page, id) {
  const { payload, ...found } = await get("letter", { id });
  const correction = h("textarea", { id: "correction", rows: 12, spellcheck: "false" });
  correction.value = pretty(payload);
  const given = correction.value;
  const reason = h("input", { id: "because", placeholder: "why" });
  const after = async (sentence) => {
    page.note(sentence);
    place.replaceChildren();
    await letter(place, page, id);
  };
  const replay = button("Replay it", page, async () => {
    const corrected = correction.value === given ? {} : { payload: correction.value };
    const answer = await post("replay", { id, ...corrected });
    await after(`${id.slice(0, 12)}…: ${answer.state}`);
  });
  const discard = button("Discard it", page, async () => {
    const answer = await post("discard", { id, reason: reason.value });
    await after(`${id.slice(0, 12)}…: ${answer.state}`);
  }, "danger");
  place.append(
    h("h2", {}, `${text(found.reason)}: ${text(found.event_id || found.key || found.id)}`),
    h("div", { class: "bar" }, state(found.state),
      found.event_id && link(["show", found.event_id], "what happened")),
    h("p", { class: "bad" }, text(found.error)),
    fields({ ...found, state: null, error: null, user_id: WHOSE(found) }),
    h("h3", {}, h("label", { for: "correction" }, "What was received; change it to correct it")),
    correction,
    found.state === "open" && h("div", { class: "bar" }, replay,
      h("label", { for: "because" }, "or close it, because"), reason, discard),
  );
}

function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 2);
  } catch {
    return text(payload);
  }
}

// Campaigns

export async function campaigns(place, page) {
  await filtered(place, page, "campaigns", [
    ["state", "State", choice("", "running", "complete", "cancelled")],
  ], (rows) => table("Runs, those begun last first", [
    ["run", (row) => link(["campaign", row.id], row.id)],
    ["state", (row) => state(row.state)],
    ["period", (row) => text(row.period)],
    ["begun", (row) => time(row.started_at), "time"],
    ["expected", (row) => text(row.expected), "number"],
    ["enqueued", (row) => text(row.enqueued), "number"],
    ["sent", (row) => text(row.sent), "number"],
    ["failed", (row) => text(row.failed), "number"],
    ["shards", (row) => `${text(row.shards_done)} of ${text(row.shards)}`, "number"],
  ], rows, "No run."));
}

export function campaign(place, page, id) {
  const draw = (found) => place.replaceChildren(...run(found, page, draw));
  return every(page, place, 3000, () => get("campaign", { id }), draw);
}

function run(found, page, draw) {
  const done = (found.enqueued ?? 0) + (found.duplicate ?? 0) + (found.failed ?? 0);
  const settled = (found.sent ?? 0) + (found.skipped ?? 0) + (found.dead ?? 0);
  const stop = button("Stop it", page, async () => {
    const answer = await post("stop", { id: found.id });
    page.note(`${found.id}: ${answer.state}; ${answer.sent} were sent before`);
    draw(await get("campaign", { id: found.id }));
  }, "danger");
  return [
    h("h2", {}, found.id),
    h("div", { class: "bar" }, state(found.state), found.expected && [
      progress("enqueued", done, found.expected), progress("sent or skipped", settled, found.expected),
    ], found.state === "running" || settled < done ? stop : false),
    fields({ ...found, id: null, state: null }),
  ];
}

function progress(label, value, max) {
  return h("label", {}, `${label} ${value} of ${max} `, h("progress", { max, value, "aria-label": label }));
}
