// What the page shows stays true: hints arrive as server-sent events, and whoever
// registered for that kind asks anew, one request at a time. What takes the server long
// is asked for less often, so that watching does not slow down what is watched.

const BETWEEN = 120;
const REST = 2;
const watchers = new Map();

// Run `refresh` now and whenever one of `kinds` changes. Returns how to stop it, and how to ask at once.
export const watch = (kinds, refresh) => {
  const watcher = { kinds, refresh, busy: false, again: false, gone: false };
  watchers.set(watcher, watcher);
  ask(watcher);
  return {
    stop: () => { watcher.gone = true; watchers.delete(watcher); },
    now: () => ask(watcher),
  };
};

const ask = async (watcher) => {
  if (watcher.busy) {
    watcher.again = true;
    return;
  }
  watcher.busy = true;
  do {
    watcher.again = false;
    const began = performance.now();
    try {
      await watcher.refresh();
    } catch (error) {
      // The stream tells when it can be asked again.
      if (error.status === undefined) throw error;
    }
    const pause = Math.max(BETWEEN, REST * (performance.now() - began));
    await new Promise((resolve) => { setTimeout(resolve, pause); });
  } while (watcher.again && !watcher.gone);
  watcher.busy = false;
};

export const changed = (kinds) => {
  for (const watcher of watchers.values()) {
    if (watcher.kinds.some((kind) => kinds.includes(kind))) ask(watcher);
  }
};

export const listen = (told) => {
  const source = new EventSource("/simulator/stream");
  source.addEventListener("change", (event) => changed(JSON.parse(event.data).kinds));
  source.onopen = () => {
    told(true);
    changed(["clock", "phones", "messages", "carriers"]);
  };
  source.onerror = () => told(false);
};
