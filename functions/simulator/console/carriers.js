// What can go wrong at the carriers: switches one by one, and stories that set them.

import { call, del, get, put, sendPath } from "./api.js";
import { $, copy, fill, h, say } from "./dom.js";
import { watch } from "./live.js";
import { open } from "./messages.js";
import { set, state } from "./state.js";
import { OUTCOMES } from "./words.js";

const NAMES = { rbm: ["RBM", "Google's platform for RCS"], bandwidth: ["Bandwidth", "The provider of SMS"] };
const STATUSES = { rbm: [403, 404, 429, 500, 503], bandwidth: [400, 401, 429, 500, 503] };
const MEANS = { 400: "refused", 401: "not authorised", 403: "not allowed", 404: "not found", 429: "too many requests, or the queue is full", 500: "internal error", 503: "unavailable" };
const LOSSES = { answers: "answers: the request takes effect, its answer is lost", requests: "requests: closed without effect", events: "events: receipts and replies never come" };

let carriers = {};
let scenarios = [];
const errors = {};
const CLEAR = [["DELETE", "/simulator/carriers/rbm"], ["DELETE", "/simulator/carriers/bandwidth"]];

const stepsOf = (scenario) => [...CLEAR, ...scenario.steps];

// Set a story's switches, send its message, and look at what becomes of it.
export const play = async (name) => {
  scenarios = scenarios.length ? scenarios : await get("/console/scenarios.json");
  const scenario = scenarios.find((one) => one.name === name);
  const id = `${name}-${Date.now().toString(36)}`;
  try {
    for (const [method, path, body] of stepsOf(scenario)) await call(method, path, body);
    const [agentId] = state.agents;
    const sent = await call("POST", sendPath(scenario.to, id, agentId), scenario.send);
    set({ view: "messages" });
    open({ name: sent.name, agentId }, { follow: true });
    say(scenario.story);
  } catch (error) {
    say(error.message);
  }
};

const asCurl = (scenario) => [...stepsOf(scenario), ["POST", sendPath(scenario.to, scenario.name, state.agents[0]), scenario.send]]
  .map(([method, path, body]) => `curl -X ${method} '${location.origin}${path}'${body ? ` -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'` : ""}`).join("\n");

const change = async (name, settings) => {
  errors[name] = {};
  try {
    carriers[name] = await put(`/simulator/carriers/${name}`, settings);
  } catch (error) {
    errors[name] = Object.fromEntries(error.fields.map(({ field, description }) => [field, description]));
    say(error.message);
  }
  draw();
};

const field = (name, key, label, input) => {
  input.id = `${name}-${key}`;
  return h("div", { class: "field", "data-key": key }, h("label", { for: input.id }, label), input,
    errors[name]?.[key] ? h("span", { class: "error" }, errors[name][key]) : null);
};

const pick = (name, key, label, options, value) => field(name, key, label,
  h("select", { value: String(value ?? ""), onchange: (event) => { const given = event.target.value; change(name, { [key]: given === "" ? null : key === "status" ? Number(given) : given }); } },
    Object.entries(options).map(([given, text]) => h("option", { value: given }, text))));

const type = (name, key, label, value, placeholder) => field(name, key, label,
  h("input", { value: value ?? "", placeholder, autocomplete: "off", "aria-invalid": errors[name]?.[key] ? "true" : null, onchange: (event) => { const given = event.target.value.trim(); change(name, { [key]: given === "" ? null : /^\d+$/.test(given) ? Number(given) : given }); } }));

const tick = (name, key, label, value) => h("label", { class: "check", "data-key": key },
  h("input", { type: "checkbox", checked: Boolean(value), onchange: (event) => change(name, { [key]: event.target.checked }) }), label);

const faulty = (told) => told.status || told.delay || told.duplicate || told.reorder || told.drop;

const carrier = (name) => {
  const told = carriers[name];
  if (!told) return null;
  const [title, what] = NAMES[name];
  return h("div", { class: "box", "data-key": name, role: "group", "aria-label": title },
    h("div", {}, h("h3", {}, title, h("small", {}, ` ${what}`)), h("p", { class: faulty(told) ? "error" : "quiet" }, faulty(told) ? `Faults are set${told.for ? `, for ${told.for}${typeof told.for === "number" ? " requests" : ""}` : ""}.` : "Works as it should.")),
    pick(name, "status", "Every request is answered", { "": "as it should be", ...Object.fromEntries(STATUSES[name].map((code) => [code, `${code}: ${MEANS[code]}`])) }, told.status),
    pick(name, "drop", "Lost on the way", { "": "nothing", ...LOSSES }, told.drop),
    type(name, "delay", "Answers and events are late by", told.delay, "such as 3s"),
    tick(name, "duplicate", "Every event comes twice", told.duplicate),
    tick(name, "reorder", "A message's events come in reverse order", told.reorder),
    type(name, "for", "All of this for", told.for, "60s, or 3 requests; empty: until cleared"),
    name === "rbm" ? pick(name, "deleteContract", "What 200 to a withdrawal means", { confirming: "it is proved (confirming)", legacy: "nothing (legacy)" }, told.deleteContract) : null,
    h("button", { disabled: !faulty(told), onclick: async () => { await del(`/simulator/carriers/${name}`); say(`${title} works as it should.`); } }, "Clear"));
};

const story = (scenario) => h("div", { class: "box", "data-key": scenario.name },
  h("h3", {}, scenario.title), h("p", {}, scenario.story),
  h("p", { class: "quiet" }, `Ends as “${OUTCOMES[scenario.outcome].label}”.`),
  h("div", { class: "row" },
    h("button", { class: "primary", "data-scenario": scenario.name, "aria-label": `Play: ${scenario.title}`, onclick: () => play(scenario.name) }, "Play"),
    h("button", { class: "plain", "aria-label": `Copy as curl: ${scenario.title}`, onclick: () => copy(asCurl(scenario), "Commands") }, "Copy as curl")));

export const draw = () => {
  const root = $("carriers");
  if (!root) return;
  fill(root, [
    h("h2", {}, "Carriers"), h("p", { class: "quiet" }, "Both are simulated. Break them on purpose: every switch is a call of the control API."),
    h("section", {}, h("h3", {}, "Stories"), h("div", { class: "grid" }, scenarios.map(story))),
    h("section", {}, h("h3", {}, "Switches"), h("div", { class: "grid" }, Object.keys(NAMES).map(carrier))),
  ]);
};

export const mount = (main) => fill(main, [h("div", { class: "page", id: "carriers", role: "region", "aria-label": "Carriers", tabindex: "0", "data-own": true })]);

export const start = () => watch(["carriers", "clock"], async () => {
  const [rbm, bandwidth, told] = await Promise.all([get("/simulator/carriers/rbm"), get("/simulator/carriers/bandwidth"), scenarios.length ? scenarios : get("/console/scenarios.json")]);
  carriers = { rbm, bandwidth };
  scenarios = told;
  draw();
});
