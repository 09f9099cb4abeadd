// Queues and schedules; and what only the local cloud can do: publish, travel in time, be nasty.

import { get, post } from "/api.js";
import { every, h, state, table, text, time } from "/dom.js";

export function queues(place, page) {
  return every(page, place, page.place.is_local ? 2000 : 30000, () => get("queues"), (found) => {
    place.replaceChildren(
      table("Queues", [
        ["queue", (row) => text(row.id)],
        ["state", (row) => state(row.state)],
        ["tasks", (row) => text(row.tasks), "number"],
        ["in flight", (row) => text(row.in_flight), "number"],
        ["next", (row) => time(row.next_due, page.time()), "time"],
      ], found.queues, "No queue."),
      h("h3", {}, "Schedules"),
      table("Cloud Scheduler's jobs", [
        ["job", (row) => text(row.id)],
        ["state", (row) => state(row.state)],
        ["when", (row) => `${text(row.schedule)} ${text(row.zone)}`],
        ["next", (row) => time(row.next, page.time()), "time"],
        ["", (row) => (page.place.is_local ? fire(page, row.id) : "")],
      ], found.schedules, "No schedule."),
      h("h3", {}, "Subscriptions"),
      table("What Pub/Sub has not delivered yet", [
        ["subscription", (row) => text(row.id)],
        ["waiting", (row) => text(row.backlog), "number"],
      ], found.subscriptions, "No subscription."),
    );
  });
}

function fire(page, job) {
  const made = h("button", { type: "button" }, "Fire now");
  made.addEventListener("click", () => attempt(page, async () => {
    await post("local/tick", { job });
    return `${job} has been fired`;
  }));
  return made;
}

async function attempt(page, act) {
  try {
    page.note(await act());
  } catch (error) {
    page.note(error.message);
  }
}

export async function local(place, page) {
  const examples = await get("examples");
  place.append(h("div", { class: "columns" },
    publishing(page, examples), travelling(page), disturbing(page),
    h("fieldset", { id: "processes" }), h("fieldset", { id: "counts" })));
  const counts = place.querySelector("#counts");
  const processes = place.querySelector("#processes");
  return every(page, counts, 2000, standing, (found) => {
    counts.replaceChildren(
      h("legend", {}, "So far"),
      table("Deliveries and calls", [
        ["what", (row) => row[0]], ["how many", (row) => text(row[1]), "number"],
      ], Object.entries(found.counts), "Nothing yet."),
    );
    processes.replaceChildren(
      h("legend", {}, "Functions"),
      table("Their processes", [
        ["function", (row) => text(row.name)],
        ["state", (row) => state(row.state)],
        ["", (row) => kill(page, row.name)],
      ], found.functions, "No function."),
    );
  });
}

// Without the clock, which is another one in each answer.
async function standing() {
  const { deliveries, ignored_events: ignored, functions } = await get("local/status");
  return {
    counts: { ...deliveries, ...ignored },
    functions: functions.map(({ name, state: its }) => ({ name, state: its })),
  };
}

function kill(page, name) {
  const made = h("button", { type: "button", class: "danger" }, `Kill ${name}`);
  made.addEventListener("click", () => attempt(page, async () => {
    const { killed } = await post("local/crash", { function: name, now: true });
    return `${killed} processes of ${name} were killed`;
  }));
  return made;
}

function publishing(page, examples) {
  const names = Object.keys(examples);
  const which = h("select", { id: "example" }, names.map((name) => h("option", {}, name)));
  const event = h("textarea", { id: "event", rows: 12, spellcheck: "false" });
  const fill = () => {
    const id = crypto.randomUUID().slice(0, 8);
    event.value = JSON.stringify({ event_id: `${which.value}-${id}`, ...examples[which.value] }, null, 2);
  };
  which.addEventListener("change", fill);
  fill();
  return form(page, "Publish", "Publish it", [
    h("label", { for: "example" }, "Example "), which,
    h("label", { for: "event" }, "Event"), event,
  ], async () => {
    const found = JSON.parse(event.value);
    await post("local/publish", { events: Array.isArray(found) ? found : [found] });
    if (found.event_id) page.go("show", found.event_id);
    return "published";
  });
}

function travelling(page) {
  const amount = h("select", { id: "amount" }, [["1 hour", 3600], ["2 hours", 7200], ["1 day", 86400],
    ["7 days", 604800], ["30 days", 2592000]].map(([label, value]) => h("option", { value }, label)));
  return form(page, "Travel in time", "Go", [h("label", { for: "amount" }, "By "), amount], async () => {
    const answer = await post("local/advance", { seconds: Number(amount.value) });
    return `it is ${answer.now.slice(0, 19).replace("T", " ")}`;
  });
}

function disturbing(page) {
  const rates = ["duplicates", "crashes", "errors", "lost_replies"].map((name) => [name,
    h("input", { id: name, type: "number", min: 0, max: 1, step: 0.05, value: 0 })]);
  return form(page, "Be nasty", "Set", rates.map(([name, made]) => h("p", {},
    h("label", { for: name }, `${name.replace("_", " ")} `), made)), async () => {
    const plan = Object.fromEntries(rates.map(([name, made]) => [name, Number(made.value)]));
    const some = Object.values(plan).some(Boolean);
    await post("local/faults", some ? { seed: 1, ...plan } : {});
    return some ? "from now on" : "nothing goes wrong any more";
  });
}

function form(page, title, verb, inside, act) {
  const go = h("button", {}, verb);
  const made = h("form", {}, h("fieldset", {}, h("legend", {}, title), inside, h("p", {}, go)));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    await attempt(page, act);
    go.disabled = false;
  });
  return made;
}
