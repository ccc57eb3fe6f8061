// One message: its two legs side by side, what happened on them and what was decided.

import { call, get, messagePath, sendPath } from "./api.js";
import { beforeIt, jump, now, until } from "./clock.js";
import { $, copy, fill, h, say as tell } from "./dom.js";
import { watch } from "./live.js";
import { labelOf } from "./phones.js";
import { linkTo, onState, set, state } from "./state.js";
import { NEXT, OUTCOMES, POLICIES, RULES, idOf, numberOf, precise, say, span, stateOf, time } from "./words.js";

let watching = null;
let shown = null;
let asksConsent = true;

// Asked once too often is a line in the browser's console: 501 is final for this run.
const consentOf = async (name, agentId) => {
  if (!asksConsent) return null;
  try {
    return await get(`/v1/phones/${numberOf(name)}/consent?agentId=${encodeURIComponent(agentId)}`);
  } catch (error) {
    asksConsent = error.status !== 501;
    return null;
  }
};

const same = (a, b) => a && b && a.name === b.name && a.agentId === b.agentId;

const act = async (method, verb, done) => {
  try {
    await call(method, messagePath(state.message, verb), method === "POST" ? {} : undefined);
    tell(done);
  } catch (error) {
    tell(error.message);
  }
};

// The request as it could be made again from anywhere.
const request = ({ message }) => {
  const { contentMessage, messageTrafficType, fallback, metadata, delivery, sendTime } = message;
  const ttl = Math.round((Date.parse(delivery.deadline) - Date.parse(sendTime)) / 1000);
  return {
    contentMessage, ...(messageTrafficType && { messageTrafficType }), ttl: `${ttl}s`,
    fallback: fallback === false ? false : { text: fallback.text, policy: delivery.policy, ...(fallback.media && { media: fallback.media }) },
    ...(metadata && { metadata }),
  };
};
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
export const asCurl = (number, id, agentId, body) =>
  `curl -X POST ${quoted(location.origin + sendPath(number, id, agentId))} \\\n  -d ${quoted(JSON.stringify(body, null, 2))}`;
const python = (value) => JSON.stringify(value, null, 4)
  .replaceAll(/("(?:[^"\\]|\\.)*")|\b(true|false|null)\b/g, (_whole, text, word) => text ?? { true: "True", false: "False", null: "None" }[word]);
export const asPython = (number, id, agentId, body) => `import requests

answer = requests.post(
    "${location.origin}/v1/phones/${number}/agentMessages",
    params={"messageId": ${JSON.stringify(id)}, "agentId": ${JSON.stringify(agentId)}},
    json=${python(body).replaceAll("\n", "\n    ")},
    timeout=30,
)
print(answer.json()["delivery"]["outcome"])
`;

const laneOf = (leg, type) => (leg || (/^backstop\.(rcs|sms)\./.exec(type)?.[1] ?? ""));

// What was recorded of the recipient's wish, as it stood at an instant.
const wishAt = (history, at) => history.find((entry) => entry.at <= at)?.state ?? "UNKNOWN";
const CHECKED = {
  UNKNOWN: "Consent is checked: nothing is recorded, so it may be sent",
  OPTED_IN: "Consent is checked: the recipient has opted in",
  OPTED_OUT: "Consent is checked: opted out, which does not stop a message of this kind",
};
const WISHED = { OPTED_IN: "The recipient opts in", OPTED_OUT: "The recipient opts out" };

// Backstop looks at consent when it accepts a message, and again before the SMS leaves.
const consentSteps = ({ message, consent }) => {
  if (!consent?.history) return [];
  const checks = message.delivery.events
    .filter(({ type }) => type === "begin" || type === "sms.claim")
    .map(({ time: at, type }) => ({ id: "", time: at, type: `consent, before ${type === "begin" ? "RCS" : "SMS"}`, said: CHECKED[wishAt(consent.history, at)], lane: type === "begin" ? "" : "sms", rank: type === "begin" ? 0.5 : 2.5 }));
  const wishes = consent.history
    .filter(({ at }) => at > message.sendTime)
    .map(({ at, state: wish, channel, wording }) => ({ id: "", time: at, type: `consent, by ${channel ?? "the app"}${wording ? `: ${wording}` : ""}`, said: WISHED[wish] ?? wish, lane: "", rank: 1 }));
  return [...checks, ...wishes];
};

const entries = ({ message, events, consent }) => {
  const steps = message.delivery.events.map((step) => ({ ...step, lane: step.leg }));
  const known = new Set(steps.map((step) => step.id).filter(Boolean));
  const published = events
    .filter((event) => !known.has(event.id) && event.attributes.kind !== "receipt")
    .map((event) => ({ id: event.id, time: event.time, type: event.type, lane: event.attributes.kind === "due" ? "sms" : "" }));
  const all = [...steps, ...published, ...consentSteps({ message, consent })].map((step, place) => ({ ...step, place, lane: step.lane || laneOf("", step.type) }));
  return all.sort((a, b) => (a.time === b.time ? order(a) - order(b) || a.place - b.place : a.time < b.time ? -1 : 1));
};
// Within one instant: cause before consequence, the outcome last.
const order = (step) => step.rank ?? (step.type.startsWith("backstop.message.") ? 9 : step.type === "begin" ? 0 : step.type === "backstop.sms.due" ? 2 : step.lane === "sms" ? 3 : 1);

const line = (step) => h("li", { class: `step ${step.lane || "both"} ${step.type.startsWith("backstop.message") ? "outcome" : ""}`, "data-key": `${step.id}${step.type}${step.time}` },
  h("time", { datetime: step.time, title: step.time }, precise(step.time)),
  h("div", {}, h("span", { class: "hidden" }, step.lane ? `${step.lane.toUpperCase()}: ` : ""), h("span", {}, step.said ?? say(step.type)),
    step.id ? h("a", { href: `#/events/published/${step.id}`, title: "The event, with its raw bytes" }, step.type) : h("small", {}, step.type)));

const coming = ({ delivery }) => {
  const { next, deadline, outcome } = delivery;
  const rows = [];
  if (outcome === "PENDING" && Date.parse(deadline) > now() && delivery.rcs.state !== "UNREACHABLE" && !delivery.sms) {
    rows.push({ at: deadline, what: "The deadline, which RBM was told as well: it withdraws the message by itself if it can" });
  }
  if (next && outcome === "PENDING") rows.push({ at: next.at, what: next.what === "deadline_passed" ? "Backstop's own timer, a little behind the deadline: if nothing was heard, it acts" : NEXT[next.what] ?? next.what });
  return rows.sort((a, b) => (a.at < b.at ? -1 : 1)).map(({ at, what }) => h("li", { class: "step both next", "data-key": `next${at}${what}` },
    h("time", { datetime: at, title: at }, precise(at)),
    h("div", {}, h("span", {}, what), h("small", {}, "in ", h("b", { "data-until": at }, span(until(at)))))));
};

const why = (delivery) => {
  const { label, tone, mark } = OUTCOMES[delivery.outcome];
  return h("div", { class: `why ${tone}`, id: "why" },
    h("p", { class: "outcome" }, h("span", { class: `mark ${tone}`, "aria-hidden": "true" }, mark), label),
    h("p", {}, RULES[delivery.rule] ?? delivery.rule),
    delivery.outcome === "DELIVERED_BOTH" ? h("p", {}, "And yet the RCS message arrived as well. Even a confirmed withdrawal may come too late: that is told as what it is, never as a plain success.") : null,
    h("small", {}, "rule ", h("code", {}, delivery.rule), delivery.revision > 1 ? `, revision ${delivery.revision} of the outcome` : ""));
};

const leg = (name, given) => h("div", { class: `leg ${name.toLowerCase()}` }, h("strong", {}, name), " ",
  h("span", {}, stateOf(given)), given?.by ? h("small", {}, ` by the ${given.by}'s word`) : null,
  given?.segments ? h("small", {}, `, ${given.segments} ${given.segments === 1 ? "segment" : "segments"}`) : null,
  given?.code ? h("small", {}, `, code ${given.code}`) : null,
  given?.attempts > 1 ? h("small", {}, `, ${given.attempts} attempts`) : null);

const draw = () => {
  const root = $("detail");
  if (!root || !state.message || !shown || !same(shown, state.message)) return;
  if (shown.missing) {
    fill(root, [h("p", { class: "quiet middle" }, shown.missing)]);
    return;
  }
  const { message } = shown;
  const { delivery } = message;
  const number = numberOf(message.name);
  const id = idOf(message.name);
  const open = delivery.outcome === "PENDING";
  const ahead = open && Date.parse(delivery.deadline) > now();
  fill(root, [
    h("header", { "data-key": message.name },
      h("button", { class: "plain back", onclick: () => { set({ message: null, follow: false }); history.pushState(null, "", "#/messages"); } }, "‹ All messages"),
      h("h2", {}, state.messages.find((one) => same(one, state.message))?.text || id),
      h("p", { class: "quiet" }, h("code", {}, id), ` to ${labelOf(number)} · sent ${time(message.sendTime)} · ${POLICIES[delivery.policy] ?? delivery.policy}`)),
    why(delivery),
    h("div", { class: "row actions" },
      ahead ? [h("button", { onclick: () => beforeIt(delivery.deadline) }, "To just before the deadline"), h("button", { onclick: () => jump(delivery.next && delivery.next.at > delivery.deadline ? delivery.next.at : delivery.deadline, "Past the deadline.") }, "Past the deadline")] : null,
      !ahead && delivery.next ? h("button", { onclick: () => jump(delivery.next.at) }, ["To what is next, in ", h("span", { "data-until": delivery.next.at }, span(until(delivery.next.at)))]) : null,
      open ? [h("button", { class: "plain", onclick: () => act("POST", ":acknowledge", "Backstop knows that the user has acted.") }, "User has acted"), h("button", { class: "plain", onclick: () => act("DELETE", "", "Cancelled.") }, "Cancel")] : null,
      h("details", { class: "menu" }, h("summary", {}, "Copy"), h("div", { class: "sheet" },
        h("button", { class: "line", onclick: () => copy(location.origin + "/" + linkTo(state.message), "Link") }, "Link to this message"),
        h("button", { class: "line", onclick: () => copy(asCurl(number, `${id}-again`, shown.agentId, request(shown)), "curl command") }, "The request as curl"),
        h("button", { class: "line", onclick: () => copy(asPython(number, `${id}-again`, shown.agentId, request(shown)), "Python program") }, "The request as Python"),
        h("button", { class: "line", onclick: () => copy(JSON.stringify(message, null, 2), "Answer") }, "The answer as JSON")))),
    h("div", { class: "lanes", "aria-hidden": "true" }, h("span"), leg("RCS", delivery.rcs), leg("SMS", delivery.sms)),
    h("ol", { class: "timeline", "aria-label": "What happened" }, entries(shown).map(line), coming(message)),
    h("details", { class: "raw" }, h("summary", {}, "As the app sees it"), h("pre", { tabindex: "0" }, JSON.stringify(message, null, 2))),
  ]);
};

const refresh = async () => {
  const asked = state.message;
  if (!asked) return;
  const { agentId, name } = asked;
  try {
    const [message, { events }, consent] = await Promise.all([
      get(messagePath(asked)),
      get(`/simulator/events?messageId=${encodeURIComponent(idOf(name))}`),
      consentOf(name, agentId),
    ]);
    shown = { ...asked, message, events: events.filter((event) => !event.attributes.agentId || event.attributes.agentId === agentId), consent };
  } catch (error) {
    if (error.status === undefined) throw error;
    shown = { ...asked, missing: error.status === 404 ? "There is no such message here (any more)." : error.message };
  }
  draw();
};

export const start = () => {
  watching = watch(["messages"], refresh);
  onState((changes) => {
    if ("message" in changes) watching.now();
    if ("view" in changes) draw();
  });
};
