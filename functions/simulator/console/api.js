// The control API and the app API: all that this console can do, a script can do too.

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `The answer was ${status}.`);
    this.status = status;
    this.fields = (error?.details ?? []).flatMap((detail) => detail.fieldViolations ?? []);
  }
}

export const call = async (method, path, body) => {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { "content-type": "application/json" },
    });
  } catch {
    throw new Refused(0, { message: "The simulator does not answer. Is it still running?" });
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.error);
  return told;
};

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const del = (path) => call("DELETE", path);

export const phonePath = (number) => `/simulator/phones/${number}`;
export const messagePath = ({ name, agentId }, verb = "") =>
  `/v1/${name.split("/").map(encodeURIComponent).join("/").replace("%2B", "+")}${verb}${agentId ? `?agentId=${encodeURIComponent(agentId)}` : ""}`;
export const sendPath = (number, messageId, agentId, more = "") =>
  `/v1/phones/${number}/agentMessages?messageId=${encodeURIComponent(messageId)}&agentId=${encodeURIComponent(agentId)}${more}`;
