// One thing's timeline across functions.

import { get } from "/api.js";
import { fields, h, link, state, text, time } from "/dom.js";

export async function show(place, page, id) {
  const found = await get("show", { id });
  place.append(h("h2", {}, found.id), ...found.things.map((thing) => h("section", {},
    h("h3", {}, `${thing.kind} ${thing.id}`),
    h("div", { class: "bar" }, state(thing.state), h("span", {}, text(thing.now))),
    fields(thing.fields ?? {}))));
  place.append(h("h3", {}, "Timeline"), h("ol", { class: "timeline" }, found.timeline.map((entry) =>
    h("li", {}, time(entry.at), h("strong", {}, text(entry.what)), " ",
      entry.id && entry.id !== id ? link(["show", entry.id], entry.id) : "", " ",
      state(entry.state), " ", h("span", { class: "faint" }, text(entry.detail))))));
  if (found.next.length) {
    place.append(h("h3", {}, "What happens next"), h("ul", {}, found.next.map((each) => h("li", {},
      text(each.what), " ", each.at ? time(each.at, page.time()) : ""))));
  }
  const timer = setTimeout(() => { place.replaceChildren(); show(place, page, id); },
    page.place.is_local ? 3000 : 30000);
  return () => clearTimeout(timer);
}
