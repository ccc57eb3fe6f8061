// Elements from plain values, and a page that is brought up to date in place, so that
// focus, scrolling and half-typed words survive whatever happens meanwhile.
// Strings become text nodes and nothing else: what a message says is never markup.

const SVG = new Set(["svg", "g", "path", "rect", "line", "circle", "text", "title", "polyline"]);
const LIVE = new Set(["value", "checked", "disabled", "selected", "hidden"]);

export const h = (tag, props, ...children) => {
  const svg = SVG.has(tag) && props?.svg !== false;
  const node = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  node.handlers = [];
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false || name === "svg") continue;
    if (name.startsWith("on")) {
      node[name] = value;
      node.handlers.push(name);
    } else if (name === "style") {
      // Set by property: the policy of this page allows no style attributes.
      for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part);
    } else if (LIVE.has(name)) {
      node[name] = value;
      if (name !== "value" || tag === "option") node.setAttribute(name, value === true ? "" : value);
    } else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  // A select knows its value only once it has its options.
  if (tag === "select" && props && "value" in props) node.value = props.value;
  return node;
};

const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") : null);

const morph = (from, to) => {
  if (from.nodeType !== 1) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (to.hasAttribute("data-own") && from.hasAttribute("data-own")) return;
  for (const { name } of [...from.attributes]) {
    // Whether something is unfolded is the reader's choice.
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name === "open" || from.getAttribute(name) === value) continue;
    if (name === "style") from.style.cssText = to.style.cssText;
    else from.setAttribute(name, value);
  }
  for (const name of from.handlers ?? []) if (!to.handlers.includes(name)) from[name] = null;
  for (const name of to.handlers ?? []) from[name] = to[name];
  from.handlers = to.handlers;
  fill(from, [...to.childNodes]);
  for (const name of ["value", "checked", "disabled"]) {
    if (name in to && from !== document.activeElement && from[name] !== to[name]) from[name] = to[name];
  }
};

const fits = (from, to) =>
  from && from.nodeType === to.nodeType && from.nodeName === to.nodeName && keyOf(from) === keyOf(to);

// Bring the children of `parent` up to date.
export const fill = (parent, wanted) => {
  const nodes = wanted.flat(9).filter((node) => node !== null && node !== undefined && node !== false)
    .map((node) => (typeof node === "string" ? document.createTextNode(node) : node));
  const keyed = new Map();
  for (const child of parent.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = parent.firstChild;
  for (const node of nodes) {
    const key = keyOf(node);
    const known = key ? keyed.get(key) : at;
    if (fits(known, node)) {
      if (known === at) at = at.nextSibling;
      else parent.insertBefore(known, at);
      morph(known, node);
    } else parent.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

export const $ = (id) => document.getElementById(id);

let saying = 0;
// Tell what happened, to eyes and ears alike.
export const say = (text) => {
  $("status").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => { $("status").textContent = ""; }, 6000);
};

export const copy = async (text, what) => {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say("The browser does not let this page copy.");
  }
};
