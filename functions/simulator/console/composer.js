// Writing a message: by form or as JSON, and what it will look like on each phone.

import { call, sendPath } from "./api.js";
import { body, suggestions } from "./content.js";
import { $, copy, fill, h, say } from "./dom.js";
import { FIRST } from "./phones.js";
import { asCurl, asPython } from "./timeline.js";
import { get } from "./api.js";
import { open } from "./messages.js";
import { set, state } from "./state.js";
import { POLICIES } from "./words.js";

const KINDS = { text: "Text", card: "Card", carousel: "Carousel", json: "JSON" };
const TRAFFIC = { "": "Not said", AUTHENTICATION: "Authentication", TRANSACTION: "Transaction", PROMOTION: "Promotion", SERVICEREQUEST: "Service request", ACKNOWLEDGEMENT: "Acknowledgement" };
const OPTIONS = { reply: "Reply", openUrlAction: "Open URL", dialAction: "Dial", viewLocationAction: "Show place", shareLocationAction: "Ask for location", createCalendarEventAction: "Calendar" };
const HINTS = { reply: "postback data", openUrlAction: "https://…", dialAction: "+1…", viewLocationAction: "what to search for", shareLocationAction: "postback data", createCalendarEventAction: "title" };
const PAUSE = 250;
const MOST_NAMED = 5;

const newCard = (title = "", description = "") => ({ title, description, media: "", height: "MEDIUM", suggestions: [] });
const fresh = () => ({
  to: state.phone ?? FIRST[0].number, agent: state.agents[0], kind: "text", text: "Your table for two is ready.", json: "",
  card: { ...newCard("Table for two", "Tonight at 19:30."), media: "https://example.com/table.jpg", suggestions: [{ kind: "reply", text: "I am coming", value: "yes" }] },
  orientation: "VERTICAL", width: "MEDIUM",
  cards: [{ ...newCard("Window seat", "By the water."), media: "https://example.com/window.jpg" }, { ...newCard("Garden", "Under the trees."), media: "https://example.com/garden.jpg" }],
  suggestions: [{ kind: "reply", text: "I am coming", value: "yes" }, { kind: "reply", text: "Cancel it", value: "no" }],
  traffic: "TRANSACTION", ttl: "60s", policy: "", sms: "",
});

let draft = null;
let errors = [];
let preview = { state: "none" };
let reserved = [];
let waiting = 0;
let asked = 0;
let offered = true;

const suggestion = ({ kind, text, value }) => {
  const postbackData = kind === "reply" || kind === "shareLocationAction" ? value || text : text;
  if (kind === "reply") return { reply: { text, postbackData } };
  const start = new Date(Date.now() + 86400000).toISOString().slice(0, 14);
  const action = {
    openUrlAction: { url: value }, dialAction: { phoneNumber: value }, viewLocationAction: { query: value }, shareLocationAction: {},
    createCalendarEventAction: { title: value, startTime: `${start}00:00Z`, endTime: `${start}30:00Z` },
  }[kind];
  return { action: { text, postbackData, [kind]: action } };
};
const cardOf = ({ title, description, media, height, suggestions: given }) => ({
  ...(title && { title }), ...(description && { description }),
  ...(media && { media: { height, contentInfo: { fileUrl: media } } }),
  ...(given.length && { suggestions: given.map(suggestion) }),
});

const content = () => {
  const chips = draft.suggestions.length ? { suggestions: draft.suggestions.map(suggestion) } : {};
  if (draft.kind === "text") return { text: draft.text, ...chips };
  if (draft.kind === "card") {
    const side = draft.orientation === "HORIZONTAL" ? { thumbnailImageAlignment: "LEFT" } : {};
    return { richCard: { standaloneCard: { cardOrientation: draft.orientation, ...side, cardContent: cardOf(draft.card) } }, ...chips };
  }
  return { richCard: { carouselCard: { cardWidth: draft.width, cardContents: draft.cards.map(cardOf) } }, ...chips };
};

const wholeBody = () => ({
  contentMessage: content(), ...(draft.traffic && { messageTrafficType: draft.traffic }), ...(draft.ttl && { ttl: draft.ttl }),
  ...(draft.policy === "NONE" ? { fallback: false } : draft.policy || draft.sms ? { fallback: { ...(draft.policy && { policy: draft.policy }), ...(draft.sms && { text: draft.sms }) } } : {}),
});

// The request as it stands, or why there is none.
const request = () => {
  if (draft.kind !== "json") return wholeBody();
  try {
    return JSON.parse(draft.json);
  } catch (error) {
    throw Object.assign(new Error("This is not JSON."), { fields: [{ field: "json", description: error.message }] });
  }
};

const plain = (path) => path.replaceAll("[", ".").replaceAll("]", "");
const errorsAt = (path) => errors.filter(({ field }) => plain(field) === path || plain(field).startsWith(`${path}.`));
let placed = new Set();
const field = (path, label, input) => {
  const found = errorsAt(path).filter((error) => !placed.has(error));
  for (const error of found) placed.add(error);
  const id = `error-${path.replaceAll(".", "-")}`;
  if (found.length) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
  }
  input.id ||= `field-${path.replaceAll(".", "-")}`;
  return h("div", { class: "field", "data-field": path }, h("label", { for: input.id }, label), input,
    found.length ? h("span", { class: "error", id }, found.map((error) => error.description).join("; ")) : null);
};

const edited = () => {
  errors = [];
  draw();
  clearTimeout(waiting);
  waiting = setTimeout(validate, PAUSE);
};
const bind = (holder, name, props = {}) => ({ value: holder[name], autocomplete: "off", ...props, oninput: (event) => { holder[name] = event.target.value; edited(); } });
const pick = (holder, name, options, props = {}) => h("select", { ...bind(holder, name, props) }, Object.entries(options).map(([value, label]) => h("option", { value }, label)));

const validate = async () => {
  if (!draft) return;
  const mine = asked += 1;
  let given;
  try {
    given = request();
  } catch (error) {
    errors = error.fields;
    draw();
    return;
  }
  if (!offered) return;
  try {
    const told = await call("POST", sendPath(draft.to, `preview-${mine}`, draft.agent, "&validateOnly=true"), given);
    if (mine === asked) preview = { state: "told", told };
  } catch (error) {
    if (error.status === undefined) throw error;
    if (mine !== asked || !draft) return;
    if (error.status === 501 || error.fields?.some(({ field: name }) => name === "validateOnly")) {
      offered = false;
      preview = { state: "unknown" };
    } else {
      errors = error.fields.length ? error.fields : [{ field: "", description: error.message }];
      preview = { state: "refused" };
    }
  }
  draw();
};

const send = async () => {
  const id = `console-${Date.now().toString(36)}`;
  try {
    const sent = await call("POST", sendPath(draft.to, id, draft.agent), request());
    close();
    set({ view: "messages" });
    open({ name: sent.name, agentId: draft.agent }, { follow: true });
    say("Sent.");
  } catch (error) {
    errors = error.fields?.length ? error.fields : [{ field: "", description: error.message }];
    draw();
    document.querySelector("#composer [aria-invalid]")?.focus();
  }
};

const suggestionRows = (given, path, most) => h("fieldset", { "data-key": path },
  h("legend", {}, "Suggestions"),
  given.map((one, place) => h("div", { class: "suggestion" },
    pick(one, "kind", OPTIONS, { "aria-label": "Kind" }),
    h("input", bind(one, "text", { placeholder: "label", "aria-label": "Label", maxlength: 60 })),
    h("input", bind(one, "value", { placeholder: HINTS[one.kind], "aria-label": HINTS[one.kind] })),
    h("button", { type: "button", class: "plain", "aria-label": `Remove suggestion ${place + 1}`, onclick: () => { given.splice(place, 1); edited(); } }, "✕"),
    errorsAt(`${path}.${place}`).map((error) => { placed.add(error); return h("span", { class: "error" }, `${error.field.split(".").pop()}: ${error.description}`); }))),
  given.length < most ? h("button", { type: "button", class: "plain", onclick: () => { given.push({ kind: "reply", text: "Yes", value: "yes" }); edited(); } }, "Add a suggestion") : null);

const cardFields = (card, path, more = null) => h("div", { class: "piece", "data-key": path },
  field(`${path}.title`, "Title", h("input", bind(card, "title"))),
  field(`${path}.description`, "Description", h("textarea", bind(card, "description", { rows: 2 }))),
  h("div", { class: "pair" },
    field(`${path}.media`, "Picture, video or PDF (URL)", h("input", bind(card, "media", { placeholder: "https://…" }))),
    field(`${path}.height`, "Its height", pick(card, "height", { SHORT: "Short, 112 dp", MEDIUM: "Medium, 168 dp", TALL: "Tall, 264 dp" }))),
  suggestionRows(card.suggestions, `${path}.suggestions`, 4), more);

const pieces = () => {
  if (draft.kind === "json") {
    return field("json", "The whole request", h("textarea", { class: "json", spellcheck: "false", ...bind(draft, "json") }));
  }
  const chips = suggestionRows(draft.suggestions, "contentMessage.suggestions", 11);
  if (draft.kind === "text") return [field("contentMessage.text", "Text", h("textarea", bind(draft, "text", { rows: 3 }))), chips];
  if (draft.kind === "card") {
    return [field("contentMessage.richCard.standaloneCard.cardOrientation", "Orientation", pick(draft, "orientation", { VERTICAL: "Vertical", HORIZONTAL: "Horizontal" })),
      cardFields(draft.card, "contentMessage.richCard.standaloneCard.cardContent"), chips];
  }
  return [field("contentMessage.richCard.carouselCard.cardWidth", "Width of the cards", pick(draft, "width", { SMALL: "Small", MEDIUM: "Medium" })),
    draft.cards.map((card, place) => cardFields(card, `contentMessage.richCard.carouselCard.cardContents.${place}`,
      draft.cards.length > 2 ? h("button", { type: "button", class: "plain", onclick: () => { draft.cards.splice(place, 1); edited(); } }, `Remove card ${place + 1}`) : null)),
    draft.cards.length < 10 ? h("button", { type: "button", class: "plain", onclick: () => { draft.cards.push(newCard("Another")); edited(); } }, "Add a card") : null, chips];
};

const form = () => {
  placed = new Set();
  const rows = [
    h("h2", { id: "composer-title" }, "New message"),
    field("phone", "To", h("input", bind(draft, "to", { id: "to", list: "known-phones", inputmode: "tel", required: true }))),
    state.agents.length > 1 ? field("agentId", "From", pick(draft, "agent", Object.fromEntries(state.agents.map((agent) => [agent, agent])))) : null,
    h("datalist", { id: "known-phones" }, FIRST.map(({ number, name }) => h("option", { value: number }, name)), reserved.map(({ number, description }) => h("option", { value: number }, description))),
    h("div", { class: "segments", role: "group", "aria-label": "Kind of content" }, Object.entries(KINDS).map(([kind, label]) =>
      h("button", { type: "button", "aria-pressed": String(draft.kind === kind), onclick: () => {
        if (kind === "json" && draft.kind !== "json") draft.json = JSON.stringify(wholeBody(), null, 2);
        draft.kind = kind;
        edited();
      } }, label))),
    h("div", { "data-key": draft.kind }, h("fieldset", {}, h("legend", { class: "hidden" }, "Content"), pieces())),
    draft.kind === "json" ? null : [
      h("div", { class: "pair" },
        field("messageTrafficType", "Kind of message", pick(draft, "traffic", TRAFFIC)),
        field("ttl", "Deadline after", h("input", bind(draft, "ttl", { placeholder: "60s", id: "ttl" })))),
      field("fallback.policy", "When the SMS may leave", pick(draft, "policy", POLICIES)),
      draft.policy === "NONE" ? null : field("fallback.text", "What the SMS says, if not the same", h("textarea", bind(draft, "sms", { rows: 2, placeholder: "Empty: derived from the content" })))],
  ];
  const rest = errors.filter((error) => !placed.has(error));
  return h("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); send(); } }, rows,
    rest.length ? h("p", { class: "error", role: "alert" }, rest.map(({ field: name, description }) => (name ? `${name}: ${description}` : description)).join("; ")) : null,
    h("div", { class: "end" },
      h("details", { class: "menu" }, h("summary", {}, "Copy"), h("div", { class: "sheet" },
        h("button", { type: "button", class: "line", onclick: () => copy(asCurl(draft.to, "from-console", draft.agent, request()), "curl command") }, "As curl"),
        h("button", { type: "button", class: "line", onclick: () => copy(asPython(draft.to, "from-console", draft.agent, request()), "Python program") }, "As Python"))),
      h("button", { type: "button", class: "plain", onclick: close }, "Close"),
      h("button", { class: "primary", id: "send" }, "Send")));
};

const nothing = () => {};
const rcsFace = (shown, system, label) => h("section", { class: `face-shown ${system}`, "data-key": system }, h("h3", {}, label),
  h("div", { class: `screenlet ${system}` }, shown ? [body(shown, system, nothing), suggestions(shown, system, nothing)] : h("p", { class: "quiet" }, "Nothing to show.")));

const smsFace = () => {
  const told = preview.told;
  const fallback = preview.state === "told" ? told.fallback : null;
  let under;
  if (draft.policy === "NONE" || (fallback === false)) under = ["No SMS is sent for this message."];
  else if (fallback) {
    under = [[`${fallback.segments ?? "?"} ${fallback.segments === 1 ? "segment" : "segments"}`, fallback.encoding, fallback.forcedBy?.length ? `because of ${fallback.forcedBy.slice(0, MOST_NAMED).map((letter) => `“${letter}”`).join(" ")}` : null, fallback.cut ? "shortened" : null, told.rcsLength ? `RCS: ${told.rcsLength} bytes` : null].filter(Boolean).join(" · ")];
  } else if (preview.state === "refused") under = ["Not while something above is wrong."];
  else if (preview.state === "unknown") under = ["This server does not preview the SMS. What it will say is in the answer to Send."];
  else under = ["…"];
  const text = fallback ? fallback.text : preview.state === "unknown" && draft.policy !== "NONE" && draft.kind !== "json" ? draft.sms || draft.text : "";
  return h("section", { class: "face-shown", "data-key": "sms" }, h("h3", {}, "As SMS"),
    h("div", { class: "screenlet sms", id: "sms-face" }, text || "–"),
    fallback?.replies?.length ? h("p", { class: "quiet" }, `Answers understood: ${fallback.replies.map(({ number, text: label }) => `${number} ${label}`).join(", ")}`) : null,
    h("p", { class: "quiet", id: "sms-size" }, under));
};

const draw = () => {
  const dialog = $("composer");
  if (!dialog || !draft) return;
  let shown = null;
  try { shown = request().contentMessage; } catch { /* said at the field */ }
  let faces;
  try {
    faces = [rcsFace(shown, "android", "On Android"), rcsFace(shown, "iphone", "On iPhone")];
  } catch {
    // Half-written JSON may have any shape.
    faces = [h("p", { class: "quiet" }, "This content cannot be shown.")];
  }
  fill(dialog, [h("div", { class: "composer" }, form(), h("div", { class: "faces", "aria-live": "off" }, h("h2", {}, "Preview"), faces, smsFace()))]);
};

const close = () => $("composer")?.close();

// Open the composer; what was begun and not sent is there again.
export const compose = () => {
  const dialog = h("dialog", { id: "composer", "aria-labelledby": "composer-title", onclose: () => dialog.remove() });
  document.body.append(dialog);
  draft = { ...(draft ?? fresh()), to: state.phone ?? draft?.to ?? FIRST[0].number };
  errors = [];
  draw();
  dialog.showModal();
  validate();
  get("/simulator/reserved").then((told) => { ({ reserved } = told); draw(); }).catch(() => {});
};
