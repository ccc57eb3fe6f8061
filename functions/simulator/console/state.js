// What the page looks at now, shared by its parts.

import { get } from "./api.js";

const listeners = new Set();

export const state = {
  view: "messages",
  message: null, // { name, agentId }
  event: null,
  phone: null,
  follow: true,
  phones: [],
  messages: [],
  agents: ["demo_agent"],
};

// The agents that the carriers know; the first is the one to write as unless told otherwise.
export const loadAgents = async () => {
  const { agents } = await get("/simulator/carriers/rbm");
  if (agents?.length) set({ agents });
};

export const onState = (listener) => { listeners.add(listener); };
export const set = (changes) => {
  Object.assign(state, changes);
  for (const listener of listeners) listener(changes);
};

export const linkTo = ({ name, agentId }) => {
  const [, number, , ...id] = name.split("/");
  return `#/messages/${[agentId, number, id.join("/")].map(encodeURIComponent).join("/")}`;
};

// Reading an address: the only way to a view, so that every view can be sent to somebody.
export const readAddress = () => {
  const [view = "messages", ...parts] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  const known = ["messages", "events", "carriers", "numbers"].includes(view) ? view : "messages";
  const [agentId, number, id] = parts;
  return {
    view: known,
    message: known === "messages" && id ? { agentId, name: `phones/${number}/agentMessages/${id}` } : null,
    event: known === "events" && parts.length ? { list: parts[0], id: parts[1] } : null,
  };
};
