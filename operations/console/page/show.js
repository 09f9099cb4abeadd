// One thing's timeline across functions.

import { get } from "/api.js";
import { every, fields, h, link, state, text, time } from "/dom.js";

export function show(place, page, id) {
  return every(page, place, page.place.is_local ? 3000 : 30000, () => get("show", { id }),
    (found) => place.replaceChildren(...drawn(found, page)));
}

function drawn(found, page) {
  const made = [h("h2", {}, found.id), h("ul", { class: "things" }, found.things.map(standing)),
    h("h3", {}, "Timeline"),
    h("ol", { class: "timeline" }, found.timeline.map((entry) => happened(entry, found.id)))];
  if (found.next.length) {
    made.push(h("h3", {}, "What happens next"), h("ul", {}, found.next.map((each) => h("li", {},
      text(each.what), " ", each.at ? time(each.at, page.time()) : ""))));
  }
  made.push(h("h3", {}, "What is kept"), ...found.things.map(kept));
  return made;
}

function standing(thing) {
  return h("li", {}, state(thing.state), " ", h("strong", {}, thing.kind), " ", itself(thing), " ",
    h("span", { class: "faint" }, text(thing.now)));
}

function kept(thing) {
  return h("details", {}, h("summary", {}, `${thing.kind} ${thing.id}`), fields(thing.fields ?? {}));
}

const VIEWS = { "dead letter": "letter", message: "message", reminder: "reminder", "campaign run": "campaign" };

function itself(thing) {
  const view = VIEWS[thing.kind];
  return view && !thing.id.startsWith("resume:") ? link([view, thing.id], thing.id) : thing.id;
}

function happened(entry, id) {
  return h("li", {}, time(entry.at), h("strong", {}, text(entry.what)), " ",
    entry.id && entry.id !== id ? link(["show", entry.id], entry.id) : "", " ",
    state(entry.state), " ", h("span", { class: "faint" }, text(entry.detail)));
}
